"""The fleet against the embedded AWS's MQTT broker: certificates, device policy, acknowledgements, lost connections."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.progress import Progress

from config import settings as config
from local import deploy, state
from local.__main__ import main
from local.fleet import FleetError, mqtt
from local.fleet.devices import Registry, Site
from local.fleet.generate import Faults, Plan, messages
from local.fleet.message import Kind, Message, Tally
from local.fleet.mqtt import Publisher
from local.fleet.shipment import Shipment, ship
from templates import devices
from tests.e2e.relay import DeafRelay

pytestmark = pytest.mark.e2e

PREFIX = "fleet/readings"  # no deployed rule listens to it
STACK = "fleet-devices"


@pytest.fixture
def running(emulator: state.Running) -> state.Running:
    """The session's embedded AWS."""
    return emulator


@pytest.fixture(scope="module")
def site(emulator: state.Running) -> Site:
    """The stack `devices` alone, for devices that publish to where no rule listens."""
    settings = config.load("local", {"ENVIRONMENT_SUFFIX": "fleet"})
    ingest = settings.ingest.model_copy(update={"topic_prefix": PREFIX})
    template = devices.build(settings.model_copy(update={"ingest": ingest}))
    cloudformation, key = boto3.client("cloudformation"), boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=template.to_json(),
        Parameters=[{"ParameterKey": "KeyArn", "ParameterValue": key}],
        Capabilities=["CAPABILITY_IAM"],
    )
    assert deploy.settle(cloudformation, STACK) == "CREATE_COMPLETE"
    return Site.of({"TopicPrefix": PREFIX, **deploy.outputs(cloudformation, STACK)})


