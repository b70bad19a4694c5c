"""What the log says about one tunnel."""

from __future__ import annotations

from typing import Final

import trio

import trio_h2

from .._util import address_name
from ._join import Traffic
from ._target import shown

_LONGEST: Final = 260
"""Bytes of the longest target that there can be; a name has 253 at most."""


class Report:
    """One tunnel, from the request to its end."""

    def __init__(self, stream: trio_h2.ServerExchange) -> None:
        self._stream = stream
        self._client = _client(stream)  # a session forgets it when it is over
        self._began = trio.current_time()
        self.target = stream.headers.get(":authority") or ""
        """As the client has spelled it."""
        self.address = ""
        """Where that was, once it is connected."""
        self.traffic = Traffic()
        """Left is the client, right the target."""
        self.reason = ""
        """Why it ended; empty if it was cancelled."""

    def line(self) -> str:
        """Returns one line: who, where to, how much each way, how long, and why it ended."""
        plain = self.target.isascii() and self.target.isprintable() and len(self.target) <= _LONGEST
        target = self.target if plain else shown(self.target)
        where = f"{target} ({self.address})" if self.address else target
        return (
            f"{self._client} CONNECT {where}: {self.traffic.left_to_right} octets up, "
            f"{self.traffic.right_to_left} down, {trio.current_time() - self._began:.3f} s: "
            f"{self.reason or self._cancelled()}"
        )

    def _cancelled(self) -> str:
        code = self._stream.rst_code if isinstance(self._stream, trio_h2.Stream) else None
        return "cancelled" if code is None else f"reset with {trio_h2.code_name(code)}"


def _client(stream: trio_h2.ServerExchange) -> str:
    if stream.destroyed:  # then it has no session any more
        return "-"
    address = stream.transport.peer_address
    return address_name(address) or str(address or "-")
