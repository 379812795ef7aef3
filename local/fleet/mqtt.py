"""Publishing over MQTT 5 with mutual TLS: a connection a device, all of them served by one loop.

One loop, because a thread a device costs more processor time than the messages do. QoS 1: a message counts when the
broker has acknowledged it; what a lost connection leaves unanswered is sent again and counted as redelivered.
"""

import contextlib
import selectors
import ssl
import time
from collections.abc import Callable, Iterable

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from local.fleet import FleetError
from local.fleet.devices import Device, tls_context
from local.fleet.message import Message, Tally
