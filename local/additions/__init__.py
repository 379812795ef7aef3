"""Behaviour of AWS that this system relies on and MiniStack lacks, installed into MiniStack by the launcher."""

from local.additions import acting_roles, authorization, map_results, restore_status, schedule_attributes
from local.additions.athena import callers, queries
from local.additions.cloudformation import (
    iot_logging,
    layer_versions,
    lifecycle,
    named_queries,
    names,
    nested_change_sets,
    nested_stacks,
    nested_update,
    network,
    tags,
    trails,
)
from local.additions.cloudwatch import alarms, composite_alarms, embedded_metrics
from local.additions.delivery import firehose, iot_actions, notifications, retention, rule_sql
from local.additions.functions import function_errors, kept_layers, kinesis_poller, layers, preloading, warm_workers
from local.additions.secrets_manager import rotation, secret_versions

EVENT_SOURCE_STOP_S = 8.0  # of local.process.STOP_TIMEOUT_S; an invocation that takes longer is made again
FIREHOSE_STOP_S = 4.0


class Additions:
    """Everything that is installed, and what of it runs."""

    def __init__(self) -> None:
        acting_roles.install()
        alarms.install()
        authorization.install()
        callers.install()
        composite_alarms.install()
        embedded_metrics.install()
        function_errors.install()
        kept_layers.install()
        layer_versions.install()
        preloading.install()
        layers.install()
        lifecycle.install()
        map_results.install()
        named_queries.install()
        names.install()
        nested_change_sets.install()
        nested_stacks.install()
        nested_update.install()
        network.install()
        notifications.install()
        queries.install()
        restore_status.install()
        retention.install()
        rotation.install()
        rule_sql.install()
        schedule_attributes.install()
        secret_versions.install()
        tags.install()
        trails.install()
        warm_workers.install()
        iot_actions.install()
        iot_logging.install()
        self._poller = kinesis_poller.install()
        self._delivery = firehose.install()

    def start(self) -> None:
        """Begin to work; MiniStack has restored what it kept."""
        self._poller.start()
        self._delivery.start()

    def stop(self) -> None:
        """Finish what has begun and write what is held, while MiniStack still answers."""
        self._poller.stop(EVENT_SOURCE_STOP_S)
        self._delivery.stop(FIREHOSE_STOP_S)
