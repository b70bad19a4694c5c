"""What we rely on in h2's state machine of a stream: every state of RFC 9113 §5.1 × every input that we give it.

A new h2 that answers one of these differently fails here, and not in a session. Nothing private is used.
"""

from __future__ import annotations

from itertools import product

import pytest
from h2.exceptions import ProtocolError
from h2.stream import H2StreamStateMachine, StreamInputs, StreamState

from trio_h2._wire._failure import StreamFaultError
from trio_h2._wire._fields import MalformedMessageError, MessageHead
from trio_h2._wire._stream import WireStream

SEND_HEADERS, SEND_END = StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM
SEND_PROMISE, SEND_RESET = StreamInputs.SEND_PUSH_PROMISE, StreamInputs.SEND_RST_STREAM
RECEIVE_HEADERS, RECEIVE_DATA = StreamInputs.RECV_HEADERS, StreamInputs.RECV_DATA
RECEIVE_END, RECEIVE_RESET = StreamInputs.RECV_END_STREAM, StreamInputs.RECV_RST_STREAM
RECEIVE_PROMISE = StreamInputs.RECV_PUSH_PROMISE
INPUTS = (
    *(SEND_HEADERS, SEND_END, SEND_PROMISE, SEND_RESET),
    *(RECEIVE_HEADERS, RECEIVE_DATA, RECEIVE_END, RECEIVE_PROMISE, RECEIVE_RESET),
)

# How each state is reached, by the inputs alone: on a server where the peer opened the stream, else on a client.
PATHS: dict[StreamState, list[StreamInputs]] = {
    StreamState.IDLE: [],
    StreamState.RESERVED_LOCAL: [SEND_PROMISE],
    StreamState.RESERVED_REMOTE: [RECEIVE_PROMISE],
    StreamState.OPEN: [RECEIVE_HEADERS],
    StreamState.HALF_CLOSED_REMOTE: [RECEIVE_HEADERS, RECEIVE_END],
    StreamState.HALF_CLOSED_LOCAL: [SEND_HEADERS, SEND_END],
    StreamState.CLOSED: [SEND_HEADERS, SEND_END, RECEIVE_HEADERS, RECEIVE_END],
}

# RFC 9113 §5.1, figure 2. What is missing is refused, and leaves the stream closed.
TRANSITIONS: dict[tuple[StreamState, StreamInputs], StreamState] = {
    (StreamState.IDLE, SEND_HEADERS): StreamState.OPEN,
    (StreamState.IDLE, RECEIVE_HEADERS): StreamState.OPEN,
    (StreamState.IDLE, SEND_PROMISE): StreamState.RESERVED_LOCAL,
    (StreamState.IDLE, RECEIVE_PROMISE): StreamState.RESERVED_REMOTE,
    (StreamState.RESERVED_LOCAL, SEND_HEADERS): StreamState.HALF_CLOSED_REMOTE,
    (StreamState.RESERVED_LOCAL, SEND_RESET): StreamState.CLOSED,
    (StreamState.RESERVED_LOCAL, RECEIVE_RESET): StreamState.CLOSED,
    (StreamState.RESERVED_REMOTE, RECEIVE_HEADERS): StreamState.HALF_CLOSED_LOCAL,
    (StreamState.RESERVED_REMOTE, SEND_RESET): StreamState.CLOSED,
    (StreamState.RESERVED_REMOTE, RECEIVE_RESET): StreamState.CLOSED,
    (StreamState.OPEN, SEND_HEADERS): StreamState.OPEN,
    (StreamState.OPEN, SEND_END): StreamState.HALF_CLOSED_LOCAL,
    (StreamState.OPEN, SEND_PROMISE): StreamState.OPEN,
    (StreamState.OPEN, SEND_RESET): StreamState.CLOSED,
    (StreamState.OPEN, RECEIVE_DATA): StreamState.OPEN,
    (StreamState.OPEN, RECEIVE_END): StreamState.HALF_CLOSED_REMOTE,
    (StreamState.OPEN, RECEIVE_HEADERS): StreamState.OPEN,
    (StreamState.OPEN, RECEIVE_RESET): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_REMOTE, SEND_HEADERS): StreamState.HALF_CLOSED_REMOTE,
    (StreamState.HALF_CLOSED_REMOTE, SEND_END): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_REMOTE, SEND_PROMISE): StreamState.HALF_CLOSED_REMOTE,
    (StreamState.HALF_CLOSED_REMOTE, SEND_RESET): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_REMOTE, RECEIVE_RESET): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_LOCAL, SEND_RESET): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_LOCAL, RECEIVE_HEADERS): StreamState.HALF_CLOSED_LOCAL,
    (StreamState.HALF_CLOSED_LOCAL, RECEIVE_END): StreamState.CLOSED,
    (StreamState.HALF_CLOSED_LOCAL, RECEIVE_PROMISE): StreamState.HALF_CLOSED_LOCAL,
    (StreamState.HALF_CLOSED_LOCAL, RECEIVE_RESET): StreamState.CLOSED,
    (StreamState.CLOSED, RECEIVE_END): StreamState.CLOSED,
    (StreamState.CLOSED, RECEIVE_RESET): StreamState.CLOSED,
}


def machine_in(state: StreamState) -> H2StreamStateMachine:
    machine = H2StreamStateMachine(1)
    for step in PATHS[state]:
        machine.process_input(step)
    assert machine.state is state
    return machine


