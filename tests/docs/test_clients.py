"""The programs in docs/clients.md."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import client_details
import pytest

import trio_h2
from tests.docs.conftest import Certificates, serving
from trio_h2.constants import FLAG_PRIORITY
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Iterator


async def test_a_body_as_json() -> None:
    async def notes(stream: trio_h2.ServerStream) -> None:
        await stream.respond({"content-type": "application/json"}, body=b'["buy milk"]')

    async with session_pair(notes) as (session, _):
        assert await client_details.fetch_notes(session) == ["buy milk"]


async def test_no_body_is_read_after_an_error() -> None:
    async def nothing(stream: trio_h2.ServerStream) -> None:
        await stream.respond(404, body=b"no JSON")

    async with session_pair(nothing) as (session, _):
        with pytest.raises(RuntimeError, match="no notes: 404"):
            await client_details.fetch_notes(session)


async def test_an_upload_that_the_server_does_not_want() -> None:
    async def refuse(stream: trio_h2.ServerStream) -> None:
        await stream.respond(413)

    asked_for = 0

    def chunks() -> Iterator[bytes]:
        nonlocal asked_for
        for _ in range(1000):
            asked_for += 1
            yield bytes(100_000)

    async with session_pair(refuse) as (session, _):
        assert await client_details.upload(session, chunks()) == 413
    assert asked_for < 1000


async def test_an_upload() -> None:
    received = 0

    async def take(stream: trio_h2.ServerStream) -> None:
        nonlocal received
        received = len(await stream.read())
        await stream.respond(201)

    async with session_pair(take) as (session, _):
        assert await client_details.upload(session, [b"one", b"two"]) == 201
    assert received == 6


async def test_weights() -> None:
    async def film(stream: trio_h2.ServerStream) -> None:
        await stream.respond(body=b"weighted" if stream.flags & FLAG_PRIORITY else b"not weighted")

    async with serving(film) as server:
        assert await client_details.fetch_film(server.url) == b"weighted"


def test_a_client_that_notices_silence_early() -> None:
    assert (client_details.attentive.ping_interval, client_details.attentive.ping_timeout) == (20, 10)


@pytest.mark.parametrize(("status", "made"), [(201, 1), (413, 0)])
async def test_a_body_that_is_made_when_the_server_wants_it(status: int, made: int) -> None:
    async def handler(stream: trio_h2.ServerStream) -> None:
        if status == 201:
            assert await stream.read() == b"film"
        await stream.respond(status)

    calls = 0

    def film() -> bytes:
        nonlocal calls
        calls += 1
        return b"film"

    async with session_pair(handler) as (session, _):
        assert await client_details.send_if_wanted(session, film) == status
    assert calls == made


async def test_a_gateway() -> None:
    async def origin(stream: trio_h2.ServerStream) -> None:
        assert stream.headers["via"] == "2 gateway"
        assert "proxy-authorization" not in stream.headers
        await stream.respond({"x-path": stream.path}, body=await stream.read())

    async with (
        session_pair(origin) as (behind, _),
        session_pair(partial(client_details.pass_on, session=behind)) as (
            front,
            _,
        ),
    ):
        headers = {"proxy-authorization": "Basic secret"}
        async with front.request("POST", "/notes", headers=headers, body=b"milk") as stream:
            assert (await stream.receive_response())["x-path"] == "/notes"
            assert await stream.read() == b"milk"


async def test_origins_that_share_a_session(certificates: Certificates) -> None:
    sessions = set()

    async def hello(stream: trio_h2.ServerStream) -> None:
        sessions.add(stream.session)
        await stream.respond(200, body=stream.headers[":authority"].encode())

    context = certificates.authority.server_context()
    async with trio_h2.open_server(hello, host="127.0.0.1", ssl_context=context) as server:
        urls = f"https://127.0.0.1:{server.port}/", f"https://localhost:{server.port}/"
        bodies = await client_details.fetch_all(certificates.authority.client_context(), *urls)
    assert bodies == [f"127.0.0.1:{server.port}".encode(), f"localhost:{server.port}".encode()]
    assert len(sessions) == 1
