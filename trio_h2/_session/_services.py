"""The service tasks of a session: reader, writer and watcher, and how they end with it.

They run in the *owner block* (`connect`, `serve_stream`), shielded from its cancellation, because a session that is
cancelled still says goodbye: RST_STREAM and GOAWAY go out, for at most ``close_timeout``. `Session._finish` sets that
deadline; then the transport is closed, by force if need be.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import trio

from .._wire._codes import ErrorCode, Initiator
from .._wire._failure import Cause, SessionFailure
from . import _reader

if TYPE_CHECKING:
    from ._base import Session


async def run_services(session: Session) -> None:
    """Runs reader, writer and watcher until the session is over, then says goodbye and closes the transport.

    What a peer or a network does never raises here, it ends the session; what raises is a bug.
    """
    label = session._label
    closed = False
    try:
        with session._service_scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session._writer.run, session, name=f"trio_h2 writer {label}")
                nursery.start_soon(session._watcher.run, session, name=f"trio_h2 watcher {label}")
                reading = trio.Event()
                nursery.start_soon(_read, session, reading, name=f"trio_h2 reader {label}")
                await session._over.wait()
                await session._writer.flush()
                session._writer.stop()
                if session._lets_peer_finish and not reading.is_set():
                    # A transport closed with unread octets may drop what we sent last (TCP answers them with a reset),
                    # so say that this was all, and read until the peer closes.
                    await _end_writing(session._transport)
                    await reading.wait()
                nursery.cancel_scope.cancel()
            with contextlib.suppress(trio.BrokenResourceError):
                await session._transport.aclose()
            closed = True
    finally:
        try:
            if session._failure is None:  # a bug ended a service task
                await _last_words(session)
        finally:
            session._writer.stop()
            try:
                if not closed:  # else force would still break what was closed gracefully: another session's stream, say
                    # By force; shielded, because the block around may be cancelled as well.
                    timeout = session.config.close_timeout
                    with trio.move_on_after(timeout, shield=True), contextlib.suppress(trio.BrokenResourceError):
                        await trio.aclose_forcefully(session._transport)
            finally:
                session._release()


async def _last_words(session: Session) -> None:
    """A bug ended a service task, perhaps the writer: everything ends, and the peer hears so from here.

    Unless a write was cut: after half a frame, it would understand nothing.
    """
    session._cut(SessionFailure(Cause.CLOSED, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "a bug ended this session"))
    if session._writer.writing:
        return
    # Whatever goes wrong now, it is the bug that is to be raised.
    with trio.move_on_after(session.config.close_timeout, shield=True), contextlib.suppress(Exception):
        await session._transport.send_all(session._engine.take_output())


async def _read(session: Session, done: trio.Event) -> None:
    await _reader.read(session)
    done.set()


async def _end_writing(transport: trio.abc.Stream) -> None:
    if isinstance(transport, trio.abc.HalfCloseableStream):
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await transport.send_eof()
