"""What the fixtures of the pytest plugin give: the blocks of the kit, started by a call and ended with the test.

The plugin itself, `_trio_h2_pytest`, is beside the package, so that it need not be imported where no test uses it.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Generic, ParamSpec, Protocol, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    import trio_h2

    from ._block import Block
    from ._certs import ThrowawayAuthority
    from ._client_certificate import ClientCertificate
    from ._field_blocks import SettingsInput
    from ._local_server import LocalServer
    from ._local_tls_server import LocalTlsServer
    from ._open_blocks import OpenBlocks
    from ._options import (
        ClientSideOptions,
        FaultyPairOptions,
        ServerOptions,
        ServerSideOptions,
        SessionPairOptions,
    )
    from ._peer import ScriptedPeer
    from ._reference._client import ReferenceClient
    from ._reference._server import ReferenceHandler, ReferenceServer

P = ParamSpec("P")
T = TypeVar("T")
FaultT = TypeVar("FaultT", bound=trio.abc.Stream)


class Starter(Generic[P, T]):
    """Starts blocks for a test: `Starter(session_pair, blocks)` is what the fixture `session_pair` gives."""

    def __init__(self, make: Callable[P, Block[T]], blocks: OpenBlocks) -> None:
        self._make = make
        self._blocks = blocks

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Starts a block, which ends with the test, and returns what it gives.

        Cancelled, or if it cannot be started: nothing is left of it.
        """
        return await self._blocks.enter(self._make(*args, **kwargs))


class SessionPairFixture(Protocol):
    """The type of the fixture `session_pair`: ``client, server = await session_pair(handler)``."""

    async def __call__(
        self, handler: trio_h2.Handler, **options: Unpack[SessionPairOptions]
    ) -> tuple[trio_h2.ClientSession, trio_h2.ServerSession]:
        """Connects two sessions until the end of the test, see `session_pair`."""


class FaultySessionPairFixture(Protocol):
    """The type of the fixture `faulty_session_pair`:
    ``client, server, transport = await faulty_session_pair(handler, CuttingStream)``.
    """

    async def __call__(
        self,
        handler: trio_h2.Handler,
        fault: Callable[[trio.abc.HalfCloseableStream], FaultT],
        **options: Unpack[FaultyPairOptions],
    ) -> tuple[trio_h2.ClientSession, trio_h2.ServerSession, FaultT]:
        """Connects two sessions over a faulty transport until the end of the test, see `faulty_session_pair`."""


class PlainServerFixture(Protocol):
    """The type of the fixture `plain_server`: ``server = await plain_server(handler)``."""

    async def __call__(
        self, handler: trio_h2.Handler, *, raise_handler_errors: bool = True, **options: Unpack[ServerOptions]
    ) -> LocalServer:
        """Serves until the end of the test, see `plain_server`."""


class TlsServerFixture(Protocol):
    """The type of the fixture `tls_server`: ``server = await tls_server(handler)``."""

    async def __call__(
        self,
        handler: trio_h2.Handler,
        *,
        authority: ThrowawayAuthority | None = None,
        client_certificates: ssl.VerifyMode = ssl.CERT_NONE,
        raise_handler_errors: bool = True,
        **options: Unpack[ServerOptions],
    ) -> LocalTlsServer:
        """Serves over TLS until the end of the test, see `tls_server`; *authority* is `tls_authority` by default."""


class ScriptedClientFixture(Protocol):
    """The type of the fixture `scripted_client`: ``peer, session = await scripted_client(handler)``."""

    async def __call__(
        self,
        handler: trio_h2.Handler,
        *,
        settings: SettingsInput[int] = (),
        handshake: bool = True,
        timeout: float = 10.0,  # noqa: ASYNC109  # of each frame, as for `ScriptedPeer`
        **options: Unpack[ServerSideOptions],
    ) -> tuple[ScriptedPeer, trio_h2.ServerSession]:
        """Serves a scripted client until the end of the test, see `scripted_client`."""


class ScriptedServerFixture(Protocol):
    """The type of the fixture `scripted_server`: ``session, peer = await scripted_server()``."""

    async def __call__(
        self,
        *,
        settings: SettingsInput[int] = (),
        handshake: bool = True,
        timeout: float = 10.0,  # noqa: ASYNC109  # of each frame, as for `ScriptedPeer`
        **options: Unpack[ClientSideOptions],
    ) -> tuple[trio_h2.ClientSession, ScriptedPeer]:
        """Connects a session to a scripted server until the end of the test, see `scripted_server`."""


class ReferenceClientFixture(Protocol):
    """The type of the fixture `reference_client`: ``client, session = await reference_client(handler)``."""

    async def __call__(
        self,
        handler: trio_h2.Handler,
        *,
        settings: trio_h2.Settings | None = None,
        **options: Unpack[ServerSideOptions],
    ) -> tuple[ReferenceClient, trio_h2.ServerSession]:
        """Serves a client that is h2's until the end of the test, see `reference_client`."""


class ReferenceServerFixture(Protocol):
    """The type of the fixture `reference_server`: ``session, server = await reference_server(handler)``."""

    async def __call__(
        self,
        handler: ReferenceHandler | None = None,
        *,
        settings: trio_h2.Settings | None = None,
        **options: Unpack[ClientSideOptions],
    ) -> tuple[trio_h2.ClientSession, ReferenceServer]:
        """Connects a session to a server that is h2's until the end of the test, see `reference_server`."""


class ClientCertificateFixture(Protocol):
    """The type of the fixture `client_certificate`: ``alice = client_certificate("alice")``."""

    def __call__(self, name: str) -> ClientCertificate:
        """Makes a certificate of the client *name*, by `tls_authority`, with files that last as long as the test."""
