"""The task that receives: the only caller of the transport's `receive_some`.

It hands the bytes to the engine and the engine's events to whom they concern, without waiting for anybody in between:
neither for an application that does not read nor for the writer. What an application has not read is bounded by the
window it was given, and what a peer makes us answer by the engine's guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import trio

from .._wire._codes import Initiator, SettingCode
from .._wire._events import (
    AltSvcAnnounced,
    DataReceived,
    Event,
    GoAwayReceived,
    InformationalReceived,
    OriginsAnnounced,
    PingAcknowledged,
    PingReceived,
    PriorityUpdated,
    PushPromised,
    RequestReceived,
    ResponseReceived,
    SessionFailed,
    SettingsAcknowledged,
    SettingsReceived,
    StreamClosed,
    StreamFailed,
    TrailersReceived,
    WindowOpened,
)
from .._wire._failure import Cause, SessionFailure
from .._wire._settings import Settings
from . import _happenings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._base import Session
    from ._core import SessionCore

READ_SIZE = 64 * 1024


async def read(session: Session) -> None:
    """Receives until the transport ends; what comes after the session's end is thrown away."""
    transport = session._transport
    while True:
        try:
            data = await transport.receive_some(READ_SIZE)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            session._transport_lost("the transport broke", exc)
            return
        if not data:
            session._transport_lost("the peer closed the transport", None)
            return
        received(session, bytes(data))


def received(session: Session, data: bytes) -> None:
    """Books bytes of the peer."""
    now = trio.current_time()
    session._watcher.heard(now)
    for event in session._engine.receive_bytes(data, now):
        if session._failure is not None and not isinstance(event, DataReceived):
            continue  # one of these events was the end of a drain; of the rest, only the credit of DATA matters
        if not isinstance(event, (PingReceived, PingAcknowledged)):
            session._watcher.active()
        _HANDLERS.get(type(event), _ignore)(session, event)
    session._watcher.streams_active(session._engine)
    if session._engine.output_size:
        session._wake_writer()


def lost(session: SessionCore, reason: str, error: BaseException | None) -> SessionFailure:
    """Returns why the session is over when its transport has ended."""
    engine = session._engine
    if engine.mid_frame:
        reason += " in the middle of a frame"
    if not engine.peer_settings_seen:
        reason += " before the peer's SETTINGS came"
        return SessionFailure(Cause.HANDSHAKE, None, Initiator.REMOTE, reason, error=error)
    leaving = engine.shutdown
    return SessionFailure(
        Cause.GOAWAY if leaving.peer_is_leaving else Cause.LOST,
        leaving.received_code if leaving.peer_is_leaving else None,
        Initiator.REMOTE,
        reason,
        retryable=not engine.mid_frame and not engine.streams,  # nothing was under way
        debug_data=leaving.received_debug,
        error=error,
    )


def _request(session: Session, event: RequestReceived) -> None:
    session._request_received(event)


def _response(session: Session, event: ResponseReceived) -> None:
    session._response_received(event)


def _informational(session: Session, event: InformationalReceived) -> None:
    session._informational_received(event)


def _push_promised(session: Session, event: PushPromised) -> None:
    session._push_promised(event)


def _data(session: Session, event: DataReceived) -> None:
    stream = session._streams.get(event.stream_id)
    if stream is None:
        session._discarded(event.stream_id, len(event.data))
        return
    if event.data:
        stream._data_received(event.data)
    if event.end_stream:
        stream._remote_ended()


def _trailers(session: Session, event: TrailersReceived) -> None:
    stream = session._streams.get(event.stream_id)
    if stream is not None:
        stream._remote_ended(event.headers)


def _stream_failed(session: Session, event: StreamFailed) -> None:
    stream = session._streams.get(event.stream_id)
    if stream is not None:
        stream._fail(event.failure)


def _stream_closed(session: Session, event: StreamClosed) -> None:
    session._stream_closed(event.stream_id)


def _window_opened(session: Session, event: WindowOpened) -> None:
    if event.stream_id:
        stream = session._streams.get(event.stream_id)
        if stream is not None:
            stream._outbox.window_opened()
    else:
        session._notify_room()
        session._wake_writer()


def _settings_received(session: Session, event: SettingsReceived) -> None:
    session._watcher.settings_seen()
    if SettingCode.INITIAL_WINDOW_SIZE in event.changed:
        # RFC 9113 §6.9.2: the change applies to the windows of all streams, which h2 does not report.
        for stream in session._streams.values():
            stream._outbox.window_opened()
    session._settings_changed()
    if session._happenings.wanted:
        session._happenings.tell(_happenings.RemoteSettingsReceived(Settings.from_dict(event.changed)))


def _settings_acknowledged(session: Session, event: SettingsAcknowledged) -> None:
    session._settings_acknowledged()
    if session._happenings.wanted:
        session._happenings.tell(_happenings.LocalSettingsAcknowledged(Settings.from_dict(event.values)))


def _ping_received(session: Session, event: PingReceived) -> None:
    session._happenings.tell(_happenings.PingReceived(event.payload))


def _ping_acknowledged(session: Session, event: PingAcknowledged) -> None:
    session._ping_acknowledged(event.payload)


def _goaway(session: Session, event: GoAwayReceived) -> None:
    session._happenings.tell(_happenings.GoAwayReceived(event.last_stream_id, event.code, event.debug_data))
    session._peer_leaving()


def _altsvc(session: Session, event: AltSvcAnnounced) -> None:
    session._altsvc_announced(event)


def _origins(session: Session, event: OriginsAnnounced) -> None:
    session._origins_announced(event)


def _priority_updated(session: Session, event: PriorityUpdated) -> None:
    session._priority_updated(event)


def _session_failed(session: Session, event: SessionFailed) -> None:
    session._fail(event.failure)


def _ignore(session: Session, event: Event) -> None:
    """What the engine has dealt with already."""


_HANDLERS = cast(  # each handler gets the events of its own type only
    "dict[type[Event], Callable[[Session, Event], None]]",
    {
        RequestReceived: _request,
        PushPromised: _push_promised,
        ResponseReceived: _response,
        InformationalReceived: _informational,
        DataReceived: _data,
        TrailersReceived: _trailers,
        StreamFailed: _stream_failed,
        StreamClosed: _stream_closed,
        WindowOpened: _window_opened,
        SettingsReceived: _settings_received,
        SettingsAcknowledged: _settings_acknowledged,
        PingAcknowledged: _ping_acknowledged,
        PingReceived: _ping_received,
        GoAwayReceived: _goaway,
        AltSvcAnnounced: _altsvc,
        OriginsAnnounced: _origins,
        PriorityUpdated: _priority_updated,
        SessionFailed: _session_failed,
    },
)
