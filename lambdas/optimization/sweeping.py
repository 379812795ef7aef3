"""The sweep: files of the table that no snapshot names are deleted once nobody can commit them any more.

A file is an orphan when the table's metadata, read after the cutoff was fixed, does not name it, and when it was
written before the cutoff: `orphan_days` before the sweep began. Nobody can bring such a file into the table later, so
that nothing depends on when the bucket is listed, nor on how often a step is repeated:

- A run of the compaction or of `optimize` is refused when its plan is older than `orphan_days` less a day
  (`compaction.age`), and its files are younger than its plan. A commit checks that within minutes of its swap. If it
  checks less than a day before the sweep begins, its files are younger than the cutoff; if earlier, its swap is over
  before the metadata is read, which then names them. The day also covers clocks that differ, and uploads in parts,
  which S3 dates by their beginning.
- Metadata, manifest lists and manifests have names of their own for each attempt and are minutes old when they are
  swapped in. A swap whose answer was lost has happened all the same: the catalog is asked, not the one who swapped.
- A branch, a tag or a rollback takes up a snapshot that the metadata has; its files are named.
- Expiry only takes names away: what it frees while the bucket is listed waits for the next sweep.

What cannot be read ends the sweep before anything is deleted: a missing manifest must not make orphans of its files.
So does another table's metadata in the same place: a table that was dropped and made anew has left files that the new
one does not name, and whoever dropped it may want them back.
"""

import gzip
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec
from pyiceberg.table import Table

from compaction.ahead import ahead
from compaction.lake_table import LakeTable
from compaction.store import Store
from optimization.errors import FilesNotDeleted, ForeignFiles
from optimization.manifests import Expired, Orphan, Report, Rewritten, Swept, ledger_key, orphans_key, report_key
from optimization.reachable import Locations, reachable

BATCH = 1000
"""Keys of one DeleteObjects request at most (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html)."""

SHOWN = 20
"""Orphans that a dry run names."""

_FOLDERS = ("metadata/", "data/")
_METADATA_FILE = ".metadata.json"
_GZIP = b"\x1f\x8b"
_WAITING_FILES, _WAITING_BYTES = "waiting-files", "waiting-bytes"
_SPOOL_BYTES = 8 * 1024 * 1024  # a list of about 50,000 orphans stays in memory, a longer one goes to /tmp


class Closed(NamedTuple):
    """The report of a run that is over, and whether it was written now or by an earlier call."""

    report: Report
    is_new: bool


