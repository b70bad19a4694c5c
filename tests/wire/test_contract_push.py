"""What the adapter takes for granted about server push in h2 and hyperframe; see `test_contract.py`."""

from __future__ import annotations

import h2.exceptions
import pytest
from h2.connection import AllowedStreamIDs, ConnectionInputs
from h2.stream import StreamInputs, StreamState
from hyperframe.frame import PushPromiseFrame

from tests.wire.engine_pair import GET, OK
from tests.wire.test_contract import ADVICE, plain


def test_promises_move_the_state_machines() -> None:
    """`promise`, `begin_promised` and `stream_promised_by_peer`; an interim response on a promised stream is ours."""
    connection = plain(client=False)
    connection.state_machine.process_input(ConnectionInputs.RECV_HEADERS)
    connection._begin_new_stream(1, AllowedStreamIDs.ODD).state_machine.process_input(StreamInputs.RECV_HEADERS)
    connection.push_stream(1, 2, GET)
    machine = connection.streams[2].state_machine
    assert (machine.state, machine.client) == (StreamState.RESERVED_LOCAL, False), ADVICE
    assert connection.highest_outbound_stream_id == 2
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.send_headers(2, [(b":status", b"103")])
    connection.push_stream(1, 4, GET)
    machine = connection.streams[4].state_machine
    machine.state = StreamState.HALF_CLOSED_REMOTE
    connection.send_headers(4, [(b":status", b"103")])
    connection.send_headers(4, OK)
    connection.end_stream(4)
    assert machine.state is StreamState.CLOSED

    connection = plain()
    connection.send_headers(1, GET)
    connection.state_machine.process_input(ConnectionInputs.RECV_PUSH_PROMISE)
    machine = connection._begin_new_stream(2, AllowedStreamIDs.EVEN).state_machine
    states = []
    for event in StreamInputs.RECV_PUSH_PROMISE, StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM:
        machine.process_input(event)
        states.append(machine.state)
    assert states == [StreamState.RESERVED_REMOTE, StreamState.HALF_CLOSED_LOCAL, StreamState.CLOSED]


def test_a_promised_id_comes_with_its_reserved_bit() -> None:
    frame = PushPromiseFrame(1)
    frame.parse_body(memoryview(b"\x80\0\0\2"))
    assert frame.promised_stream_id == 2**31 + 2, "the receiver of promises need not mask it any more"
