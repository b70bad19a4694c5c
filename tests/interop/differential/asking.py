"""Asks a server, and makes of its answer what can be compared."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import h2.exceptions

from tests.interop.differential import http1, http2, websockets
from tests.interop.differential.cases import Case

if TYPE_CHECKING:
    from tests.interop.differential.cases import Fields2, Written
    from tests.interop.differential.http1 import Answer
    from tests.interop.differential.websockets import Talk

Told: TypeAlias = dict[str, object]
"""What can be compared, by name."""

# Of each response: when it was made, by what, and how its end and its connection's is told.
_SERVERS_OWN: Final = {"date", "server", "connection", "transfer-encoding", "keep-alive", "alt-svc"}
# Of a handshake: what proves that it is one.
_HANDSHAKE: Final = {"sec-websocket-accept", "upgrade"}
# Of each scope: which version of the specification it follows, and what it has beyond that.
_DIFFERS: Final = {"asgi", "extensions"}
_keys = itertools.count()


def ask(port: int, version: str, case: Case) -> Told:
    """Sends one request; returns the answer."""
    if version == "1.1":
        (answer,) = http1.exchange(port, [case.http1()], [case.method.decode()])
    else:
        with http2.client(port) as client:
            number = client.request(case.http2(), end=case.body is None)
            if case.body is not None:
                with contextlib.suppress(h2.exceptions.ProtocolError):  # it was answered meanwhile
                    client.send(number, case.body, end=True)
            answer = client.answer(number)
    return compared(answer, head=case.method == b"HEAD")


def ask_noting(port: int, version: str, do: str) -> Told:
    """Sends a request whose application notes something down."""
    key = f"{do} {next(_keys)}"
    told = ask(port, version, Case("", do, fields=[(b"x-key", key.encode())]))
    return told | {"application": noted(port, key)}


def leave(port: int, version: str, do: str) -> object:
    """Sends a request, and leaves in the middle of it; returns what its application has noted down."""
    key = f"{do} {next(_keys)}"
    case = Case("", do, b"POST", fields=[(b"x-key", key.encode()), (b"content-length", b"10")])
    if version == "1.1":
        http1.leave(port, case.http1() + b"hello", b"begun")
    else:
        with http2.client(port) as client:
            number = client.request(case.http2(), end=False)
            client.send(number, b"hello", end=False)
            client.wait_data(number)
            client.reset(number)
            return noted(port, key)
    return noted(port, key)


def ask_written(port: int, one: Written) -> Told:
    """Sends requests over HTTP/1.1 as they are written down."""
    told: Told = {}
    answers = http1.exchange(port, one.parts, one.methods)
    for number, answer in enumerate(answers):
        prefix = f"{number + 1}. " if len(answers) > 1 else ""
        told |= {prefix + name: value for name, value in compared(answer).items()}
    return told


def ask_fields(port: int, one: Fields2) -> Told:
    """Sends a request over HTTP/2 as its fields are written down."""
    with http2.client(port) as client:
        number = client.request(one.fields, end=one.body is None)
        if one.body is not None:
            client.send(number, one.body, end=True, trailers=one.trailers, padding=one.padding)
        return compared(client.answer(number))


def ask_websocket(port: int, version: str, one: Talk) -> Told:
    """Has one WebSocket; returns what its client has seen, and what its application."""
    key = f"{one.name} {next(_keys)}"
    answer = websockets.talk(port, version, one, key)
    frames = cast("list[str]", answer.pop("frames", []))
    told = compared(answer)
    if frames and frames[0].startswith("text {"):
        told |= _of_report(json.loads(frames.pop(0)[5:]))
    if "status" in told and cast("int", told["status"]) < 300:
        told["frames"] = frames
        if one.notes:
            told["application"] = noted(port, key)
    return told


def noted(port: int, key: str) -> object:
    """Returns what an application has noted down about a request: it may take a moment."""
    case = Case("", "ask", fields=[(b"x-key", key.encode())])
    for _ in range(200):
        (answer,) = http1.exchange(port, [case.http1()], ["GET"])
        if (found := json.loads(cast("bytes", answer["body"]))) is not None:
            return cast("object", found)
        time.sleep(0.05)  # noqa: TID251 - in a thread
    return None


def compared(answer: Answer, *, head: bool = False) -> Told:
    """Returns what of an answer can be compared."""
    told: Told = {name: answer[name] for name in ("status", "end", "interim", "trailers") if name in answer}
    body = cast("bytes", answer.get("body", b""))
    headers = cast("list[tuple[str, str]]", answer.get("headers", []))
    names = _SERVERS_OWN | _HANDSHAKE if told.get("status") == 101 else _SERVERS_OWN
    kept = [one for one in headers if one[0] not in names]
    if head:
        kept = [(name, "N" if name == "content-length" else value) for name, value in kept]
    else:  # whether a whole body has a length is the server's business
        kept = [one for one in kept if one != ("content-length", str(len(body)))]
    if kept:
        told["headers"] = kept
    if body[:1] == b"{":
        told |= _of_report(json.loads(body))
    elif body:
        told["body"] = body.decode("latin-1") if len(body) < 100 else f"{len(body)} bytes"
    return told


def _of_report(report: dict[str, dict[str, object]]) -> Told:
    told: Told = {}
    for name, value in report.pop("scope").items():
        if name in ("client", "server"):
            told[f"scope {name}"] = cast("list[object]", value)[0] if value else value
        elif name == "headers":
            told["scope headers"] = [f"{n[2:]}: {v[2:]}" for n, v in cast("list[list[str]]", value) if n != "b:x-key"]
        elif name not in _DIFFERS:
            told[f"scope {name}"] = value
    return told | report
