"""What a handler raises fails its test, beside being logged; the end of its own stream does not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import trio_h2
from trio_h2.testing import scripted_client, session_pair
from trio_h2.testing._handler_watch import HandlerWatch
from trio_h2.testing._sweep import _task_order

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2 import ServerStream
    from trio_h2.compat import Request, Response


class OurBugError(Exception):
    pass


async def raises(stream: ServerStream) -> None:
    raise OurBugError(stream.path)


async def forgets(stream: ServerStream) -> None:
    pass


async def test_what_a_handler_raises_leaves_the_block_as_it_is(autojump_clock: MockClock) -> None:
    with pytest.raises(OurBugError, match="/one") as caught:
        async with session_pair(raises) as (client, _), client.request("GET", "/one") as stream:
            assert (await stream.receive_response()).status == 500
    assert caught.value.__context__ is None


async def test_what_the_client_saw_of_it_is_the_context(autojump_clock: MockClock) -> None:
    with pytest.raises(OurBugError) as caught:
        async with session_pair(raises) as (client, _), client.request("GET") as stream:
            assert (await stream.receive_response()).status == 200
    assert isinstance(caught.value.__context__, AssertionError), "not in a group"


async def test_a_block_that_is_cancelled_raises_it_too(autojump_clock: MockClock) -> None:
    with pytest.raises(OurBugError), trio.move_on_after(5):
        async with session_pair(raises) as (client, _), client.request("GET"):
            await trio.sleep_forever()


async def test_several_come_in_a_group(autojump_clock: MockClock) -> None:
    with pytest.raises(ExceptionGroup, match="handlers raised") as caught:
        async with session_pair(raises) as (client, _):
            for path in ("/one", "/two"):
                async with client.request("GET", path) as stream:
                    await stream.receive_response()
    assert [error.args for error in caught.value.exceptions] == [("/one",), ("/two",)]


async def test_a_handler_that_is_what_the_test_is_about(autojump_clock: MockClock) -> None:
    async with session_pair(raises, raise_handler_errors=False) as (client, _), client.request("GET") as stream:
        assert (await stream.receive_response()).status == 500


async def test_a_handler_that_returns_without_a_response(autojump_clock: MockClock) -> None:
    with pytest.raises(AssertionError, match="the handler of POST /forms returned without a response"):
        async with session_pair(forgets) as (client, _), client.request("POST", "/forms") as stream:
            assert (await stream.receive_response()).status == 500
    async with session_pair(forgets, raise_handler_errors=False) as (client, _), client.request("GET") as stream:
        assert (await stream.receive_response()).status == 500


async def test_a_handler_whose_client_has_left_is_no_mistake(autojump_clock: MockClock) -> None:
    """Neither when it hears of that, nor when it returns without a response."""
    heard: list[object] = []

    async def handler(stream: ServerStream) -> None:
        if stream.path == "/silent":
            with contextlib.suppress(trio_h2.StreamResetError):
                await stream.wait_closed()
            heard.append(None)
            return
        try:
            await stream.receive_some()
        except trio_h2.StreamResetError as exc:
            heard.append(exc)
            raise

    async with scripted_client(handler, cancel_handler_on_reset=False) as (peer, _):
        for path in ("/", "/silent"):
            stream_id = await peer.request("POST", path, end_stream=False)
            await peer.ping()
            await peer.send_rst(stream_id, trio_h2.ErrorCode.CANCEL)
            await peer.ping()
    assert [type(error) for error in heard] == [trio_h2.StreamResetError, type(None)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("leaves_by", ["reset", "block", "session"])
async def test_a_client_that_leaves_at_that_moment(leaves_by: str, seed: int, autojump_clock: MockClock) -> None:
    """The handler returns without a response when its client has left, and the news has not arrived yet."""
    _task_order().seed(seed)
    began, left = trio.Event(), trio.Event()

    async def handler(stream: ServerStream) -> None:
        began.set()
        await left.wait()

    async with session_pair(handler, cancel_handler_on_reset=False) as (client, _):
        async with client.request("POST") as stream:
            await began.wait()
            if leaves_by == "reset":
                stream.reset()
                left.set()
                await trio.testing.wait_all_tasks_blocked()
        if leaves_by == "session":
            await client.aclose()
        left.set()


@pytest.mark.parametrize("seed", range(4))
async def test_a_client_that_leaves_later_was_owed_a_response(seed: int, autojump_clock: MockClock) -> None:
    _task_order().seed(seed)

    with pytest.raises(AssertionError, match="returned without a response"):
        async with session_pair(forgets) as (client, _), client.request("POST"):
            await trio.sleep(0.1)


async def test_a_test_with_a_task_that_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """It only takes longer: on Trio's clock, here the real one."""
    monkeypatch.setattr("trio_h2.testing._handler_watch._MAX_WAIT", 0.05)

    async def restless() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(restless)
        with pytest.raises(AssertionError, match="returned without a response"):
            async with session_pair(forgets) as (client, _), client.request("GET") as stream:
                assert (await stream.receive_response()).status == 500
        nursery.cancel_scope.cancel()


