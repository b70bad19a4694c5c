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


_NOT_NEEDED: Final = (trio_h2.ErrorCode.NO_ERROR, trio_h2.ErrorCode.CANCEL)


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
            f"{self._client} CONNECT {where}: {self.traffic.left_to_right} bytes up, "
            f"{self.traffic.right_to_left} down, {trio.current_time() - self._began:.3f} s: "
            f"{self.reason or self._cancelled()}"
        )

    def _cancelled(self) -> str:
        if self._reset_with is None:
            return "cancelled"
        return self.client_left() or f"the client reset it with {trio_h2.code_name(self._reset_with)}"

    def client_left(self) -> str | None:
        """Returns how the client has left, if it did as clients do when all is said; ``None`` if it did not."""
        if self.traffic.left_ended:
            return "the client closed it"  # and did not wait for what the target had still to say
        stream = self._stream
        if isinstance(stream, trio_h2.Http1Exchange):
            # A client that leaves bytes unread sends a TCP reset when it closes its socket.
            return "the client closed it" if self.traffic.right_ended else "its connection has ended"
        if isinstance(stream, trio_h2.Stream) and not stream.destroyed:
            session = stream.session
            if isinstance(session, trio_h2.Session) and session.destroyed:
                return "its session has ended"
        # RFC 9113 §7: CANCEL says that "the stream is no longer needed". Browsers end every tunnel with it.
        return "the client closed it" if self._reset_with in _NOT_NEEDED else None

    @property
    def _reset_with(self) -> int | None:
        return self._stream.rst_code if isinstance(self._stream, trio_h2.Stream) else None


def _client(stream: trio_h2.ServerExchange) -> str:
    address = stream.peer_address
    return address_name(address) or str(address or "-")
