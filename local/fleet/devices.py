"""Things and X.509 certificates of the fleet: made through IoT, kept in a folder, used again while they are valid."""

import contextlib
import dataclasses
import json
import os
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from local.state import Running


@dataclasses.dataclass(frozen=True)
class Device:
    """One device and the files that prove who it is."""

    name: str
    certificate: Path
    key: Path


class Registry:
    """The device registry of the embedded AWS."""

    def __init__(self, running: Running, folder: Path, topic_prefix: str) -> None:
        """`folder` holds certificates and keys; devices may publish to `<topic_prefix>/<their name>/data` alone."""
        session = boto3.Session(
            aws_access_key_id=running.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=running.environ["AWS_SECRET_ACCESS_KEY"],
            region_name=running.region,
        )
        self._iot = session.client("iot", endpoint_url=running.endpoint)
        account = session.client("sts", endpoint_url=running.endpoint).get_caller_identity()["Account"]
        self._arn_prefix = f"arn:{self._iot.meta.partition}:iot:{running.region}:{account}"
        self._endpoint = running.endpoint
        self.folder = folder
        self._topic_prefix = topic_prefix

    def provision(self, names: list[str]) -> Iterator[Device]:
        """Each named device with a certificate that IoT accepts; made when there is none yet.

        Every step can be repeated, so that an interrupted call is simply made again.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        policy = self._policy()
        for name in names:
            device = Device(name, self.folder / f"{name}.pem", self.folder / f"{name}.key")
            certificate_arn = self._accepted(device) or self._create(device)
            self._iot.attach_policy(policyName=policy, target=certificate_arn)
            yield device

    def trust_anchor(self) -> Path:
        """The certificate of the authority that signed the broker's own."""
        path = self.folder / "ca.pem"
        with urllib.request.urlopen(f"{self._endpoint}/_ministack/iot/ca.pem", timeout=10) as answer:  # noqa: S310
            path.write_bytes(answer.read())
        return path

    def _policy(self) -> str:
        """Name of the policy that holds a device to its own name and topic; made when there is none."""
        name = f"{self._topic_prefix.replace('/', '-')}-device"
        with contextlib.suppress(self._iot.exceptions.ResourceAlreadyExistsException):
            self._iot.create_policy(
                policyName=name, policyDocument=json.dumps(device_policy(self._arn_prefix, self._topic_prefix))
            )
        return name

    def _accepted(self, device: Device) -> str | None:
        """ARN of the device's certificate, if its files are there and IoT knows it as active."""
        if not (device.certificate.exists() and device.key.exists()):
            return None
        certificate_id = x509.load_pem_x509_certificate(device.certificate.read_bytes()).fingerprint(SHA256()).hex()
        try:
            known = self._iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
        except self._iot.exceptions.ResourceNotFoundException:
            return None
        return str(known["certificateArn"]) if known["status"] == "ACTIVE" else None

    def _create(self, device: Device) -> str:
        """Make thing and certificate, and answer the certificate's ARN; its file comes last, when all else is there."""
        made = self._iot.create_keys_and_certificate(setAsActive=True)
        self._iot.create_thing(thingName=device.name)
        self._iot.attach_thing_principal(thingName=device.name, principal=made["certificateArn"])
        device.certificate.unlink(missing_ok=True)
        device.key.touch(mode=0o600)
        device.key.write_text(made["keyPair"]["PrivateKey"], encoding="ascii")
        draft = device.certificate.with_suffix(".draft")
        draft.write_text(made["certificatePem"], encoding="ascii")
        draft.replace(device.certificate)
        return str(made["certificateArn"])


def device_policy(arn_prefix: str, topic_prefix: str) -> dict[str, object]:
    """The IoT policy of all devices: connect as the thing the certificate is attached to, publish to its own topic.

    `arn_prefix` is `arn:<partition>:iot:<region>:<account>`. Source: AWS IoT, "Thing policy variables".
    """
    thing = "${iot:Connection.Thing.ThingName}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": f"{arn_prefix}:client/{thing}",
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
            },
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{arn_prefix}:topic/{topic_prefix}/{thing}/data"},
        ],
    }


def tls_context(device: Device, trust_anchor: Path) -> ssl.SSLContext:
    """Mutual TLS: the broker must prove itself to the device, and the device to the broker."""
    context = ssl.create_default_context(cafile=os.fspath(trust_anchor))
    context.load_cert_chain(device.certificate, device.key)
    return context
