"""A handler of requests and a client, over each version of HTTP: the same tests run on all of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pytest

import trio_h2
from tests.stream.harness import pair
from trio_h2 import Headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio_h2.compat import Request, Response

    App: TypeAlias = Callable[[Request, Response], Awaitable[object]]
    StreamHandler: TypeAlias = Callable[[trio_h2.ServerExchange], Awaitable[None]]


class Loose(Protocol):
    """Something to call with whatever arguments, for tests of wrong ones."""

    def __call__(self, *args: object, **options: object) -> object:
        """Calls it."""


VERSIONS = ("2.0",)

every_version = pytest.mark.parametrize("version", VERSIONS)


@dataclass
class Reply:
    """What a client got."""

    headers: Headers
    body: bytes
    trailers: Headers = field(default_factory=Headers)
    informational: list[Headers] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The status of the final response."""
        return self.headers.status


class Client(Protocol):
    """Makes one request at a time."""

    async def fetch(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        trailers: dict[str, str] | None = None,
        expect_continue: bool = False,
    ) -> Reply:
        """Makes a request, with a content-length unless it has *trailers*."""


class Http2Client:
    """A client over a session."""

    def __init__(self, session: trio_h2.ClientSession) -> None:
        self.session = session

    async def fetch(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        trailers: dict[str, str] | None = None,
        expect_continue: bool = False,
    ) -> Reply:
        """See `Client`."""
        request = self.session.request(
            method,
            path,
            headers=headers,
            body=b"" if trailers else body,
            end_stream=not trailers,
            expect_continue=expect_continue,
        )
        async with request as stream:
            if trailers:
                await stream.send_all(body)
                await stream.send_trailers(trailers)
            response = await stream.receive_response()
            content = b"".join([bytes(chunk) async for chunk in stream])
            received = await stream.receive_trailers() or Headers()
            return Reply(response, content, received, stream.informational)


@asynccontextmanager
async def served(
    version: str, handler: StreamHandler, *, config: trio_h2.ServerConfig | None = None
) -> AsyncIterator[Client]:
    """A client of *handler* over *version*; failed assertions of the handler fail the test."""
    assert version == "2.0"
    async with pair(handler, server_config=config) as (session, _server):
        yield Http2Client(session)
