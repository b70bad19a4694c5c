"""What the functions of the kit, and the fixtures of the same names, take by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    import trio_h2

    from ._pair import Wrapper


class ServerOptions(TypedDict, total=False):
    """The options of `plain_server` and `tls_server`, which are those of `trio_h2.open_server`."""

    port: int
    """The TCP port; 0, the default, binds a free one."""
    host: str | bytes | None
    """A name or address; ``"localhost"`` by default, for which the certificate of `tls_server` is made."""
    backlog: int | None
    """Connections that wait to be accepted."""
    config: trio_h2.ServerConfig | None
    """Limits and timeouts."""
    settings: trio_h2.Settings | None
    """What the first SETTINGS of each session say."""
    on_session: trio_h2.SessionHook | None
    """An async function that gets every new session before its first stream."""
    on_session_error: trio_h2.ErrorHook | None
    """Called with the session, or None, and the error that ended a connection."""
    on_unknown_protocol: trio_h2.UnknownProtocolHook | None
    """Over TLS: an async function that gets the streams of clients that speak something else."""
    cancel_handler_on_reset: bool
    """Whether handlers end with their stream; True by default."""
    allow_http1: bool
    """Whether HTTP/1.1 and HTTP/1.0 are served, too; False by default."""
    proxy_protocol: bool
    """Whether every connection begins with a header of the PROXY protocol; False by default."""
    origins: Iterable[trio_h2.OriginLike]
    """Over TLS: origins that every new session names to its client at once (RFC 8336)."""
    grace: float | None
    """Seconds that running streams get when the block is left in good order; 1 by default."""


class ClientSideOptions(TypedDict, total=False):
    """How a client session of ours is connected in memory: options of `scripted_server` and `reference_server`."""

    client_config: trio_h2.ClientConfig | None
    """Limits and timeouts of the client."""
    client_settings: trio_h2.Settings | None
    """What the first SETTINGS of the client say."""
    capacity: int | None
    """How many bytes each transport holds before `send_all` waits; None, the default, for no bound."""
    wrap_client: Wrapper
    """Makes the client's transport of the end of a memory transport, e.g. a faulty one."""
    push_handler: trio_h2.PushHandler | None
    """As for `trio_h2.connect`."""


class ServerSideOptions(TypedDict, total=False):
    """How a server session of ours is connected in memory: options of `scripted_client` and `reference_client`."""

    server_config: trio_h2.ServerConfig | None
    """Limits and timeouts of the server."""
    server_settings: trio_h2.Settings | None
    """What the first SETTINGS of the server say."""
    capacity: int | None
    """How many bytes each transport holds before `send_all` waits; None, the default, for no bound."""
    wrap_server: Wrapper
    """Makes the server's transport of the end of a memory transport, e.g. a faulty one."""
    on_session: trio_h2.SessionHook | None
    """As for `trio_h2.serve_stream`."""
    cancel_handler_on_reset: bool
    """As for `trio_h2.serve_stream`; True by default."""
    raise_handler_errors: bool
    """As for `session_pair`; True by default."""


class FaultyPairOptions(TypedDict, total=False):
    """The options of `faulty_session_pair`; `session_pair` says what they are."""

    client_config: trio_h2.ClientConfig | None
    """Limits and timeouts of the client."""
    server_config: trio_h2.ServerConfig | None
    """Limits and timeouts of the server."""
    client_settings: trio_h2.Settings | None
    """What the first SETTINGS of the client say."""
    server_settings: trio_h2.Settings | None
    """The same of the server."""
    capacity: int | None
    """How many bytes each transport holds before `send_all` waits; None, the default, for no bound."""
    wrap_server: Wrapper
    """Makes the server's transport of the end of a memory transport, e.g. a faulty one."""
    on_session: trio_h2.SessionHook | None
    """As for `trio_h2.serve_stream`."""
    cancel_handler_on_reset: bool
    """As for `trio_h2.serve_stream`; True by default."""
    push_handler: trio_h2.PushHandler | None
    """As for `trio_h2.connect`."""
    raise_handler_errors: bool
    """Whether what a handler has raised fails the test; True by default."""


class SessionPairOptions(FaultyPairOptions, total=False):
    """The options of `session_pair`, for its fixture."""

    wrap_client: Wrapper
    """The same for the client's transport."""
