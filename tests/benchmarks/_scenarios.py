"""What is measured in memory: requests and DATA frames, in both roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

import trio_h2
from tests.benchmarks import _recorded
from tests.benchmarks._scripted import (
    DownloadingClient,
    Meter,
    RequestingClient,
    RespondingServer,
    SendingServer,
    TakingServer,
    UploadingClient,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Handler = Callable[[trio_h2.ServerStream], Awaitable[None]]

# Everything takes fifty times as long under valgrind, which must not trigger a timeout.
SERVER_CONFIG = trio_h2.ServerConfig(handshake_timeout=1e5, settings_timeout=1e5, ping_interval=1e5, idle_timeout=1e5)
CLIENT_CONFIG = trio_h2.ClientConfig(handshake_timeout=1e5, settings_timeout=1e5, ping_interval=1e5)
PIECE = 65_536
"""Bytes of a body passed to one `send_all`."""


@dataclass(frozen=True)
class Scenario:
    """One kind of load, measured per request or per DATA frame."""

    role: str
    """`server` or `client` for a session, `Client` for what one hands URLs to."""
    unit: str
    """`request`, or `download` or `upload` for a frame of one."""
    header_set: str = "small"
    concurrency: int = 1

    @property
    def name(self) -> str:
        """The name in the results."""
        if self.unit == "request":
            return f"{self.role}, {self.header_set}, {self.concurrency} at once"
        return f"{self.role}, {self.unit}"

    @property
    def available(self) -> bool:
        """Whether the version of trio_h2 that is measured has what it needs."""
        return self.role != "Client" or hasattr(trio_h2, "Client")

    def run(self, warm: int, count: int, recorded: int = 0) -> dict[str, float]:
        """Runs the scenario.

        Args:
            warm: Units that are not measured, at the beginning.
            count: Units that are measured.
            recorded: Requests whose frames are prepared, if that is more than the run needs; the same number for two
                runs makes their preparation cost the same.

        Returns:
            The CPU time of one unit in µs, and the number of transport writes per unit.
        """
        meter = Meter(warm, count)
        writes = trio.run(_RUNNERS[self.role, self.unit], self, meter, recorded)
        return {"us": meter.microseconds, "writes": writes / meter.total}


REQUESTS = [
    Scenario(role, "request", header_set, concurrency)
    for role in ("server", "client", "Client")
    for header_set in _recorded.SETS
    for concurrency in (1, 10, 100)
]
FRAMES = [Scenario(role, unit) for unit in ("download", "upload") for role in ("server", "client")]
BY_NAME = {scenario.name: scenario for scenario in REQUESTS + FRAMES}


def responder(header_set: str) -> Handler:
    """Returns a handler that answers with a response of this kind."""
    number = 0

    async def handler(stream: trio_h2.ServerStream) -> None:
        nonlocal number
        number += 1
        await stream.respond(_recorded.sent_response(header_set, number), body=_recorded.BODY)

    return handler


async def _serve_requests(scenario: Scenario, meter: Meter, recorded: int) -> int:
    requests = _recorded.requests(scenario.header_set, max(recorded, meter.total))[: meter.total]
    peer = RequestingClient(iter(requests), scenario.concurrency, meter)
    await trio_h2.serve_stream(responder(scenario.header_set), peer, config=SERVER_CONFIG)
    return peer.writes


async def _send_requests(scenario: Scenario, meter: Meter, recorded: int) -> int:
    blocks = _recorded.responses(scenario.header_set, max(recorded, meter.total))
    peer = RespondingServer(iter(blocks), meter)
    numbers = iter(range(meter.total))
    writes = 0
    async with trio_h2.connect("https://www.example.com", transport=peer, config=CLIENT_CONFIG) as session:
        async with trio.open_nursery() as nursery:
            for _ in range(scenario.concurrency):
                nursery.start_soon(_request_all, session, scenario.header_set, numbers)
        writes = peer.writes
    return writes


async def _request_all(session: trio_h2.ClientSession, header_set: str, numbers: Iterator[int]) -> None:
    fields = _recorded.sent_request(header_set)
    for number in numbers:
        async with session.request("GET", _recorded.path(header_set, number), headers=fields) as stream:
            await stream.receive_response()
            body = b"".join([chunk async for chunk in stream])
            assert body == _recorded.BODY


async def _ask_by_url(scenario: Scenario, meter: Meter, recorded: int) -> int:
    """The same fields as on a bare session, so that only what `Client` itself does comes on top."""
    blocks = _recorded.responses(scenario.header_set, max(recorded, meter.total))
    peer = RespondingServer(iter(blocks), meter)
    numbers = iter(range(meter.total))

    async def dial(_origin: str) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return peer

    async with trio_h2.Client(
        transport=dial, prior_knowledge=True, default_headers=False, config=CLIENT_CONFIG
    ) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(scenario.concurrency):
                nursery.start_soon(_ask_all, client, scenario.header_set, numbers)
        return peer.writes


async def _ask_all(client: trio_h2.Client, header_set: str, numbers: Iterator[int]) -> None:
    fields = _recorded.sent_request(header_set)
    for number in numbers:
        url = f"http://www.example.com{_recorded.path(header_set, number)}"
        async with client.request("GET", url, headers=fields) as response:
            body = b"".join([chunk async for chunk in response])
            assert body == _recorded.BODY


async def _serve_download(scenario: Scenario, meter: Meter, recorded: int) -> int:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await stream.respond({":status": 200}, end_stream=False)
        await _send(stream, meter.total)

    peer = DownloadingClient(_recorded.requests("small", 1)[0], meter)
    await trio_h2.serve_stream(handler, peer, config=SERVER_CONFIG)
    return peer.writes


async def _upload(scenario: Scenario, meter: Meter, recorded: int) -> int:
    peer = TakingServer(b"\x88", meter)
    async with (
        trio_h2.connect("https://www.example.com", transport=peer, config=CLIENT_CONFIG) as session,
        session.request("POST", "/", end_stream=False) as stream,
    ):
        await _send(stream, meter.total)
        await stream.receive_response()
    return peer.writes


async def _send(stream: trio_h2.ServerStream | trio_h2.ClientStream, frames: int) -> None:
    body = bytes(PIECE)
    for left in range(frames * _recorded.FRAME, 0, -PIECE):
        await stream.send_all(body[:left])
    await stream.send_eof()


async def _serve_upload(scenario: Scenario, meter: Meter, recorded: int) -> int:
    async def handler(stream: trio_h2.ServerStream) -> None:
        await _receive(stream, meter)
        await stream.respond({":status": 200})

    request = _recorded.requests("small", 1, flags=_recorded.END_HEADERS, method="POST")[0]
    peer = UploadingClient(request, meter.total)
    await trio_h2.serve_stream(handler, peer, config=SERVER_CONFIG)
    return peer.writes


async def _download(scenario: Scenario, meter: Meter, recorded: int) -> int:
    peer = SendingServer(b"\x88", meter.total)
    async with (
        trio_h2.connect("https://www.example.com", transport=peer, config=CLIENT_CONFIG) as session,
        session.request("GET", "/") as stream,
    ):
        await stream.receive_response()
        await _receive(stream, meter)
    return peer.writes


async def _receive(stream: trio_h2.ServerStream | trio_h2.ClientStream, meter: Meter) -> None:
    received = 0
    async for chunk in stream:
        received += len(chunk)
        meter.reached(received // _recorded.FRAME)
    assert received == meter.total * _recorded.FRAME


_RUNNERS = {
    ("server", "request"): _serve_requests,
    ("client", "request"): _send_requests,
    ("Client", "request"): _ask_by_url,
    ("server", "download"): _serve_download,
    ("client", "download"): _download,
    ("server", "upload"): _serve_upload,
    ("client", "upload"): _upload,
}
