"""What the adapter takes for granted about h2, hpack and hyperframe, private parts above all.

A new release that changes one of these fails here, loudly, instead of going wrong in a session. So each test speaks to
the libraries themselves, or makes sure that an override is really reached.
"""

from __future__ import annotations

import importlib.metadata
import inspect

import h2.config
import h2.connection
import h2.exceptions
import h2.settings
import pytest
from h2.connection import AllowedStreamIDs, ConnectionInputs, ConnectionState, H2Connection
from h2.stream import H2Stream, StreamInputs, StreamState
from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple
from hpack.exceptions import HPACKDecodingError, HPACKError, InvalidTableSizeError, OversizedHeaderListError
from hpack.hpack import decode_integer
from hyperframe.exceptions import HyperframeError, InvalidDataError, InvalidFrameError, InvalidPaddingError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.wire.engine_pair import GET, OK, PREFACE, Fields, of_type, parse, settings
from trio_h2._wire import _adapter
from trio_h2._wire._adapter import Connection
from trio_h2._wire._codes import ErrorCode, Role
from trio_h2._wire._failure import SessionFaultError, StreamFaultError
from trio_h2._wire._old_hpack import CappedEncoder, LinearDecoder

ADVICE = "the adapter (trio_h2/_wire/_adapter.py) relies on this: look there before the pin is raised"


def plain(client: bool = True) -> H2Connection:
    """Returns h2's own connection with the adapter's configuration."""
    config = h2.config.H2Configuration(
        client_side=client,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
        normalize_inbound_headers=False,
    )
    return H2Connection(config)


def adapter(role: Role = Role.CLIENT, frames: list[Frame | StreamFaultError] | None = None) -> Connection:
    """Returns a started adapter whose frames go into a list."""
    local = {1: 4096, 4: 100_000, 5: 16_384, 6: 65_535}
    sink: list[Frame | StreamFaultError] = [] if frames is None else frames
    conn = Connection(role, local, max_encoder_table_size=4096, max_header_list_size=65_535, on_frame=sink.append)
    conn.start()
    conn.take_output()
    return conn


def test_versions_are_those_of_the_pin() -> None:
    """pyproject.toml admits what these tests passed with."""
    assert importlib.metadata.version("h2").startswith("4.4."), ADVICE
    assert importlib.metadata.version("hpack").startswith("4."), ADVICE
    assert importlib.metadata.version("hyperframe").startswith("6."), ADVICE


# -- overridden methods -----------------------------------------------------------------------------------------------

OVERRIDDEN = {
    "_prepare_for_sending": ["self", "frames"],
    "_receive_frame": ["self", "frame"],
    "_terminate_connection": ["self", "error_code"],
}
CALLED = {
    "_acknowledge_settings": ["self"],
    "_begin_new_stream": ["self", "stream_id", "allowed_ids"],
    "_inbound_flow_control_change_from_settings": ["self", "old_value", "new_value"],
    "receive_data": ["self", "data"],
    "send_data": ["self", "stream_id", "data", "end_stream", "pad_length"],
    "end_stream": ["self", "stream_id"],
    "increment_flow_control_window": ["self", "increment", "stream_id"],
}


@pytest.mark.parametrize(("name", "parameters"), [*OVERRIDDEN.items(), *CALLED.items()])
def test_signatures(name: str, parameters: list[str]) -> None:
    method = getattr(H2Connection, name)
    assert list(inspect.signature(method).parameters) == parameters, ADVICE


@pytest.mark.parametrize("name", sorted([*OVERRIDDEN, "open_outbound_streams"]))
def test_the_adapter_overrides_what_exists(name: str) -> None:
    assert name in vars(H2Connection), ADVICE
    assert name in vars(Connection)


def test_the_adapter_overrides_nothing_by_accident() -> None:
    """A new method of h2 with the name of one of ours would be replaced in silence."""
    inherited = {name for name in dir(H2Connection) if not name.startswith("__")}
    ours = {name for name in vars(Connection) if not name.startswith("__")}
    assert ours & inherited == {*OVERRIDDEN, "open_outbound_streams"}, ADVICE
    instance = plain()
    attributes = set(vars(adapter())) - set(vars(instance))
    ours = {"_on_frame", "_initial", "_chunks", "output_frames", "output_size", "padding", "reader", "sent_on"}
    assert attributes == ours, ADVICE


