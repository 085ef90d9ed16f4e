"""Ports: a free one is given, a taken one is explained."""

from __future__ import annotations

import os
import socket

import pytest

from runtime.ports import PortInUseError, is_open, require_free


def test_a_taken_port_is_named_with_its_owner_and_the_way_out() -> None:
    """The sentence holds the port, who has it and the flag that changes it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert is_open("127.0.0.1", port)
        with pytest.raises(PortInUseError) as error:
            require_free("127.0.0.1", port, what="the API", flag="--http-port")
    said = str(error.value)
    assert f"port {port} on 127.0.0.1, wanted for the API, is in use" in said
    assert f"(process {os.getpid()})" in said
    assert "--http-port PORT" in said


def test_zero_is_any_free_port() -> None:
    """Port 0 gives a port that nobody holds."""
    port = require_free("127.0.0.1", 0, what="a test", flag="")
    assert port > 0
    assert not is_open("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 65536, 10**30])
def test_a_number_that_is_no_port_is_explained(port: int) -> None:
    """The sentence says what is allowed, and with which flag."""
    with pytest.raises(PortInUseError, match=f"no port {port}, .* 1 to 65535.* --http-port PORT"):
        require_free("127.0.0.1", port, what="the API", flag="--http-port")


def test_an_address_of_another_machine_is_not_called_taken() -> None:
    """The system's own reason is told where the port is not in use."""
    with pytest.raises(PortInUseError, match=r"cannot listen on port 9 of 192\.0\.2\.1.*assign"):
        require_free("192.0.2.1", 9, what="the API", flag="--http-port")
