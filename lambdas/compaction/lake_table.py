"""The Iceberg table `readings`: made, kept up with the settings, extended and rewritten, each in one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import Table, TableProperties, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import DayTransform, HourTransform, IdentityTransform, Transform
from pyiceberg.types import DoubleType, MapType, NestedField, StringType, TimestamptzType

from compaction import runs
from compaction.ahead import ahead
from compaction.columns import table_schema
from compaction.errors import FileMismatch
from compaction.runs import RUN_ID_PROPERTY, TABLE, RunSnapshot, Snapshot, published

# a commit is tried again by us, after looking for other runs again; PyIceberg would only rebase, on whatever they did
_NO_REBASE = {"commit.retry.num-retries": "0"}
PROPERTIES = {
    **_NO_REBASE,
    "write.parquet.compression-codec": "zstd",
    # devices of a plant share more than the 16 characters that bounds are cut to: none of its files could be left out
    "write.metadata.metrics.column.device_id": "full",
}

_TRANSFORMS: dict[str, Transform[Any, Any]] = {"day": DayTransform(), "hour": HourTransform()}


class LakeTable(msgspec.Struct, frozen=True):
    """Where the table is, and what the settings ask of it."""

    catalog: Catalog
    database: str
    location: str
    metrics: Sequence[str]
    partition_by: Literal["day", "hour"]

    def load(self) -> Table:
        """The table as it is now, made first if there is none."""
        if (table := self.find()) is not None:
            return table
        identifier = (self.database, TABLE)
        schema = iceberg_schema(self.metrics)
        try:
            return self.catalog.create_table(
                identifier,
                schema,
                location=self.location,
                partition_spec=_partition_spec(schema, self.partition_by),
                sort_order=_sort_order(schema),
                properties=PROPERTIES,
            )
        except TableAlreadyExistsError:  # another run was faster
            return self.catalog.load_table(identifier)

    def find(self) -> Table | None:
        """The table as it is now, or None if there is none."""
        try:
            return self.catalog.load_table((self.database, TABLE))
        except NoSuchTableError:
            return None

    def extend(self, table: Table, paths: Sequence[str], properties: Mapping[str, str]) -> int:
        """Publish Parquet files, or none, in one snapshot with these properties, and answer its id.

        Columns for newly declared metrics and another partitioning, if the settings have them, are part of the same
        transaction. Raises pyiceberg's CommitFailedException when the table changed since it was loaded, FileMismatch
        when a file has a column or a span of time that the table, with these settings, cannot take.
        """
        with _transaction(table) as transaction:
            self._follow_settings(transaction)
            if paths:
                self._add(transaction, paths, properties)
            else:
                with transaction.update_snapshot(snapshot_properties=dict(properties)).fast_append():
                    pass
        return self._published(table)

    def replace(
        self, table: Table, files: Sequence[DataFile], paths: Sequence[str], properties: Mapping[str, str]
    ) -> int:
        """Publish Parquet files in the place of data files of the table in one snapshot, and answer its id.

        The rest is as for `extend`. The snapshot's operation is `overwrite`, since duplicates are left out; `replace`
        would say that no row is (https://iceberg.apache.org/spec/#optional-snapshot-summary-fields).
        """
        with _transaction(table) as transaction:
            self._follow_settings(transaction)
            metadata = transaction.table_metadata
            if metadata.name_mapping() is None:  # our files have names, and no field ids
                mapping = metadata.schema().name_mapping.model_dump_json()
                transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})
            added = ahead(lambda path: _described(table, metadata, path), paths)
            _overwrite(transaction, files, (file for _, file in added), properties)
        return self._published(table)

    def put_back(
        self, table: Table, files: Sequence[DataFile], former: Sequence[DataFile], properties: Mapping[str, str]
    ) -> int:
        """Take data files out of the table and put former ones in, as manifests have described them; the snapshot's id.

        `former` are of the table's partitioning of today. Raises CommitFailedException as `extend` does.
        """
        with _transaction(table) as transaction:
            _overwrite(transaction, files, former, properties)
        return self._published(table)

    def _published(self, table: Table) -> int:
        snapshot = table.current_snapshot()
        if snapshot is None:
            raise RuntimeError(f"{self.location}: a commit went through, but the table has no snapshot")
        return snapshot.snapshot_id

    def _add(self, transaction: Transaction, paths: Sequence[str], properties: Mapping[str, str]) -> None:
        try:
            transaction.add_files(list(paths), snapshot_properties=dict(properties), check_duplicate_files=False)
        except ValueError as error:
            raise _misfit(f"The files of {paths[0]} and {len(paths) - 1} more do not fit", error) from error

    def _follow_settings(self, transaction: Transaction) -> None:
        known = set(transaction.table_metadata.schema().column_names)
        new = [name for name in self.metrics if name not in known]
        if new:
            with transaction.update_schema() as schema:
                for name in new:
                    schema.add_column(name, DoubleType())
        fields = transaction.table_metadata.spec().fields
        wanted = _TRANSFORMS[self.partition_by]
        if [field.transform for field in fields] != [wanted]:
            with transaction.update_spec() as spec:
                for field in fields:
                    spec.remove_field(field.name)
                spec.add_field("measured_at", wanted, _partition_name(self.partition_by))


def _described(table: Table, metadata: TableMetadata, path: str) -> DataFile:
    """A file as a manifest has it. Raises FileMismatch."""
    try:
        return parquet_file_to_data_file(table.io, metadata, path)
    except ValueError as error:
        raise _misfit(f"{path} does not fit", error) from error


def _misfit(what: str, error: ValueError) -> FileMismatch:
    return FileMismatch(
        f"{what} the table with the settings of now: {error} If table or settings changed since it was written, start "
        "a new run."
    )


def _overwrite(
    transaction: Transaction, files: Iterable[DataFile], new: Iterable[DataFile], properties: Mapping[str, str]
) -> None:
    with transaction.update_snapshot(snapshot_properties=dict(properties)).overwrite() as overwrite:
        _judge_apart(overwrite)
        for file in new:
            overwrite.append_data_file(file)
        for file in files:
            overwrite.delete_data_file(file)


def _judge_apart(overwrite: Any) -> None:
    """Give each manifest an evaluator of its own.

    PyIceberg 0.12 asks one from several threads at once, and it holds the manifest that it is asked about: it may then
    pass over one with a file that is to be deleted ("Missing required files to delete").
    """
    build = overwrite._build_manifest_evaluator
    overwrite._build_manifest_evaluator = lambda spec_id: lambda manifest: build(spec_id)(manifest)


def _transaction(table: Table) -> Transaction:
    """A transaction that is not rebased, even if somebody took the property from the table."""
    table.metadata.properties.update(_NO_REBASE)  # of what is loaded: nothing of it is written
    return table.transaction()


def history(table: Table) -> list[Snapshot]:
    """The snapshots that led to the table as it is, newest first."""
    return runs.history(_snapshots(table), table.metadata.current_snapshot_id)


def committed(table: Table, run_id_property: str = RUN_ID_PROPERTY) -> list[RunSnapshot]:
    """The runs in the table's history, newest first: those of the compaction, or with an id under another property."""
    return published(_snapshots(table), table.metadata.current_snapshot_id, run_id_property)


def snapshot_of(table: Table, run_id: str, run_id_property: str = RUN_ID_PROPERTY) -> int | None:
    """The snapshot that a run has published, or None when the table's history has none."""
    return next((run.snapshot_id for run in committed(table, run_id_property) if run.run_id == run_id), None)


def _snapshots(table: Table) -> Iterator[Snapshot]:
    for one in table.metadata.snapshots:
        summary = one.summary.additional_properties if one.summary else {}
        yield Snapshot(one.snapshot_id, one.parent_snapshot_id, one.sequence_number or 0, summary)


def iceberg_schema(metrics: Sequence[str]) -> Schema:
    """The columns of `compaction.columns.table_schema` as Iceberg types."""
    fields = [
        NestedField(number, field.name, _iceberg_type(field.type), required=not field.nullable)
        for number, field in enumerate(table_schema(metrics), 1)
    ]
    return assign_fresh_schema_ids(Schema(*fields))


def _iceberg_type(arrow_type: pa.DataType) -> DoubleType | MapType | StringType | TimestamptzType:
    if pa.types.is_float64(arrow_type):
        return DoubleType()
    if pa.types.is_map(arrow_type):
        return MapType(key_id=1, key_type=StringType(), value_id=2, value_type=DoubleType(), value_required=False)
    return TimestamptzType() if pa.types.is_timestamp(arrow_type) else StringType()


def _partition_name(partition_by: str) -> str:
    return f"measured_at_{partition_by}"


def _partition_spec(schema: Schema, partition_by: Literal["day", "hour"]) -> PartitionSpec:
    source = schema.find_field("measured_at").field_id
    return PartitionSpec(
        PartitionField(
            source_id=source, field_id=1000, transform=_TRANSFORMS[partition_by], name=_partition_name(partition_by)
        )
    )


def _sort_order(schema: Schema) -> SortOrder:
    columns = ("device_id", "measured_at")
    return SortOrder(
        *(SortField(source_id=schema.find_field(name).field_id, transform=IdentityTransform()) for name in columns)
    )
