"""The embedded broker: rumqttd from the iotcore wheel, on loopback, for trying out and tests.

It keeps everything in memory and has no login: production runs Mosquitto (deploy/mosquitto).
`python -m runtime.broker HOST PORT DIRECTORY` runs it in this process until it is killed.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
from pathlib import Path

from iotcore import Broker

CONFIGURATION = """id = 0

[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 2000
max_segment_size = 104857600
max_segment_count = 10

[v4.1]
name = "loopback"
listen = "{host}:{port}"
next_connection_delay_ms = 0

    [v4.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 524288
    max_inflight_count = 1000
    dynamic_filters = true
"""


def main(host: str, port: str, directory: str) -> None:
    """Run the broker; it never returns. Refuses an address beyond this machine."""
    if not ipaddress.ip_address(host).is_loopback:
        raise SystemExit(f"the embedded broker has no login: it listens on loopback, not on {host}")
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)  # logs each packet as an error
    configuration = Path(directory) / "broker.toml"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(CONFIGURATION.format(host=host, port=port), encoding="utf-8")
    Broker(config_path=str(configuration)).run_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
