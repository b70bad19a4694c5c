"""Our client in the tests against foreign servers: whole exchanges in one call."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

import trio_h2
from tests.interop.bodies import pieces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.interop.conftest import TlsFiles

    PushHandler = Callable[[trio_h2.PushedStream], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response."""

    status: int
    headers: trio_h2.Headers
    body: bytes
    trailers: trio_h2.Headers | None
    informational: list[trio_h2.Headers]
    rst_code: trio_h2.ErrorCode | int | None


async def fetch(
    session: trio_h2.ClientSession,
    path: str,
    *,
    method: str = "GET",
    headers: trio_h2.HeadersInput | None = None,
    body: bytes = b"",
) -> Response:
    """Sends a request and returns its whole response."""
    async with session.request(method, path, headers=headers, body=body) as stream:
        head = await stream.receive_response()
        content = b"".join([chunk async for chunk in stream])
        trailers = await stream.receive_trailers()
        return Response(head.status, head, content, trailers, stream.informational, stream.rst_code)


async def download_sum(session: trio_h2.ClientSession, path: str) -> tuple[int, str]:
    """Returns length and checksum of a response's body, without keeping it."""
    async with session.request("GET", path) as stream:
        assert (await stream.receive_response()).status == 200
        return await receive_sum(stream)


async def receive_sum(stream: trio_h2.ClientStream) -> tuple[int, str]:
    """Returns length and checksum of the rest of a body."""
    digest, length = hashlib.sha256(), 0
    async for chunk in stream:
        digest.update(chunk)
        length += len(chunk)
    return length, digest.hexdigest()


async def echo_sum(session: trio_h2.ClientSession, path: str, length: int) -> tuple[int, str]:
    """Uploads a body of so many bytes while the response is already read; returns that one's length and checksum."""
    async with session.request("POST", path, headers={"content-length": str(length)}, end_stream=False) as stream:

        async def send() -> None:
            for piece in pieces(length):
                await stream.send_all(piece)
            await stream.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            return await receive_sum(stream)


@asynccontextmanager
async def checked_session(
    url: str,
    tls_files: TlsFiles,
    config: trio_h2.ClientConfig | None = None,
    *,
    push_handler: PushHandler | None = None,
) -> AsyncGenerator[trio_h2.ClientSession, None]:
    """Connects; afterwards nothing may be left of any stream."""
    context = trio_h2.client_ssl_context(tls_files.ca) if url.startswith("https:") else None
    async with trio_h2.connect(url, ssl_context=context, config=config, push_handler=push_handler) as session:
        yield session
    check_nothing_left(session)


def check_nothing_left(session: trio_h2.ClientSession) -> None:
    """Asserts that a session has no streams and its ledger balances."""
    after = session.statistics()
    ledger = after.ledger
    assert ledger.received == ledger.taken + ledger.discarded + ledger.held
    assert (ledger.held, after.open_streams, after.waiting_for_slot, after.queued_body) == (0, 0, 0, 0)
