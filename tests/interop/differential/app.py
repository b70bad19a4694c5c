"""The application that all servers run: it tells what it was told, and does what the field ``x-do`` asks for.

It runs on Trio and on asyncio alike: it only waits for messages.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Scope: TypeAlias = dict[str, object]
    Message: TypeAlias = dict[str, object]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain")
PIECE = bytes(range(256)) * 256
told: dict[str, list[object]] = {}
"""What became of requests whose client could not be told: by their field ``x-key``."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request, one WebSocket, or the lifespan."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    wanted = field(scope, "x-do") or "report"
    if scope["type"] == "websocket":
        await WEBSOCKETS[wanted](scope, receive, send)
    else:
        await REQUESTS[wanted](scope, receive, send)


def field(scope: Scope, name: str) -> str:
    """Returns a field of the request."""
    fields = scope["headers"]
    assert isinstance(fields, list | tuple)
    return next((value.decode("latin-1") for found, value in fields if found == name.encode()), "")


def note(scope: Scope, what: object) -> None:
    """Keeps what cannot be answered."""
    told.setdefault(field(scope, "x-key"), []).append(what)


def shown(value: object) -> object:
    """Returns a value as JSON has it: bytes as text, with a mark."""
    if isinstance(value, bytes):
        return f"b:{value.decode('latin-1')}"
    if isinstance(value, dict):
        return {str(name): shown(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [shown(member) for member in value]
    return value


async def read_all(receive: Receive) -> dict[str, object]:
    """Returns the request's body, and how it ended."""
    body, number = b"", 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return {"body": f"{len(body)} bytes" if len(body) > 99 else shown(body), "end": shown(message)}
        number += 1
        part = message.get("body", b"")
        assert isinstance(part, bytes)
        body += part
        if not message.get("more_body", False):
            return {"body": f"{len(body)} bytes" if len(body) > 99 else shown(body), "end": "whole"}


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: object) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def answer(send: Send, value: object) -> None:
    """Sends a value as JSON."""
    data = json.dumps(shown(value)).encode()
    await send(start(200, JSON, (b"content-length", b"%d" % len(data))))
    await send(body(data))


# -- requests ----------------------------------------------------------------------------------------------------------


async def report(scope: Scope, receive: Receive, send: Send) -> None:
    request = await read_all(receive)
    await answer(send, {"scope": scope, "request": request})


async def ask(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, told.get(field(scope, "x-key")))


async def unread(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT, (b"content-length", b"7")))
    await send(body(b"at once"))


async def status(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(int(field(scope, "x-status"))))
    await send(body())


async def status_with_body(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(int(field(scope, "x-status")), TEXT, (b"content-length", b"5")))
    await send(body(b"hello"))


async def no_headers(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT))
    for part in (b"one,", b"", b"two,", b"three"):
        await send(body(part, more=True))
    await send(body())


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT, (b"content-length", b"%d" % (16 * len(PIECE)))))
    await send(body(16 * PIECE))


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT))
    more = True
    while more:
        message = await receive()
        more = bool(message.get("more_body", False))
        part = message.get("body", b"")
        assert isinstance(part, bytes)
        await send(body(part, more=more))


async def too_short(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT, (b"content-length", b"10")))
    await send(body(b"hello"))


async def too_long(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT, (b"content-length", b"2")))
    await send(body(b"hello"))


async def odd_headers(scope: Scope, receive: Receive, send: Send) -> None:
    fields = [(b"set-cookie", b"a=1"), (b"X-Upper", b"kept"), (b"x-empty", b""), (b"set-cookie", b"b=2")]
    await send(start(200, TEXT, *fields, (b"x-latin", "é".encode("latin-1")), (b"content-length", b"2")))
    await send(body(b"ok"))


async def connection_headers(scope: Scope, receive: Receive, send: Send) -> None:
    fields = [(b"transfer-encoding", b"chunked"), (b"keep-alive", b"timeout=5"), (b"upgrade", b"h2c")]
    await send(start(200, TEXT, *fields))
    await send(body(b"ok"))


async def own_date(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"server", b"mine"), (b"content-length", b"2")))
    await send(body(b"ok"))


