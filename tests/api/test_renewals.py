"""Streams under the same credentials ask once whether those hold; each is told the answer."""

from __future__ import annotations

import asyncio

import pytest

from api import renewals
from api.credentials import RefusedError
from api.renewals import Renewals


def test_a_thousand_streams_of_one_key_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And again when the answer is old; other credentials have answers of their own."""
    asked: list[str] = []
    shared = Renewals(asked.append)
    monkeypatch.setattr(renewals, "SHARED_S", 1e9)

    async def stay() -> None:
        await asyncio.gather(*(shared.check("a") for _ in range(1000)), shared.check("b"))
        assert sorted(asked) == ["a", "b"]
        monkeypatch.setattr(renewals, "SHARED_S", -1.0)
        await shared.check("a")
        assert sorted(asked) == ["a", "a", "b"]

    asyncio.run(stay())


def test_a_refusal_reaches_every_stream_of_its_key() -> None:
    """Not only the one that asked."""

    def refuse(credential: str) -> None:
        if credential == "ended":
            raise RefusedError("this key is revoked")

    shared = Renewals(refuse)

    async def stay() -> None:
        checks = [shared.check(name) for name in ("ended", "held", "ended")]
        told = await asyncio.gather(*checks, return_exceptions=True)
        assert [isinstance(one, RefusedError) for one in told] == [True, False, True]

    asyncio.run(stay())


def test_a_stream_that_leaves_does_not_take_the_answer_of_others_with_it() -> None:
    """The one that asked first goes while it waits."""
    shared = Renewals(lambda credential: None)

    async def stay() -> None:
        first = asyncio.create_task(shared.check("a"))
        second = asyncio.create_task(shared.check("a"))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert first.cancelled()

    asyncio.run(stay())
