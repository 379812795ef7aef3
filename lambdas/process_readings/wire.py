"""BatchWriteItem over HTTP: signed bytes out, an answer or one of three errors back.

boto3's client builds requests and reads answers through its service model, which costs several times what the whole
rest of the hot path does. This speaks DynamoDB's low-level JSON protocol directly.
"""

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import botocore.session
import msgspec
import urllib3
from botocore.credentials import Credentials
from botocore.httpsession import where

from process_readings.signing import Signer

CONNECT_TIMEOUT_S: Final = 1.0
READ_TIMEOUT_S: Final = 5.0  # DynamoDB answers in milliseconds; what takes longer is better asked again

# DynamoDB Developer Guide, "Error handling with DynamoDB": what passes by itself, beside every status of 500 and more.
PASSING: Final = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"})
REFUSALS: Final = frozenset({"ValidationException", "SerializationException"})
PATH: Final = "/"  # of every request: the pool would send a whole URL as it stands, and the signature is over the path
HEADERS: Final = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": "DynamoDB_20120810.BatchWriteItem",
}
NOTHING_UNPROCESSED: Final = b'{"UnprocessedItems":{}}'

PutRequests = list[dict[str, Any]]


class PassingError(Exception):
    """A throttle, a timeout or an outage: the same request may succeed later."""


class RefusalError(Exception):
    """DynamoDB does not take an item of this request, and never will."""


class WireError(Exception):
    """DynamoDB does not take our requests at all: permissions, credentials, a table that is not there."""


def connect(table: str, environ: Mapping[str, str], connections: int) -> "Wire":
    """The wire to a table where the standard AWS environment points: region, credentials, endpoint."""
    region = environ["AWS_REGION"]
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    endpoint = environ.get("AWS_ENDPOINT_URL_DYNAMODB") or environ.get("AWS_ENDPOINT_URL")
    credentials = botocore.session.get_session().get_credentials()
    if credentials is None:
        raise WireError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a role")
    return Wire(table, endpoint or f"https://dynamodb.{region}.{domain}", region, credentials, connections)


class Wire:
    """Writes to one table; safe to use from `connections` threads at once.

    `credentials` is botocore's object, which renews itself where credentials expire.
    """

    def __init__(self, table: str, endpoint: str, region: str, credentials: Credentials, connections: int) -> None:
        self._start = f'{{"RequestItems":{{"{table}":['
        self._table = table
        self._signer = Signer(endpoint, region, "dynamodb", HEADERS)
        self._credentials = credentials
        self._pool = urllib3.connection_from_url(
            endpoint,
            maxsize=connections,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            **({"ca_certs": os.environ.get("AWS_CA_BUNDLE") or where()} if endpoint.startswith("https:") else {}),
        )

    def put(self, put_requests: Iterable[str]) -> PutRequests:
        """Write at most 25 items of distinct keys; those that DynamoDB left unprocessed come back.

        Raises PassingError, RefusalError or WireError.
        """
        status, answer = self._post(f"{self._start}{','.join(put_requests)}]}}}}".encode())
        if status != 200:
            raise _error(status, answer)
        if answer == NOTHING_UNPROCESSED:
            return []
        unprocessed: PutRequests = msgspec.json.decode(answer).get("UnprocessedItems", {}).get(self._table, [])
        return unprocessed

    def _post(self, body: bytes) -> tuple[int, bytes]:
        headers = self._signer.sign(body, self._credentials.get_frozen_credentials(), time.time())
        try:
            response = self._pool.urlopen("POST", PATH, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:  # whatever kept an answer away: network, names, TLS, timeouts
            raise PassingError(str(error)) from error
        return response.status, response.data


def _error(status: int, answer: bytes) -> Exception:
    try:
        fault = msgspec.json.decode(answer)
        code = str(fault["__type"]).rpartition("#")[2]
        text = f"{code}: {fault.get('message') or fault.get('Message')}"
    except (msgspec.DecodeError, KeyError, TypeError):
        code, text = "", f"HTTP {status}: {answer[:200]!r}"
    if status >= 500 or code in PASSING:
        return PassingError(text)
    return RefusalError(text) if code in REFUSALS else WireError(text)
