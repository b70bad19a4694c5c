"""The servers that are compared: how each is started, what it can do, and the processor time it has used."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import trustme

from tests.benchmarks._options import HERE, ROOT, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.benchmarks._options import Options

SERVERS: Final = HERE / "servers"
NGHTTPD: Final = "nghttpd"
NODE: Final = "Node http2"
FLOOR: Final = "bare Trio + h2 loop"
UNFRAMED: Final = "bare Trio loop, unframed"
MIB: Final = 1024 * 1024
APP: Final = "tests.benchmarks.servers.asgi:app"

# Debian keeps nghttpd in /usr/sbin, which only root has on its path.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_START_SECONDS = 20.0


def program(name: str) -> str | None:
    """Returns the path of a program, or None."""
    return shutil.which(name, path=_PATH)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Throw-away certificates, as PEM files."""

    ca: Path
    certificate: Path
    key: Path


@contextmanager
def tls_files() -> Iterator[TlsFiles]:
    """Makes a certificate for localhost; its files are gone when the block is left."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        files = TlsFiles(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(os.fspath(files.ca))
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(os.fspath(files.key))
        for number, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(os.fspath(files.certificate), append=number > 0)
        yield files


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that can be started."""

    who: str
    command: list[str]
    """The port takes the place of "PORT"."""
    tls: list[str] | None = None
    """What is added for TLS; None: it has none."""
    cleartext: list[str] = field(default_factory=list)
    """What is added for cleartext."""
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    jobs: frozenset[str] = frozenset({"small", "down", "up", "echo"})
    """What it can do: "small", "down", "up", "echo", "raw" (the bytes without HTTP)."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    who: str
    port: int
    jobs: frozenset[str]
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def wait(self) -> None:
        """Waits until the program accepts connections.

        Raises:
            OSError: It has ended, or does not in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        self.output.seek(0)
        raise OSError(f"it does not listen: {self.output.read().decode(errors='replace')[-500:]}")

    def cpu_seconds(self) -> float | None:
        """Returns the processor time that the program and its children have used; None where nobody can say."""
        return cpu_seconds(self.process.pid)


def cpu_seconds(group: int) -> float | None:
    """Returns user and system time of the processes of a group so far; None where the system does not tell."""
    seconds, found = 0.0, False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything. After it: state, parent, group.
            if int(stat.read_text().rpartition(")")[2].split()[2]) == group:
                # The clock that clock_getcpuclockid(3) names: nanoseconds, where /proc has steps of 10 ms.
                seconds += time.clock_gettime((~int(stat.parent.name) << 3) | 2)
                found = True
    return seconds if found else None


def peers(options: Options, docroot: Path, tls: TlsFiles) -> Iterator[Peer]:
    """Yields the servers of this machine; says which are missing.

    Args:
        options: Which versions of trio_h2.
        docroot: The folder that nghttpd serves.
        tls: The certificate.
    """
    certificate, key = os.fspath(tls.certificate), os.fspath(tls.key)
    for version in options.versions:
        command = version.command(SERVERS / "ours.py", "PORT")
        yield Peer(version.who, command, [certificate, key], env=version.env)
    yield Peer(FLOOR, [sys.executable, "-P", os.fspath(SERVERS / "floor.py"), "PORT"], [certificate, key])
    unframed = [sys.executable, "-P", os.fspath(SERVERS / "unframed.py"), "PORT"]
    yield Peer(UNFRAMED, unframed, jobs=frozenset({"raw"}))
    for peer in asgi_peers(options, tls):
        if "h2" in peer.jobs:
            yield peer
    if node := program("node"):
        yield Peer(NODE, [node, os.fspath(SERVERS / "node.mjs"), "PORT"], [certificate, key])
    else:
        note("left out: node is not installed")
    if nghttpd := program("nghttpd"):
        # It serves files, and has no echo that answers before the request has ended.
        command = [nghttpd, "--address=127.0.0.1", "-w20", "-W24", f"--htdocs={docroot}", "PORT"]
        yield Peer(NGHTTPD, command, [key, certificate], ["--no-tls"], jobs=frozenset({"small", "down", "up"}))
    else:
        note("left out: nghttpd is not installed")


