"""What a session is, as facts that cost nothing to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._stream._transport import TransportView
from .._util import construct
from ._core import SessionCore
from ._state import SessionState

if TYPE_CHECKING:
    import trio

    from .._wire._codes import Role
    from .._wire._config import SessionConfig


class SessionFacts(SessionCore):
    """The part of `Session` that says which end it is, what it runs on, and how far it has got."""

    def __init__(self, transport: trio.abc.Stream, config: SessionConfig, *, label: str, push: bool = False) -> None:
        super().__init__(transport, config, label=label, push=push)
        self._view = construct(TransportView, transport)

    @property
    def role(self) -> Role:
        """Which end of the session this is."""
        return self._role

    @property
    def connecting(self) -> bool:
        """Always ``False``: whoever gets to see a session sees it connected.

        Connecting is what happens while the block of `connect` is being entered.
        """
        return False

    @property
    def transport(self) -> TransportView:
        """The bytes below, to look at (addresses, certificates); reading, writing and closing are refused."""
        return self._view

    @property
    def encrypted(self) -> bool:
        """Whether the session speaks TLS."""
        return self._view.encrypted

    @property
    def alpn_protocol(self) -> str | None:
        """What ALPN agreed on, ``None`` where it gave nothing; ``"h2c"`` in cleartext."""
        return self._view.alpn_protocol

    @property
    def destroyed(self) -> bool:
        """Whether the session is over, and unusable, for whatever reason; `Session.closed` comes before."""
        return self._failure is not None

    @property
    def state(self) -> SessionState:
        """A snapshot of the session's windows, ids, output and header tables."""
        engine = self._engine
        budget = engine.budget
        deflate, inflate = engine.table_sizes
        return SessionState(
            effective_local_window_size=budget.size,
            effective_recv_data_length=budget.since_update,
            next_stream_id=engine.next_stream_id,
            local_window_size=budget.window,
            last_proc_stream_id=engine.newest_received_id,
            remote_window_size=engine.connection_window,
            outbound_queue_size=self._writer.queued_frames,
            deflate_dynamic_table_size=deflate,
            inflate_dynamic_table_size=inflate,
        )
