"""Instruments that raise, and blocks around handlers: they only look on, whatever they do."""

from __future__ import annotations

import contextlib
import logging
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest
import trio

from tests.http1.client import serving
from tests.trace.recorder import Recorder
from trio_h2 import ClientConfig, Instrument, ServerConfig, ServerStream
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from trio_h2 import Headers
    from trio_h2.instruments import SessionInfo

_METHODS = [name for name in vars(Instrument) if not name.startswith("_") and name != "disabled"]


async def _hello(stream: ServerStream) -> None:
    await stream.respond(body=b"hello")


@pytest.mark.parametrize("name", _METHODS)
async def test_one_that_raises_is_logged_once_and_told_no_more(
    name: str, caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    """Whichever method it is: the session goes on, and so do the other instruments."""
    calls: list[str] = []

    def broken(self: Instrument, *args: object) -> None:
        calls.append(name)
        raise RuntimeError("broken instrument")

    instrument = type("Broken", (Instrument,), {name: broken})()
    others = Recorder(), Recorder()
    client_config = ClientConfig(instruments=[instrument, others[0]])
    server_config = ServerConfig(instruments=[instrument, others[1]])
    async with session_pair(_hello, client_config=client_config, server_config=server_config) as (session, _):
        for _ in range(3):
            async with session.request("GET") as stream:
                assert await stream.receive_some() == b"hello"
        await session.ping()
    for other in others:
        assert other.names[-1] == "session_ended"
        assert [end.how for _, end in other.closed] == ["complete"] * 3
    if name in ("part_sent", "part_received", "stalled", "resumed", "request_failed"):
        assert calls == []
    else:
        assert len(calls) == 1
        assert instrument.disabled
        records = [one for one in caplog.records if one.name == "trio_h2.instruments"]
        assert [one.levelno for one in records] == [logging.ERROR]
        assert records[0].exc_info is not None


async def test_over_http1_too(caplog: pytest.LogCaptureFixture, autojump_clock: object) -> None:
    class Broken(Instrument):
        def part_received(self, *args: object) -> None:
            raise RuntimeError

    instrument = Broken()
    async with serving(_hello, config=ServerConfig(instruments=[instrument])) as served:
        await served.client.request("GET /")
        assert (await served.client.answer()).body == b"hello"
    assert instrument.disabled
    assert len(caplog.records) == 1


_current: ContextVar[str] = ContextVar("_current", default="nobody")


class Around(Instrument):
    """Puts a block around handlers."""

    def __init__(self, name: str, log: list[str]) -> None:
        self._name = name
        self._log = log

    def handling(
        self, session: SessionInfo, stream_id: int, headers: Headers, now: float
    ) -> AbstractContextManager[object]:
        return self._block(f"{self._name} {stream_id} {headers[':path']}")

    @contextlib.contextmanager
    def _block(self, name: str) -> Iterator[None]:
        self._log.append(f"enter {name}")
        token = _current.set(name)
        try:
            yield
        except BaseException as exc:
            self._log.append(f"{type(exc).__name__} {name}")
            raise
        finally:
            _current.reset(token)
            self._log.append(f"leave {name}")


async def test_handlers_run_in_the_blocks_of_instruments(autojump_clock: object) -> None:
    log: list[str] = []

    async def handler(stream: ServerStream) -> None:
        log.append(f"handler of {_current.get()}")
        await stream.respond()

    config = ServerConfig(instruments=[Around("a", log), Around("b", log)])
    async with session_pair(handler, server_config=config) as (session, _), session.request("GET", "/x") as stream:
        await stream.receive_response()
    assert log == [
        "enter a 1 /x",
        "enter b 1 /x",
        "handler of b 1 /x",
        "leave b 1 /x",
        "leave a 1 /x",
    ]


async def test_what_a_handler_raises_passes_through_them(
    autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    class Swallower(Instrument):
        def handling(self, *args: object) -> AbstractContextManager[object]:
            return contextlib.suppress(Exception)

    async def handler(stream: ServerStream) -> None:
        raise ValueError

    config = ServerConfig(instruments=[Swallower(), Around("a", log)])
    async with (
        session_pair(handler, server_config=config, raise_handler_errors=False) as (session, _),
        session.request("GET") as stream,
    ):
        assert (await stream.receive_response()).status == 500
    assert "ValueError a 1 /" in log
    assert "raised" in caplog.text


async def test_a_handler_that_is_cancelled(autojump_clock: object) -> None:
    log: list[str] = []

    async def handler(stream: ServerStream) -> None:
        await trio.sleep_forever()

    config = ServerConfig(instruments=[Around("a", log)])
    async with session_pair(handler, server_config=config) as (session, _):
        async with session.request("GET"):
            await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
    assert "Cancelled a 1 /" in log


async def test_a_block_that_cannot_be_left(autojump_clock: object, caplog: pytest.LogCaptureFixture) -> None:
    class Block:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *args: object) -> None:
            raise OSError

    class Sticky(Instrument):
        def handling(self, *args: object) -> AbstractContextManager[object]:
            return Block()

    instrument = Sticky()
    config = ServerConfig(instruments=[instrument])
    async with session_pair(_hello, server_config=config) as (session, _), session.request("GET") as stream:
        assert await stream.receive_some() == b"hello"
    assert instrument.disabled


@pytest.mark.parametrize("given", [Instrument(), [None], [Instrument], 5])
def test_what_is_no_instrument_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match="instruments must be"):
        ClientConfig().evolve(instruments=given)


def test_any_iterable_is_taken() -> None:
    one = Instrument()
    for given in ([one], (one,), iter([one])):
        config = ServerConfig().evolve(instruments=given)
        assert config.instruments == (one,)
        assert hash(config) == hash(config.evolve())


async def test_a_session_that_was_seen_is_freed(autojump_clock: object, no_collector: None) -> None:
    """Without the garbage collector, as without instruments."""
    recorder = Recorder()
    config = ServerConfig(instruments=[recorder])
    async with session_pair(
        _hello, server_config=config, client_config=ClientConfig(instruments=[Instrument()])
    ) as pair:
        async with pair[0].request("GET") as stream:
            assert await stream.receive_some() == b"hello"
        kept: list[weakref.ref[object]] = [weakref.ref(session) for session in pair]
        kept += [weakref.ref(session._core) for session in pair]
        kept += [weakref.ref(session._core.trace) for session in pair if session._core.trace is not None]
        del pair, stream
    async with serving(_hello, config=config) as served:
        await served.client.request("GET /")
        await served.client.answer()
        assert served.connection._core.trace is not None
        kept.append(weakref.ref(served.connection._core.trace))
        served.exchanges.clear()
    del served
    await trio.testing.wait_all_tasks_blocked()
    assert [one() for one in kept] == [None] * 7


async def test_without_instruments_nothing_of_it_is_made(autojump_clock: object) -> None:
    async with session_pair(_hello) as (session, _):
        core = session._core
        assert core.trace is None
        assert core.tapped is core.below
        assert type(core.writer).__name__ == "Writer"
