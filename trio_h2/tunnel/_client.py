"""The client's side of a tunnel: a CONNECT, and the stream that it opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio_h2

from .._refused import RefusedError, read_refusal
from .._util import NoPublicConstructor, construct, interrupt_safe
from ._auth import basic_credentials
from ._target import parse_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType


class TunnelRefusedError(RefusedError):
    """The proxy answered a CONNECT with a status other than 2xx: there is no tunnel, and the session goes on.

    What to do: `status` tells, and often the `body`: 403 the target is not allowed, 407 credentials are missing or
    wrong, 502 the target cannot be reached, 504 it did not answer in time.

    Args:
        message: what happened, in one sentence.
        status: the status.
        headers: the headers of the response.
        body: the start of its body.
    """


def open_tunnel(
    session: trio_h2.ClientSession,
    target: str,
    *,
    headers: trio_h2.HeadersInput | None = None,
    credentials: tuple[str, str] | None = None,
) -> Tunnel:
    """Prepares a tunnel through the proxy at the other end of *session*; ``async with`` gives a byte stream.

    The stream is a `trio_h2.ClientStream`, and so a `trio.abc.HalfCloseableStream`: it goes into `trio.SSLStream`, or
    as the transport into `trio_h2.connect`. Leaving the block closes it like a TCP socket; left by an exception, it is
    reset with CANCEL.

    Args:
        session: a session with the proxy.
        target: ``"host:port"``; an IPv6 address in brackets. Names beyond ASCII become IDNA.
        headers: further fields of the request. ``:authority`` is *target*; ``:scheme`` and ``:path`` do not exist in a
            CONNECT (RFC 9113 §8.5).
        credentials: user name and password for the proxy, sent as basic ``proxy-authorization``.

    Returns:
        A block; nothing has been sent yet.

    Raises:
        TypeError, ValueError: an argument is not allowed.

    Entering the block raises `TunnelRefusedError` if the proxy answers with another status than 2xx, and what
    `ClientSession.open_stream` and `ClientStream.receive_response` raise. Cancelled: the stream is reset.
    """
    if not isinstance(session, trio_h2.ClientSession):
        raise TypeError(f"session must be a ClientSession, not {session!r}")
    if not isinstance(target, str):
        raise TypeError(f"target must be a str like 'host:port', not {target!r}")
    if not target.isascii():
        host, colon, port = target.rpartition(":")
        target = f"{parse_name(host)}{colon}{port}"
    given = trio_h2.Headers({} if headers is None else headers)
    if ":authority" in given or "host" in given:
        raise ValueError("the target is the ':authority' of a CONNECT; leave it and 'host' out of the headers")
    fields: list[tuple[str | bytes, str | bytes]] = [(":authority", target), *given.raw]
    if credentials is not None:
        if "proxy-authorization" in given:
            raise ValueError("credentials and the header field 'proxy-authorization' exclude each other")
        fields.append(("proxy-authorization", basic_credentials(*credentials)))
    request = session.request("CONNECT", headers=trio_h2.Headers(fields, sensitive=given.sensitive), end_stream=False)
    return construct(Tunnel, request.__aenter__, target)


@interrupt_safe
class Tunnel(metaclass=NoPublicConstructor):
    """The block of one tunnel: ``async with open_tunnel(…) as stream``. Use it once."""

    _made_by = "open_tunnel() makes it"

    def __init__(self, send_request: Callable[[], Awaitable[trio_h2.ClientStream]], target: str) -> None:
        self._send_request = send_request
        self._target = target
        self._stream: trio_h2.ClientStream | None = None

    async def __aenter__(self) -> trio_h2.ClientStream:
        """Sends the CONNECT and waits for the proxy's answer, see `open_tunnel`."""
        stream = await self._send_request()
        try:
            response = await stream.receive_response()
            # RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will
            # switch to tunnel mode".
            if response.status >= 300:
                what = f"the proxy refused a tunnel to {self._target}"
                raise await read_refusal(TunnelRefusedError, what, response, stream)
        except BaseException:
            stream.destroy()
            raise
        self._stream = stream
        return stream

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the stream; resets it if the block raised."""
        assert self._stream is not None
        stream, self._stream = self._stream, None
        await stream.__aexit__(exc_type, exc, traceback)


def through(
    session: trio_h2.ClientSession,
    *,
    headers: trio_h2.HeadersInput | None = None,
    credentials: tuple[str, str] | None = None,
) -> Callable[[str], Awaitable[trio_h2.ClientStream]]:
    """Returns a ``transport=`` for `trio_h2.connect` that goes through the proxy at the other end of *session*.

    ::

        async with (
            trio_h2.connect("https://proxy.example:8443") as proxy,
            trio_h2.connect("https://example.com", transport=through(proxy), ssl_context=context) as session,
        ): ...

    For an ``https`` URL, an ``ssl_context`` makes `trio_h2.connect` speak TLS inside of the tunnel, with the target
    rather than with the proxy. The tunnel is closed with the session in it. A refusal raises `TunnelRefusedError`.

    Args:
        session: a session with the proxy.
        headers: as for `open_tunnel`.
        credentials: as for `open_tunnel`.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """
    fields = None if headers is None else trio_h2.Headers(headers)
    open_tunnel(session, "localhost:1", headers=fields, credentials=credentials)  # only checks the arguments

    async def transport(url: str) -> trio_h2.ClientStream:
        scheme, _, authority = url.partition("://")
        if authority.endswith("]") or ":" not in authority:
            authority += ":443" if scheme == "https" else ":80"
        return await open_tunnel(session, authority, headers=fields, credentials=credentials).__aenter__()

    return transport
