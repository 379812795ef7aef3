"""Two complete implementations of Iceberg and Parquet, neither of them PyIceberg or PyArrow, which write the table."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chdb
import datafusion
import pyarrow as pa
from pyiceberg_core.datafusion import IcebergDataFusionTable

from tests.lake import REGION, Lake
from tests.readers.history import Row, State, in_order

Select = Callable[[str], pa.Table]
"""Answers a SELECT over `readings`."""
Open = Callable[[Lake, State, Path], Select]
"""The table in a state, with a folder that the engine may keep a copy in."""


def clickhouse(lake: Lake, state: State, folder: Path) -> Select:
    """ClickHouse (C++), on a copy of the table's objects: its S3 client reads metadata of AWS's own S3 alone."""
    if not any(folder.iterdir()):
        _copy(lake, folder)

    def select(query: str) -> pa.Table:
        text = query.replace("FROM readings", "FROM icebergLocal('warehouse/readings')")
        with contextlib.chdir(folder):  # it reads no file outside of where it is
            answer: pa.Table = chdb.query(f"{text} SETTINGS iceberg_snapshot_id = {state.snapshot_id}", "ArrowTable")
        return answer

    return select


def iceberg_rust(lake: Lake, state: State, folder: Path) -> Select:
    """iceberg-rust with DataFusion (Rust), on the embedded S3, by the metadata file of the state."""
    properties = {
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "s3.region": REGION,
        "s3.path-style-access": "true",
    }
    context = datafusion.SessionContext()
    table = IcebergDataFusionTable([lake.database, "readings"], state.metadata_location, properties)
    context.register_table("readings", table)

    def select(query: str) -> pa.Table:
        answer: pa.Table = context.sql(query).to_arrow_table()
        return answer

    return select


def rows(found: pa.Table) -> list[Row]:
    """Rows without their nulls; an empty map is none."""
    return in_order(
        [
            {name: value for name, value in row.items() if value is not None and value != {}}
            for row in found.to_pylist(maps_as_pydicts="strict")
        ]
    )


def _copy(lake: Lake, folder: Path) -> None:
    pages: Any = lake.s3.get_paginator("list_objects_v2").paginate(Bucket=lake.processed, Prefix="warehouse/")
    for found in (found for page in pages for found in page["Contents"]):
        path = folder / found["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lake.store.read(found["Key"]) or b"")
