"""The sections `[alerts]` and `[credentials]` of an environment's settings: where alerts go, and what signs them."""

import ipaddress
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, model_validator

from config.fields import Email, Model, QueueName, ResourceName, SecretName


def _known_kind_of_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("give a whole address, as https://alerts.example.com/sensorkeep")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("alerts travel over https; http is for a receiver on the loopback address alone")
    if "@" in parts.netloc:
        raise ValueError("a user or password does not belong into the address: the signature tells who sends")
    if "#" in value:
        raise ValueError("a fragment (#) never reaches a receiver")
    _check_host(parts.hostname)
    _check_port(parts)
    return value


def _check_host(host: str) -> None:
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError("the host is no name that can be looked up: its parts have 1 to 63 characters") from error


def _check_port(parts: SplitResult) -> None:
    try:
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("the port is a number from 1 to 65535")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


PhoneNumber = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""E.164: a plus sign, the country code and the number, 15 digits at most."""

WebhookUrl = Annotated[str, Field(pattern=r"^[!-z~]+$", max_length=2048), AfterValidator(_known_kind_of_url)]
"""Printable ASCII without braces, which are placeholders elsewhere."""


class AlertsQueue(Model):
    """A queue that receives every alert, for a program that fetches them."""

    name: QueueName = Field("{system}-alerts-{suffix}", description="Name of the SQS queue.")
    retention_days: int = Field(4, ge=1, le=14, description="Days an alert waits to be fetched.")


class Webhook(Model):
    """A receiver that gets every alert by HTTPS POST, signed with the credentials."""

    url: WebhookUrl = Field(
        description="Address that alerts are posted to. It stands in the template for everybody to see who may read the"
        " stack: let it hold no secret."
    )
    timeout_s: int = Field(
        30, ge=5, le=300, description="Seconds in which an alert has to be taken, with all tries; later it is retried."
    )
    allow_private_addresses: bool = Field(
        False,
        description="Whether the receiver may be at a private or loopback address. Link-local ones are always refused.",
    )
    failures_retention_days: int = Field(
        14, ge=1, le=14, description="Days an alert that was not taken waits in the dead-letter queue."
    )

    @model_validator(mode="after")
    def _loopback_allowed(self) -> "Webhook":
        if _is_loopback(urlsplit(self.url).hostname or "") and not self.allow_private_addresses:
            raise ValueError("the url is a loopback address: set allow_private_addresses = true, or give a public one")
        return self


class Alerts(Model):
    """Where alerts go."""

    topic_name: ResourceName = Field("alerts-{suffix}", description="Name of the SNS topic.")
    emails: tuple[Email, ...] = Field((), description="Addresses that are subscribed to the topic.")
    sms: tuple[PhoneNumber, ...] = Field((), description="Phone numbers that are subscribed, as +4915112345678.")
    queue: AlertsQueue | None = Field(None, description="Queue of all alerts; unset means none.")
    webhook: Webhook | None = Field(None, description="Receiver of signed alerts; unset means none.")


class Credentials(Model):
    """A secret that signs the webhook. Secrets Manager generates it and a function of ours rotates it."""

    name: SecretName = Field("{system}-credentials-{suffix}", description="Name of the secret.")
    rotate_after_days: int = Field(30, ge=1, le=1000, description="Days after which it is replaced.")
