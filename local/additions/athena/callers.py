"""Who sent a query, and what it needs: Athena reads and writes with that caller's permissions.

A request that names a query is one for the query's workgroup
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html); MiniStack asks for one on
everything.
"""

import json
from typing import Any

from local.additions.services import demand


def install() -> None:
    """Ask the permissions of requests that name queries on the queries' workgroup."""
    from ministack.core import iam_actions

    extract = iam_actions.extract_resource_arn

    def extract_workgroup(service: str, *request: Any) -> Any:
        workgroup = _workgroup_of(request[3]) if service == "athena" else None
        region, account = request[-2:]
        return f"arn:aws:athena:{region}:{account}:workgroup/{workgroup}" if workgroup else extract(service, *request)

    iam_actions.extract_resource_arn = extract_workgroup


def demand_of_caller(*requests: tuple[str, str]) -> None:
    """Raise RefusedError unless the role of whoever sent the query allows every (action, resource ARN)."""
    from ministack.core import iam_evaluator

    caller = iam_evaluator.caller_arn()
    kind, _, name = caller.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        role, _, session = name.rpartition("/")
        demand(role, session, *requests)


def _workgroup_of(body: bytes) -> str | None:
    """The workgroup of the query that a request names, or of the first of several."""
    from ministack.services import athena

    request = json.loads(body or b"{}")
    for store, field in ((athena._named_queries, "NamedQueryId"), (athena._executions, "QueryExecutionId")):
        for query_id in [request.get(field), *request.get(f"{field}s", [])]:
            if query_id in store:
                return str(store[query_id]["WorkGroup"])
    return None
