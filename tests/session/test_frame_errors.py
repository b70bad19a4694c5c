"""Frames of ours that cannot be sent: who is told, what raises, and what goes on."""

from __future__ import annotations

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import Wrapped, connected, served, settle
from trio_h2 import (
    ClientConfig,
    ErrorCode,
    FrameError,
    Initiator,
    LocalProtocolError,
    Role,
    ServerConfig,
    ServerStream,
    Session,
    SessionHappening,
    Settings,
    StreamResetError,
    Subscription,
)
from trio_h2.testing import SettingsFrame, StallableStream

HEADERS = 0x1
PUSH_PROMISE = 0x5
LARGE = {"x-large": "~" * 400}


class Told:
    """Subscribes at once, and collects on demand."""

    def __init__(self, session: Session) -> None:
        self._events: Subscription = session.subscribe()

    async def all(self) -> list[SessionHappening]:
        """Returns what was told since the last call, as far as nobody has to wait for it."""
        happenings = []
        while True:
            with trio.move_on_after(0.01) as scope:
                happenings.append(await anext(self._events))
            if scope.cancelled_caught:
                return happenings


@pytest.mark.parity("B4", "D3", "H5")
@pytest.mark.parametrize("where", ["informational", "response", "trailers"])
async def test_a_response_that_is_too_large(where: str, autojump_clock: object) -> None:
    """The call raises, the stream is reset, whoever listens is told; every other stream goes on."""
    raised: list[StreamResetError] = []

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/small":
            await stream.respond(body=b"small")
            return
        with pytest.raises(StreamResetError, match=r"has \d+ bytes, max_send_header_block_length is 200") as info:
            if where == "informational":
                await stream.send_informational(103, LARGE)
            elif where == "response":
                await stream.respond(LARGE)
            else:
                await stream.respond()
                await stream.send_trailers(LARGE)
        raised.append(info.value)
        assert stream.rst_code == ErrorCode.INTERNAL_ERROR
        with pytest.raises(StreamResetError, match="max_send_header_block_length"):
            await stream.wait_closed()
        with pytest.raises(StreamResetError, match="max_send_header_block_length"):
            await stream.receive_some()

    async with served(handler, config=ServerConfig(max_send_header_block_length=200)) as (peer, session):
        told = Told(session)
        stream_id = await peer.request("POST", end_stream=False)
        if where == "trailers":
            await peer.expect_headers(stream_id=stream_id)
        await peer.expect_rst(stream_id, ErrorCode.INTERNAL_ERROR)
        assert await told.all() == [FrameError(HEADERS, ErrorCode.INTERNAL_ERROR, stream_id)]
        (error,) = raised
        assert (error.stream_id, error.code, error.initiator) == (1, ErrorCode.INTERNAL_ERROR, Initiator.LIBRARY)
        small = await peer.request(path="/small")
        await peer.expect_headers(stream_id=small)
        assert await peer.collect_body(small) == b"small"
        assert await told.all() == []


@pytest.mark.parametrize("where", ["informational", "response", "trailers"])
async def test_a_handler_whose_own_headers_are_too_large_goes_on(where: str, autojump_clock: object) -> None:
    """It has made the mistake, so it is told by its call, and not cancelled: it may have to clean up."""
    cleaned: list[float] = []

    async def handler(stream: ServerStream) -> None:
        try:
            if where == "informational":
                await stream.send_informational(103, LARGE)
            elif where == "response":
                await stream.respond(LARGE)
            else:
                await stream.respond()
                await stream.send_trailers(LARGE)
        finally:
            await trio.sleep(1)
            cleaned.append(trio.current_time())

    async with served(handler, config=ServerConfig(max_send_header_block_length=200)) as (peer, _):
        await peer.request("POST", end_stream=False)
        await trio.sleep(2)
        assert len(cleaned) == 1


@pytest.mark.parity("B4", "E3", "H5")
async def test_a_promise_that_is_too_large(autojump_clock: object) -> None:
    """Nothing was promised, so no stream is lost, and the response goes on."""

    async def handler(stream: ServerStream) -> None:
        with pytest.raises(LocalProtocolError, match=r"has \d+ bytes, max_send_header_block_length is 200"):
            await stream.push(LARGE)
        await stream.respond(body=b"fine")

    async with served(handler, config=ServerConfig(max_send_header_block_length=200)) as (peer, session):
        told = Told(session)
        stream_id = await peer.request()
        await peer.expect_headers(stream_id=stream_id)
        assert await peer.collect_body(stream_id) == b"fine"
        assert await told.all() == [FrameError(PUSH_PROMISE, ErrorCode.INTERNAL_ERROR, None)]


@pytest.mark.parity("B4", "D3", "H5")
async def test_trailers_of_a_request_that_are_too_large(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(max_send_header_block_length=100)) as (session, peer):
        told = Told(session)
        async with session.request("POST", end_stream=False) as stream:
            await peer.expect_headers()
            with pytest.raises(StreamResetError, match="max_send_header_block_length is 100"):
                await stream.send_trailers(LARGE)
            for operation in stream.receive_response, stream.receive_some, stream.send_eof, stream.wait_closed:
                with pytest.raises(StreamResetError, match="max_send_header_block_length is 100"):
                    await operation()
        await peer.expect_rst(1, ErrorCode.INTERNAL_ERROR)
        assert await told.all() == [FrameError(HEADERS, ErrorCode.INTERNAL_ERROR, 1)]
        await session.open_stream("GET")
        await peer.expect_headers(stream_id=3)


