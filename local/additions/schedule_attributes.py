"""What Scheduler fills into a target's input: MiniStack hands `<aws.scheduler.scheduled-time>` on as it stands.

Of AWS's attributes those that systems here use
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html).
"""

from datetime import UTC, datetime
from typing import Any

from local.additions.acting_roles import SCHEDULER

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"


def install() -> None:
    """Fill the scheduled time into the inputs of targets that Scheduler calls."""
    from ministack.services import eventbridge

    invoke = eventbridge._invoke_target

    def invoke_filled(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> Any:
        if event.get("Source") == SCHEDULER and SCHEDULED_TIME in target.get("Input", ""):
            at = scheduled_at(rule["ScheduleExpression"], event["Time"])
            target = target | {"Input": target["Input"].replace(SCHEDULED_TIME, f"{at:%Y-%m-%dT%H:%M:%SZ}")}
        return invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_filled


def scheduled_at(expression: str, called_s: float) -> datetime:
    """The time that the schedule meant when it called at `called_s` (epoch seconds): cron's are whole minutes."""
    from ministack.services import scheduler

    once = scheduler._at_time_epoch(expression)
    time = datetime.fromtimestamp(called_s if once is None else once, UTC)
    return time.replace(second=0) if expression.startswith("cron(") else time
