"""Attempts at a commit, and the catalog that they are made at."""

import io
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from pyiceberg.exceptions import CommitFailedException

from compaction.catalog import open_catalog
from compaction.committing import ATTEMPTS, commit
from compaction.errors import CommitConflict


def test_attempts_are_further_and_further_apart() -> None:
    waits: list[float] = []

    def overtaken() -> None:
        raise CommitFailedException("others were faster")

    with pytest.raises(CommitConflict, match=f"Run one could not be committed in {ATTEMPTS} attempts.*others were"):
        commit("Run one", overtaken, waits.append)

    assert len(waits) == ATTEMPTS - 1
    assert all(later >= 2 * earlier > 0 for earlier, later in pairwise(waits))


def test_what_does_not_pass_is_not_tried_again() -> None:
    waits: list[float] = []

    def denied() -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "UpdateTable")

    with pytest.raises(ClientError, match="AccessDenied"):
        commit("Run one", denied, waits.append)

    assert waits == []


def test_the_catalog_s_client_repeats_no_call() -> None:
    """An update that went through and is repeated is refused, as if somebody else had made it."""
    session = boto3.Session(aws_access_key_id="id", aws_secret_access_key="secret", region_name="eu-central-1")
    catalog = open_catalog(session, {})
    sent = []

    def fails(request: Any, **_: object) -> AWSResponse:
        sent.append(request)
        raw = io.BytesIO(b"{}")
        raw.stream = lambda *_: iter([b"{}"])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 500, HTTPHeaders(), raw)

    catalog.glue.meta.events.register("before-send.glue", fails)

    with pytest.raises(ClientError, match="500"):
        catalog.glue.get_table(DatabaseName="lake", Name="readings")

    assert len(sent) == 1
