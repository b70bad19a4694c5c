"""Applications of a few messages, as the tests write them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from tests.compat import clients

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import trio_h2

Scope: TypeAlias = dict[str, object]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, object]]]
Send: TypeAlias = Callable[[Mapping[str, object]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: object) -> dict[str, object]:
    """Returns the start of a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, object]:
    """Returns a part of its body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def read_all(receive: Receive) -> list[tuple[bytes, bool]]:
    """Returns the pieces of a request's body, each with whether more was promised."""
    pieces = []
    more = True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        more = bool(message["more_body"])
        pieces.append((cast("bytes", message["body"]), more))
    return pieces


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """Greets."""
    await send(start(200, (b"content-type", b"text/plain")))
    await send(body(b"hello"))


def served(
    version: str,
    handler: trio_h2.Handler,
    *,
    config: trio_h2.ServerConfig | None = None,
    raise_handler_errors: bool = True,
) -> AbstractAsyncContextManager[clients.Client]:
    """As `tests.compat.clients.served`: an exchange of either version is a `ServerStream`, too."""
    of_exchanges = cast("clients.StreamHandler", handler)
    return clients.served(version, of_exchanges, config=config, raise_handler_errors=raise_handler_errors)
