"""The JSON API of docs/json-apis.md."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import json_api
import json_client
import json_errors
import pytest
import trio

from tests.docs.conftest import Certificates, contents, program, serving
from trio_h2.compat import request_handler
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trio_h2


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(json_api, "PICTURES", tmp_path)
    yield tmp_path
    json_api.notes.clear()


async def ask(session: trio_h2.ClientSession, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    async with session.request(method, path, body=body) as stream:
        return (await stream.receive_response()).status, await stream.read()


HANDLER = request_handler(json_api.app, max_body_size=json_api.MAX_JSON)


async def test_notes_come_and_go() -> None:
    async with session_pair(HANDLER) as (session, _):
        async with session.request("POST", "/notes", body=b'{"text": "buy milk"}') as stream:
            response = await stream.receive_response()
            assert response.status == 201
            assert await stream.json() == {"text": "buy milk"}
        note = response["location"]
        assert await ask(session, "GET", note) == (200, b'{"text":"buy milk"}')
        assert await ask(session, "HEAD", note) == (200, b"")
        assert (await ask(session, "DELETE", note))[0] == 204
        assert (await ask(session, "GET", note))[0] == 404


async def test_what_is_no_note_is_refused() -> None:
    async with session_pair(HANDLER) as (session, _):
        assert (await ask(session, "POST", "/notes", b"{"))[0] == 400
        assert (await ask(session, "POST", "/notes", b"[]"))[0] == 400
        assert (await ask(session, "POST", "/notes", b" " * json_api.MAX_JSON + b"{}"))[0] == 413


async def test_pictures_have_a_limit(pictures: Path) -> None:
    """Whether the client tells their length or not; nothing is left of one that is too large."""
    too_much = bytes(json_api.MAX_PICTURE + 1)
    async with session_pair(HANDLER) as (session, _):
        async with session.request("POST", "/notes", body=b'{"text": "x"}') as stream:
            path = (await stream.receive_response())["location"] + "/picture"
        assert (await ask(session, "PUT", path, b"picture"))[0] == 204
        assert list(contents(pictures).values()) == [b"picture"]
        assert (await ask(session, "PUT", path, too_much))[0] == 413
        async with session.request("PUT", path, end_stream=False) as stream:
            await stream.send_all(too_much)
            await stream.send_eof()
            assert (await stream.receive_response()).status == 413
        assert list(contents(pictures).values()) == [b"picture"]
        assert (await ask(session, "DELETE", path.removesuffix("/picture")))[0] == 204
        assert contents(pictures) == {}  # it goes with its note


async def test_errors_can_be_json() -> None:
    async with session_pair(request_handler(json_errors.with_json_errors(json_api.app), max_body_size=100)) as (
        session,
        _,
    ):
        assert await ask(session, "GET", "/x") == (404, b'{"error":"nothing is here"}')
        assert await ask(session, "POST", "/notes", b"[]") == (
            400,
            b'{"error":"a note is an object with a \\"text\\""}',
        )
        status, body = await ask(session, "POST", "/notes", bytes(101))
        assert (status, list(json.loads(body))) == (413, ["error"])
        async with session.request("GET", "/x") as stream:
            assert (await stream.receive_response())["content-type"] == "application/json"


async def test_it_serves_http1_as_well() -> None:
    async with serving(HANDLER, allow_http1=True) as server:
        async with await trio.open_tcp_stream("127.0.0.1", server.port or 0) as stream:
            await stream.send_all(b"GET /notes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = b"".join([bytes(chunk) async for chunk in stream])
        assert answer.startswith(b"HTTP/1.1 200")


async def test_the_client_speaks_with_the_program_over_tls(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(json_api, "new_id", itertools.count(1))
    async with program(json_api.main, certificates, tmp_path, monkeypatch) as port:
        await json_client.main(f"https://localhost:{port}", certificates.authority.client_context())
    expected = f"Listening on https://localhost:{port}\n201 /notes/1\n{{'1': {{'text': 'buy bread'}}}}\n"
    assert capsys.readouterr().out == expected
