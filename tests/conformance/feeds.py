"""How bytes get to our endpoint, and how a test gets hold of those that it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trio_h2.testing._faults import FaultyStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trio

whole_only = pytest.mark.parametrize("feed", ["whole"], indirect=True)
"""For tests that move so many bytes that feeding them one by one would take long."""
both_ways = pytest.mark.parametrize("feed", ["whole", "bytes"], indirect=True)
"""For tests with parameters that are worth feeding byte by byte, too. Those without parameters always are."""


class Tap(FaultyStream):
    """Keeps a copy of every byte that is received through it."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        super().__init__(transport)
        self.octets = bytearray()

    async def _receive(self, max_bytes: int | None) -> bytes:
        data = await super()._receive(max_bytes)
        self.octets += data
        return data


class OctetByOctet(FaultyStream):
    """Hands out one byte at a time; unlike `TrickleStream` without a checkpoint for each, which makes it fast."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        super().__init__(transport)
        self._octets: Iterator[int] = iter(b"")

    async def _receive(self, max_bytes: int | None) -> bytes:
        for octet in self._octets:
            return bytes([octet])
        data = await super()._receive(None)
        self._octets = iter(data[1:])
        return data[:1]
