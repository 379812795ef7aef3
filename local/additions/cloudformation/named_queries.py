"""The resource `AWS::Athena::NamedQuery`, which MiniStack's CloudFormation does not know; and a workgroup's history.

Athena keeps a workgroup that has saved queries or past ones, unless it is told to delete them with it
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-athena-workgroup.html).
"""

import json
from typing import Any

from local.additions.services import RefusedError

TYPE = "AWS::Athena::NamedQuery"
WORKGROUP = "AWS::Athena::WorkGroup"

Properties = dict[str, Any]


def install() -> None:
    """Teach CloudFormation the type, each of whose properties makes it anew, and to ask before a workgroup goes."""
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS
    handlers[TYPE] = {"create": create, "delete": delete}
    provisioners._REPLACING_PROPERTIES[TYPE] = ("Database", "Description", "Name", "QueryString", "WorkGroup")
    delete_workgroup = handlers[WORKGROUP]["delete"]

    def delete_when_allowed(name: str, properties: Properties) -> None:
        _empty(name, recursive=properties.get("RecursiveDeleteOption") in (True, "true"))
        delete_workgroup(name, properties)

    handlers[WORKGROUP]["delete"] = delete_when_allowed


def create(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """The query's id. Raises RefusedError when there is no such workgroup."""
    from ministack.services import athena

    if properties["WorkGroup"] not in athena._workgroups:
        raise RefusedError(f"WorkGroup {properties['WorkGroup']} is not found.")
    _, _, answer = athena._create_named_query(properties)
    query_id: str = json.loads(answer)["NamedQueryId"]
    return query_id, {"NamedQueryId": query_id}


def delete(query_id: str, _properties: Properties) -> None:
    """The query goes; one that is gone already is fine."""
    from ministack.services import athena

    athena._delete_named_query({"NamedQueryId": query_id})


def _empty(workgroup: str, *, recursive: bool) -> None:
    """Delete a workgroup's queries, saved and past. Raises RefusedError when it has some and is not to."""
    from ministack.services import athena

    for store in (athena._named_queries, athena._executions):
        for query_id in [key for key, query in store.items() if query["WorkGroup"] == workgroup]:
            if not recursive:
                raise RefusedError(f"WorkGroup {workgroup} is not empty")
            del store[query_id]
