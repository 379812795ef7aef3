"""The signer against botocore's: equal headers for equal input."""

from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process_readings.signing import Signer

HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.BatchWriteItem"}
TEXT = st.text("abcXYZ019/+=", min_size=1, max_size=40)


def by_botocore(endpoint, region, body, credentials, now_s):
    request = AWSRequest("POST", f"{endpoint}/", headers=HEADERS, data=body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(now_s, UTC))
        SigV4Auth(credentials, "dynamodb", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        [
            "https://dynamodb.eu-central-1.amazonaws.com",
            "https://dynamodb.eu-central-1.amazonaws.com:443",
            "http://127.0.0.1:4566",
            "http://localhost:80",
        ]
    ),
    st.sampled_from(["eu-central-1", "ap-southeast-1"]),
    st.binary(),
    st.builds(ReadOnlyCredentials, TEXT, TEXT, st.none() | TEXT),
    st.integers(0, 4_000_000_000),
)
def test_a_request_is_signed_as_botocore_signs_it(endpoint, region, body, credentials, now_s):
    headers = Signer(endpoint, region, "dynamodb", HEADERS).sign(body, credentials, now_s)

    assert headers.pop("host") in endpoint
    assert headers == by_botocore(endpoint, region, body, credentials, now_s)
