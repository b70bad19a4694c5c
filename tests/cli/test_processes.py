"""The command line as the shell sees it: processes, pipes, terminals and signals."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.cli.tools import ENVIRONMENT, PROGRAM, assert_one_line, run, running, served

if TYPE_CHECKING:
    from trio_h2 import ServerStream
    from trio_h2.testing import ThrowawayAuthority

MIB = 1024 * 1024


async def endless(stream: ServerStream) -> None:
    await stream.respond(200)
    while True:
        await stream.send_all(bytes(65536))


# -- the program ---------------------------------------------------------------------------------------------------


async def test_python_m() -> None:
    ended = await run("--version")
    assert (ended.code, ended.out, ended.err) == (0, f"trio-h2 {trio_h2.__version__}\n".encode(), "")


async def test_the_console_script() -> None:
    """It is installed beside the interpreter that runs the tests, in an environment made for them."""
    script = shutil.which("trio-h2", path=str(Path(sys.executable).parent))
    code = "import sys; from importlib.metadata import EntryPoint; "
    code += "sys.exit(EntryPoint('trio-h2', 'trio_h2._cli:main', 'console_scripts').load()())"
    command = [sys.executable, "-c", code] if script is None else [script]
    done = await trio.run_process([*command, "--version"], capture_stdout=True, env=ENVIRONMENT)
    assert done.stdout == f"trio-h2 {trio_h2.__version__}\n".encode()


async def test_wrong_usage() -> None:
    for argv in ([], ["get", "x://y"], ["get", "http://x", "-H", "a\nb: c"], ["serve", "--app", "absent.py:x"]):
        ended = await run(*argv)
        assert ended.out == b""
        ended.failed(2)


async def test_a_command_that_cannot_write_what_it_says() -> None:
    for argv in (["--help"], ["--version"], ["demo"], ["serve"]):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = await trio.run_process(
                [*PROGRAM, *argv], stdout=writing, capture_stderr=True, check=False, env=ENVIRONMENT
            )
        finally:
            os.close(writing)
        assert done.returncode == 1, argv
        assert_one_line(done.stderr.decode(), "cannot write to stdout", "Broken pipe")


async def test_no_certificates_without_the_extra(tmp_path: Path) -> None:
    """As after a plain `pip install trio-h2`."""
    hide = "import sys; sys.modules['{}'] = None; import trio_h2._cli; sys.exit(trio_h2._cli.main())"
    for package, argv in [
        ("trustme", ["demo"]),
        ("trustme", ["serve", "--self-signed"]),
        ("trustme", ["serve", "--self-signed", "--workers", "2"]),
        ("wsproto", ["demo"]),
    ]:
        command = [sys.executable, "-c", hide.format(package), *argv]
        done = await trio.run_process(command, capture_stderr=True, check=False, env=ENVIRONMENT)
        assert done.returncode == 1
        assert_one_line(done.stderr.decode(), "pip install 'trio-h2[cli]'")


# -- get: exit codes -----------------------------------------------------------------------------------------------


async def test_get_exit_codes(tmp_path: Path) -> None:
    body = os.urandom(2 * MIB)

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200 if stream.path == "/" else 404, body=body)

    async with served(handler) as site:
        ended = await run("get", site.url())
        assert (ended.code, ended.out == body, ended.err) == (0, True, "")
        ended = await run("get", site.url("/x"), "--fail")
        ended.failed(22, "404")
        ended = await run("get", site.url(), "-d", "@absent", cwd=tmp_path)
        ended.failed(1, "absent")
        url = site.url()
    (await run("get", url)).failed(1, "Connection refused")


async def test_get_over_tls(tmp_path: Path, authority: ThrowawayAuthority) -> None:
    authority.write_ca(tmp_path / "ca.pem")

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200, body=b"safe")

    async with served(handler, authority.server_context()) as site:
        (await run("get", site.url())).failed(1, "certificate")
        ended = await run("get", site.url(), "--ca", "ca.pem", cwd=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, b"safe", "")


# -- get: pipes and terminals --------------------------------------------------------------------------------------


async def test_get_into_a_pipe_that_is_closed() -> None:
    async with served(endless) as site, running("get", site.url()) as command:
        stdout = command.process.stdout
        assert stdout is not None
        await stdout.receive_some(1)
        await stdout.aclose()
        command.process.stdout = None
        (await command.ended()).failed(1, "cannot write to stdout", "Broken pipe")


async def test_get_with_closed_stdout() -> None:
    async with served(endless) as site:
        done = await trio.run_process(
            ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "get", site.url()],
            capture_stderr=True,
            check=False,
            env=ENVIRONMENT,
        )
    assert done.returncode == 1
    assert_one_line(done.stderr.decode(), "stdout", "closed")


async def shown_on_terminal(*argv: str) -> bytes:
    """Runs `get` with stderr on a terminal; returns what that shows."""
    master, terminal = os.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(master, 65536):
                shown.extend(chunk)
        except OSError:  # how Linux says that nobody has the terminal open any more
            pass

    async with trio.open_nursery() as nursery:
        try:
            async with running("get", *argv, stderr=terminal) as command:
                nursery.start_soon(trio.to_thread.run_sync, read)
                await command.ended()
        finally:
            os.close(terminal)
    os.close(master)
    return bytes(shown)


async def test_a_bar_for_a_long_transfer_on_a_terminal(tmp_path: Path) -> None:
    async def handler(stream: ServerStream) -> None:
        await stream.respond(200, body=bytes(MIB if stream.path == "/long" else 1000))

    async with served(handler) as site:
        shown = await shown_on_terminal(site.url("/long"), "-o", str(tmp_path / "out"))
        assert b"of 1.0 MiB" in shown
        assert shown.endswith(b"\r\x1b[K")
        assert await shown_on_terminal(site.url("/short"), "-o", str(tmp_path / "out")) == b""
        # No terminal, no bar.
        assert (await run("get", site.url("/long"), "-o", str(tmp_path / "out"))).err == ""


async def test_no_bar_for_a_body_on_the_terminal() -> None:
    """It would be drawn into the body."""

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200, body=2 * MIB * b"x")

    async with served(handler) as site:
        assert await on_terminal(site.url()) == (0, 2 * MIB * b"x")


async def test_binary_data_on_the_terminal() -> None:
    """It is shown only if that was asked for."""
    data = bytes(range(256)) * 100

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200, body=data if stream.path == "/" else b"text\n")

    async with served(handler) as site:
        code, shown = await on_terminal(site.url(), site.url("/text"))
        told, text = shown.decode().replace("\r", "").splitlines(keepends=True)
        assert_one_line(told, site.url(), "binary", "-o FILE", "-o -")
        assert (code, text) == (1, "text\n")
        assert await on_terminal(site.url(), "-o", "-") == (0, data.replace(b"\n", b"\r\n"))  # as terminals do
        ended = await run("get", site.url())
        assert (ended.code, ended.out, ended.err) == (0, data, "")


async def on_terminal(*argv: str) -> tuple[int, bytes]:
    """Runs `get` with stdout and stderr on a terminal; returns its exit code, and what that shows."""
    master, terminal = os.openpty()
    seen = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(master, 65536):
                seen.extend(chunk)
        except OSError:
            pass

    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            [*PROGRAM, "get", *argv], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, env=ENVIRONMENT
        )
        os.close(terminal)
        nursery.start_soon(trio.to_thread.run_sync, read)
        code = await process.wait()
    os.close(master)
    return code, bytes(seen)


async def test_what_the_library_logs_is_no_second_line() -> None:
    """Without a handler of its own, a program shows warnings: here that the server was taken for an attacker."""

    async def flood(transport: trio.abc.Stream) -> None:
        await transport.receive_some()
        with contextlib.suppress(trio.BrokenResourceError):
            await transport.send_all(frame(4, 0, 0) + frame(6, 0, 0, bytes(8)) * 20_000)
            while await transport.receive_some():
                pass
        await transport.aclose()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, flood, [listener])
        ended = await run("get", f"http://127.0.0.1:{listener.socket.getsockname()[1]}/")
        nursery.cancel_scope.cancel()
    ended.failed(1, "ENHANCE_YOUR_CALM")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame (RFC 9113 §4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


async def test_a_closed_stdin_has_no_body() -> None:
    """Its number may be that of something else by then."""
    async with served(endless) as site:
        for argv in (["-d", "@-"], ["-d", "@-", "-X", "PUT"]):
            done = await trio.run_process(
                ["sh", "-c", 'exec "$@" <&-', "sh", *PROGRAM, "get", site.url(), *argv],
                stdin=None,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=ENVIRONMENT,
            )
            assert (done.returncode, done.stdout) == (1, b"")
            assert_one_line(done.stderr.decode(), "stdin", "closed")


# -- get: Ctrl-C ---------------------------------------------------------------------------------------------------


async def test_ctrl_c_ends_a_transfer(tmp_path: Path) -> None:
    """What has come is there, the server hears of it, and the exit code is that of an interrupted command."""
    reset = trio.Event()
    sent = trio.Event()

    async def handler(stream: ServerStream) -> None:
        await stream.respond(200)
        await stream.send_all(b"beginning")
        sent.set()
        try:
            await trio.sleep_forever()
        finally:
            if stream.rst_code == trio_h2.ErrorCode.CANCEL:
                reset.set()

    async with served(handler) as site, running("get", site.url(), "-o", str(tmp_path / "out")) as command:
        await sent.wait()
        command.signal(signal.SIGINT)
        (await command.ended()).failed(130, "interrupted")
        await reset.wait()


async def test_ctrl_c_while_nobody_reads() -> None:
    """The thread that writes to the pipe is stuck; that keeps nothing from ending."""
    async with served(endless) as site, running("get", site.url()) as command:
        assert command.process.stdout is not None
        await command.process.stdout.receive_some(1)
        command.signal(signal.SIGINT)
        assert await command.process.wait() == 130
        assert_one_line((await command.ended()).err, "interrupted")


@pytest.mark.parametrize("argv", [["get", "http://127.0.0.1:{port}", "-d", "@-"]])
async def test_ctrl_c_while_waiting_for_stdin(argv: list[str]) -> None:
    begun = trio.Event()

    async def handler(stream: ServerStream) -> None:
        begun.set()
        await trio.sleep_forever()

    async with served(handler) as site:
        command_line = [word.format(port=site.server.port) for word in argv]
        async with running(*command_line, stdin=subprocess.PIPE) as command:
            await begun.wait()
            command.signal(signal.SIGINT)
            (await command.ended()).failed(130, "interrupted")