def test_every_command_puts_its_frames_out_through_one_method() -> None:
    """`_prepare_for_sending` is the only way into h2's output."""
    conn = adapter()
    conn.send_headers(1, GET)
    conn.send_data(1, b"x")
    conn.increment_flow_control_window(5)
    conn.increment_flow_control_window(5, 1)
    conn.end_stream(1)
    conn.apply_remote_settings([(3, 7)])
    kinds = [type(frame) for frame in parse(conn.take_output())]
    assert kinds == [HeadersFrame, DataFrame, WindowUpdateFrame, WindowUpdateFrame, DataFrame, SettingsFrame]
    assert conn.data_to_send() == b"", ADVICE


def test_every_frame_of_the_reader_is_given_to_receive_frame() -> None:
    frames: list[Frame | StreamFaultError] = []
    conn = adapter(frames=frames)
    conn.receive(settings({}) + PingFrame(0, b"12345678").serialize())
    assert [type(frame).__name__ for frame in frames] == ["ReceivedSettings", "PingFrame"], ADVICE
    assert conn.take_output() == b""  # nothing is answered behind the engine's back
    conn.release()
    conn.receive(PingFrame(0, b"12345678").serialize())
    assert len(frames) == 2


def test_the_protocol_of_the_incoming_buffer() -> None:
    """h2 calls `add_data`, sets `max_frame_size` and iterates; it does nothing else with its buffer."""
    seen: list[str] = []

    class Buffer:
        def add_data(self, data: bytes) -> None:
            seen.append(f"add {data!r}")

        def __setattr__(self, name: str, value: object) -> None:
            seen.append(f"{name} = {value}")

        def __iter__(self) -> Buffer:
            seen.append("iterate")
            return self

        def __next__(self) -> Frame:
            raise StopIteration

    conn = plain()
    conn.incoming_buffer = Buffer()  # type: ignore[assignment]  # the point of the test
    conn.receive_data(b"octets")
    assert seen == ["add b'octets'", "max_frame_size = 16384", "iterate"], ADVICE


def test_a_protocol_error_of_h2_becomes_a_session_fault() -> None:
    """h2 lets it through after `_terminate_connection`, which does nothing here."""

    def refuse(_frame: Frame | StreamFaultError) -> None:
        raise h2.exceptions.FlowControlError("a rule that only h2 knows")

    conn = adapter()
    conn._on_frame = refuse
    with pytest.raises(SessionFaultError, match="only h2 knows") as caught:
        conn.receive(settings({}))
    assert caught.value.code == ErrorCode.FLOW_CONTROL_ERROR
    assert conn.take_output() == b""
    assert conn.state_machine.state is not ConnectionState.CLOSED, ADVICE


def test_attributes_that_the_adapter_replaces_or_reads() -> None:
    conn = plain()
    assert isinstance(conn._frame_dispatch_table, dict), ADVICE
    assert isinstance(conn.encoder, Encoder)
    assert isinstance(conn.decoder, Decoder)
    assert isinstance(conn.local_settings, h2.settings.Settings)
    assert isinstance(conn.streams, dict)
    assert conn.max_inbound_frame_size == conn.max_outbound_frame_size == 16_384
    assert conn.outbound_flow_control_window == conn.inbound_flow_control_window == 65_535
    assert conn.highest_inbound_stream_id == conn.highest_outbound_stream_id == 0
    assert conn._inbound_flow_control_window_manager.current_window_size == 65_535, ADVICE


def test_no_stream_is_scanned_or_deleted_when_one_is_opened() -> None:
    """`send_headers` asks `open_outbound_streams`, whose original scans all streams and deletes closed ones."""
    conn = adapter()
    for number in range(200):
        conn.send_headers(2 * number + 1, GET, end_stream=True)
    assert len(conn.streams) == 200
    assert conn.open_outbound_streams == 0
    assert not conn._closed_streams


# -- streams ----------------------------------------------------------------------------------------------------------


