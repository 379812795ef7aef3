"""Devices of the deployed stack: provisioned with a claim over MQTT, and held to what their policy says."""

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from config import settings as config
from local import deploy, process
from templates import devices
from tests.e2e.mqtt_client import CLOSED, CONNECTED
from tests.e2e.plant import ATTRIBUTES, Credentials, Plant
from tests.e2e.resources import eventually

pytestmark = pytest.mark.e2e

TAKEN, REFUSED = "Success", "Not authorized"

ASKED_HERE = {
    "iot:AttachPolicy": ":cert/",
    "iot:AttachThingPrincipal": '"*"',
    "iot:CreateThing": ":thing/",
    "iot:UpdateCertificate": ":cert/",
}
"""What the embedded AWS asks of the provisioning role, and a part of its resource. The rest of the role is what the
policy of AWS for provisioning allows to read; tests/templates/test_devices.py asserts its limits."""


@pytest.fixture(scope="module")
def plant(running: process.Running, outputs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return Plant(running, outputs, tmp_path_factory.mktemp("plant"))


@pytest.fixture(scope="module")
def device(plant: Plant) -> tuple[str, Credentials]:
    """A device for the tests that leave it as it is."""
    return plant.device()


@pytest.mark.promise("manufacturing", "devices")
def test_a_device_provisions_itself_and_its_reading_arrives(plant: Plant) -> None:
    name, own = plant.device()
    reading = {"timestamp": int(time.time()), "temperature": 21.5}

    with plant.client(name, own) as device:
        assert (device.connect(), device.publish(plant.topic(name), reading)) == (CONNECTED, TAKEN)

    (stored,) = eventually(lambda: plant.readings(name))
    assert float(stored["temperature"]) == 21.5


def test_a_claim_of_five_minutes_provisions_too(plant: Plant) -> None:
    answer, document, own = plant.register(plant.claim_of_five_minutes(), "press-by-hand")

    assert answer == "accepted", document
    with plant.client("press-by-hand", own) as device:
        assert device.connect() == CONNECTED


def test_a_provisioned_device_is_in_the_registry_with_its_type_attributes_and_policy(
    plant: Plant, device: tuple[str, Credentials]
) -> None:
    name, own = device
    thing = plant.iot.describe_thing(thingName=name)
    certificate = plant.iot.describe_certificate(certificateId=own.certificate_id)["certificateDescription"]
    policies = plant.iot.list_attached_policies(target=certificate["certificateArn"])["policies"]

    assert thing["thingTypeName"] == plant.outputs["ThingTypeName"]
    assert thing["attributes"] == {**ATTRIBUTES, "certificate_id": own.certificate_id}
    assert certificate["status"] == "ACTIVE"
    assert [policy["policyName"] for policy in policies] == [plant.outputs["DevicePolicyName"]]


@pytest.mark.promise("manufacturing", "devices")
def test_a_device_cannot_publish_to_the_topic_of_another(plant: Plant, device: tuple[str, Credentials]) -> None:
    other, _ = plant.device()
    with plant.client(*device) as connected:
        assert connected.connect() == CONNECTED
        answer = connected.publish(plant.topic(other), {"timestamp": int(time.time()), "temperature": 1.0})

    assert answer == REFUSED
    assert plant.readings(other) == []


@pytest.mark.parametrize("retain", [False, True])
def test_a_device_publishes_readings_but_leaves_nothing_retained(
    plant: Plant, device: tuple[str, Credentials], retain: bool
) -> None:
    name, _ = device
    with plant.client(*device) as connected:
        assert connected.connect() == CONNECTED
        answer = connected.publish(plant.topic(name), {"timestamp": 1, "temperature": 1.0}, retain=retain)

    assert answer == (REFUSED if retain else TAKEN)


@pytest.mark.parametrize("whose", ["its own", "another's", "everything"])
def test_a_device_cannot_subscribe(plant: Plant, device: tuple[str, Credentials], whose: str) -> None:
    filters = {"its own": plant.topic(device[0]), "another's": plant.topic("press-999"), "everything": "#"}
    with plant.client(*device) as connected:
        assert connected.connect() == CONNECTED
        assert connected.subscribe(filters[whose]) == REFUSED


@pytest.mark.promise("manufacturing", "devices")
def test_a_device_cannot_connect_as_another(plant: Plant, device: tuple[str, Credentials]) -> None:
    other, _ = plant.device()

    with plant.client(other, device[1]) as connecting:
        assert connecting.connect() == REFUSED


def test_a_certificate_without_its_thing_cannot_connect(plant: Plant) -> None:
    name, own = plant.device()
    principal = plant.iot.list_thing_principals(thingName=name)["principals"][0]
    plant.iot.detach_thing_principal(thingName=name, principal=principal)

    with plant.client(name, own) as connecting:
        assert connecting.connect() == REFUSED


@pytest.mark.promise("manufacturing", "devices")
@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_a_certificate_that_is_not_active_is_refused(plant: Plant, status: Any) -> None:
    name, own = plant.device()
    plant.iot.update_certificate(certificateId=own.certificate_id, newStatus=status)

    with plant.client(name, own) as connecting:
        assert connecting.connect() == CLOSED


def test_a_claim_cannot_take_over_a_device_that_exists(plant: Plant, device: tuple[str, Credentials]) -> None:
    name, own = device
    answer, document, stolen = plant.register(plant.lasting_claim(), name)

    assert answer == "rejected"
    assert "AttributePayload" in document["errorMessage"]
    assert plant.iot.describe_thing(thingName=name)["attributes"]["certificate_id"] == own.certificate_id
    with plant.client(name, stolen) as connecting:
        assert connecting.connect() == CLOSED


def test_a_claim_has_no_readings_to_send_and_no_device_to_be(plant: Plant, device: tuple[str, Credentials]) -> None:
    claim = plant.lasting_claim()
    with plant.client(device[0], claim) as connecting:
        assert connecting.connect() == REFUSED
    with plant.client("claim.press", claim) as connected:
        assert connected.connect() == CONNECTED
        assert connected.publish(plant.topic(device[0]), {"timestamp": 1, "temperature": 1.0}) == REFUSED


def test_a_device_that_does_not_say_where_it_stands_is_not_registered(plant: Plant) -> None:
    answer, document, _ = plant.register(plant.lasting_claim(), "press-nowhere", {"location": "hall-7"})

    assert (answer, document["errorCode"]) == ("rejected", "InvalidParameters")


@pytest.fixture
def role_without(outputs: dict[str, str], request: pytest.FixtureRequest) -> Iterator[str]:
    """The provisioning role without one action, for as long as the test lasts."""
    action: str = request.param
    described = boto3.client("iot").describe_provisioning_template(templateName=outputs["ProvisioningTemplateName"])
    role = described["provisioningRoleArn"].rpartition("/")[2]
    iam = boto3.client("iam")
    whole: Any = iam.get_role_policy(RoleName=role, PolicyName="work")["PolicyDocument"]
    part = copy.deepcopy(whole)
    for statement in part["Statement"]:
        if ASKED_HERE[action] in json.dumps(statement["Resource"]):
            statement["Action"].remove(action)
    iam.put_role_policy(RoleName=role, PolicyName="work", PolicyDocument=json.dumps(part))
    yield action
    iam.put_role_policy(RoleName=role, PolicyName="work", PolicyDocument=json.dumps(whole))


@pytest.mark.parametrize("role_without", ASKED_HERE, indirect=True)
def test_nothing_is_provisioned_without(plant: Plant, role_without: str) -> None:
    answer, document, _ = plant.register(plant.lasting_claim(), f"press-without-{role_without.partition(':')[2]}")

    assert (answer, document["errorCode"]) == ("rejected", "AccessDenied")


def test_rules_that_log_deploy_here_too(emulator: process.Running) -> None:
    settings = config.load("local", {"ENVIRONMENT_SUFFIX": "logged"})
    told = settings.devices.model_copy(update={"rule_log_level": "INFO"})
    cloudformation = boto3.client("cloudformation")
    key_arn = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    cloudformation.create_stack(
        StackName="logged",
        TemplateBody=devices.build(settings.model_copy(update={"devices": told})).to_json(),
        Parameters=[{"ParameterKey": "KeyArn", "ParameterValue": key_arn}],
        Capabilities=["CAPABILITY_IAM"],
    )

    assert deploy.settle(cloudformation, "logged") == "CREATE_COMPLETE"
    cloudformation.delete_stack(StackName="logged")
    assert deploy.settle(cloudformation, "logged") in (None, "DELETE_COMPLETE")