async def trailers(scope: Scope, receive: Receive, send: Send) -> None:
    if "http.response.trailers" not in (scope.get("extensions") or ()):  # type: ignore[operator]  # any mapping
        await answer(send, "there are none")
        return
    await send(start(200, TEXT, (b"trailer", b"x-sum"), trailers=True))
    await send(body(b"hello"))
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"5")], "more_trailers": False})


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError("before its response")


async def raises_started(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT))
    raise ZeroDivisionError("before the body")


async def raises_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT))
    await send(body(b"hel", more=True))
    raise ZeroDivisionError("in its response")


async def raises_after(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT, (b"content-length", b"5")))
    await send(body(b"hello"))
    raise ZeroDivisionError("after its response")


async def returns_early(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def returns_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT))
    await send(body(b"hel", more=True))


async def twice(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT))
    await send(body(b"one"))
    try:
        await send(body(b"two"))
    except Exception as exc:
        note(scope, f"raised {type(exc).__name__}")
    else:
        note(scope, "ignored")


async def body_first(scope: Scope, receive: Receive, send: Send) -> None:
    await send(body(b"hello"))


async def unknown_message(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.dance"})


async def text_for_bytes(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, TEXT))
    await send({"type": "http.response.body", "body": "text"})


async def after_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await read_all(receive)
    await send(start(200, TEXT, (b"content-length", b"2")))
    await send(body(b"ok"))
    note(scope, (await receive())["type"])


async def leaves(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams until its client leaves."""
    await send(start(200, TEXT))
    await send(body(b"begun", more=True))
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                note(scope, "http.disconnect")
                return
    except BaseException as exc:
        note(scope, f"cancelled by {type(exc).__name__}")
        raise


# -- WebSockets --------------------------------------------------------------------------------------------------------


async def websocket_report(scope: Scope, receive: Receive, send: Send) -> None:
    first = await receive()
    offered = scope["subprotocols"]
    assert isinstance(offered, list | tuple)
    await send({"type": "websocket.accept", "subprotocol": offered[-1] if offered else None})
    await send({"type": "websocket.send", "text": json.dumps(shown({"scope": scope, "first": first}))})
    await talk(scope, receive, send)


async def talk(scope: Scope, receive: Receive, send: Send) -> None:
    """Echoes what comes, and notes how it ends."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            note(
                scope,
                shown({"type": message["type"], "code": message.get("code"), "reason": message.get("reason") or ""}),
            )
            return
        text, data = message.get("text"), message.get("bytes")
        if text == "close me":
            await send({"type": "websocket.close", "code": 4000, "reason": "as you wish"})
            note(scope, shown((await receive())["type"]))
            return
        if text == "raise":
            raise ZeroDivisionError("in a WebSocket")
        if text == "return":
            return
        await send(
            {"type": "websocket.send", "text": text} if data is None else {"type": "websocket.send", "bytes": data}
        )


async def websocket_headers(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"x-one", b"1"), (b"set-cookie", b"a=1")]})
    await talk(scope, receive, send)


async def websocket_refuses(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4001})


async def websocket_denies(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 401, "headers": [TEXT, (b"content-length", b"3")]})
    await send({"type": "websocket.http.response.body", "body": b"no."})


async def websocket_raises(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise ZeroDivisionError("before it was accepted")


async def websocket_returns(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def websocket_sends_first(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.send", "text": "too early"})


async def websocket_unoffered(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "never offered"})


Part: TypeAlias = "Callable[[Scope, Receive, Send], Awaitable[None]]"
REQUESTS: Mapping[str, Part] = {
    part.__name__: part
    for part in (
        *(report, ask, unread, status, status_with_body, no_headers, stream, large, echo, too_short, too_long),
        *(odd_headers, connection_headers, own_date, trailers, raises, raises_started, raises_midway, raises_after),
        *(returns_early, returns_midway, twice, body_first, unknown_message, text_for_bytes, after_the_end, leaves),
    )
}
WEBSOCKETS: Mapping[str, Part] = {
    "report": websocket_report,
    "headers": websocket_headers,
    "refuses": websocket_refuses,
    "denies": websocket_denies,
    "raises": websocket_raises,
    "returns": websocket_returns,
    "sends_first": websocket_sends_first,
    "unoffered": websocket_unoffered,
}
