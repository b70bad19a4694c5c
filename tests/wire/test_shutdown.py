"""GOAWAY as two numbers that only go down."""

from __future__ import annotations

from trio_h2._wire._codes import ErrorCode
from trio_h2._wire._shutdown import LAST_POSSIBLE_ID, Shutdown


def test_nothing_was_said() -> None:
    shutdown = Shutdown()
    assert not shutdown.peer_is_leaving
    assert not shutdown.refuses(LAST_POSSIBLE_ID)
    assert shutdown.sent_last_id is None
    assert shutdown.received_code is ErrorCode.NO_ERROR


def test_received() -> None:
    shutdown = Shutdown()
    assert shutdown.receive(0, ErrorCode.NO_ERROR, b"") == 0
    assert shutdown.peer_is_leaving
    shutdown = Shutdown()
    assert shutdown.receive(LAST_POSSIBLE_ID, ErrorCode.NO_ERROR, b"soon") == LAST_POSSIBLE_ID
    assert shutdown.receive(7, 0xBEEF, b"now") == 7
    assert shutdown.receive(9, ErrorCode.NO_ERROR, b"") == 7
    assert shutdown.receive(5, ErrorCode.CANCEL, b"last") == 5
    assert (shutdown.received_last_id, shutdown.received_code) == (5, ErrorCode.CANCEL)
    assert shutdown.received_debug == b"last"


def test_sent() -> None:
    shutdown = Shutdown()
    assert shutdown.send(LAST_POSSIBLE_ID) == LAST_POSSIBLE_ID
    assert not shutdown.refuses(LAST_POSSIBLE_ID)
    assert shutdown.send(5) == 5
    assert shutdown.send(9) == 5
    assert not shutdown.refuses(5)
    assert shutdown.refuses(7)
    assert not shutdown.peer_is_leaving
