"""Behaviour of AWS that this system relies on and MiniStack lacks, installed into MiniStack by the launcher."""

from local.additions import (
    acting_roles,
    alarms,
    authorization,
    composite_alarms,
    embedded_metrics,
    firehose,
    function_errors,
    iot_actions,
    iot_logging,
    kinesis_poller,
    lifecycle,
    names,
    nested_change_sets,
    nested_stacks,
    nested_update,
    network,
    notifications,
    retention,
    rotation,
    rule_sql,
    secret_versions,
    tags,
    trails,
    warm_workers,
)

EVENT_SOURCE_STOP_S = 8.0  # of local.process.STOP_TIMEOUT_S; an invocation that takes longer is made again
FIREHOSE_STOP_S = 4.0


class Additions:
    """Everything that is installed, and what of it runs."""

    def __init__(self) -> None:
        acting_roles.install()
        alarms.install()
        authorization.install()
        composite_alarms.install()
        embedded_metrics.install()
        function_errors.install()
        lifecycle.install()
        names.install()
        nested_change_sets.install()
        nested_stacks.install()
        nested_update.install()
        network.install()
        notifications.install()
        retention.install()
        rotation.install()
        rule_sql.install()
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
