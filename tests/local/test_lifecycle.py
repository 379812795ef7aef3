"""Lifecycles of buckets from CloudFormation, as S3 tells them."""

from xml.etree import ElementTree

from local.additions.cloudformation import lifecycle

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def test_a_rule_is_told_in_the_words_of_s3() -> None:
    rule = {
        "Id": "Everything",
        "Status": "Enabled",
        "Prefix": "quarantine/",
        "ExpirationInDays": 90,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        "Transitions": [{"TransitionInDays": 30, "StorageClass": "GLACIER_IR"}],
    }
    root = ElementTree.fromstring(lifecycle.to_xml({"Rules": [rule]}))  # noqa: S314 - our own text
    told = {
        path: root.findtext("/".join(NAMESPACE + name for name in ["Rule", *path.split("/")]))
        for path in (
            "ID",
            "Status",
            "Filter/Prefix",
            "Expiration/Days",
            "NoncurrentVersionExpiration/NoncurrentDays",
            "AbortIncompleteMultipartUpload/DaysAfterInitiation",
            "Transition/Days",
            "Transition/StorageClass",
        )
    }

    assert list(told.values()) == ["Everything", "Enabled", "quarantine/", "90", "30", "7", "30", "GLACIER_IR"]


def test_a_rule_for_delete_markers_names_no_days() -> None:
    text = lifecycle.to_xml({"Rules": [{"Id": "Expire", "Status": "Enabled", "ExpiredObjectDeleteMarker": True}]})

    assert b"<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>" in text
    assert b"Days" not in text
