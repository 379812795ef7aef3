"""A plant whose devices provision themselves over MQTT with the stack's fleet-provisioning template."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

from config import settings as config
from local import process
from local.fleet.devices import Registry, Site
from tests.e2e.conftest import SUFFIX
from tests.e2e.mqtt_client import CONNECTED, MqttClient

SETTINGS = config.load("local", {"ENVIRONMENT_SUFFIX": SUFFIX})
ATTRIBUTES = {"location": "hall-7", "facility": "plant-1", "equipment_type": "press"}
CREATE = "$aws/certificates/create/json"

numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Credentials:
    """A certificate and its key."""

    certificate: Path
    key: Path
    certificate_id: str


class Plant:
    """The deployed stack as the people and devices of a plant see it."""

    def __init__(self, running: process.Running, outputs: dict[str, str], folder: Path) -> None:
        self.outputs = outputs
        self.iot = boto3.client("iot")
        self._running = running
        self._folder = folder
        self._anchor = Registry(running, folder, Site.of(outputs)).trust_anchor()
        self._register = f"$aws/provisioning-templates/{outputs['ProvisioningTemplateName']}/provision/json"

    def client(self, client_id: str, credentials: Credentials) -> MqttClient:
        return MqttClient(self._running, client_id, credentials.certificate, credentials.key, self._anchor)

    def topic(self, device: str) -> str:
        return f"{self.outputs['TopicPrefix']}/{device}/data"

    def lasting_claim(self) -> Credentials:
        """A claim certificate with the stack's policy, as it is put into devices when they are made."""
        made: Any = self.iot.create_keys_and_certificate(setAsActive=True)
        self.iot.attach_policy(policyName=self.outputs["ClaimPolicyName"], target=made["certificateArn"])
        return self._save(made["certificatePem"], made["keyPair"]["PrivateKey"], made["certificateId"])

    def claim_of_five_minutes(self) -> Credentials:
        """A claim that a trusted user asks for, standing beside the device."""
        made: Any = self.iot.create_provisioning_claim(templateName=self.outputs["ProvisioningTemplateName"])
        return self._save(made["certificatePem"], made["keyPair"]["PrivateKey"], made["certificateId"])

    def register(
        self, claim: Credentials, serial: str, attributes: dict[str, str] = ATTRIBUTES
    ) -> tuple[str, dict[str, Any], Credentials]:
        """What a new device does with a claim: `accepted` or `rejected`, IoT's answer, and the new certificate."""
        with self.client(f"claim.{serial}", claim) as device:
            assert device.connect() == CONNECTED
            answer, made = device.request(CREATE, {})
            assert answer == "accepted", made
            own = self._save(made["certificatePem"], made["privateKey"], made["certificateId"])
            token = {"certificateOwnershipToken": made["certificateOwnershipToken"]}
            return *device.request(self._register, token | {"parameters": {"SerialNumber": serial, **attributes}}), own

    def device(self) -> tuple[str, Credentials]:
        """A device that has provisioned itself: its name and its own certificate."""
        serial = f"press-{next(numbers):03d}"
        answer, document, own = self.register(self.lasting_claim(), serial)
        assert (answer, document.get("thingName")) == ("accepted", serial), document
        return serial, own

    def readings(self, device: str) -> list[dict[str, Any]]:
        table = boto3.resource("dynamodb").Table(self.outputs["ReadingsTableName"])
        found: list[dict[str, Any]] = table.query(KeyConditionExpression=Key(SETTINGS.hot_table.device_key).eq(device))[
            "Items"
        ]
        return found

    def _save(self, certificate: str, key: str, certificate_id: str) -> Credentials:
        saved = Credentials(
            self._folder / f"{certificate_id}.pem", self._folder / f"{certificate_id}.key", certificate_id
        )
        saved.certificate.write_text(certificate, encoding="ascii")
        saved.key.write_text(key, encoding="ascii")
        return saved