def asgi_peers(options: Options, tls: TlsFiles, *, plain: bool = False) -> Iterator[Peer]:
    """Yields the servers that run the ASGI application; says which are missing.

    Args:
        options: Which versions of trio_h2.
        tls: The certificate.
        plain: Whether ours have the names that are compared with; else it is said that they run this application.
    """
    certificate, key = os.fspath(tls.certificate), os.fspath(tls.key)
    both = frozenset({"small", "down", "up", "echo", "h1", "h2", "websocket"})
    for version in options.versions:
        server = version.root / "tests" / "benchmarks" / "servers" / "ours_asgi.py"
        if server.is_file():
            who = version.who if plain else f"{version.who} (asgi)"
            command = version.command(server, "PORT")
            yield Peer(who, command, [certificate, key], env=version.env, jobs=both)
    for library, worker in (("hypercorn", "asyncio"), ("hypercorn", "trio"), ("anycorn", "trio")):
        if importlib.util.find_spec(library) is None:
            note(f"left out: {library} is not installed")
            continue
        command = [sys.executable, "-m", library, "--config", os.fspath(SERVERS / "asgi.toml"), "--workers", "0"]
        command += ["--worker-class", worker, "--bind", "127.0.0.1:PORT", APP]
        yield Peer(f"{library} ({worker})", command, ["--certfile", certificate, "--keyfile", key], jobs=both)
    if importlib.util.find_spec("granian") is None:
        note("left out: granian is not installed")
    else:
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-log", "--port", "PORT", APP]
        with_tls = ["--ssl-certificate", certificate, "--ssl-keyfile", key]
        yield Peer("granian", command, with_tls, jobs=both)
    if importlib.util.find_spec("uvicorn") is None:
        note("left out: uvicorn is not installed")
    else:
        command = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--no-access-log", "--port", "PORT", APP]
        yield Peer("uvicorn", command, jobs=frozenset({"h1", "websocket"}))


def bare_handler(options: Options) -> Iterator[Peer]:
    """Yields our server with a handler of streams, which does the same as the ASGI application."""
    for version in options.versions:
        command = version.command(SERVERS / "ours.py", "PORT")
        yield Peer(f"{version.who}, a handler of streams", command, env=version.env, jobs=frozenset({"h2"}))


def make_docroot(folder: Path, sizes: Iterable[int] = ()) -> None:
    """Makes the files that nghttpd serves: the paths that the other servers answer by themselves."""
    for name in ("small", "sink"):
        (folder / name).write_bytes(b"hello, world\n")
    (folder / "bytes").mkdir()
    for size in sizes:
        with (folder / "bytes" / str(size)).open("wb") as file:
            file.truncate(size)


@contextmanager
def servers(options: Options, *, tls: bool, sizes: Iterable[int] = ()) -> Iterator[list[Running]]:
    """Starts all servers that there are; leaving the block stops them.

    Args:
        options: Which versions of trio_h2.
        tls: Whether they speak TLS; those that cannot are left out.
        sizes: The N of the paths /bytes/N that will be asked for.
    """
    with contextlib.ExitStack() as stack:
        docroot = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        make_docroot(docroot, sizes)
        files = stack.enter_context(tls_files())
        started = [
            stack.enter_context(launched(peer, tls=tls))
            for peer in peers(options, docroot, files)
            if not tls or peer.tls is not None
        ]
        ready: list[Running] = []
        for server in started:
            try:
                server.wait()
                ready.append(server)
            except OSError as error:
                if server.who in {version.who for version in options.versions}:
                    raise
                note(f"left out: {server.who}: {error}")
        yield ready


@contextmanager
def launched(peer: Peer, *, tls: bool = False) -> Iterator[Running]:
    """Starts a server on a free port of 127.0.0.1; leaving the block stops it with everything it has started."""
    port = free_port()
    arguments = peer.tls or [] if tls else peer.cleartext
    command = [part.replace("PORT", str(port)) for part in peer.command + arguments]
    with tempfile.TemporaryFile() as output:
        # A group of its own, so that children are found and ended.
        process = subprocess.Popen(
            command, cwd=ROOT, env=peer.env, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield Running(peer.who, port, peer.jobs, process, output)
        finally:
            stop(process)


@contextmanager
def running(peer: Peer, *, tls: bool = False) -> Iterator[Running]:
    """Starts a server, and waits until it can be used.

    Raises:
        OSError: It does not start.
    """
    with launched(peer, tls=tls) as server:
        server.wait()
        yield server


def free_port() -> int:
    """Returns a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a program that was started in a group of its own, with everything it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
