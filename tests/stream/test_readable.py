"""`Stream.readable` and `Stream.body_ended`: what `receive_some` would do, without doing it."""

from __future__ import annotations

import pytest
import trio

import trio_h2
from tests.session.scripted import connected, settle


async def test_a_body_in_two_pieces(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        await peer.respond(stream.id, end_stream=False)
        await stream.receive_response()
        assert (stream.readable, stream.body_ended) == (False, False)
        await peer.send_data(stream.id, b"some")
        await settle()
        assert (stream.readable, stream.body_ended) == (True, False)
        assert await stream.receive_some(3) == b"som"
        assert (stream.readable, stream.body_ended) == (True, False)
        assert await stream.receive_some() == b"e"
        assert (stream.readable, stream.body_ended) == (False, False)
        await peer.send_data(stream.id, b"more", end_stream=True)
        await settle()
        assert (stream.readable, stream.body_ended) == (True, False)
        assert await stream.receive_some() == b"more"
        assert (stream.readable, stream.body_ended) == (True, True)
        assert await stream.receive_some() == b""
        assert (stream.readable, stream.body_ended) == (True, True)


async def test_no_body(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        assert (stream.readable, stream.body_ended) == (False, False)
        await peer.respond(stream.id, 204)
        await stream.receive_response()
        assert (stream.readable, stream.body_ended) == (True, True)


async def test_a_reset_is_read_but_is_no_end(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        await peer.respond(stream.id, end_stream=False)
        await peer.send_data(stream.id, b"some")
        await peer.send_rst(stream.id, trio_h2.ErrorCode.INTERNAL_ERROR)
        await settle()
        assert (stream.readable, stream.body_ended) == (True, False)
        assert await stream.receive_some() == b"some"
        assert (stream.readable, stream.body_ended) == (True, False)
        with pytest.raises(trio_h2.StreamResetError):
            await stream.receive_some()


async def test_a_closed_stream(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        await peer.respond(stream.id, end_stream=False)
        await stream.receive_response()
        stream.destroy()
        assert (stream.readable, stream.body_ended) == (True, False)
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()


async def test_what_a_cancelled_read_has_left(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        await peer.respond(stream.id, end_stream=False)
        await peer.send_data(stream.id, b"some")
        with trio.move_on_after(1):
            await stream.read()
        assert (stream.readable, stream.body_ended) == (True, False)
        await peer.send_data(stream.id, b"", end_stream=True)
        await settle()
        assert (stream.readable, stream.body_ended) == (True, False)
        assert await stream.receive_some() == b"some"
        assert stream.body_ended


async def test_receiving_without_waiting(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        with pytest.raises(trio.WouldBlock):
            stream.receive_some_nowait()
        await peer.respond(stream.id, end_stream=False)
        await peer.send_data(stream.id, b"some")
        await peer.send_data(stream.id, b"more")
        await settle()
        assert stream.receive_some_nowait(3) == b"som"
        assert stream.receive_some_nowait() == b"emore"
        with pytest.raises(trio.WouldBlock):
            stream.receive_some_nowait()
        with pytest.raises(ValueError, match="max_bytes"):
            stream.receive_some_nowait(0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_some)
            await settle()
            with pytest.raises(trio.BusyResourceError):
                stream.receive_some_nowait()
            await peer.send_data(stream.id, b"end", end_stream=True)
        assert stream.receive_some_nowait() == b""
        ledger = session.statistics().ledger
        assert (ledger.received, ledger.taken, ledger.held) == (11, 11, 0)
        stream.destroy()
        with pytest.raises(trio.ClosedResourceError):
            stream.receive_some_nowait()


async def test_without_waiting_a_reset_comes_after_what_was_received(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        await peer.respond(stream.id, end_stream=False)
        await peer.send_data(stream.id, b"some")
        await peer.send_rst(stream.id, trio_h2.ErrorCode.INTERNAL_ERROR)
        await settle()
        assert stream.receive_some_nowait() == b"some"
        with pytest.raises(trio_h2.StreamResetError):
            stream.receive_some_nowait()


async def test_without_waiting_after_a_read_that_was_cancelled(autojump_clock: object) -> None:
    async with connected() as (session, peer), session.request() as stream:
        await peer.respond(stream.id, end_stream=False)
        await peer.send_data(stream.id, b"some")
        with trio.move_on_after(1):
            await stream.read()
        assert stream.receive_some_nowait(1) == b"s"
        assert stream.receive_some_nowait() == b"ome"
        with pytest.raises(trio.WouldBlock):
            stream.receive_some_nowait()
