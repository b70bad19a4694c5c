"""A limit that was exceeded is named, with its value and where to set it: in GOAWAY, and to those above."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from hyperframe.frame import ContinuationFrame, GoAwayFrame, HeadersFrame

from tests.wire.engine_pair import (
    GET,
    OK,
    POST,
    Fields,
    RawPeer,
    client_peer,
    data,
    of_type,
    ping,
    raw_frame,
    reset,
    server_peer,
    the,
    window_update,
)
from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._config import ClientConfig, ServerConfig, SessionConfig
from trio_h2._wire._events import SessionFailed, StreamFailed

if TYPE_CHECKING:
    from collections.abc import Callable


def overhead(peer: RawPeer) -> None:
    peer.feed(*[ping()] * 20)


def resets(peer: RawPeer) -> None:
    for stream_id in range(1, 41, 2):
        peer.feed(peer.headers(stream_id, GET), reset(stream_id))
        peer.engine.handler_done(stream_id)


def invalid(peer: RawPeer) -> None:
    for stream_id in range(1, 21, 2):
        peer.feed(peer.headers(stream_id, GET[1:]))


def rejected(peer: RawPeer) -> None:
    for stream_id in range(1, 41, 2):
        peer.feed(peer.headers(stream_id, GET))


def unread_replies(peer: RawPeer) -> None:
    for _ in range(30):
        peer.feed(ping())


def large_frame(peer: RawPeer) -> None:
    peer.feed(raw_frame(0xEE, 0, 0, bytes(16_385)))


def far_too_large_list(peer: RawPeer) -> None:
    peer.feed(peer.headers(1, [*GET, *[(b"x", bytes(b"~" * 1000))] * 90]))


def block_of_many_frames(peer: RawPeer) -> None:
    peer.feed(HeadersFrame(1, b""), *[ContinuationFrame(1, b"")] * 64)


def block_of_many_bytes(peer: RawPeer) -> None:
    peer.feed(HeadersFrame(1, bytes(16_384)), *[ContinuationFrame(1, bytes(16_384))] * 16)


def prioritized(peer: RawPeer) -> None:
    peer.feed(*[raw_frame(0x10, 0, 0, bytes((0, 0, 0, stream_id)) + b"u=1") for stream_id in (1, 3, 5)])


SESSIONS: list[tuple[Callable[[RawPeer], None], SessionConfig, str]] = [
    (
        overhead,
        ServerConfig(overhead_burst=10),
        "too many frames that move nothing forward: more than overhead_burst=10 at once and overhead_rate=1000 per "
        "second (set in ServerConfig)",
    ),
    (
        overhead,
        ClientConfig(overhead_burst=10, overhead_rate=0.5),
        "too many frames that move nothing forward: more than overhead_burst=10 at once and overhead_rate=0.5 per "
        "second (set in ClientConfig)",
    ),
    (
        resets,
        ServerConfig(reset_burst=10),
        "too many streams were reset: more than reset_burst=10 at once and reset_rate=33 per second (set in "
        "ServerConfig)",
    ),
    (
        invalid,
        ServerConfig(max_session_invalid_frames=5),
        "too many invalid frames: more than max_session_invalid_frames=5 (set in ServerConfig)",
    ),
    (
        rejected,
        ServerConfig(max_session_rejected_streams=5, max_concurrent_streams=2),
        "too many streams were rejected: more than max_session_rejected_streams=5 (set in ServerConfig)",
    ),
    (
        unread_replies,
        ServerConfig(max_queued_replies=20),
        "the peer does not read our replies: more than max_queued_replies=20 (set in ServerConfig) wait for it",
    ),
    (large_frame, ServerConfig(), "frame of 16385 bytes, more than max_frame_size=16384 (set in ServerConfig)"),
    (large_frame, ClientConfig(), "frame of 16385 bytes, more than max_frame_size=16384 (set in ClientConfig)"),
    (
        far_too_large_list,
        ServerConfig(max_header_list_size=1000),
        "header list far too large: the fields of a block take more than 69536 bytes, which goes far beyond "
        "max_header_list_size=1000 (set in ServerConfig)",
    ),
    (
        block_of_many_frames,
        ServerConfig(),
        "field block of more than 64 frames, which max_header_list_size=65535 (set in ServerConfig) allows",
    ),
    (
        block_of_many_bytes,
        ServerConfig(),
        "field block of more than 262144 bytes, which max_header_list_size=65535 (set in ServerConfig) allows",
    ),
    (
        prioritized,
        ServerConfig(max_concurrent_streams=2),
        "more prioritized streams than max_concurrent_streams=2 (set in ServerConfig)",
    ),
]


@pytest.mark.parametrize(("act", "config", "reason"), SESSIONS)
def test_what_ends_a_session_is_named(act: Callable[[RawPeer], None], config: SessionConfig, reason: str) -> None:
    peer = server_peer(config) if isinstance(config, ServerConfig) else client_peer(client(config))
    act(peer)
    failure = peer.engine.failure
    assert failure is not None
    assert failure.reason == reason
    goaway = of_type(peer.output(), GoAwayFrame)[-1]
    assert goaway.additional_data.decode() == reason
    names = {field.name for field in dataclasses.fields(config)}
    assert {word.split("=")[0] for word in reason.replace("(", " ").split() if "=" in word} <= names


def client(config: SessionConfig) -> ClientConfig:
    assert isinstance(config, ClientConfig)
    return config


def stream_reason(peer: RawPeer, fields: Fields) -> str:
    """Feeds HEADERS on stream 1; returns why the stream failed."""
    failure = the(peer.feed(peer.headers(1, fields)), StreamFailed).failure
    assert failure.code is ErrorCode.ENHANCE_YOUR_CALM
    return failure.reason


def test_too_many_fields_are_named_as_such() -> None:
    """They are no too large list, which they were called."""
    peer = client_peer()
    peer.open()
    fields: Fields = [*OK, *[(b"x-%d" % number, b"") for number in range(128)]]
    assert (
        stream_reason(peer, fields)
        == "header list of 129 fields, more than max_header_fields=128 (set in ClientConfig)"
    )
    peer = server_peer(ServerConfig(max_header_fields=10))
    peer.feed(peer.headers(1, POST, end=False))
    trailers: Fields = [(b"x-%d" % number, b"") for number in range(11)]
    assert (
        stream_reason(peer, trailers)
        == "header list of 11 fields, more than max_header_fields=10 (set in ServerConfig)"
    )


def test_large_lists_are_named_with_their_size() -> None:
    peer = client_peer(ClientConfig(max_header_list_size=1000))
    peer.open()
    reason = "header list of 2075 bytes, more than max_header_list_size=1000 (set in ClientConfig)"
    assert stream_reason(peer, [*OK, (b"x", b"y" * 2000)]) == reason


def test_interim_responses_are_named() -> None:
    peer = client_peer(ClientConfig(max_header_list_size=1000))
    peer.open()
    early: Fields = [(b":status", b"103"), (b"link", b"x" * 400)]
    assert not of_type(peer.feed(peer.headers(1, early, end=False), peer.headers(1, early, end=False)), StreamFailed)
    failure = the(peer.feed(peer.headers(1, early, end=False)), StreamFailed).failure
    reason = "the interim responses together are larger than max_header_list_size=1000 (set in ClientConfig)"
    assert failure.reason == reason


def test_a_limit_that_was_changed_is_named_with_its_new_value() -> None:
    peer = client_peer()
    peer.open()
    peer.engine.update_settings({6: 500})
    peer.feed(raw_frame(0x4, 1, 0))
    reason = "header list of 575 bytes, more than max_header_list_size=500 (set in ClientConfig)"
    assert stream_reason(peer, [*OK, (b"x", b"y" * 500)]) == reason


def test_rules_that_are_no_limits_name_none() -> None:
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    failed = the(peer.feed(window_update(0, 0)), SessionFailed).failure
    assert failed.reason == "WINDOW_UPDATE of 0"
    peer = server_peer(ServerConfig(stream_window=10))
    peer.feed(peer.headers(1, POST, end=False))
    assert "set in" not in the(peer.feed(data(1, bytes(20))), StreamFailed).failure.reason
