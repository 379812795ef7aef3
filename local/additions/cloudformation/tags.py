"""Tags of a stack on resource types that MiniStack's CloudFormation leaves untagged, and AWS does not
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-add-tags.html).
"""

from collections.abc import Callable
from typing import Any

Properties = dict[str, Any]
Tags = dict[str, str]


def install() -> None:
    """Let CloudFormation hand its tags to these types, and CloudWatch tell those of dashboards."""
    from ministack.services import cloudwatch
    from ministack.services.cloudformation import provisioners

    for kind in (*STORES, *TAGGED_ON_THEIR_OWN):
        provisioners._STACK_TAG_PROPERTY[kind] = ("Tags", "list")
    for kind, store in STORES.items():
        provisioners._RESOURCE_HANDLERS[kind] = _tagging(provisioners._RESOURCE_HANDLERS[kind], store)
    cloudwatch._validate_alarm_tag_arn = _accepting_dashboards(cloudwatch._validate_alarm_tag_arn)


def _bucket(name: str) -> Tags:
    from ministack.services import s3

    tags: Tags = s3._bucket_tags.setdefault(name, {})
    return tags


def _dashboard(name: str) -> Tags:
    from ministack.core.responses import get_account_id
    from ministack.services import cloudwatch

    tags: Tags = cloudwatch._resource_tags.setdefault(f"arn:aws:cloudwatch::{get_account_id()}:dashboard/{name}", {})
    return tags


def _accepting_dashboards(validate: Any) -> Any:
    """The check of what a request for tags names: a dashboard has tags, too."""

    def accept(arn: str, is_json: bool = False, is_cbor: bool = False) -> Any:
        from ministack.services import cloudwatch

        is_dashboard = any(board["DashboardArn"] == arn for board in cloudwatch._dashboards.values())
        return None if is_dashboard else validate(arn, is_json, is_cbor)

    return accept


def _delivery_stream(name: str) -> Tags:
    from ministack.services import firehose

    tags: Tags = firehose._streams.get(name)["tags"]
    return tags


def _event_source_mapping(mapping: str) -> Tags:
    from ministack.services import lambda_svc

    tags: Tags = lambda_svc._esms.get(mapping).setdefault("Tags", {})
    return tags


STORES: dict[str, Callable[[str], Tags]] = {
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::KinesisFirehose::DeliveryStream": _delivery_stream,
    "AWS::Lambda::EventSourceMapping": _event_source_mapping,
    "AWS::S3::Bucket": _bucket,
}
"""Resource type → where its service keeps the tags of a resource of this id."""

TAGGED_ON_THEIR_OWN = ("AWS::Athena::WorkGroup",)
"""Resource types whose tags MiniStack keeps, and only hands none to."""


def _tagging(handler: Properties, store: Callable[[str], Tags]) -> Properties:
    """The handler, and then the tags."""

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        resource, attributes = handler["create"](logical_id, properties, stack)
        _apply(store(resource), {}, properties)
        return resource, attributes

    def update(resource: str, old: Properties, new: Properties, *where: str) -> tuple[str, Properties]:
        resource, attributes = handler["update"](resource, old, new, *where)
        _apply(store(resource), old, new)
        return resource, attributes

    return {**handler, "create": create, "update": update}


def _apply(tags: Tags, old: Properties, new: Properties) -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._reconcile_tag_map(tags, old, new)
