"""Every rule about errors, as both sides of a session see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import connected, settle
from trio_h2 import (
    ErrorCode,
    GoAwayError,
    Initiator,
    RemoteProtocolError,
    Role,
    SessionError,
    StreamError,
    StreamRefusedError,
    StreamResetError,
)

if TYPE_CHECKING:
    from trio_h2 import Stream


@pytest.mark.parity("K4")
@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (ErrorCode.ENHANCE_YOUR_CALM, StreamResetError, False),
        (ErrorCode.REFUSED_STREAM, StreamRefusedError, True),
        (0x4711, StreamResetError, False),
    ],
)
async def test_the_error_of_a_stream_says_who_and_why(
    code: int, kind: type[StreamError], retryable: bool, autojump_clock: object
) -> None:
    async with connected() as (session, peer):
        async with session.request("GET") as stream:
            await peer.expect_headers(1)
            await peer.send_rst(1, code)
            with pytest.raises(kind) as caught:
                await stream.receive_response()
        error = caught.value
        assert type(error) is kind
        assert (error.code, error.stream_id, error.initiator) == (code, 1, Initiator.REMOTE)
        assert error.retryable is retryable
        async with session.request("GET") as stream:  # a rule that the server breaks ends this stream only
            await peer.expect_headers(3)
            await peer.send_headers(3, {":status": "200", "Bad": "name"})
            with pytest.raises(StreamResetError) as refused:
                await stream.receive_response()
        assert (refused.value.code, refused.value.stream_id) == (ErrorCode.PROTOCOL_ERROR, 3)
        assert refused.value.initiator is Initiator.LIBRARY
        assert not session.closed


@pytest.mark.parity("K4")
@both_roles
async def test_the_error_of_a_session_says_who_and_why(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer):
        await peer.send_data(0, b"")
        await peer.expect_connection_error(ErrorCode.PROTOCOL_ERROR)
        with pytest.raises(RemoteProtocolError) as caught:
            await session.wait_closed()
        error = caught.value
        assert (error.code, error.stream_id, error.initiator) == (ErrorCode.PROTOCOL_ERROR, None, Initiator.LIBRARY)
    async with session_of(role) as (session, peer):
        await peer.send_goaway(0, 0x4711, b"because")
        await peer.aclose()
        with pytest.raises(GoAwayError, match="because") as told:
            await session.wait_closed()
        assert (told.value.code, told.value.debug_data) == (0x4711, b"because")
        assert told.value.initiator is Initiator.REMOTE


@pytest.mark.parity("K5")
@pytest.mark.parametrize("how", ["stream", "session", "close"])
async def test_generic_code_for_trio_streams_knows_the_errors(how: str, autojump_clock: object) -> None:
    async def pump(stream: trio.abc.Stream) -> type[Exception]:
        """Knows nothing of HTTP/2."""
        try:
            while await stream.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            return type(exc)
        raise AssertionError("there was no end")

    kinds: list[type[Exception]] = []
    async with connected() as (session, peer), trio.open_nursery() as nursery:

        async def run(stream: Stream) -> None:
            kinds.append(await pump(stream))

        stream = await session.open_stream("POST", end_stream=False)
        await peer.respond(1, end_stream=False)
        nursery.start_soon(run, stream)
        await settle()
        if how == "stream":
            await peer.send_rst(1)
        elif how == "session":
            await peer.send_goaway(1, ErrorCode.INTERNAL_ERROR)
            await peer.aclose()
        else:
            await stream.aclose()
        await settle()
        (kind,) = kinds
        if how == "close":
            assert kind is trio.ClosedResourceError
        else:
            assert issubclass(kind, StreamError if how == "stream" else SessionError)
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")
