"""The same requests to the same ASGI application here, on hypercorn and on anycorn: the answers are the same, but for
the differences of `tests.interop.differential.known`.
"""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest
import trio

from tests.interop.differential.asking import Told, ask, ask_fields, ask_noting, ask_websocket, ask_written, leave
from tests.interop.differential.cases import CASES, FIELDS, WRITTEN
from tests.interop.differential.known import ALL, KNOWN
from tests.interop.differential.servers import OURS, PEERS, Servers, running
from tests.interop.differential.websockets import TALKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.differential.cases import Case, Fields2, Written
    from tests.interop.differential.websockets import Talk
    from tests.interop.processes import PeerFinder

    Ports: TypeAlias = dict[str, int]

every_version = pytest.mark.parametrize("version", ["1.1", "2"])


@pytest.fixture(scope="module")
def servers(peers: PeerFinder) -> Iterator[Servers]:
    for name in PEERS:
        if importlib.util.find_spec(name) is None:
            peers.missing(f"the library {name} is not installed")
    with running() as found:
        yield found


async def ask_all(ports: Ports, ask_one: Callable[[int], Told]) -> dict[str, Told]:
    """Asks all servers at once."""
    answers: dict[str, Told] = {}

    async def one(who: str, port: int) -> None:
        answers[who] = await trio.to_thread.run_sync(ask_one, port)

    async with trio.open_nursery() as nursery:
        for who, port in ports.items():
            nursery.start_soon(one, who, port)
    return answers


async def check(servers: Servers, ask_one: Callable[[int], Told], judge: Callable[[dict[str, Told]], None]) -> None:
    """Asks all servers, and judges their answers.

    One of the others may be dying of what it was asked before: then all are asked once more.
    """
    ports = servers.ports()
    starts = servers.starts
    try:
        judge(await ask_all(ports, ask_one))
    except Exception:
        await trio.sleep(0.5)  # it has stopped listening by then
        ports = servers.ports()
        if servers.starts == starts:
            raise
        judge(await ask_all(ports, ask_one))


def compare(answers: dict[str, Told], *, name: str, version: str) -> None:
    """Fails if the answers differ in a way that nobody has explained."""
    ours = answers.pop(OURS)
    known = [one for one in KNOWN if name in one.names and version in one.versions]
    for difference in known:
        assert {key: ours.get(key) for key in difference.ours} == difference.ours, difference.why
    for peer, theirs in answers.items():
        may = frozenset[str]().union(*(one.fields for one in known if peer in one.peers))
        if not may >= ALL:
            keys = (ours.keys() | theirs.keys()) - may
            wrong = {key: (ours.get(key), theirs.get(key)) for key in keys if ours.get(key) != theirs.get(key)}
            assert wrong == {}, f"ours, and {peer}'s"


async def test_every_known_difference_is_one_of_a_case() -> None:
    names = {one.name for group in (CASES, WRITTEN, FIELDS, TALKS) for one in group}
    assert [name for one in KNOWN for name in one.names if name not in names] == []


@pytest.mark.parametrize(
    ("case", "version"),
    [pytest.param(case, version, id=f"{case.name}-{version}") for case in CASES for version in case.versions],
)
async def test_a_request(servers: Servers, case: Case, version: str) -> None:
    await check(servers, partial(ask, version=version, case=case), partial(compare, name=case.name, version=version))


@pytest.mark.parametrize("one", WRITTEN, ids=lambda one: str(one.name))
async def test_a_request_as_it_is_written(servers: Servers, one: Written) -> None:
    await check(servers, partial(ask_written, one=one), partial(compare, name=one.name, version="1.1"))


@pytest.mark.parametrize("one", FIELDS, ids=lambda one: str(one.name))
async def test_a_request_of_fields(servers: Servers, one: Fields2) -> None:
    await check(servers, partial(ask_fields, one=one), partial(compare, name=one.name, version="2"))


@pytest.mark.parametrize(
    ("one", "version"),
    [pytest.param(one, version, id=f"{one.name}-{version}") for one in TALKS for version in one.versions],
)
async def test_a_websocket(servers: Servers, one: Talk, version: str) -> None:
    await check(
        servers, partial(ask_websocket, version=version, one=one), partial(compare, name=one.name, version=version)
    )


@every_version
async def test_a_body_after_the_end_of_a_response(servers: Servers, version: str) -> None:
    """ASGI: "any further messages on the channel will be ignored"; the others raise."""

    def judge(answers: dict[str, Told]) -> None:
        noted = {who: answer.pop("application") for who, answer in answers.items()}
        assert noted == {OURS: ["ignored"], **{peer: ["raised UnexpectedMessageError"] for peer in PEERS}}
        compare(answers, name="twice", version=version)

    await check(servers, partial(ask_noting, version=version, do="twice"), judge)


@every_version
async def test_receive_after_the_response(servers: Servers, version: str) -> None:
    def judge(answers: dict[str, Told]) -> None:
        noted = {who: answer.pop("application") for who, answer in answers.items()}
        assert noted == {who: ["http.disconnect"] for who in (OURS, *PEERS)}
        compare(answers, name="after_the_end", version=version)

    await check(servers, partial(ask_noting, version=version, do="after_the_end"), judge)


@every_version
async def test_a_client_that_leaves(servers: Servers, version: str) -> None:
    """Ours cancels the application, which may have been told by then; the others only tell it."""

    def judge(left: dict[str, Told]) -> None:
        assert left.pop(OURS)["noted"] in (["cancelled by Cancelled"], ["http.disconnect"])
        assert left == {peer: {"noted": ["http.disconnect"]} for peer in PEERS}

    await check(servers, lambda port: {"noted": leave(port, version, "leaves")}, judge)