def test_begin_new_stream() -> None:
    """It looks at the highest id, takes the windows from both settings, and marks the id as used."""
    conn = plain(client=False)
    conn.local_settings.initial_window_size = 1000
    conn.local_settings.acknowledge()
    conn.highest_inbound_stream_id = 6
    stream = conn._begin_new_stream(7, AllowedStreamIDs.ODD)
    assert conn.highest_inbound_stream_id == 7
    assert conn.streams[7] is stream
    assert stream.inbound_flow_control_window == 1000
    assert stream.outbound_flow_control_window == 65_535
    assert stream._inbound_window_manager.current_window_size == 1000, ADVICE
    with pytest.raises(h2.exceptions.StreamIDTooLowError):
        conn._begin_new_stream(7, AllowedStreamIDs.ODD)


def test_receiving_a_message_moves_the_state_machine() -> None:
    """Of a server's stream: HEADERS, DATA, END_STREAM; then only sending is left."""
    conn = adapter(Role.SERVER)
    conn.stream_id_used_by_peer(1)
    conn.stream_opened_by_peer(1, end_stream=False)
    states = [conn.streams[1].state_machine.state]
    conn.book_data(1, 10, end_stream=False)
    assert conn.inbound_window(1) == 100_000 - 10
    conn.book_headers(1, end_stream=True)
    states.append(conn.streams[1].state_machine.state)
    assert states == [StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE], ADVICE
    conn.send_headers(1, [(b":status", b"100")])
    conn.send_headers(1, OK)
    conn.send_headers(1, [(b"x", b"y")], end_stream=True)
    assert conn.streams[1].closed
    conn.forget(1)
    conn.forget(1)
    assert not conn.streams


def test_receiving_a_response_moves_the_state_machine() -> None:
    conn = adapter()
    conn.send_headers(1, GET, end_stream=True)
    conn.book_headers(1, end_stream=False)
    assert conn.streams[1].state_machine.state is StreamState.HALF_CLOSED_LOCAL, ADVICE
    conn.increment_flow_control_window(1, 1)
    conn.book_data(1, 0, end_stream=True)
    assert conn.streams[1].closed


def test_inputs_of_the_state_machines() -> None:
    for name in ("RECV_HEADERS", "RECV_DATA", "RECV_END_STREAM"):
        assert isinstance(getattr(StreamInputs, name), StreamInputs), ADVICE
    for name in ("SEND_SETTINGS", "RECV_HEADERS"):
        assert isinstance(getattr(ConnectionInputs, name), ConnectionInputs), ADVICE


def test_windows_of_a_stream() -> None:
    """Plain numbers, which may be negative; `window_consumed` refuses more than is there, even nothing of less."""
    stream = H2Stream(1, h2.config.H2Configuration(), inbound_window_size=100, outbound_window_size=50)
    stream.outbound_flow_control_window -= 70
    assert stream.outbound_flow_control_window == -20
    manager = stream._inbound_window_manager
    manager.window_consumed(60)
    assert stream.inbound_flow_control_window == 40, ADVICE
    stream._inbound_flow_control_change_from_settings(-90)
    assert stream.inbound_flow_control_window == -50
    with pytest.raises(h2.exceptions.FlowControlError):
        manager.window_consumed(0)  # why the adapter does not ask for empty DATA


def test_inbound_change_from_settings_reaches_every_stream() -> None:
    conn = adapter(Role.SERVER)
    for stream_id in 1, 3:
        conn.stream_id_used_by_peer(stream_id)
        conn.stream_opened_by_peer(stream_id, end_stream=False)
    conn._inbound_flow_control_change_from_settings(100_000, 90_000)
    assert [conn.inbound_window(stream_id) for stream_id in (1, 3)] == [90_000, 90_000], ADVICE


def test_acknowledge_settings() -> None:
    """It applies what is pending in `remote_settings`, to streams too, and returns the acknowledgement."""
    conn = plain()
    conn.send_headers(1, GET)
    conn.remote_settings.update({1: 100, 3: 5, 4: 1000, 5: 20_000, 0x99: 1})
    frames = conn._acknowledge_settings()
    assert [(type(frame), frame.flags) for frame in frames] == [(SettingsFrame, frames[0].flags)]
    assert "ACK" in frames[0].flags
    assert conn.encoder.header_table_size == 100, ADVICE
    assert conn.max_outbound_frame_size == conn.streams[1].max_outbound_frame_size == 20_000
    assert conn.streams[1].outbound_flow_control_window == 1000
    assert conn.outbound_flow_control_window == 65_535
    conn.remote_settings.update({4: 2**31 - 1})
    conn.streams[1].outbound_flow_control_window = 2000
    with pytest.raises(h2.exceptions.FlowControlError):
        conn._acknowledge_settings()


