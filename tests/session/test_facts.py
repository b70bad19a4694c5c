"""What a session says about itself: flags, and the view of its transport."""

from __future__ import annotations

import ssl

import pytest
import trio

from tests.session.ends import both_roles, session_of
from tests.session.scripted import hello
from trio_h2 import (
    ClientSession,
    LocalProtocolError,
    Role,
    Server,
    ServerSession,
    Settings,
    TransportView,
    connect,
    serve_ssl_over_tcp,
    serve_stream,
    serve_tcp,
)
from trio_h2.testing import SettingsFrame, ThrowawayAuthority, memory_transports


@pytest.mark.parity("B13")
@both_roles
async def test_closed_comes_before_destroyed(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, _):
        assert session.role is role
        assert (session.closed, session.destroyed) == (False, False)
        if isinstance(session, ClientSession):
            await session.open_stream("GET")
        session.shutdown()
        assert session.closed
        if role is Role.CLIENT:
            assert not session.destroyed  # its stream may finish
        await session.aclose(0)
        assert session.destroyed


@pytest.mark.parity("B16")
@both_roles
async def test_settings_are_pending_until_all_are_acknowledged(role: Role, autojump_clock: object) -> None:
    seen: list[bool] = []
    async with session_of(role, handshake=False) as (session, peer):
        seen.append(session.pending_settings_ack)  # the first ones count
        await peer.handshake()
        await peer.ping()
        seen.append(session.pending_settings_ack)
        peer.auto_ack = False
        async with trio.open_nursery() as nursery:
            for size in (4711, 4712):
                nursery.start_soon(session.update_settings, Settings(max_header_list_size=size))
            for _ in range(2):
                await peer.until(SettingsFrame, ack=False)
                seen.append(session.pending_settings_ack)
                await peer.send_settings(ack=True)
        seen.append(session.pending_settings_ack)
    assert seen == [True, False, True, True, False]


@pytest.mark.parity("B11")
@pytest.mark.parity("B2")
@both_roles
async def test_cleartext(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, _):
        assert not session.connecting
        assert session.alpn_protocol == "h2c"
        assert not session.encrypted
        view = session.transport
        assert (view.local_address, view.peer_address) == (None, None)  # memory has none
        assert (view.tls_version, view.cipher, view.server_hostname, view.ssl_context) == (None, None, None, None)
        assert (view.peer_certificate, view.peer_certificate_fields) == (None, None)


@pytest.mark.parity("B2")
async def test_a_hook_sees_a_connected_session() -> None:
    seen: list[tuple[bool, str | None, bool]] = []

    async def hook(session: ServerSession) -> None:
        seen.append((session.connecting, session.alpn_protocol, session.encrypted))

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            lambda task_status: serve_tcp(hello, 0, on_session=hook, task_status=task_status)
        )
        async with connect(server.urls[0]) as session:
            await session.ping()
        await server.aclose()
    assert seen == [(False, "h2c", False)]


# -- the view of the transport -----------------------------------------------------------------------------------------


@pytest.mark.parity("A2", "B11", "B13", "B20")
async def test_addresses_and_certificate_of_tls_over_tcp() -> None:
    authority = ThrowawayAuthority()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve_ssl_over_tcp, hello, 0, authority.server_context())
        url = f"https://localhost:{server.port}"
        async with connect(url, ssl_context=authority.client_context()) as session:
            await session.ping()
            (other,) = server.sessions
            ours, theirs = session.transport, other.transport
            assert (session.encrypted, other.encrypted) == (True, True)
            assert (session.alpn_protocol, other.alpn_protocol) == ("h2", "h2")
            assert ours.peer_address is not None
            assert ours.peer_address[1] == server.port
            assert (ours.peer_address, ours.local_address) == (theirs.local_address, theirs.peer_address)
            assert ours.tls_version == theirs.tls_version == "TLSv1.3"
            assert ours.cipher == theirs.cipher
            assert ours.server_hostname == "localhost"
            assert theirs.server_hostname == "localhost"
            assert ours.peer_certificate is not None
            assert "BEGIN CERTIFICATE" in ssl.DER_cert_to_PEM_cert(ours.peer_certificate)
            fields = ours.peer_certificate_fields
            assert fields is not None
            assert "subjectAltName" in fields
            assert theirs.peer_certificate is None  # the client showed none
            assert isinstance(ours.ssl_context, ssl.SSLContext)
        assert ours.peer_address == theirs.local_address  # still known
        await server.aclose()


@pytest.mark.parity("B11")
async def test_tls_without_alpn_and_before_its_handshake(autojump_clock: object) -> None:
    authority = ThrowawayAuthority()
    ours, theirs = memory_transports()
    client = trio.SSLStream(ours, authority.client_context(()), server_hostname="localhost")
    server = trio.SSLStream(theirs, authority.server_context(()), server_side=True, https_compatible=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_stream, hello, server)
        async with connect("https://localhost", transport=client) as session:
            assert session.encrypted
            assert session.alpn_protocol is None
            assert session.transport.peer_certificate is None
            await session.ping()
            assert session.alpn_protocol is None
            assert session.transport.peer_certificate is not None


@pytest.mark.parity("B20")
@both_roles
async def test_the_transport_cannot_be_used(role: Role, autojump_clock: object) -> None:
    async with session_of(role) as (session, peer):
        view = session.transport
        for use in (view.send_all, view.receive_some, view.send_eof, view.aclose):
            with pytest.raises(LocalProtocolError, match="belongs to its session"):
                use(*[b"x"] * (use == view.send_all))
        assert not isinstance(view, trio.abc.Stream)
        await peer.expect_nothing(1)
        assert not session.closed
    with pytest.raises(TypeError, match="no public constructor"):
        TransportView()  # type: ignore[call-arg]  # as users would try it
