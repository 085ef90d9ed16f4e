"""The probe's MQTT session: paho in its thread, and what it tells the agent."""

from __future__ import annotations

import threading
from collections import deque

from paho.mqtt.enums import MQTTErrorCode

from devices.probe.client import KEEPALIVE_S, Broker, DeviceClient, Heard, Login

RECONNECT_S = (1, 30)
LEAVE_WITHIN_S = 5.0


class Session(DeviceClient):
    """Connects and reconnects with a backoff.

    What happens is appended to `heard` by paho's thread, which wakes the agent.
    """

    def __init__(self, broker: Broker, login: Login) -> None:
        super().__init__(broker, login, self._append)
        self._wake = threading.Event()
        self.heard: deque[Heard] = deque()
        self.paho.reconnect_delay_set(*RECONNECT_S)

    def start(self) -> None:
        """Connect as soon as the broker can be reached."""
        self.paho.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        self.paho.loop_start()

    def wait(self, seconds: float) -> None:
        """Until something is heard, at most so long."""
        self._wake.wait(max(0.0, seconds))
        self._wake.clear()

    def leave(self, topic: str, payload: bytes) -> None:
        """Publish a last retained message, wait for its acknowledgement, disconnect."""
        if self.is_connected:
            last = self.paho.publish(topic, payload, 1, True)
            if last.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                last.wait_for_publish(LEAVE_WITHIN_S)
        self.paho.disconnect()
        self.paho.loop_stop()

    def _append(self, heard: Heard) -> None:
        self.heard.append(heard)
        self._wake.set()
