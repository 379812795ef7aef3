"""The Iceberg tables of a query, as their metadata say: MiniStack reads whatever lies below a table's location.

A table may be named as it is now, as it was (`FOR TIMESTAMP AS OF`, `FOR VERSION AS OF`), or by one of its metadata
tables (`"readings$files"`, `$history`, `$partitions`, `$snapshots`). Athena reads with the permissions of whoever asks
(https://docs.aws.amazon.com/athena/latest/ug/security-iam-athena.html), and so does this.
"""

import dataclasses
import os
from collections.abc import Callable

import duckdb
import pyarrow as pa
from pyiceberg.table import StaticTable
from sqlglot import exp

from local.additions.athena.callers import demand_of_caller

ICEBERG = "ICEBERG"

METADATA_TABLES: dict[str, Callable[[StaticTable], pa.Table]] = {
    "files": lambda table: table.inspect.files(),
    "history": lambda table: _zoned(table.inspect.history()),
    "partitions": lambda table: _named_as_in_trino(table.inspect.partitions()),
    "snapshots": lambda table: _zoned(table.inspect.snapshots()),
}


@dataclasses.dataclass(frozen=True)
class Source:
    """An Iceberg table that a query names: the reference, where the metadata are, and which metadata table is asked."""

    node: exp.Table
    arn: str
    metadata_location: str
    metadata_table: str

    def read(self, database: duckdb.DuckDBPyConnection) -> pa.Table:
        """The rows. Raises RefusedError for a file that the caller may not read, ValueError for an unknown version."""
        demand_of_caller(("glue:GetTable", self.arn), ("s3:GetObject", _object_arn(self.metadata_location)))
        table = StaticTable.from_metadata(self.metadata_location, _file_properties())
        if self.metadata_table:
            return METADATA_TABLES[self.metadata_table](table)
        scan = table.scan(snapshot_id=_snapshot(self.node, table, database))
        for task in scan.plan_files():
            demand_of_caller(("s3:GetObject", _object_arn(task.file.file_path)))
        return scan.to_arrow()


def sources(query: exp.Expr, database: str) -> list[Source]:
    """The Iceberg tables that a query names, those without a database in `database`."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import glue

    found = []
    for node in query.find_all(exp.Table):
        name, _, metadata_table = node.name.partition("$")
        path = f"{node.db or database}/{name}"
        parameters = (glue._tables.get(path) or {}).get("Parameters", {})
        if parameters.get("table_type", "").upper() == ICEBERG and metadata_table in ("", *METADATA_TABLES):
            arn = f"arn:aws:glue:{get_region()}:{get_account_id()}:table/{path}"
            found.append(Source(node, arn, parameters["metadata_location"], metadata_table))
    return found


def _snapshot(node: exp.Table, table: StaticTable, database: duckdb.DuckDBPyConnection) -> int | None:
    """The snapshot that the reference asks for; None for the current one."""
    version = node.args.get("version")
    if version is None:
        return None
    wanted = version.expression.sql(dialect="duckdb")
    if version.this == "VERSION":
        return int(wanted)
    ((moment_ms,),) = database.execute(f"SELECT epoch_ms(({wanted})::TIMESTAMPTZ)").fetchall()
    snapshot = table.snapshot_as_of_timestamp(moment_ms)
    if snapshot is None:
        raise ValueError(f"INVALID_ARGUMENTS: No version history table {node.name} at or before {moment_ms}")
    return snapshot.snapshot_id


def _zoned(found: pa.Table) -> pa.Table:
    """Times of a metadata table are moments, in UTC."""
    fields = [
        pa.field(field.name, pa.timestamp("ms", tz="UTC")) if pa.types.is_timestamp(field.type) else field
        for field in found.schema
    ]
    return found.cast(pa.schema(fields))


def _named_as_in_trino(partitions: pa.Table) -> pa.Table:
    """https://trino.io/docs/current/connector/iceberg.html#partitions-table"""
    names = {"total_data_file_size_in_bytes": "total_size"}
    wanted = ("partition", "record_count", "file_count", *names)
    return partitions.select(wanted).rename_columns([names.get(name, name) for name in wanted])


def _object_arn(location: str) -> str:
    return f"arn:aws:s3:::{location.removeprefix('s3://')}"


def _file_properties() -> dict[str, str]:
    """How PyIceberg reads from this emulator: as the account's root, after the caller's permissions were asked."""
    from ministack.core.responses import get_account_id, get_region

    return {
        "s3.endpoint": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        "s3.access-key-id": get_account_id(),
        "s3.secret-access-key": "root",
        "s3.region": get_region(),
    }
