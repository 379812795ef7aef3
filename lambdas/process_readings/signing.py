"""AWS Signature Version 4 for a service that takes every request as `POST /`.

botocore's signer builds general requests to sign them, which takes ten times as long; for equal input both give equal
headers. Source: IAM User Guide, "Create a signed AWS API request".
"""

import hashlib
import hmac
import time
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from botocore.credentials import ReadOnlyCredentials

ALGORITHM: Final = "AWS4-HMAC-SHA256"
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Signer:
    """Signs requests for one endpoint; `headers` are those that every request has, with names in lower case."""

    def __init__(self, endpoint: str, region: str, service: str, headers: dict[str, str]) -> None:
        self._scope = f"{region}/{service}/aws4_request"
        self._region = region
        self._service = service
        self._headers = {**headers, "host": _host(endpoint)}

    def sign(self, body: bytes, credentials: ReadOnlyCredentials, now_s: float) -> dict[str, str]:
        """The request's headers at a moment in epoch seconds, `authorization` among them."""
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        day = moment[:8]
        headers = {**self._headers, "x-amz-date": moment}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        names = sorted(headers)
        signed = ";".join(names)
        canonical_headers = "\n".join([f"{name}:{headers[name]}" for name in names])
        canonical = f"POST\n/\n\n{canonical_headers}\n\n{signed}\n{hashlib.sha256(body).hexdigest()}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = _key(credentials.secret_key, day, self._region, self._service)
        signature = hmac.digest(key, f"{ALGORITHM}\n{moment}\n{day}/{self._scope}\n{digest}".encode(), "sha256").hex()
        headers["authorization"] = (
            f"{ALGORITHM} Credential={credentials.access_key}/{day}/{self._scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        return headers


@lru_cache(maxsize=4)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key of a day, which is derived from the secret by four hashes."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _host(endpoint: str) -> str:
    """The `Host` header that an HTTP client sends: the port only where it is not the scheme's own."""
    parts = urlsplit(endpoint)
    name = parts.hostname or ""
    return name if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{name}:{parts.port}"
