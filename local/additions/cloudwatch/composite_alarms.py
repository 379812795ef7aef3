"""Composite alarms from CloudFormation: MiniStack's CloudWatch has them and evaluates them, its CloudFormation has no
such resource type."""

import json
from typing import Any

from local.additions.services import STATUS_ERROR, RefusedError

TYPE = "AWS::CloudWatch::CompositeAlarm"

Properties = dict[str, Any]


def install() -> None:
    """Teach CloudFormation the resource type."""
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": create, "update": update, "delete": delete}
    provisioners._STACK_TAG_PROPERTY[TYPE] = ("Tags", "list")
    provisioners._REPLACING_PROPERTIES[TYPE] = ("AlarmName",)


def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, Properties]:
    """The alarm's name and attributes. Raises RefusedError, as for an alarm in the rule that does not exist."""
    return _put(properties.get("AlarmName") or f"{stack_name}-{logical_id}", properties)


def update(name: str, _old: Properties, new: Properties, _stack_name: str) -> tuple[str, Properties]:
    """The same alarm with other properties; it keeps its state until its rule says otherwise. Raises RefusedError."""
    return _put(name, new)


def delete(name: str, _properties: Properties) -> None:
    """The alarm ends. One that is gone already is fine."""
    from ministack.services import cloudwatch

    _check(cloudwatch._delete_alarms({}, {"AlarmNames": [name]}, False, True))


def _put(name: str, properties: Properties) -> tuple[str, Properties]:
    from ministack.services import cloudwatch

    given = {field: value for field, value in properties.items() if field != "Tags"}
    _check(cloudwatch._put_composite_alarm({}, {**given, "AlarmName": name}, False, True))
    cloudwatch.cloudformation_set_metric_alarm_tags(name, properties.get("Tags", []))
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}


def _check(answer: tuple[int, Any, bytes]) -> None:
    status, _, body = answer
    if status >= STATUS_ERROR:
        raise RefusedError(json.loads(body)["message"])
