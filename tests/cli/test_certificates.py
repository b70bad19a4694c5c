"""Certificates of the command line: read again on SIGHUP, and keys with a password."""

from __future__ import annotations

import signal
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

import trio_h2
from tests.cli.tools import fetch, read_all, run, running
from tests.cli.worker_tools import said
from trio_h2.testing import ThrowawayAuthority

if TYPE_CHECKING:
    from pathlib import Path


class Files:
    """A certificate, its key, and the authority that clients trust."""

    def __init__(self, directory: Path) -> None:
        self.ca, self.cert, self.key, self.password = (
            directory / name for name in ("ca.pem", "cert.pem", "key.pem", "password")
        )
        self.options = ["--cert", str(self.cert), "--key", str(self.key)]
        self.renew()

    def renew(self) -> None:
        authority = ThrowawayAuthority()
        authority.write_ca(self.ca)
        authority.write_server(self.cert, self.key)

    def encrypt(self, password: str) -> None:
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password.encode()),
            )
        )
        self.password.write_text(f"{password}\nand what else is in the file")
        self.options += ["--key-password", str(self.password)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["alone", "workers"])
async def test_sighup_reads_the_certificate_again(tmp_path: Path, files: Files, workers: list[str]) -> None:
    (tmp_path / "a").write_bytes(b"here")
    lines = 2 if workers else 1
    async with running("serve", str(tmp_path), *files.options, *workers) as server:
        url = await server.url()
        async with (
            trio_h2.connect(url, ssl_context=trio_h2.client_ssl_context(files.ca)) as session,
        ):
            files.renew()
            server.signal(signal.SIGHUP)
            await said(server, *["the certificate was read again"] * lines)
            assert await fetch(f"{url}/a", "--ca", str(files.ca), "--fail") == 0
            async with session.request("GET", "/a") as stream:
                assert await read_all(stream) == b"here"

        good = files.cert.read_bytes()
        files.cert.write_text("no certificate")
        server.signal(signal.SIGHUP)
        await said(server, *["the certificate stays as it was"] * lines)
        assert await fetch(f"{url}/a", "--ca", str(files.ca), "--fail") == 0
        files.cert.write_bytes(good)
        server.signal(signal.SIGTERM)
        assert (await server.ended()).code == 0


async def test_sighup_while_it_ends(tmp_path: Path, files: Files) -> None:
    """It is no second signal."""
    async with running("serve", str(tmp_path), *files.options) as server:
        url = await server.url()
        async with trio_h2.connect(url, ssl_context=trio_h2.client_ssl_context(files.ca)) as session:
            stream = await session.open_stream("POST", end_stream=False)
            await session.ping()
            server.signal(signal.SIGTERM)
            await session.wait_draining()
            server.signal(signal.SIGHUP)
            await said(server, "the certificate was read again")
            await stream.send_eof()
            assert (await stream.receive_response()).status == 405
        assert (await server.ended()).code == 0


async def test_sighup_without_a_certificate_ends_as_always(tmp_path: Path) -> None:
    async with running("serve", str(tmp_path)) as server:
        await server.url()
        server.signal(signal.SIGHUP)
        assert (await server.ended()).code == -signal.SIGHUP


@pytest.mark.parametrize("workers", [[], ["--workers", "1"]], ids=["alone", "workers"])
async def test_a_key_with_a_password(tmp_path: Path, files: Files, workers: list[str]) -> None:
    files.encrypt("open sesame")
    async with running("serve", str(tmp_path), *files.options, *workers) as server:
        url = await server.url()
        assert await fetch(url, "--ca", str(files.ca)) == 0
        files.renew()
        files.encrypt("another one")
        server.signal(signal.SIGHUP)
        await said(server, "the certificate was read again")
        assert await fetch(url, "--ca", str(files.ca)) == 0


async def test_wrong_passwords(tmp_path: Path, files: Files) -> None:
    files.encrypt("open sesame")
    (await run("serve", str(tmp_path), *files.options[:4])).failed(1, "is encrypted", "--key-password")
    files.password.write_text("closed sesame")
    (await run("serve", str(tmp_path), *files.options)).failed(1, "the password is wrong")
    files.password.unlink()
    (await run("serve", str(tmp_path), *files.options)).failed(1, "cannot read", str(files.password))


async def test_the_proxy_reads_it_again(files: Files) -> None:
    async with running("proxy", "--allow", "192.0.2.1:1", *files.options) as proxy:
        url = await proxy.url()
        files.renew()
        proxy.signal(signal.SIGHUP)
        await said(proxy, "the certificate was read again")
        context = trio_h2.client_ssl_context(files.ca)
        assert context.verify_mode is ssl.CERT_REQUIRED
        async with trio_h2.connect(url, ssl_context=context) as session:
            await session.ping()
