"""What a listing of S3 says of objects that are restored, when it is asked for: MiniStack's listings never do.

Each object of Glacier of which a copy is made, or there is one, has a `RestoreStatus`
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html). Lists of versions stay as they are.
"""

from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import SubElement, tostring

HEADER = "x-amz-optional-object-attributes"
ASKED = "RestoreStatus"

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Let listings answer the header."""
    from ministack.services import s3

    dispatch = s3._dispatch

    def dispatch_with_status(
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Answer:
        status, answered, text = dispatch(method, bucket, key, headers, body, query)
        if method == "GET" and not key and ASKED in headers.get(HEADER, "") and b"<Contents>" in text:
            text = _told(bucket, text)
        return status, answered, text

    s3._dispatch = dispatch_with_status


def _told(bucket: str, listing: bytes) -> bytes:
    """The listing with the status of each object that has one."""
    from ministack.services import s3

    root = s3.fromstring(listing)
    name = f"{{{s3.S3_NS}}}%s"
    is_encoded = root.find(name % "EncodingType") is not None
    objects = s3._buckets.get(bucket)["objects"]
    for item in root.findall(name % "Contents"):
        key = item.findtext(name % "Key")
        key = unquote(key) if is_encoded else key
        phase = s3._sync_restore(bucket, key, objects.get(key))
        if phase is not None:
            status = SubElement(item, name % ASKED)
            SubElement(status, name % "IsRestoreInProgress").text = str(phase == "in_progress").lower()
            if phase == "restored":
                expires = s3._restore_expiry_iso(objects[key]["restore"]["expires_at"])
                SubElement(status, name % "RestoreExpiryDate").text = expires
    return bytes(tostring(root, encoding="UTF-8", xml_declaration=True, default_namespace=s3.S3_NS))
