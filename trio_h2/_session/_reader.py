"""The task that receives: the only caller of the transport's `receive_some`.

It hands the bytes to the engine and the engine's events to whom they concern, without waiting for anybody in between:
neither for an application that does not read nor for the writer. What an application has not read is bounded by the
window it was given, and what a peer makes us answer by the engine's guard.

What to do about an event is a rule in a table: those that both roles have are here, the others in `_client_core.py` and
`_server_core.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import trio

from .._wire._codes import SettingCode
from .._wire._events import (
    DataReceived,
    GoAwayReceived,
    PingAcknowledged,
    PingReceived,
    SessionFailed,
    SettingsAcknowledged,
    SettingsReceived,
    StreamClosed,
    StreamFailed,
    TrailersReceived,
    WindowOpened,
)
from .._wire._settings import Settings
from . import _events

if TYPE_CHECKING:
    from ._core import Rules, SessionCore

SMALL_READ = 64 * 1024
LARGE_READ = 256 * 1024
"""Bytes of one read at most: large where so much arrives at once, since each read costs a pass of all the tasks that it
concerns; else small, for the space is set aside before it is known what comes."""


async def read(core: SessionCore) -> None:
    """Receives until the transport ends; what comes after the session's end is thrown away."""
    transport = core.tapped
    size = SMALL_READ
    while True:
        try:
            data = await transport.receive_some(size)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            core.ending.transport_lost("the transport broke", exc)
            return
        if not data:
            core.ending.transport_lost("the peer closed the transport", None)
            return
        received(core, bytes(data))
        if len(data) >= size:
            size = LARGE_READ
        elif len(data) < SMALL_READ:
            size = SMALL_READ


def received(core: SessionCore, data: bytes) -> None:
    """Books bytes of the peer."""
    engine, watcher, ending, rules = core.engine, core.watcher, core.ending, core.rules
    core.count.received += len(data)
    now = trio.current_time()
    watcher.heard(now)
    active = False
    for event in engine.receive_bytes(data, now):
        if ending.failure is not None and not isinstance(event, DataReceived):
            continue  # one of these events was the end of a drain; of the rest, only the credit of DATA matters
        kind = type(event)
        if not active and kind is not PingReceived and kind is not PingAcknowledged:
            active = True
            watcher.active()
        rule = rules.get(kind)
        if rule is not None:  # else the engine has dealt with it
            rule(core, event)
    if engine.touched:
        watcher.streams_active(engine)
    if engine.output.size:
        core.wake_writer()


def _data(core: SessionCore, event: DataReceived) -> None:
    stream = core.streams.get(event.stream_id)
    if stream is None:
        core.discarded(event.stream_id, len(event.data))
        return
    if event.data:
        stream.data_received(event.data)
    if event.end_stream:
        stream.remote_ended()


def _trailers(core: SessionCore, event: TrailersReceived) -> None:
    stream = core.streams.get(event.stream_id)
    if stream is not None:
        stream.remote_ended(event.headers)


def _stream_failed(core: SessionCore, event: StreamFailed) -> None:
    stream = core.streams.get(event.stream_id)
    if stream is not None:
        stream.end(event.failure)


def _stream_closed(core: SessionCore, event: StreamClosed) -> None:
    core.stream_closed(event.stream_id)


def _window_opened(core: SessionCore, event: WindowOpened) -> None:
    if event.stream_id:
        stream = core.streams.get(event.stream_id)
        if stream is not None:
            stream.outbox.window_opened()
    else:
        core.window_opened()


def _settings_received(core: SessionCore, event: SettingsReceived) -> None:
    core.watcher.settings_seen()
    if SettingCode.INITIAL_WINDOW_SIZE in event.changed:
        # RFC 9113 §6.9.2: the change applies to the windows of all streams, which no event reports.
        for stream in core.streams.values():
            stream.outbox.window_opened()
    core.peer_settings_known.set()
    core.slots.wake()
    if core.events.wanted:
        core.events.tell(_events.RemoteSettingsReceived(Settings.from_dict(event.changed)))


def _settings_acknowledged(core: SessionCore, event: SettingsAcknowledged) -> None:
    core.settings_acknowledged()
    if core.events.wanted:
        core.events.tell(_events.LocalSettingsAcknowledged(Settings.from_dict(event.values)))


def _ping_received(core: SessionCore, event: PingReceived) -> None:
    core.events.tell(_events.PingReceived(event.payload))


def _ping_acknowledged(core: SessionCore, event: PingAcknowledged) -> None:
    core.ping_acknowledged(event.payload)


def _goaway(core: SessionCore, event: GoAwayReceived) -> None:
    core.events.tell(_events.GoAwayReceived(event.last_stream_id, event.code, event.debug_data))
    core.ending.peer_leaves()


def _session_failed(core: SessionCore, event: SessionFailed) -> None:
    core.ending.end(event.failure)


RULES = cast(  # each rule gets the events of its own type only
    "Rules",
    {
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
        SessionFailed: _session_failed,
    },
)
