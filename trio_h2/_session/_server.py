"""Sessions that answer streams, as applications see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._errors import LocalProtocolError
from .._util import interrupt_safe
from .._wire._extframes import ALTSVC
from .._wire._frames import HIGHEST_STREAM_ID
from ._base import Session
from ._extensions import encode_altsvc, encode_origins, named_origin
from ._work import Ts, check_function

if TYPE_CHECKING:
    from ._extensions import OriginLike
    from ._server_core import ServerCore


@interrupt_safe
class ServerSession(Session):
    """A session on the server's side; made by the ``serve_*`` functions."""

    def __init__(self, core: ServerCore) -> None:
        super().__init__(core)
        self._core: ServerCore = core

    @property
    def origin_set(self) -> list[str] | None:
        """The origins that this session has named to its client, by ``origins=`` of its server and by `origin`, in
        their order; ``None`` without TLS, where clients heed none (RFC 8336 §2.1).

        The client adds the one that it has connected to.
        """
        return list(self._core.announced) if isinstance(self._core.below, trio.SSLStream) else None

    # -- work beside the handlers ------------------------------------------------------------------------------------

    def start_soon(self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts, name: str | None = None) -> None:
        """Starts a task that lives as long as the session, at most: in a handler, or in the hook ``on_session``.

        The task runs beside the handlers, with the context variables of whoever starts it. It is cancelled when the
        session is over, and does not keep it: neither from draining nor from ending when it has idled. If it raises,
        the session ends with INTERNAL_ERROR, as by a bug in ``on_session``: a server logs the error and goes on, and
        `serve_stream` raises it. Only that the session is over may escape it. Never waits.

        Args:
            function: an async function.
            args: what it is called with.
            name: names the task for debuggers; by default the function.

        Raises:
            TypeError: *function* cannot be called.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed it.
        """
        check_function(function)
        self._core.start_soon(function, *args, name=name)

    # -- what the application can announce -------------------------------------------------------------------------

    async def altsvc(self, alt: str, origin_or_stream: OriginLike | int) -> None:
        """Names alternative services to the client with an ALTSVC frame (RFC 7838 §4).

        Cancelled: nothing was sent.

        Args:
            alt: an ``Alt-Svc`` field value, ASCII, e.g. ``'h2=":8000"'``; ``"clear"`` withdraws. Not checked further.
            origin_or_stream: whom they are for: a URL as `connect` takes it, ``"example.org"`` say, whose origin
                counts, or an object with an ``origin``; or the id of an open stream, for the origin of its request.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: *alt* is not ASCII or too long, the URL is not right, or no stream can have that id.
            LocalProtocolError: the stream is not open.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        stream_id, origin = 0, ""
        if isinstance(origin_or_stream, int):
            stream_id = origin_or_stream
            if isinstance(stream_id, bool) or not 0 < stream_id <= HIGHEST_STREAM_ID:
                raise ValueError(f"a stream id is in 1..{HIGHEST_STREAM_ID}, not {stream_id}")
        else:
            origin = named_origin(origin_or_stream)
        core, engine = self._core, self._core.engine
        encode_altsvc(alt, origin, engine.max_outbound_frame_size)
        core.check_usable()
        await core.control_room()
        core.check_usable()
        payload = encode_altsvc(alt, origin, engine.max_outbound_frame_size)  # the client may accept less by now
        if stream_id and stream_id not in engine.streams:
            raise LocalProtocolError(f"stream {stream_id} is not open", stream_id=stream_id, session=self)
        engine.send_extension(ALTSVC, stream_id, payload)
        core.wake_writer()

    async def origin(self, *origins: OriginLike) -> None:
        """Names origins that this server answers for on this session, with ORIGIN frames (RFC 8336).

        Clients heed them on TLS only. Cancelled: nothing was sent.

        Args:
            origins: URLs as `connect` takes them, whose origins count, or objects with an ``origin``. None at all says
                that there is only the one that the client has connected to.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: a URL is not right.
            SessionError: the session broke.
            trio.ClosedResourceError: this side closed the session.
        """
        entries = encode_origins(origins)
        core = self._core
        core.check_usable()
        await core.control_room()
        core.check_usable()
        core.send_origins(entries)


SessionHook: TypeAlias = Callable[[ServerSession], Awaitable[object]]
"""What servers run for every session before its first stream: an async function."""