@pytest.fixture(scope="module")
def registry(emulator: state.Running, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(emulator, tmp_path_factory.mktemp("devices"), site)


def publisher(running: state.Running, registry: Registry, names: list[str], prefix: str = PREFIX) -> Publisher:
    provisioned = list(registry.provision(names))
    return Publisher(running.mqtt_host, running.mqtt_port, provisioned, prefix, registry.trust_anchor())


def iot(running: state.Running) -> Any:
    return boto3.client(
        "iot", endpoint_url=running.endpoint, region_name=running.region,
        aws_access_key_id=running.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=running.environ["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


def test_every_message_of_a_fleet_with_faults_is_acknowledged_and_counted(
    running: state.Running, registry: Registry
) -> None:
    plan = Plan(4, 400, 1, 1, Faults(garbage=0.1, duplicates=0.1, disorder=0.1, clock=0.1))
    tally = Tally()

    with publisher(running, registry, plan.names) as fleet:
        fleet.send(messages(plan, 1_790_000_000_000), tally)

    assert tally.published == len(list(messages(plan, 1_790_000_000_000)))
    assert (tally.refused, tally.unacknowledged, tally.redelivered) == (0, 0, 0)


def test_certificates_are_used_again_and_each_belongs_to_its_thing(running: state.Running, registry: Registry) -> None:
    first = [device.certificate.read_bytes() for device in registry.provision(["again-1", "again-2"])]
    second = [device.certificate.read_bytes() for device in registry.provision(["again-1", "again-2"])]

    assert first == second
    assert len(iot(running).list_thing_principals(thingName="again-1")["principals"]) == 1


def test_a_device_has_the_thing_type_of_the_stack_and_is_found_by_its_attributes(
    running: state.Running, registry: Registry, site: Site
) -> None:
    list(registry.provision(["typed-1"]))
    thing = iot(running).describe_thing(thingName="typed-1")

    assert thing["thingTypeName"] == site.thing_type
    assert thing["attributes"] == {"location": "fleet", "facility": "fleet", "equipment_type": "fleet"}


def test_keys_are_readable_by_their_owner_alone(registry: Registry) -> None:
    (device,) = registry.provision(["secret-1"])

    assert device.key.stat().st_mode & 0o077 == 0


def test_a_certificate_that_was_revoked_is_replaced(running: state.Running, registry: Registry) -> None:
    (device,) = registry.provision(["revoked-1"])
    before = device.certificate.read_bytes()
    principal = iot(running).list_thing_principals(thingName="revoked-1")["principals"][0]
    iot(running).update_certificate(certificateId=principal.rpartition("/")[2], newStatus="REVOKED")

    list(registry.provision(["revoked-1"]))

    assert device.certificate.read_bytes() != before


def test_a_name_that_another_kind_of_device_has_is_refused(running: state.Running, registry: Registry) -> None:
    iot(running).create_thing(thingName="taken-1")

    with pytest.raises(FleetError, match="taken-1 is registered already, and not as a device of this fleet"):
        list(registry.provision(["taken-1"]))


def test_a_device_cannot_publish_to_a_topic_that_is_not_its_own(running: state.Running, registry: Registry) -> None:
    tally = Tally()
    message = Message("narrow-1", 0.0, b"{}", Kind.NORMAL)

    with publisher(running, registry, ["narrow-1"], prefix="other/place") as fleet:
        fleet.send([message, message], tally)

    assert (tally.refused, tally.published) == (2, 0)


def test_a_certificate_that_lost_the_policy_of_the_stack_gets_it_again(
    running: state.Running, registry: Registry, site: Site
) -> None:
    list(registry.provision(["moved-1"]))
    (certificate,) = iot(running).list_thing_principals(thingName="moved-1")["principals"]
    iot(running).detach_policy(policyName=site.policy, target=certificate)
    tally = Tally()

    with publisher(running, registry, ["moved-1"]) as fleet:
        fleet.send([Message("moved-1", 0.0, b"{}", Kind.NORMAL)], tally)

    assert (tally.refused, tally.published) == (0, 1)
    assert iot(running).list_thing_principals(thingName="moved-1")["principals"] == [certificate]


def test_a_device_cannot_connect_under_the_name_of_another(running: state.Running, registry: Registry) -> None:
    honest, other = registry.provision(["honest-1", "other-1"])
    impostor = type(honest)(honest.name, other.certificate, other.key)
    connecting = Publisher(running.mqtt_host, running.mqtt_port, [impostor], PREFIX, registry.trust_anchor())

    with pytest.raises(FleetError, match="does not accept honest-1: Not authorized"), connecting:
        pass


def test_what_a_lost_connection_leaves_unanswered_is_sent_again_and_counted(
    running: state.Running, registry: Registry
) -> None:
    plan = Plan(1, 500, 0.2, 1)
    tally = Tally()
    provisioned = list(registry.provision(plan.names))

    with (
        DeafRelay(running.mqtt_port) as relay,
        Publisher(relay.host, relay.port, provisioned, PREFIX, registry.trust_anchor()) as fleet,
    ):
        fleet.send(relay.deaf_after(40, messages(plan, 1_790_000_000_000)), tally)

    assert (tally.published, tally.unacknowledged) == (100, 0)
    assert tally.redelivered > 0


def test_a_connection_that_never_comes_back_ends_the_fleet_with_its_name(
    running: state.Running, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "LONGEST_WAIT_S", 0.01)
    plan = Plan(1, 500, 0.2, 1)
    tally = Tally()
    provisioned = list(registry.provision(plan.names))

    with (
        DeafRelay(running.mqtt_port) as relay,
        pytest.raises(FleetError, match="machine-0001 lost its connection 8 times in a row"),
        Publisher(relay.host, relay.port, provisioned, PREFIX, registry.trust_anchor()) as fleet,
    ):
        fleet.send(relay.closed_after(40, messages(plan, 1_790_000_000_000)), tally)

    assert tally.published + tally.unacknowledged >= 40


def test_ctrl_c_ends_the_sending_and_keeps_what_was_counted(running: state.Running, site: Site) -> None:
    def interrupted() -> Iterator[Message]:
        yield from messages(Plan(1, 500, 0.1, 1), 1_790_000_000_000)
        raise KeyboardInterrupt

    sent = ship(running, site, Shipment(["machine-0001"], interrupted(), None), Progress(disable=True))

    assert sent.interrupted
    assert sent.tally.published + sent.tally.unacknowledged == 50


def test_the_command_prints_the_counts_as_json(
    running: state.Running, outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(state, "running", lambda: running)

    code = main(["simulate", "--devices", "2", "--rate", "50", "--duration", "1", "--prefix", "command", "--json"])

    assert (code, json.loads(capsys.readouterr().out)["expected"]["stored"]) == (0, 50)


def test_the_command_replays_a_file_and_says_what_it_could_not_read(
    running: state.Running,
    outputs: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(state, "running", lambda: running)
    recording = tmp_path / "oven.csv"
    recording.write_text("time,heat\n2020-01-01 00:00:00,1\n[/b],2\n", encoding="utf-8")

    code = main(["simulate", "--replay", str(recording)])

    printed = capsys.readouterr().out
    assert code == 0
    assert "2 rows read, 1 of them unreadable" in printed
    assert "oven.csv, line 3" in printed


def test_the_command_says_how_to_start_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(state, "running", lambda: None)

    assert main(["simulate"]) == 1
    assert "python -m local up" in capsys.readouterr().err
