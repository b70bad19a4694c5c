"""Books, events and output around GOAWAY; its rules (RFC 9113 §6.8) are tested in `tests/conformance`."""

from __future__ import annotations

import pytest
from hyperframe.frame import GoAwayFrame, WindowUpdateFrame

from tests.wire.engine_pair import (
    OK,
    POST,
    RawPeer,
    client_peer,
    credits,
    data,
    goaway,
    of_type,
    server_peer,
    the,
)
from trio_h2._wire._codes import ErrorCode, Initiator, Role
from trio_h2._wire._events import (
    DataReceived,
    GoAwayReceived,
    SessionFailed,
    StreamClosed,
    StreamFailed,
)
from trio_h2._wire._failure import Cause, SessionFailure


def client_with_streams(count: int) -> RawPeer:
    """Returns a client with *count* open streams: 1, 3, 5 …"""
    peer = client_peer()
    for _ in range(count):
        peer.open()
    return peer


def test_bytes_that_a_refused_stream_holds_stay_readable() -> None:
    peer = client_with_streams(1)
    events = peer.feed(peer.headers(1, OK, end=False), data(1, b"early"), goaway(0))
    assert [type(event) for event in events[1:]] == [DataReceived, GoAwayReceived, StreamFailed, StreamClosed]
    peer.engine.take(1, 5)
    assert not credits(peer.engine)


def test_a_server_that_wants_tls_refuses_no_requests_that_could_be_sent_again() -> None:
    """RFC 9113 §7: a new connection like this one would not be safe enough, either."""
    peer = client_with_streams(1)
    events = peer.feed(goaway(0, ErrorCode.INADEQUATE_SECURITY, b"use https\x1b" + bytes(300)))
    assert [type(event) for event in events] == [GoAwayReceived, SessionFailed]
    failure = the(events, SessionFailed).failure
    assert (failure.cause, failure.code) == (Cause.HANDSHAKE, ErrorCode.INADEQUATE_SECURITY)
    assert r"and says: 'use https\x1b\x00" in failure.reason
    assert len(failure.reason) < 1000


@pytest.mark.parametrize(("last", "code"), [(1, ErrorCode.INADEQUATE_SECURITY), (0, ErrorCode.NO_ERROR)])
def test_other_servers_that_leave_refuse_what_they_have_not_processed(last: int, code: ErrorCode) -> None:
    peer = client_with_streams(2)
    failed = the(peer.feed(goaway(last, code)), StreamFailed) if last else peer.feed(goaway(last, code))[1]
    assert isinstance(failed, StreamFailed)
    assert failed.failure.refused


def test_a_client_that_says_goaway_still_answers_late_data_with_a_reset() -> None:
    """Its last id is about pushed streams; its own closed streams are none of them."""
    peer = client_with_streams(1)
    peer.feed(peer.headers(1, OK))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    peer.feed(data(1, b"late"))
    assert [type(frame).__name__ for frame in peer.output()] == ["GoAwayFrame", "RstStreamFrame"]


@pytest.mark.parametrize("cause", [cause for cause in Cause])
def test_which_failures_send_goaway(cause: Cause) -> None:
    """Nothing is sent into a transport that is lost, nor where one side has said its goodbye."""
    peer = server_peer()
    failure = SessionFailure(cause, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY, "a reason — " + "x" * 600)
    peer.engine.fail(failure)
    peer.engine.fail(SessionFailure(Cause.LOST, None, Initiator.REMOTE, "later"))
    assert peer.engine.failure is failure
    sent = peer.sent(GoAwayFrame)
    assert len(sent) == (0 if cause in (Cause.LOST, Cause.CLOSED, Cause.GOAWAY) else 1)
    assert all(len(frame.additional_data) == 512 for frame in sent)


def test_failure_without_a_code() -> None:
    peer = server_peer()
    peer.engine.fail(SessionFailure(Cause.KEEPALIVE, None, Initiator.LIBRARY, "silence"))
    assert the(peer.output(), GoAwayFrame).error_code == ErrorCode.NO_ERROR


def test_credit_still_goes_back_after_goaway() -> None:
    """A credit leak on DATA after GOAWAY is a bug that other libraries had."""
    peer = server_peer()
    peer.feed(peer.headers(1, POST, end=False))
    peer.engine.goaway(ErrorCode.NO_ERROR)
    for _ in range(2100):  # 33 MiB: more than the whole budget
        peer.feed(data(1, bytes(16_000)))
        peer.engine.take(1, 16_000)
    assert of_type(peer.output(), WindowUpdateFrame)
    assert peer.engine.role is Role.SERVER
