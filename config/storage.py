"""The sections of an environment's settings that describe buckets, and for how long and how cheaply they keep what."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from pydantic import Field, model_validator

from config.fields import BucketName, Model

StorageClass = Literal["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
"""In the order in which S3 moves objects: never back."""
ReadableClass = Literal["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"]
"""What a query can read at once, and what is kept in more than one zone."""

INFREQUENT = ("STANDARD_IA", "ONEZONE_IA")
INFREQUENT_DAYS = 30
"""An object is moved to these after 30 days at the earliest, and onwards after 30 more
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html)."""

NO_MOVE = ("ONEZONE_IA", "GLACIER_IR")
"""The one pair of classes in the right order between which S3 does not move objects."""

ARCHIVE_DAYS = 30
"""Days for which the archive is kept whatever the settings say: S3 does not know what has been compacted, so that there
must be time to notice a compaction that does not run."""


class Transition(Model):
    """Objects move to a cheaper storage class at an age. S3 leaves those under 128 KB, which would cost more there."""

    after_days: int = Field(ge=1, description="Age in days; the infrequent-access classes take objects from 30 on.")
    storage_class: StorageClass = Field(
        description="Storage class. `GLACIER` (Flexible Retrieval) and `DEEP_ARCHIVE` have to be restored, for hours,"
        " before a reprocessing can read them."
    )


class ReadableTransition(Transition):
    """Objects move to a cheaper storage class at an age, to one of those that queries read at once."""

    storage_class: ReadableClass = Field(description="Storage class.")


class Bucket(Model):
    """A data bucket. The account and the region are appended to its name, because bucket names are global."""

    name: BucketName = Field(description="Start of the bucket's name.")
    noncurrent_days: int = Field(30, ge=1, description="Days an overwritten or deleted object version is kept.")
    incomplete_upload_days: int = Field(
        7, ge=1, description="Days after which an upload that was begun and never completed is thrown away."
    )


class RawBucket(Bucket):
    """The archive of what devices sent, and what could not be delivered to it."""

    transitions: tuple[Transition, ...] = Field((), description="Moves to cheaper storage classes, in order.")
    expire_after_days: int | None = Field(
        None,
        ge=ARCHIVE_DAYS,
        description="Age at which objects are deleted, compacted or not: what is deleted can never be reprocessed."
        " Unset keeps the archive for ever.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> "RawBucket":
        _check_transitions(self.transitions)
        last = max((move.after_days for move in self.transitions), default=0)
        if self.expire_after_days is not None and self.expire_after_days <= last:
            raise ValueError(f"expire_after_days must be later than the last transition, after {last} days")
        return self


class ProcessedBucket(Bucket):
    """Iceberg table, quarantine, run manifests, and what Lambda set aside. Table and manifests never expire."""

    transitions: tuple[ReadableTransition, ...] = Field((), description="Moves to cheaper storage classes, in order.")
    quarantine_days: int | None = Field(
        None, ge=1, description="Days a rejected record is kept below `quarantine/`; unset keeps it for ever."
    )
    staging_days: int = Field(
        16,
        ge=2,
        description="Days the decoded readings of a reprocessing are kept below `staging/`, to be carried on: at least"
        " `optimization.orphan_days`.",
    )
    set_aside_days: int | None = Field(
        None, ge=1, description="Days a batch that Lambda gave up is kept below `aws/lambda/`; unset keeps it for ever."
    )

    @model_validator(mode="after")
    def _in_order(self) -> "ProcessedBucket":
        _check_transitions(self.transitions)
        return self


class AccessLogs(Model):
    """The bucket that receives the S3 access logs of the data buckets (SSE-S3: log delivery cannot use the key)."""

    bucket_name: BucketName = Field("{system}-logs-{suffix}", description="Start of the bucket's name.")
    retention_days: int = Field(365, ge=1, description="Days an access log is kept.")


def _check_transitions(moves: Sequence[Transition]) -> None:
    """Raise ValueError for what S3 would refuse
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html)."""
    for move in moves:
        if move.storage_class in INFREQUENT and move.after_days < INFREQUENT_DAYS:
            raise ValueError(f"{move.storage_class} takes objects after {INFREQUENT_DAYS} days at the earliest")
    order: tuple[str, ...] = get_args(StorageClass)
    for earlier, later in pairwise(moves):
        if later.after_days <= earlier.after_days:
            raise ValueError("transitions must be in the order of their days, each later than the one before")
        pair = (earlier.storage_class, later.storage_class)
        if order.index(pair[0]) >= order.index(pair[1]) or pair == NO_MOVE:
            raise ValueError(f"S3 does not move objects from {pair[0]} to {pair[1]}")
        if pair[0] in INFREQUENT and later.after_days - earlier.after_days < INFREQUENT_DAYS:
            raise ValueError(f"objects stay in {pair[0]} for {INFREQUENT_DAYS} days at least")
