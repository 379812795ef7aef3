"""Things and X.509 certificates of the fleet: made through IoT, kept in a folder, used again while they are valid."""

import dataclasses
import os
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from local.fleet import FleetError
from local.state import Running

FLEET = "fleet"
"""What each searchable attribute of a device of the fleet says, so that the registry finds them all by it."""


@dataclasses.dataclass(frozen=True)
class Device:
    """One device and the files that prove who it is."""

    name: str
    certificate: Path
    key: Path


@dataclasses.dataclass(frozen=True)
class Site:
    """What the deployed stack has for its devices."""

    topic_prefix: str
    """A device publishes to `<topic_prefix>/<its name>/data`."""
    policy: str
    thing_type: str

    @classmethod
    def of(cls, outputs: Mapping[str, str]) -> "Site":
        """From the outputs of the root stack. Raises FleetError when they are not there."""
        try:
            return cls(outputs["TopicPrefix"], outputs["DevicePolicyName"], outputs["ThingTypeName"])
        except KeyError as error:
            raise FleetError(
                f"The deployed stack has no output {error}: make up (python -m local up --detach) deploys it again."
            ) from error


class Registry:
    """The device registry of the embedded AWS."""

    def __init__(self, running: Running, folder: Path, site: Site) -> None:
        """`folder` holds certificates and keys of the site's devices."""
        session = boto3.Session(
            aws_access_key_id=running.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=running.environ["AWS_SECRET_ACCESS_KEY"],
            region_name=running.region,
        )
        self._iot = session.client("iot", endpoint_url=running.endpoint)
        self._endpoint = running.endpoint
        self.folder = folder
        self._site = site

    def provision(self, names: list[str]) -> Iterator[Device]:
        """Each named device with a certificate that IoT accepts; made when there is none yet.

        Every step can be repeated, so that an interrupted call is simply made again.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        described = self._iot.describe_thing_type(thingTypeName=self._site.thing_type)
        attributes = dict.fromkeys(described["thingTypeProperties"]["searchableAttributes"], FLEET)
        for name in names:
            device = Device(name, self.folder / f"{name}.pem", self.folder / f"{name}.key")
            certificate_arn = self._accepted(device) or self._create(device, attributes)
            self._iot.attach_policy(policyName=self._site.policy, target=certificate_arn)
            yield device

    def trust_anchor(self) -> Path:
        """The certificate of the authority that signed the broker's own."""
        path = self.folder / "ca.pem"
        with urllib.request.urlopen(f"{self._endpoint}/_ministack/iot/ca.pem", timeout=10) as answer:  # noqa: S310 - an endpoint of the settings
            path.write_bytes(answer.read())
        return path

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

    def _create(self, device: Device, attributes: dict[str, str]) -> str:
        """Make thing and certificate, and answer the certificate's ARN; its file comes last, when all else is there."""
        try:
            self._iot.create_thing(
                thingName=device.name,
                thingTypeName=self._site.thing_type,
                attributePayload={"attributes": attributes},
            )
        except self._iot.exceptions.ResourceAlreadyExistsException as error:
            raise FleetError(
                f"{device.name} is registered already, and not as a device of this fleet: {error}"
            ) from error
        made = self._iot.create_keys_and_certificate(setAsActive=True)
        self._iot.attach_thing_principal(thingName=device.name, principal=made["certificateArn"])
        device.certificate.unlink(missing_ok=True)
        device.key.touch(mode=0o600)
        device.key.write_text(made["keyPair"]["PrivateKey"], encoding="ascii")
        draft = device.certificate.with_suffix(".draft")
        draft.write_text(made["certificatePem"], encoding="ascii")
        draft.replace(device.certificate)
        return str(made["certificateArn"])


def tls_context(device: Device, trust_anchor: Path) -> ssl.SSLContext:
    """Mutual TLS: the broker must prove itself to the device, and the device to the broker."""
    context = ssl.create_default_context(cafile=os.fspath(trust_anchor))
    context.load_cert_chain(device.certificate, device.key)
    return context