async def test_a_nursery_of_a_handler_whose_client_has_left(autojump_clock: MockClock) -> None:
    """A group counts as what is in it: only what tells more than the end of the stream is left of it."""

    async def reads(stream: ServerStream) -> None:
        await stream.receive_some()

    async def handler(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads, stream)
            if stream.path == "/bug":
                with contextlib.suppress(trio_h2.StreamResetError):
                    await stream.wait_closed()
                raise OurBugError

    async def leave(path: str) -> None:
        async with scripted_client(handler, cancel_handler_on_reset=False) as (peer, _):
            stream_id = await peer.request("POST", path, end_stream=False)
            await peer.ping()
            await peer.send_rst(stream_id, trio_h2.ErrorCode.CANCEL)
            await peer.ping()

    await leave("/")
    with pytest.RaisesGroup(OurBugError):
        await leave("/bug")


async def test_a_mistake_while_the_handler_is_cancelled(autojump_clock: MockClock) -> None:
    """Its nursery raises a group of Cancelled and the mistake."""

    async def cleans_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OurBugError

    async def handler(stream: ServerStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cleans_up)
            await trio.sleep_forever()

    with pytest.RaisesGroup(OurBugError):
        async with session_pair(handler) as (client, _), client.request("GET"):
            await trio.testing.wait_all_tasks_blocked()


async def test_a_failure_of_another_session_is_a_mistake(autojump_clock: MockClock) -> None:
    """A gateway that does not catch what becomes of its backend answers 500: its own stream is not over."""

    async def gateway(stream: ServerStream) -> None:
        raise trio_h2.TransportLostError("the backend is gone")

    with pytest.raises(trio_h2.TransportLostError, match="backend"):
        async with session_pair(gateway) as (client, _), client.request("GET") as stream:
            assert (await stream.receive_response()).status == 500


async def test_a_wrong_use_after_the_end_of_the_stream_is_a_mistake(autojump_clock: MockClock) -> None:
    async def twice(stream: ServerStream) -> None:
        await stream.respond(body=b"x")
        await stream.wait_closed()
        raise OurBugError

    with pytest.raises(OurBugError):
        async with session_pair(twice) as (client, _), client.request("GET") as stream:
            assert await stream.receive_some() == b"x"


async def test_a_body_that_is_refused_is_the_clients_mistake(autojump_clock: MockClock) -> None:
    async def app(stream: ServerStream) -> None:
        await stream.respond(body=await stream.read(max_size=3))

    async with session_pair(app) as (client, _), client.request("POST", body=b"four") as stream:
        assert (await stream.receive_response()).status == 413

    async def gateway(stream: ServerStream) -> None:
        async with session_pair(app) as (backend, _), backend.request("POST", body=b"abc") as other:
            await stream.respond(body=await other.read(max_size=2))

    with pytest.raises(trio_h2.BodyTooLargeError):
        async with session_pair(gateway) as (client, _), client.request("GET") as stream:
            assert (await stream.receive_response()).status == 500


async def test_handlers_keep_their_names_and_hooks(autojump_clock: MockClock) -> None:
    """One is told of requests that it does not see; one that takes two arguments is refused with the hint."""

    async def app(request: Request, response: Response) -> None:
        await response.end(b"x")

    class Handler:
        """A handler that is told of requests that it does not see."""

        def __init__(self) -> None:
            self._check = self.errors = None  # no business of the one who watches
            self.refused: list[trio_h2.RefusedRequest] = []

        def request_refused(self, refused: trio_h2.RefusedRequest) -> None:
            self.refused.append(refused)

        async def __call__(self, stream: ServerStream) -> None:
            raise AssertionError

    handler = Handler()
    async with scripted_client(handler) as (peer, _):
        await peer.send_headers(1, {":method": "GET"}, end_stream=True)
        await peer.expect_rst(1)
    assert [one.method for one in handler.refused] == ["GET"]
    assert HandlerWatch(raises, raise_errors=True).__name__ == "raises"  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="request_handler"):
        session_pair(app)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="handler must be an async function, not None"):
        session_pair(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="raise_handler_errors"):
        session_pair(raises, raise_handler_errors="no")  # type: ignore[arg-type]
