"""curl against handlers of requests, over TLS: both HTTP versions get the same answers from one port."""

from __future__ import annotations

import hashlib
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.interop.bodies import MIB, body
from tests.interop.processes import run
from trio_h2 import compat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.interop.conftest import TlsFiles
    from tests.interop.processes import Finished, PeerFinder
    from trio_h2.compat import Request, Response

VERSIONS = {"--http2": "2", "--http1.1": "1.1"}
both_versions = pytest.mark.parametrize("option", VERSIONS)


async def app(request: Request, response: Response) -> None:
    match request.path:
        case "/form":
            form = await request.form(max_size=20 * MIB)
            told: dict[str, object] = dict(form)
            for file in form.files:
                told[file.name] = [
                    file.filename,
                    file.content_type,
                    file.size,
                    hashlib.md5(await file.read()).hexdigest(),
                ]
            await response.send_json(told)
        case "/json":
            response.append_header("set-cookie", ["a=1", "b=2"])
            await response.send_json(await request.json())
        case "/size":
            response.add_trailers({"x-sum": "1"})
            await response.end(str(sum([len(chunk) async for chunk in request])))
        case "/old":
            await response.redirect("/size")
        case _:
            raise compat.HTTPError(404, "nothing here")


async def check(request: Request, response: Response) -> None:
    if int(request.headers.get("content-length", "0")) > 5 * MIB:
        raise compat.HTTPError(413)
    await response.write_continue()
    await app(request, response)


class Curl:
    """curl on a server of *app*."""

    def __init__(self, program: str, url: str, ca: Path) -> None:
        self._url = url
        self._command = [program, "-q", "-sS", "--max-time", "40", "--cacert", str(ca)]
        self._summary = ["-w", "%{stderr}%{http_version} %{http_code} %{size_upload}"]

    async def __call__(self, option: str, path: str, *options: str, stdin: bytes = b"") -> Finished:
        return await run(*self._command, *self._summary, option, *options, self._url + path, stdin=stdin)


@asynccontextmanager
async def curl_of(peers: PeerFinder, tls_files: TlsFiles) -> AsyncIterator[Curl]:
    handler = compat.request_handler(app, check_continue=check)
    context = tls_files.authority.server_context(["h2", "http/1.1"])
    serve = partial(trio_h2.serve_ssl_over_tcp, handler, 0, context, host="localhost", allow_http1=True)
    async with trio.open_nursery() as nursery:
        server: trio_h2.Server = await nursery.start(serve)
        yield Curl(peers.program("curl"), server.urls[0], tls_files.ca)
        nursery.cancel_scope.cancel()


@pytest.mark.parity("G1", "G2", "G4")
@both_versions
async def test_a_form_with_a_file(option: str, peers: PeerFinder, tls_files: TlsFiles) -> None:
    sent = body(3 * MIB)
    async with curl_of(peers, tls_files) as curl:
        fields = ["-F", "name=grüße", "-F", "file=@-;filename=a b.bin;type=image/png"]
        done = await curl(option, "/form", *fields, stdin=sent)
    assert json.loads(done.stdout) == {
        "name": "grüße",
        "file": ["a b.bin", "image/png", len(sent), hashlib.md5(sent).hexdigest()],
    }
    assert done.errors.split()[:2] == [VERSIONS[option], "200"]


@pytest.mark.parity("G3", "G4")
@both_versions
async def test_json_errors_and_redirections(option: str, peers: PeerFinder, tls_files: TlsFiles) -> None:
    async with curl_of(peers, tls_files) as curl:
        done = await curl(option, "/json", "-i", "--data-binary", '{"a": ["ü"]}')
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        assert json.loads(content) == {"a": ["ü"]}
        assert {"set-cookie: a=1", "set-cookie: b=2", "content-type: application/json"} <= set(
            head.decode().lower().split("\r\n")
        )
        done = await curl(option, "/json", "--data-binary", "{")
        assert (done.errors.split()[1], done.text[:20]) == ("400", "the body is not JSON")
        done = await curl(option, "/nowhere")
        assert (done.errors.split()[1], done.text) == ("404", "nothing here")
        done = await curl(option, "/old", "-L", "--data-binary", "abc")
        assert (done.errors.split()[1], done.text) == ("200", "0")  # 303: GET, without the body
        done = await curl(option, "/form", "--data", "a=1&b=2")
        assert json.loads(done.stdout) == {"a": "1", "b": "2"}


@pytest.mark.parity("F2")
@both_versions
@pytest.mark.parametrize("size", [4 * MIB, 6 * MIB])
async def test_expect(size: int, option: str, peers: PeerFinder, tls_files: TlsFiles) -> None:
    async with curl_of(peers, tls_files) as curl:
        wait = ["-H", "expect: 100-continue", "--expect100-timeout", "30"]
        done = await curl(option, "/size", *wait, "--data-binary", "@-", stdin=body(size))
    version, status, uploaded = done.errors.split()
    assert version == VERSIONS[option]
    if size == 4 * MIB:
        assert (status, uploaded, done.text) == ("200", str(size), str(size))
    else:
        assert (status, uploaded) == ("413", "0")