class Sweeper(msgspec.Struct, frozen=True):
    """The bucket of the table's files and of the run's manifests, the table, and when an orphan is deleted.

    `now` is when the function was called.
    """

    s3: Any
    store: Store
    table: LakeTable
    orphan_days: int
    now: datetime

    def close(self, run_id: str, rewritten: Rewritten | None, expired: Expired) -> Closed:
        """Sweep and end the run: its line in the ledger, then its report. What is done already is left as it is.

        Raises what `sweep` raises.
        """
        body = self.store.read(report_key(run_id))
        if body is not None:
            return Closed(msgspec.json.decode(body, type=Report), is_new=False)
        report = Report(run_id, rewritten, expired, self.sweep(run_id))
        self.store.write(ledger_key(run_id), msgspec.json.encode(report))
        self.store.write(report_key(run_id), msgspec.json.encode(report))
        return Closed(report, is_new=True)

    def sweep(self, run_id: str) -> Swept:
        """Write down the orphans and delete them; again, those that the run wrote down first, with the same answer.

        Raises ForeignFiles when there are another table's files, and FilesNotDeleted when S3 has refused some.
        """
        table = self.table.find()
        if table is None:
            return Swept(0, 0, 0, 0)
        named = reachable(table)
        listed = self.store.lines(orphans_key(run_id))
        if listed is None:
            self._write_down(run_id, table, named)
            listed = self.store.lines(orphans_key(run_id)) or iter(())
        swept = _Counted()
        self._delete(swept.each(self._orphans(listed, named)))
        waiting = self.store.metadata(orphans_key(run_id)) or {}
        return Swept(swept.files, swept.bytes, int(waiting[_WAITING_FILES]), int(waiting[_WAITING_BYTES]))

    def dry_run(self) -> dict[str, Any]:
        """What `sweep` would answer now, and the keys of some of the orphans; nothing is written or deleted."""
        table = self.table.find()
        orphans, waiting, keys = _Counted(), _Counted(), list[str]()
        for file in self._unnamed(table, reachable(table)) if table else ():
            (orphans if self._is_old(file) else waiting).add(file)
            if self._is_old(file) and len(keys) < SHOWN:
                keys.append(file.key)
        swept = Swept(orphans.files, orphans.bytes, waiting.files, waiting.bytes)
        return {**msgspec.to_builtins(swept), "keys": keys}

    @property
    def _folder(self) -> str:
        """What the keys of the table's files begin with."""
        return self.table.location.removeprefix(f"s3://{self.store.bucket}/") + "/"

    def _is_old(self, file: Orphan) -> bool:
        return file.written_at < self.now - timedelta(days=self.orphan_days)

    def _write_down(self, run_id: str, table: Table, named: Locations) -> None:
        waiting = _Counted()
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as lines:
            for file in self._unnamed(table, named):
                if self._is_old(file):
                    lines.write(msgspec.json.encode(file) + b"\n")
                else:
                    waiting.add(file)
            lines.seek(0)
            metadata = {_WAITING_FILES: str(waiting.files), _WAITING_BYTES: str(waiting.bytes)}
            self.store.write_once(orphans_key(run_id), cast("BinaryIO", lines), metadata)

    def _orphans(self, listed: Iterator[bytes], named: Locations) -> Iterator[Orphan]:
        """What the run's list names and is an orphan now: table and settings may not be those of then any more."""
        orphans = map(msgspec.json.Decoder(Orphan).decode, listed)
        return (one for one in orphans if self._is_old(one) and self._location(one) not in named)

    def _unnamed(self, table: Table, named: Locations) -> Iterator[Orphan]:
        """Files in the table's place that its metadata does not name, of whatever age. Raises ForeignFiles."""
        if table.location().rstrip("/") != self.table.location:
            raise ForeignFiles(
                f"The table's files are at {table.location()}, so those at {self.table.location} are not its own. "
                "Nothing was deleted. Let the catalog point to a table that is there, or clear the place by hand."
            )
        own = str(table.metadata.table_uuid)
        for file, owner in ahead(self._owner, self._listed_outside(named)):
            if owner not in (own, None):
                raise ForeignFiles(
                    f"{file.key} is the metadata of another table, {owner}, which was dropped or replaced; its data "
                    f"cannot be told from orphans of the table {own}. Nothing was deleted. Bring that table back, or, "
                    "when it is no longer wanted, delete this metadata file and the others of that table."
                )
            yield file

    def _listed_outside(self, named: Locations) -> Iterator[Orphan]:
        for folder in _FOLDERS:
            for listed in self.store.objects(self._folder + folder):
                file = Orphan(listed.key, listed.bytes, listed.written_at)
                if self._location(file) not in named:
                    yield file

    def _location(self, file: Orphan) -> str:
        return f"s3://{self.store.bucket}/{file.key}"

    def _owner(self, file: Orphan) -> str | None:
        """The table that a metadata file is of; None for other files, and for a table without a snapshot."""
        if _METADATA_FILE not in file.key:
            return None
        body = self.store.read(file.key)
        if body is None:
            return None
        try:
            metadata = msgspec.json.decode(gzip.decompress(body) if body.startswith(_GZIP) else body, type=_Metadata)
        except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
            raise ForeignFiles(
                f"{file.key} is no metadata that can be read: {error}. Nothing was deleted, since another table's "
                "files could not be told from orphans. Find out who wrote it, and delete it when nobody wants it."
            ) from None
        return metadata.table_uuid if metadata.snapshots else None

    def _delete(self, orphans: Iterator[Orphan]) -> None:
        refused, example = 0, ""
        while batch := list(islice(orphans, BATCH)):
            wanted = {"Objects": [{"Key": orphan.key} for orphan in batch], "Quiet": True}
            errors = self.s3.delete_objects(Bucket=self.store.bucket, Delete=wanted).get("Errors", [])
            refused += len(errors)
            if errors and not example:
                example = f"{errors[0]['Key']}: {errors[0]['Code']}"
        if refused:
            raise FilesNotDeleted(
                f"S3 refused to delete {refused} orphan(s), for example {example}. The others are gone. "
                "Redrive the execution: it goes on with the same list."
            )


class _Metadata(msgspec.Struct, rename="kebab"):
    table_uuid: str = ""  # format version 1 knows tables without
    snapshots: list[msgspec.Raw] = []


class _Counted:
    """How many files, of how many bytes."""

    def __init__(self) -> None:
        self.files = self.bytes = 0

    def add(self, file: Orphan) -> None:
        self.files += 1
        self.bytes += file.bytes

    def each(self, files: Iterable[Orphan]) -> Iterator[Orphan]:
        """Count the files as they are taken."""
        for file in files:
            self.add(file)
            yield file