def test_settings_of_h2_start_with_the_defaults_of_the_protocol() -> None:
    """And keep them, unless they are told otherwise: no limit of streams, no header list limit."""
    for client in (True, False):
        values = h2.settings.Settings(client=client, initial_values={})
        assert values.initial_window_size == 65_535
        assert values.max_frame_size == 16_384
        assert values.max_concurrent_streams > 2**32 - 1
        values.initial_window_size = 5
        assert values.initial_window_size == 65_535
        values.acknowledge()
        assert values.initial_window_size == 5, ADVICE


def test_the_start_of_a_connection() -> None:
    conn = plain()
    conn.state_machine.process_input(ConnectionInputs.SEND_SETTINGS)
    states = [conn.state_machine.state]
    conn.send_headers(1, GET)
    states.append(conn.state_machine.state)
    assert states == [ConnectionState.IDLE, ConnectionState.CLIENT_OPEN], ADVICE
    assert PREFACE == _adapter.PREFACE


def test_goaway_and_reset_of_ours_leave_the_state_machine_alone() -> None:
    conn = adapter()
    conn.send_headers(1, GET)
    conn.send_goaway(0, 0, b"bye")
    conn.send_reset(77, 8)
    conn.send_data(1, b"goes on")
    kinds = [type(frame) for frame in parse(conn.take_output())]
    assert kinds == [HeadersFrame, GoAwayFrame, RstStreamFrame, DataFrame]


# -- hpack ------------------------------------------------------------------------------------------------------------


def test_encoder_attributes() -> None:
    encoder = Encoder()
    assert encoder.table_size_changes == []
    assert encoder.header_table.maxsize == 4096
    assert encoder.header_table.resized is False
    assert encoder.header_table._current_size == 0, ADVICE
    encoder.encode([(b"x", b"y")])
    assert encoder.header_table._current_size == 34
    assert list(encoder.header_table.dynamic_entries) == [(b"x", b"y")]


def test_header_table_says_that_it_was_resized_until_it_is_signalled() -> None:
    """`encode` looks at ``resized``, then at `table_size_changes`; setting the same size again clears the former."""
    encoder = Encoder()
    encoder.header_table_size = 100
    encoder.header_table_size = 100
    assert encoder.table_size_changes == [100]
    assert encoder.header_table.resized is False, ADVICE  # a bug of hpack, which CappedEncoder avoids
    capped = CappedEncoder()
    capped.header_table_size = 100
    capped.header_table_size = 100
    assert capped.table_size_changes == [100]
    assert capped.header_table.resized is True
    block = capped.encode([(b"x", b"y")])
    decoder = Decoder()
    decoder.decode(block)
    assert decoder.header_table_size == 100
    assert capped.table_size_changes == []
    assert capped.header_table.resized is False


def test_h2_sets_the_encoders_table_through_the_property() -> None:
    conn = adapter()
    conn.apply_remote_settings([(1, 2**32 - 1)])
    assert conn.encoder.header_table_size == 4096
    conn.apply_remote_settings([(1, 10)])
    assert conn.encoder.header_table_size == 10, ADVICE


def test_decoder_attributes() -> None:
    decoder = Decoder()
    assert decoder.max_allowed_table_size == 4096
    decoder.max_header_list_size = 40
    with pytest.raises(OversizedHeaderListError):
        decoder.decode(b"\x00\x01x\x09123456789")
    decoder = Decoder()
    decoder.max_allowed_table_size = 10
    with pytest.raises(InvalidTableSizeError):
        decoder.decode(b"\x82")
    assert decoder.header_table._current_size == 0, ADVICE


def test_decoded_fields_are_tuples_of_octets() -> None:
    """Although the types say str, with ``raw``; never-indexed ones keep their mark."""
    block = Encoder().encode([(b"x", b"\xff"), NeverIndexedHeaderTuple(b"y", b"\xfe")])
    fields = Decoder().decode(block, raw=True)
    assert isinstance(fields, list), ADVICE
    assert fields == [(b"x", b"\xff"), (b"y", b"\xfe")]
    assert [type(field) for field in fields] == [HeaderTuple, NeverIndexedHeaderTuple]


