"""The messenger: tells devices what is on disk and what to send again."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from devices.topics import topic
from devices.wire import Receipt, encode_receipt, encode_resend
from ingest.receiver import Broker, read_password
from ingest.sequences import Downlink

log = logging.getLogger(__name__)

KEEPALIVE_S = 30
MOST_QUEUED = 20_000


class Messenger:
    """A connection of its own that only publishes.

    Nothing is told while it is down: receipts are cumulative and requests are repeated, so that
    the next ones say it all.
    """

    def __init__(self, broker: Broker) -> None:
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{broker.client_id}-receipts",
            protocol=mqtt.MQTTv311,
        )
        if broker.username:
            self._client.username_pw_set(broker.username, read_password(broker.password_file))
        if broker.tls_ca:
            self._client.tls_set(ca_certs=broker.tls_ca)
        self._client.reconnect_delay_set(1, 15)
        self._client.max_queued_messages_set(MOST_QUEUED)
        self._client.connect_async(broker.host, broker.port, KEEPALIVE_S)
        self._client.loop_start()

    @property
    def is_connected(self) -> bool:
        """Whether what is told now reaches the broker."""
        return self._client.is_connected()

    def tell(self, downlinks: Sequence[tuple[str, Downlink]]) -> None:
        """Publish (province, downlink) pairs with QoS 1, receipts retained."""
        for province, (device, said) in downlinks:
            if isinstance(said, Receipt):
                self._client.publish(
                    topic(province, device, "receipt"), encode_receipt(said), 1, retain=True
                )
            else:
                self._client.publish(topic(province, device, "resend"), encode_resend(said), 1)

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()
