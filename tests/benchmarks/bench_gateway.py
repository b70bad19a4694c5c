"""Gateways: ours, nghttpx and nginx in front of one nginx that speaks HTTP/1.1; and our server without a gateway.

Small requests also go to nghttpd, which speaks HTTP/2, as nginx cannot.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks._options import note
from tests.benchmarks._peers import MIB, SERVERS, Peer, Running, make_docroot, program, running
from tests.benchmarks._rounds import Sample, alternate, as_rows
from tests.benchmarks.bench_bulk import STREAMS, carry
from tests.benchmarks.bench_small import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options
    from tests.benchmarks._result import Row

BARE: Final = "trio_h2 without a gateway"
NGHTTPX: Final = "nghttpx"
NGINX: Final = "nginx"
SIZE: Final = 16 * MIB
SHAPES: Final = [(1, 100), (10, 10)]

_NGINX: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
{http}
}}
"""
# What takes an upload reads it by passing it on to a location that answers at once.
_SERVER: Final = """
    server {{
        listen 127.0.0.1:PORT;
        root {docroot};
        location = /small {{ return 200 "hello, world\\n"; }}
        location = /sink {{
            proxy_pass http://127.0.0.1:PORT/small;
            proxy_request_buffering off;
            proxy_pass_request_body off;
            proxy_set_header content-length "";
        }}
    }}
"""
_PROXY: Final = """
    upstream behind {{ server 127.0.0.1:{port}; keepalive 256; }}
    server {{
        listen 127.0.0.1:PORT http2;
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header connection "";
            proxy_request_buffering off;
        }}
    }}
"""


def rows(options: Options) -> Iterator[Row]:
    """Measures small requests, downloads and uploads."""
    nginx, h2load = program("nginx"), program("h2load")
    if nginx is None:
        note("left out: gateways: nginx, which is behind them, is not installed")
        return
    with contextlib.ExitStack() as stack:
        docroot = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        make_docroot(docroot, [SIZE])
        docroot.chmod(0o755)
        behind = stack.enter_context(running(_nginx(stack, "behind", nginx, _SERVER.format(docroot=docroot))))
        gateways = {
            peer.who: stack.enter_context(running(peer))
            for peer in [*peers(options, behind.port), _nginx(stack, NGINX, nginx, _PROXY.format(port=behind.port))]
        }
        if h2load is None:
            note("left out: small requests through gateways: h2load is not installed")
        else:
            for connections, streams in SHAPES:
                small = functools.partial(_small, h2load, gateways, connections, streams)
                samples = alternate(options, list(gateways), small, first=300)
                yield from as_rows(
                    f"gateway, small requests, {connections}×{streams}", samples, "requests", "CPU µs per request"
                )
            if nghttpd := program("nghttpd"):
                command = [nghttpd, "--address=127.0.0.1", "--no-tls", f"--htdocs={docroot}", "PORT"]
                port = stack.enter_context(running(Peer("nghttpd", command))).port
                http2 = {peer.who: stack.enter_context(running(peer)) for peer in peers(options, port, http2=True)}
                small = functools.partial(_small, h2load, http2, 1, 100)
                samples = alternate(options, list(http2), small, first=300)
                group = "gateway, HTTP/2 behind, small requests, 1×100"
                yield from as_rows(group, samples, "requests", "CPU µs per request")
        for job, group in (("down", "download"), ("up", "upload")):
            measure = functools.partial(_carry, gateways, job)
            samples = alternate(options, list(gateways), measure, first=SIZE * STREAMS / 1e6)
            yield from as_rows(f"gateway, {group} 16 MiB × {STREAMS}", samples, "MB", "CPU µs per MB")


def peers(options: Options, port: int, *, http2: bool = False) -> Iterator[Peer]:
    """Yields the gateways of this machine that can speak both versions to the server behind them.

    Args:
        options: which versions of trio_h2.
        port: of that server.
        http2: whether it speaks HTTP/2.
    """
    more = ["h2"] if http2 else []
    for version in options.versions:
        yield Peer(version.who, version.command(SERVERS / "gateway.py", "PORT", str(port), *more), env=version.env)
    [ours, *_] = options.versions
    yield Peer(BARE, ours.command(SERVERS / "ours.py", "PORT"), env=ours.env)
    if nghttpx := program("nghttpx"):
        command = [nghttpx, "--frontend=127.0.0.1,PORT;no-tls", "--workers=1"]
        command += [f"--backend=127.0.0.1,{port};;{'proto=h2' if http2 else 'proto=http/1.1'}"]
        command += ["--no-ocsp", "--errorlog-file=/dev/null", "--accesslog-file=/dev/null", "--conf=/dev/null"]
        yield Peer(NGHTTPX, command)
    else:
        note("left out: nghttpx is not installed")


def _nginx(stack: contextlib.ExitStack, who: str, nginx: str, http: str) -> Peer:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = _NGINX.format(folder=folder, user=user, http=http)
    # The port is known only when it is started.
    script = (
        "import os, pathlib, sys\n"
        "port, path, text, nginx = sys.argv[1:]\n"
        "pathlib.Path(path).write_text(text.replace('P' + 'ORT', port))\n"
        "os.execv(nginx, [nginx, '-p', os.path.dirname(path), '-c', path, '-e', 'stderr'])\n"
    )
    path = os.fspath(folder / "nginx.conf")
    return Peer(who, [sys.executable, "-c", script, "PORT", path, configuration, nginx])


def _small(
    h2load: str, gateways: dict[str, Running], connections: int, streams: int, who: str, amount: float
) -> Sample:
    return load(h2load, gateways[who], int(amount), connections, streams, tls=False)


def _carry(gateways: dict[str, Running], job: str, who: str, amount: float) -> Sample:
    return carry(gateways[who], job, SIZE, max(1, round(amount * 1e6 / (SIZE * STREAMS))))