def has_headers(machine: H2StreamStateMachine) -> bool:
    return bool(machine.headers_received)


def set_by_hand(machine: H2StreamStateMachine, state: StreamState) -> None:
    machine.state = state


@pytest.mark.parametrize(
    ("state", "step"), list(product(StreamState, INPUTS)), ids=lambda value: value.name.lower().replace("_", "-")
)
def test_every_state_and_input(state: StreamState, step: StreamInputs) -> None:
    machine = machine_in(state)
    expected = TRANSITIONS.get((state, step))
    if state is StreamState.OPEN and step is RECEIVE_HEADERS:  # a response; trailers come after one
        machine = H2StreamStateMachine(1)
        machine.process_input(SEND_HEADERS)
    if expected is None:
        with pytest.raises(ProtocolError):
            machine.process_input(step)
        expected = StreamState.CLOSED
    else:
        machine.process_input(step)
    assert machine.state is expected


def test_the_states_are_these() -> None:
    assert set(PATHS) == set(StreamState)
    assert [int(state) for state in StreamState] == list(range(7)), "they index tables"


def test_what_else_is_read_of_it() -> None:
    """Whether the peer's final headers have come; and the state can be set, for an interim response to a promise."""
    client = H2StreamStateMachine(1)
    client.process_input(SEND_HEADERS)
    assert has_headers(client) is False
    client.process_input(RECEIVE_HEADERS)
    assert has_headers(client) is True
    promised = machine_in(StreamState.RESERVED_REMOTE)
    assert has_headers(promised) is False
    set_by_hand(promised, StreamState.HALF_CLOSED_LOCAL)
    promised.process_input(RECEIVE_HEADERS)
    assert has_headers(promised) is True
    pushed = machine_in(StreamState.RESERVED_LOCAL)
    set_by_hand(pushed, StreamState.HALF_CLOSED_REMOTE)
    pushed.process_input(SEND_HEADERS)
    pushed.process_input(SEND_HEADERS)  # trailers
    assert pushed.state is StreamState.HALF_CLOSED_REMOTE


# -- what we derive of it ----------------------------------------------------------------------------------------------


def head(length: int | None = None, status: int | None = None) -> MessageHead:
    return MessageHead(b"GET" if status is None else None, status, None, length)


def stream() -> WireStream:
    return WireStream(1, b"POST", 100)


def test_a_request_and_its_response_on_the_server() -> None:
    wire = stream()
    assert (wire.state, wire.closed) == ("idle", False)
    wire.receive_request(head(), end_stream=False)
    assert (wire.state, wire.local_ended, wire.remote_ended) == ("open", False, False)
    wire.receive_data(4, 4, end_stream=True)
    assert (wire.state, wire.local_ended, wire.remote_ended) == ("half-closed (remote)", False, True)
    wire.sent_headers(end_stream=False)
    assert not wire.closed
    wire.sent_headers(end_stream=True)  # trailers
    assert (wire.state, wire.local_ended, wire.remote_ended, wire.closed) == ("closed", True, True, True)


def test_a_request_and_its_response_on_the_client() -> None:
    wire = stream()
    wire.sent_headers(end_stream=False)
    wire.sent_end()
    assert (wire.state, wire.headers_received) == ("half-closed (local)", False)
    wire.receive_response(head(status=200), end_stream=False)
    assert wire.headers_received
    wire.receive_trailers()
    assert wire.closed


def test_promises() -> None:
    ours, theirs = stream(), stream()
    ours.promised_by_us()
    theirs.promised_by_peer()
    assert (ours.state, theirs.state) == ("reserved (local)", "reserved (remote)")
    assert (ours.local_ended, ours.remote_ended, theirs.local_ended, theirs.remote_ended) == (False, True, True, False)
    for wire in ours, theirs:
        assert wire.reserved
        wire.leave_reserved()
        assert not wire.reserved
    assert (ours.state, theirs.state) == ("half-closed (remote)", "half-closed (local)")


@pytest.mark.parametrize("ours", [True, False])
def test_a_reset_closes_from_anywhere(ours: bool) -> None:
    for opened in (True, False):
        wire = stream()
        if opened:
            wire.sent_headers(end_stream=False)
        else:
            wire.promised_by_us()
        for _ in range(2):  # the second one changes nothing
            (wire.sent_reset if ours else wire.receive_reset)()
            assert wire.closed


def test_what_is_refused_is_not_booked() -> None:
    wire = stream()
    wire.sent_headers(end_stream=True)
    with pytest.raises(MalformedMessageError):
        wire.receive_data(1, 1, end_stream=False)
    with pytest.raises(StreamFaultError):
        wire.receive_window_update(2**31)
    wire.receive_response(head(5, status=200), end_stream=False)
    with pytest.raises(StreamFaultError):
        wire.receive_data(101, 5, end_stream=True)
    with pytest.raises(MalformedMessageError):
        wire.receive_data(6, 6, end_stream=False)
    with pytest.raises(MalformedMessageError):
        wire.receive_trailers()
    assert (wire.receive_window, wire.held, wire.received_length, wire.state) == (100, 0, 0, "half-closed (local)")
    wire.receive_data(5, 5, end_stream=True)
    assert (wire.receive_window, wire.held, wire.closed) == (95, 5, True)