def test_decoding_of_literals_goes_through_one_private_method() -> None:
    """`LinearDecoder` overrides it, and `decode_integer` takes a memoryview."""
    assert list(inspect.signature(Decoder._decode_literal).parameters) == ["self", "data", "should_index"], ADVICE
    seen: list[tuple[int, bool]] = []

    class Spy(LinearDecoder):
        def _decode_literal(self, data: bytes | memoryview, should_index: bool) -> tuple[HeaderTuple, int]:
            seen.append((len(data), should_index))
            return super()._decode_literal(data, should_index)

    Spy().decode(b"\x00\x01a\x01b" + b"\x40\x01a\x01b" + b"\x10\x01a\x01b", raw=True)
    assert seen == [(15, False), (10, True), (5, False)]
    assert decode_integer(memoryview(b"\x1f\x9a\x0a"), 5) == (1337, 3)
    with pytest.raises(HPACKDecodingError):
        decode_integer(memoryview(b""), 7)
    with pytest.raises(HPACKDecodingError):
        decode_integer(memoryview(b"\xff" * 100), 7)  # bounded, or it would take quadratic time
    assert issubclass(OversizedHeaderListError, HPACKError)
    assert issubclass(InvalidTableSizeError, HPACKError)


def test_never_indexed_marks_survive_h2() -> None:
    fields: Fields = [*GET, NeverIndexedHeaderTuple(b"authorization", b"x")]
    conn = adapter()
    conn.send_headers(1, fields)
    block = of_type(parse(conn.take_output()), HeadersFrame)[0].data
    assert [type(field) for field in Decoder().decode(block, raw=True)][-1] is NeverIndexedHeaderTuple, ADVICE


def test_fields_are_sent_as_they_are() -> None:
    """No validation, no normalisation: everything was checked before, in one place."""
    odd: Fields = [*GET, (b"Upper", b" value "), (b"cookie", b"a=b; c=d"), (b"connection", b"close")]
    conn = adapter()
    conn.send_headers(1, odd)
    block = of_type(parse(conn.take_output()), HeadersFrame)[0].data
    assert Decoder().decode(block, raw=True) == odd, ADVICE


# -- hyperframe -------------------------------------------------------------------------------------------------------


def test_frames_are_parsed_from_memoryviews() -> None:
    octets = HeadersFrame(5, b"block", flags=("END_HEADERS", "PADDED"), pad_length=2).serialize()
    frame, length = Frame.parse_frame_header(memoryview(octets[:9]))
    frame.parse_body(memoryview(octets[9:]))
    assert isinstance(frame, HeadersFrame)
    assert (length, frame.stream_id, frame.data, frame.pad_length) == (8, 5, b"block", 2), ADVICE
    assert isinstance(frame.data, bytes)


def test_flow_controlled_length_counts_padding() -> None:
    assert DataFrame(1, b"abc", flags=("PADDED",), pad_length=4).flow_controlled_length == 8
    assert DataFrame(1, b"abc", flags=("PADDED",)).flow_controlled_length == 4
    assert DataFrame(1, b"abc").flow_controlled_length == 3


def test_defined_flags_are_names_with_bits() -> None:
    """`_frame_header` writes them without hyperframe's serialize."""
    for frame in DataFrame(3, b"abc", flags=("END_STREAM",)), DataFrame(3, b"abc"):
        assert _adapter._frame_header(frame, 3) + b"abc" == frame.serialize(), ADVICE


def test_errors_of_hyperframe() -> None:
    for error in InvalidDataError, InvalidFrameError, InvalidPaddingError:
        assert issubclass(error, HyperframeError)
    with pytest.raises(InvalidPaddingError):
        DataFrame(1, flags=("PADDED",)).parse_body(memoryview(b"\x05abc"))
    with pytest.raises(InvalidFrameError):
        DataFrame(1, flags=("PADDED",)).parse_body(memoryview(b""))
    with pytest.raises(InvalidDataError):
        PushPromiseFrame(1).parse_body(memoryview(b"\0\0\0\1"))


def test_frames_made_by_hand() -> None:
    """The reader makes these two itself."""
    assert WindowUpdateFrame(3, 7).window_increment == 7
    frame = ExtensionFrame(0xA, 3, 0xF, b"body")
    assert (frame.type, frame.stream_id, frame.flag_byte, frame.body) == (0xA, 3, 0xF, b"body")
    assert ContinuationFrame(1, b"x", flags=("END_HEADERS",)).data == b"x"
