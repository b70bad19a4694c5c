"""curl against our server: in cleartext with prior knowledge, and over TLS by ALPN."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.interop.app import HELLO
from tests.interop.bodies import MIB, body, sha256
from tests.interop.processes import run
from trio_h2 import ServerConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.conftest import OurServer
    from tests.interop.processes import Finished, PeerFinder

# What `-w` adds to standard error: version, status and bytes received.
_SUMMARY = "%{stderr}%{http_version} %{http_code} %{size_download}\n"


class Curl:
    """curl with HTTP/2 on one server."""

    def __init__(self, program: str, server: OurServer) -> None:
        self._url = server.url
        version = ["--http2", "--cacert", str(server.ca)] if server.tls else ["--http2-prior-knowledge"]
        self._command = [program, "-q", "-sS", "--max-time", "60", "-w", _SUMMARY, *version]

    async def __call__(self, path: str, *options: str | Path, stdin: bytes = b"") -> Finished:
        return await run(*self._command, *options, self._url + path, stdin=stdin)


@pytest.fixture
def curl(server: OurServer, peers: PeerFinder) -> Curl:
    return Curl(peers.program("curl"), server)


async def test_get(curl: Curl) -> None:
    done = await curl("/hello", "-i")
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    assert content == HELLO
    lines = head.decode().split("\r\n")
    assert lines[0].rstrip() == "HTTP/2 200"
    assert {"content-type: text/plain", f"content-length: {len(HELLO)}"} <= set(lines)
    assert done.errors == f"2 200 {len(HELLO)}\n"


async def test_head(curl: Curl) -> None:
    done = await curl("/hello", "--head")
    assert f"content-length: {len(HELLO)}" in done.text
    assert done.errors == "2 200 0\n"


async def test_post_is_echoed(curl: Curl) -> None:
    sent = body(300_000)
    done = await curl("/echo", "--data-binary", "@-", stdin=sent)
    assert done.stdout == sent
    assert done.errors == f"2 200 {len(sent)}\n"


async def test_request_header_fields_arrive(curl: Curl, server: OurServer) -> None:
    done = await curl("/headers?a=b", "-H", "x-note: several words", "-H", "Cookie: a=1; b=2", "-A", "tester")
    told = json.loads(done.stdout)
    assert told[":path"] == "/headers?a=b"
    assert told[":authority"] == server.url.partition("://")[2]
    assert told[":scheme"] == ("https" if server.tls else "http")
    assert (told["x-note"], told["cookie"], told["user-agent"]) == ("several words", "a=1; b=2", "tester")


async def test_large_download(curl: Curl, tmp_path: Path) -> None:
    file = tmp_path / "download"
    done = await curl(f"/bytes/{50 * MIB}", "-o", file)
    assert done.errors == f"2 200 {50 * MIB}\n"
    assert file.read_bytes() == body(50 * MIB)


async def test_large_upload(curl: Curl, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(body(20 * MIB))
    done = await curl("/sum", "-T", file)
    assert json.loads(done.stdout) == {
        "method": "PUT",
        "length": 20 * MIB,
        "sha256": sha256(20 * MIB),
        "trailers": None,
    }


@pytest.mark.parametrize("size", [1000, 300_000, 20 * MIB])
async def test_upload_that_nobody_reads(curl: Curl, server: OurServer, tmp_path: Path, size: int) -> None:
    """curl sees the response, however much it has still to send (RFC 9113 §8.1)."""
    server.clients_hang_up = True
    file = tmp_path / "upload"
    file.write_bytes(body(size))
    done = await curl("/early", "-T", file, "-H", "Expect:")
    assert done.stdout == b"too much\n"
    assert done.errors.startswith("2 413 ")


async def test_upload_waits_for_100_continue(curl: Curl) -> None:
    """curl would send the body after a second anyway, so it gets far longer than this test has."""
    done = await curl(
        "/continue", "-i", "-H", "Expect: 100-continue", "--expect100-timeout", "300", "-d", "@-", stdin=b"payload"
    )
    interim, _, rest = done.text.partition("\r\n\r\n")
    assert interim.rstrip() == "HTTP/2 100"
    assert '"length": 7' in rest
    assert done.errors.startswith("2 200 ")


async def test_early_hints(curl: Curl) -> None:
    done = await curl("/hints", "-i")
    assert [line.rstrip() for line in done.text.split("\r\n") if line.startswith(("HTTP/", "link:"))] == [
        "HTTP/2 103",
        "link: </style.css>; rel=preload",
        "HTTP/2 103",
        "link: </script.js>; rel=preload",
        "HTTP/2 200",
    ]


async def test_trailers_are_shown(curl: Curl) -> None:
    done = await curl("/trailers", "-i")
    assert HELLO.decode() in done.text
    assert "x-count: 13\r\nx-note: the end" in done.text


# With prior knowledge curl 7.88 cannot use a session twice ("Error in the HTTP2 framing layer"), not even with nghttpd.
@pytest.mark.parametrize("server", ["tls"], indirect=True)
async def test_requests_in_a_row_share_a_session(curl: Curl, server: OurServer, tmp_path: Path) -> None:
    done = await curl("/bytes/[1000-1019]", "-o", tmp_path / "#1")
    assert done.errors == "".join(f"2 200 {1000 + n}\n" for n in range(20))
    assert len(server.sessions) == 1


@pytest.mark.parametrize("server", ["tls"], indirect=True)
async def test_parallel_requests_share_a_session(curl: Curl, server: OurServer, tmp_path: Path) -> None:
    count = 60
    done = await curl(
        f"/bytes/[100000-{100000 + count - 1}]", "--parallel", "--parallel-max", "50", "-o", tmp_path / "#1"
    )
    finished = re.findall(r"2 200 (1000\d\d)\n", done.errors)  # the progress display is in between
    assert sorted(finished) == [str(100_000 + n) for n in range(count)]
    for n in range(count):
        assert (tmp_path / str(100_000 + n)).read_bytes() == body(100_000 + n)
    assert len(server.sessions) == 1


# Not the default limits: curl itself sends no more than 64 KiB.
@pytest.mark.parametrize("server_config", [ServerConfig(max_header_list_size=16_384)])
async def test_oversize_header_gets_431(curl: Curl, server: OurServer) -> None:
    done = await curl("/hello", "-H", f"x-large: {'v' * 20_000}")
    assert done.errors.startswith("2 431 ")
    assert len(server.sessions) == 1


async def test_too_many_header_fields_get_431(curl: Curl) -> None:
    done = await curl("/hello", *(option for n in range(150) for option in ("-H", f"x-{n}: v")))
    assert done.errors.startswith("2 431 ")


async def test_failing_handler_gets_500(curl: Curl, caplog: pytest.LogCaptureFixture) -> None:
    done = await curl("/boom")
    assert done.errors == "2 500 0\n"
    assert "GET /boom raised" in caplog.text
    caplog.clear()
