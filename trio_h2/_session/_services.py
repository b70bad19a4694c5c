"""The service tasks of a session: reader, writer and watcher, and how they end with it.

They run in the *owner block* (`connect`, `serve_stream`), shielded from its cancellation, because a session that is
cancelled still says goodbye: RST_STREAM and GOAWAY go out, for at most ``close_timeout``. `Ending.end` sets that
deadline; then the transport is closed, by force if need be.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import trio

from .._stream._below_tls import below_tls
from .._wire._codes import ErrorCode, Initiator
from .._wire._failure import Cause, SessionFailure
from . import _reader

if TYPE_CHECKING:
    from .._stream._below_tls import BelowTls
    from ._core import SessionCore


@trio.lowlevel.enable_ki_protection
async def run_services(core: SessionCore) -> None:
    """Runs reader, writer and watcher until the session is over, then says goodbye and closes the transport.

    What a peer or a network does never raises here, it ends the session; what raises is a bug.
    """
    label = core.label
    closed = False
    tls = below_tls(core.below)
    transport = core.below if tls is None else tls  # the end of TLS lets go of its transport
    try:
        with core.ending.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(core.writer.run, core, name=f"trio_h2 writer {label}")
                nursery.start_soon(core.watcher.run, core, name=f"trio_h2 watcher {label}")
                if core.trace is not None:
                    nursery.start_soon(core.trace.write_watch.run, name=f"trio_h2 trace {label}")
                reading = trio.Event()
                nursery.start_soon(_read, core, reading, name=f"trio_h2 reader {label}")
                await core.ending.over.wait()
                await core.writer.flush()
                core.writer.stop()
                # A transport closed with unread bytes may drop what we sent last (TCP answers them with a reset), so
                # say that this was all, and read until the peer closes.
                lingers = core.ending.lets_peer_finish and not reading.is_set()
                if lingers and tls is None:
                    await _end_writing(core.below)
                    await reading.wait()
                nursery.cancel_scope.cancel()
            if tls is not None:
                await _end_tls(core.below, tls, lingers=lingers)
            with contextlib.suppress(trio.BrokenResourceError):
                await transport.aclose()
            closed = True
    finally:
        try:
            if core.ending.failure is None:  # a bug ended a service task
                await _last_words(core)
        finally:
            core.writer.stop()
            try:
                if not closed:  # else force would still break what was closed gracefully: another session's stream, say
                    # By force; shielded, because the block around may be cancelled as well.
                    timeout = core.config.close_timeout
                    with trio.move_on_after(timeout, shield=True), contextlib.suppress(trio.BrokenResourceError):
                        await trio.aclose_forcefully(transport)
            finally:
                core.release()


async def _last_words(core: SessionCore) -> None:
    """A bug ended a service task, perhaps the writer: everything ends, and the peer hears so from here.

    Unless a write was cut: after half a frame, it would understand nothing.
    """
    core.ending.discard(
        SessionFailure(Cause.CLOSED, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "a bug ended this session")
    )
    if core.writer.writing:
        return
    # Whatever goes wrong now, it is the bug that is to be raised.
    with trio.move_on_after(core.config.close_timeout, shield=True), contextlib.suppress(Exception):
        output = core.engine.take_output()
        await core.tapped.send_all(output)
        core.count.sent += len(output)


@trio.lowlevel.enable_ki_protection
async def _read(core: SessionCore, done: trio.Event) -> None:
    await _reader.read(core)
    done.set()


async def _end_writing(transport: trio.abc.Stream) -> None:
    if isinstance(transport, trio.abc.HalfCloseableStream):
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await transport.send_eof()


async def _end_tls(stream: trio.abc.Stream, below: BelowTls, *, lingers: bool) -> None:
    """Ends our side of TLS, so that nobody takes what was said for cut; nobody else reads or writes any more."""
    assert isinstance(stream, trio.SSLStream)
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await below.send_close_notify(stream)
        if lingers:
            await below.linger()