@pytest.mark.parity("B4", "C1", "H5")
async def test_a_request_that_is_too_large_has_no_stream(autojump_clock: object) -> None:
    async with connected(config=ClientConfig(max_send_header_block_length=100)) as (session, peer):
        told = Told(session)
        request = session.request("GET", headers=LARGE)
        with pytest.raises(LocalProtocolError, match=r"has \d+ bytes, max_send_header_block_length is 100"):
            async with request:
                raise AssertionError("the block was entered")
        assert request.pending
        assert await told.all() == [FrameError(HEADERS, ErrorCode.INTERNAL_ERROR, None)]
        await peer.expect_nothing()
        await session.open_stream("GET")
        await peer.expect_headers(stream_id=1)


@pytest.mark.parity("B4", "H5")
async def test_fields_that_only_the_peer_refuses_are_no_frame_error(autojump_clock: object) -> None:
    """MAX_HEADER_LIST_SIZE is advice (RFC 9113 §6.5.2): the call raises, the stream may try something smaller."""

    async def handler(stream: ServerStream) -> None:
        with pytest.raises(LocalProtocolError, match="at most 200"):
            await stream.respond(LARGE)
        await stream.respond(body=b"smaller")

    async with served(handler, settings={6: 200}) as (peer, session):
        told = Told(session)
        await peer.request()
        await peer.expect_headers()
        assert await peer.collect_body(1) == b"smaller"
        assert await told.all() == []


@pytest.mark.parity("B4", "D3", "H5")
async def test_trailers_that_grow_while_they_wait_behind_a_body(autojump_clock: object) -> None:
    """When they are accepted, the HPACK table has them; before they are encoded, the peer empties it."""
    config = ClientConfig(max_send_header_block_length=200)
    one, two = {"x-one": "a" * 200}, {"x-two": "a" * 200}
    async with connected(config=config) as (session, peer):
        told = Told(session)
        first = await session.open_stream("GET", headers=one)
        await peer.expect_headers(stream_id=first.id)
        async with session.request("POST", headers=two, body=bytes(65_545), end_stream=False) as stream:
            await peer.expect_headers(stream_id=stream.id)
            await stream.send_trailers({**one, **two})
            received = 0
            while received < 65_535:
                received += len((await peer.expect_data(stream.id)).data)
            await peer.send_settings({1: 0})
            await peer.send_window_update(stream.id, 10)
            await peer.send_window_update(0, 10)
            await peer.expect_data(stream.id, bytes(10), end_stream=False)
            await peer.expect_rst(stream.id, ErrorCode.INTERNAL_ERROR)
            with pytest.raises(StreamResetError, match="max_send_header_block_length is 200"):
                await stream.receive_response()
        assert (await told.all())[1:] == [FrameError(HEADERS, ErrorCode.INTERNAL_ERROR, stream.id)]
        await peer.respond(first.id, body=b"untouched")
        assert await first.receive_some() == b"untouched"
        assert session.statistics().queued_body == 0


@pytest.mark.parity("B4", "B16", "K1")
@both_roles
async def test_more_settings_than_a_frame_holds(role: Role, autojump_clock: object) -> None:
    """What belongs to no stream is measured at the call: nothing is told, nothing is sent."""
    many = Settings(custom={number: 1 for number in range(0x1000, 0x1000 + 2731)})
    fitting = Settings(custom={number: 1 for number in range(0x1000, 0x1000 + 2730)})
    async with session_of(role) as (session, peer):
        told = Told(session)
        with pytest.raises(ValueError, match="at most 2730 settings, not 2731"):
            await session.update_settings(many)
        assert not session.pending_settings_ack
        await peer.expect_nothing()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.update_settings, fitting)
            await peer.until(SettingsFrame, ack=False)
        await peer.ping()
        assert [type(event).__name__ for event in await told.all()] == ["LocalSettingsAcknowledged", "PingReceived"]


@pytest.mark.parity("B4", "B15", "K1")
@both_roles
async def test_debug_data_that_no_longer_fits(role: Role, autojump_clock: object) -> None:
    """The peer accepts smaller frames by the time that GOAWAY's turn has come."""
    wall = Wrapped(StallableStream)

    async def late(session: Session) -> None:
        with pytest.raises(ValueError, match="19992 bytes, the peer accepts at most 16376"):
            await session.goaway(debug_data=bytes(19_992))

    async with session_of(role, settings={5: 20_000}, wrap=wall, max_queued_control=1) as (session, peer):
        with pytest.raises(ValueError, match="19993 bytes, the peer accepts at most 19992"):
            await session.goaway(debug_data=bytes(19_993))
        wall.stream.stall_send()
        for payload in b"under way", b"in the queue":
            await peer.send_ping(payload[:8])
            await settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(late, session)
            await settle()
            await peer.send_settings({5: 16_384})
            await settle()
            wall.stream.resume_send()
        await peer.until(SettingsFrame, ack=True)
        await peer.expect_nothing()
