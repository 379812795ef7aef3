"""One MQTT connection with a certificate, for tests that look at what the broker allows and what it answers."""

import json
import queue
import ssl
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from local import process

WAIT_S = 15.0
CONNECTED = "Success"
CLOSED = "closed"
"""The answer of a broker that ends the connection instead of giving one."""


class MqttClient:
    """A connection with MQTT 5, served by a thread of its own. Use it as a context manager; it disconnects on exit."""

    def __init__(self, running: process.Running, client_id: str, certificate: Path, key: Path, anchor: Path) -> None:
        self._address = (running.mqtt_host, running.mqtt_port)
        self._messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._codes: queue.Queue[ReasonCode | str] = queue.Queue()
        context = ssl.create_default_context(cafile=str(anchor))
        context.load_cert_chain(certificate, key)
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        self._client.tls_set_context(context)
        self._client.on_connect = lambda _client, _data, _flags, code, _more: self._codes.put(code)
        self._client.on_publish = lambda _client, _data, _mid, code, _more: self._codes.put(code)
        self._client.on_subscribe = lambda _client, _data, _mid, codes, _more: self._codes.put(codes[0])
        self._client.on_disconnect = lambda *_: self._codes.put(CLOSED)
        self._client.on_message = self._received

    def __enter__(self) -> "MqttClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def connect(self) -> str:
        """Connect; the broker's answer."""
        self._client.connect(*self._address, keepalive=60)
        self._client.loop_start()
        return self._answer()

    def publish(self, topic: str, payload: object, retain: bool = False) -> str:
        """Publish with QoS 1; the broker's answer."""
        self._client.publish(topic, json.dumps(payload), qos=1, retain=retain)
        return self._answer()

    def subscribe(self, topic_filter: str) -> str:
        """Subscribe; the broker's answer."""
        self._client.subscribe(topic_filter, qos=1)
        return self._answer()

    def request(self, topic: str, payload: object) -> tuple[str, dict[str, Any]]:
        """Publish to a topic that IoT answers on: `accepted` or `rejected`, and the answer."""
        for answer in ("accepted", "rejected"):
            assert self.subscribe(f"{topic}/{answer}") == "Granted QoS 1"
        self.publish(topic, payload)
        answered, document = self._messages.get(timeout=WAIT_S)
        return answered.rpartition("/")[2], json.loads(document)

    def _answer(self) -> str:
        return str(self._codes.get(timeout=WAIT_S))

    def _received(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._messages.put((message.topic, bytes(message.payload)))
