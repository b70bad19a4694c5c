"""`Session.destroy` and `Session.goaway`: saying GOAWAY with and without an end (RFC 9113 §6.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.session.ends import both_roles, session_of
from tests.session.scripted import Wrapped, connected, served, settle
from trio_h2 import ClientConfig, ErrorCode, LocalProtocolError, Role, ServerStream
from trio_h2.testing import GoAwayFrame, StallableStream

_OOPS = RuntimeError("oops")

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


# -- destroy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B14")
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, None, ErrorCode.NO_ERROR),
        (_OOPS, None, ErrorCode.INTERNAL_ERROR),
        (_OOPS, ErrorCode.CONNECT_ERROR, ErrorCode.CONNECT_ERROR),
        (_OOPS, 0, ErrorCode.NO_ERROR),
        (None, 0x4711, 0x4711),
    ],
)
@both_roles
async def test_goaway_says_the_code(
    role: Role, error: Exception | None, code: int | None, said: int, autojump_clock: object
) -> None:
    async with session_of(role) as (session, peer):
        start = trio.current_time()
        session.destroy(error, code)
        session.destroy(ValueError("too late"), 1)  # idempotent
        assert session.destroyed
        assert session.closed
        await peer.until(GoAwayFrame, code=said)
        await peer.expect_eof()
        if error is None:
            await session.wait_closed()
        else:
            with pytest.raises(trio.ClosedResourceError) as caught:
                await session.wait_closed()
            assert caught.value.__cause__ is error
        with pytest.raises(trio.ClosedResourceError):
            await session.ping()
        assert trio.current_time() == start


@pytest.mark.parity("B14")
async def test_everything_that_waits_gets_the_error(autojump_clock: object) -> None:
    seen: list[str] = []
    async with connected(settings={3: 1}) as (session, peer), trio.open_nursery() as nursery:
        stream = await session.open_stream("POST", end_stream=False)
        await peer.expect_headers(1)

        async def raises(name: str, call: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(trio.ClosedResourceError) as caught:
                await call()
            assert caught.value.__cause__ is _OOPS
            seen.append(name)

        nursery.start_soon(raises, "response", stream.receive_response)
        nursery.start_soon(raises, "body", lambda: stream.send_all(bytes(10_000_000)))
        nursery.start_soon(raises, "slot", lambda: session.open_stream("GET"))
        nursery.start_soon(raises, "ping", session.ping)
        await settle()
        session.destroy(_OOPS)
        await settle()
        assert sorted(seen) == ["body", "ping", "response", "slot"]
        await raises("later", stream.receive_some)
        assert stream.rst_code == ErrorCode.INTERNAL_ERROR
        await peer.pick(GoAwayFrame, code=ErrorCode.INTERNAL_ERROR)


@pytest.mark.parity("B14")
async def test_requests_that_wait_for_an_id_get_the_error(autojump_clock: object) -> None:
    """All of them at once, though no stream ends that would make room, and nothing can be written."""
    wall = Wrapped(StallableStream)
    async with connected(settings={3: 0}, wrap=wall) as (session, peer), trio.open_nursery() as nursery:
        seen: list[BaseException | None] = []

        async def request() -> None:
            with pytest.raises(trio.ClosedResourceError) as caught:
                await session.open_stream("GET")
            seen.append(caught.value.__cause__)

        for _ in range(3):
            nursery.start_soon(request)
        await peer.ping()
        wall.stream.stall_send()
        await session.goaway()  # the write that does not end
        await settle()
        session.destroy(_OOPS)
        await settle()
        assert seen == [_OOPS] * 3
        wall.stream.resume_send()


@pytest.mark.parity("B14")
async def test_handlers_are_cancelled_and_may_destroy(autojump_clock: object) -> None:
    ended: list[int] = []

    async def handler(stream: ServerStream) -> None:
        try:
            if stream.path == "/destroy":
                stream.session.destroy(_OOPS)
            await trio.sleep_forever()
        finally:
            ended.append(stream.id)

    async with served(handler) as (peer, session):
        await peer.request()
        await settle()
        await peer.request(path="/destroy")
        await peer.pick(GoAwayFrame, code=ErrorCode.INTERNAL_ERROR, last_stream_id=3)
        await peer.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await session.wait_closed()
        await settle()
        assert sorted(ended) == [1, 3]


@pytest.mark.parity("B14")
async def test_a_session_that_drains_can_be_destroyed(autojump_clock: object) -> None:
    """Its GOAWAY has said NO_ERROR, which is not true any more."""
    async with connected() as (session, peer):
        await session.open_stream("GET")
        await peer.expect_headers(1)
        session.shutdown()
        await peer.expect_goaway(ErrorCode.NO_ERROR)
        session.destroy(_OOPS)
        await peer.expect_rst(1, ErrorCode.INTERNAL_ERROR)
        await peer.expect_goaway(ErrorCode.INTERNAL_ERROR)
        await peer.expect_eof()


async def test_unread_data_is_credited_when_a_session_is_destroyed(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        await session.open_stream("GET")
        await peer.respond(1, end_stream=False)
        await peer.send_data(1, bytes(5000))
        await settle()
        session.destroy(_OOPS)
        ledger = session.statistics().ledger
        assert (ledger.received, ledger.discarded, ledger.held) == (5000, 5000, 0)


async def test_wrong_arguments_of_destroy(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, _):
        with pytest.raises(TypeError, match="error"):
            session.destroy("oops")  # type: ignore[arg-type]  # that is what is tested
        with pytest.raises(TypeError, match="code"):
            session.destroy(code=True)
        with pytest.raises(ValueError, match="code"):
            session.destroy(code=2**32)
        assert not session.destroyed


# -- goaway ------------------------------------------------------------------------------------------------------------


@pytest.mark.parity("B15")
async def test_goaway_of_a_server_goes_on(autojump_clock: object) -> None:
    go = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await go.wait()
        await stream.respond(body=b"still here")

    async with served(handler) as (peer, session):
        await peer.request()
        await settle()
        await session.goaway(debug_data=b"just saying")
        frame = await peer.expect_goaway(ErrorCode.NO_ERROR, last_stream_id=1)
        assert frame.debug == b"just saying"
        await peer.request()  # above the last id: not processed
        await peer.ping()
        assert not session.closed
        assert session.statistics().running_handlers == 1
        go.set()
        await peer.expect_headers(1, status=200)
        assert await peer.collect_body(1) == b"still here"
        await peer.ping()
        assert not session.closed
        await peer.aclose()


@pytest.mark.parity("B15")
async def test_goaway_of_a_client_goes_on(autojump_clock: object) -> None:
    async with connected() as (session, peer):
        await session.goaway(ErrorCode.ENHANCE_YOUR_CALM, 2**31 - 1, bytearray(b"calm"))
        frame = await peer.expect_goaway(ErrorCode.ENHANCE_YOUR_CALM, last_stream_id=2**31 - 1)
        assert frame.debug == b"calm"
        stream = await session.open_stream("GET")
        await peer.expect_headers(1)
        await peer.respond(1, body=b"fine")
        assert await stream.receive_some() == b"fine"
        assert not session.closed


@pytest.mark.parity("B15")
@both_roles
async def test_wrong_arguments_of_goaway_send_nothing(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer):
        for name, value, error in [
            ("code", "0", TypeError),
            ("code", -1, ValueError),
            ("code", 2**32, ValueError),
            ("last_stream_id", 1.0, TypeError),
            ("last_stream_id", 2**31, ValueError),
            ("debug_data", "text", TypeError),
            ("debug_data", bytes(16_377), ValueError),
        ]:
            with pytest.raises(error, match=name):
                await session.goaway(**{name: value})  # type: ignore[arg-type]  # that is what is tested
        await peer.expect_nothing(1)


@both_roles
async def test_the_last_id_of_goaway_never_grows(role: Role, autojump_clock: object) -> None:
    """RFC 9113 §6.8: "Endpoints MUST NOT increase the value they send in the last stream identifier"."""
    async with session_of(role) as (session, peer):
        for last_id in 6, 6, 0:
            await session.goaway(2**32 - 1, last_stream_id=last_id)
            await peer.expect_goaway(2**32 - 1, last_stream_id=last_id)
        with pytest.raises(LocalProtocolError, match="last_stream_id 1 is higher than the 0 of an earlier GOAWAY"):
            await session.goaway(last_stream_id=1)
        await peer.expect_nothing(1)


async def test_goaway_waits_for_room_and_not_to_tell_what_is_wrong(autojump_clock: object) -> None:
    """A transport that takes nothing, and all that may wait for it does."""
    wall = Wrapped(StallableStream)
    config = ClientConfig(max_queued_control=1000)
    async with connected(wrap=wall, config=config) as (session, _), trio.open_nursery() as nursery:
        await settle()
        wall.stream.stall_send()
        await session.open_stream("GET")  # the write that does not end
        await settle()
        await session.goaway(debug_data=bytes(2000))
        with trio.testing.assert_no_checkpoints(), pytest.raises(ValueError, match="debug_data"):
            await session.goaway(debug_data=bytes(16_377))

        @nursery.start_soon
        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await session.goaway()

        await settle()
        queued = session.statistics().queued_output
        session.destroy()
        with trio.testing.assert_no_checkpoints(), pytest.raises(trio.ClosedResourceError):
            await session.goaway()
        await settle()
        assert queued > 2000


async def test_goaway_is_a_checkpoint_and_raises_when_it_is_over(autojump_clock: object) -> None:
    async with session_of(Role.CLIENT) as (session, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await session.goaway()
        assert scope.cancelled_caught
        await peer.expect_nothing(1)
        with trio.testing.assert_checkpoints():
            await session.goaway()
        session.destroy()
        with pytest.raises(trio.ClosedResourceError):
            await session.goaway()
