"""What becomes of a query in Athena, where MiniStack does otherwise.

A query that names an Iceberg table is answered from what the table's metadata say. A workgroup that enforces its
configuration lets nobody put answers elsewhere
(https://docs.aws.amazon.com/athena/latest/ug/workgroups-settings-override.html), `?` in a query stands for a parameter
(https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html), and answers are written with the
permissions of whoever asks.
"""

from typing import Any
from urllib.parse import urlparse

Request = dict[str, Any]
Results = dict[str, Any]


def install() -> None:
    """Take over queries where they start, are executed and are answered.

    What executes them is imported when the first one comes: it would take a second of every start.
    """
    from ministack.core.responses import error_response_json
    from ministack.services import athena

    start, run, save = athena._start_query_execution, athena._run_duckdb, athena._save_query_results

    def start_as_configured(data: Request) -> Any:
        try:
            return start(_as_configured(data))
        except ValueError as error:
            return error_response_json("InvalidRequestException", str(error), 400)

    async def run_over_iceberg(query: str, database: str, catalog: str | None = None) -> Results:
        from local.additions.athena import answers

        answer = await answers.over_iceberg(query, database)
        return answer if answer is not None else await run(query, database, catalog)

    async def save_allowed(query_id: str) -> None:
        from local.additions.athena.callers import demand_of_caller

        place = urlparse(athena._executions[query_id]["ResultConfiguration"]["OutputLocation"])
        demand_of_caller(("s3:PutObject", f"arn:aws:s3:::{place.netloc}{place.path}"))
        await save(query_id)

    athena._start_query_execution, athena._run_duckdb = start_as_configured, run_over_iceberg
    athena._save_query_results = save_allowed


def _as_configured(data: Request) -> Request:
    """The request as its workgroup lets it be, its parameters filled in. Raises ValueError."""
    from ministack.services import athena

    workgroup = athena._workgroups.get(data.get("WorkGroup", "primary"), {})
    enforced = workgroup.get("Configuration", {}).get("EnforceWorkGroupConfiguration")
    own = {"ResultConfiguration"} if enforced else set()
    query, parameters = data["QueryString"], data.get("ExecutionParameters", [])
    if parameters or "?" in query:
        from local.additions.athena.answers import with_parameters

        query = with_parameters(query, parameters)
    return {key: value for key, value in data.items() if key not in own} | {"QueryString": query}
