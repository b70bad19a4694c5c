"""The programs of the benchmarks work: one tiny round of each that needs nothing but Python. Nothing is timed."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import __main__ as main
from tests.benchmarks import _rounds, bench_asgi, bench_bulk, bench_client, bench_tunnel
from tests.benchmarks._options import ROOT, Options, Version
from tests.benchmarks._peers import FLOOR, SERVERS, UNFRAMED, Peer, Running, make_docroot, running, tls_files
from tests.benchmarks._raw import Probe, RawSession, TransferError, raw_transfer, transfer
from tests.benchmarks._result import BEFORE, OURS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = Version(OURS, ROOT)
SIZE = 150_001  # several frames, and a part of one
CLIENTS = ["ours.py", *(["httpx"] if importlib.util.find_spec("httpx") else [])]


def python(who: str, name: str, *arguments: str, jobs: frozenset[str] = frozenset()) -> Peer:
    return Peer(who, [sys.executable, "-P", os.fspath(SERVERS / name), "PORT", *arguments], env=VERSION.env, jobs=jobs)


@pytest.fixture(scope="module", params=["floor.py", "ours.py"])
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(python("x", request.param)) as server:
        yield server


@pytest.fixture(scope="module")
def unframed() -> Iterator[Running]:
    with running(python(UNFRAMED, "unframed.py", jobs=frozenset({"raw"}))) as server:
        yield server


def test_download(server: Running) -> None:
    assert transfer(server.port, f"/bytes/{SIZE}", None, SIZE, streams=3, repeat=2) > 0


def test_empty_download(server: Running) -> None:
    assert transfer(server.port, "/bytes/0", None, 0, streams=1, repeat=1) > 0


def test_upload(server: Running) -> None:
    assert transfer(server.port, "/sink", SIZE, 13, streams=3, repeat=2) > 0


def test_echo(server: Running) -> None:
    assert transfer(server.port, "/echo", SIZE, SIZE, streams=3, repeat=2) > 0


def test_echo_larger_than_all_windows(server: Running) -> None:
    size = 5_000_000
    assert transfer(server.port, "/echo", size, size, streams=4, repeat=1) > 0


def test_a_wrong_length_is_noticed(server: Running) -> None:
    with pytest.raises(TransferError, match="13 bytes came, not 14"):
        transfer(server.port, "/small", None, 14, streams=1, repeat=1)


def test_reset_beside_other_streams(server: Running) -> None:
    """A client that goes away in the middle leaves a server that works."""
    session = RawSession(server.port)
    session.request("/bytes/100000000")
    session.step()
    session.close()
    assert transfer(server.port, "/small", None, 13, streams=1, repeat=1) > 0


def test_asgi() -> None:
    """Bodies both ways over HTTP/2, and a WebSocket over HTTP/1.1."""
    with running(python(OURS, "ours_asgi.py")) as server:
        assert transfer(server.port, f"/bytes/{SIZE}", None, SIZE, streams=3, repeat=2) > 0
        assert transfer(server.port, "/sink", SIZE, 13, streams=3, repeat=2) > 0
        assert transfer(server.port, "/json", None, 27, streams=1, repeat=1) > 0
        assert bench_asgi.echo(server, 3).amount == 3


def test_small_requests_beside_a_download() -> None:
    with running(python(OURS, "ours.py")) as server:
        probe = Probe(server.port, "/bytes/1000000000000")
        assert len(probe.seconds(3)) == 3
        probe.session.close()


def test_a_download_that_ends_too_early_is_noticed() -> None:
    with running(python(OURS, "ours.py")) as server:
        probe = Probe(server.port, "/bytes/300000")
        with pytest.raises(TransferError, match="the download has ended"):
            probe.seconds(50)
        probe.session.close()


@pytest.mark.parametrize("verb", ["down", "up", "echo"])
def test_unframed(unframed: Running, verb: str) -> None:
    assert raw_transfer(unframed.port, verb, SIZE, streams=2, repeat=2) > 0


@pytest.mark.parametrize("job", ["down", "up", "echo"])
def test_bulk(server: Running, unframed: Running, job: str) -> None:
    for found in (server, unframed):
        sample = bench_bulk.carry(found, job, SIZE, 1)
        assert sample.amount == SIZE * bench_bulk.STREAMS / 1e6


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", ["floor.py", "ours.py"])
@pytest.mark.parametrize("client", CLIENTS)
def test_clients(name: str, client: str, tls: bool) -> None:
    command = VERSION.command(bench_client.CLIENTS / "ours.py")
    if client == "httpx":
        command = VERSION.command(bench_client.CLIENTS / "httpx_client.py", "httpx")
    with tls_files() as files:
        peer = Peer(
            "x", VERSION.command(SERVERS / name, "PORT"), [str(files.certificate), str(files.key)], env=VERSION.env
        )
        with running(peer, tls=tls) as server:
            origin = f"{'https' if tls else 'http'}://localhost:{server.port}"
            program = bench_client.Client(command, VERSION.env)
            for job in (
                bench_client.Job("small", "/small", 3, 0, 13, tls=tls),
                # One upload at a time: two that wait for their windows can hold up each other in httpx for ever.
                bench_client.Job("up", "/sink", 1, SIZE, 13, tls=tls),
            ):
                assert bench_client.measure(program, job, origin, files.ca, 4).amount == 4


def test_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_tunnel, "_FIRST", 0.1)

    def one_round(
        options: Options, who: list[str], measure: _rounds.Measure, first: float
    ) -> dict[str, list[_rounds.Sample]]:
        return {name: [measure(name, first)] for name in who}

    monkeypatch.setattr(bench_tunnel, "alternate", one_round)
    rows = list(bench_tunnel.rows(Options((VERSION,), quick=True)))
    assert {(row.group, row.who) for row in rows} == {
        (group, who) for group in ("tunnel, download", "tunnel, upload") for who in (OURS, bench_tunnel.RELAY)
    }


def test_gateway() -> None:
    with (
        running(python("behind", "ours.py")) as behind,
        running(python(OURS, "gateway.py", str(behind.port), "h2")) as gateway,
    ):
        assert transfer(gateway.port, f"/bytes/{SIZE}", None, SIZE, streams=3, repeat=2) > 0
        assert transfer(gateway.port, "/sink", SIZE, 13, streams=3, repeat=2) > 0


def test_a_peer_that_fails_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def measure(who: str, amount: float) -> _rounds.Sample:
        if who == "bad":
            raise TransferError("it is broken")
        return _rounds.Sample(amount, 0.1, 0.05)

    samples = _rounds.alternate(Options((), quick=True), ["bad", "good"], measure, first=10)
    assert list(samples) == ["good"]
    assert capsys.readouterr().err == "left out: bad: it is broken\n"


@pytest.mark.parametrize("who", [OURS, BEFORE])
def test_our_own_failure_is_not_hidden(who: str) -> None:
    def measure(who: str, amount: float) -> _rounds.Sample:
        raise TransferError("it is broken")

    with pytest.raises(TransferError):
        _rounds.alternate(Options((), quick=True), [who], measure, first=10)


def test_a_server_that_does_not_start_says_why() -> None:
    peer = Peer("x", [sys.executable, "-c", "raise SystemExit('no')"])
    with pytest.raises(OSError, match="it does not listen: no"), running(peer):
        pass


def test_processor_time_of_a_server(server: Running) -> None:
    before = server.cpu_seconds()
    if sys.platform == "linux":
        assert before is not None
    if before is not None:
        assert before > 0


def test_document_root(tmp_path: Path) -> None:
    make_docroot(tmp_path, [5])
    assert (tmp_path / "bytes" / "5").read_bytes() == bytes(5)


def test_groups_are_found_by_their_file_names() -> None:
    assert {"bulk", "client", "latency", "small", "tunnel"} <= set(main.groups())


def test_results_are_put_above_the_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("# Benchmarks\n\n## Results\n\n### 2001-01-01\n\nold\n", encoding="utf-8")
    for name, value in (("_DOCUMENT", document), ("_CHART", tmp_path / "c.svg"), ("_JSON", tmp_path / "r.json")):
        monkeypatch.setattr(main, name, value)
    main.write_docs([], {"date": "2002-02-02", "mode": "quick"})
    text = document.read_text(encoding="utf-8")
    assert text.index("## Results") < text.index("### 2002-02-02") < text.index("### 2001-01-01") < text.index("old")
    assert "mode quick" in text
    assert (tmp_path / "c.svg").exists()
    assert (tmp_path / "r.json").exists()
    assert FLOOR not in text
