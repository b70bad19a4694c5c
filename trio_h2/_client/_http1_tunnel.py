"""A tunnel through a proxy that speaks HTTP/1.1, by way of h11 (RFC 9110 §9.3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h11
import trio

from .._refused import MAX_REASON
from .._util import forget_frames, interrupt_safe
from ._errors import ProxyError, proxy_refusal
from ._http1_exchange import headers_of

if TYPE_CHECKING:
    from .. import ClientConfig
    from ._proxy import Proxy

_RECEIVE_SIZE: Final = 64 * 1024
_LINE_ROOM: Final = 8 * 1024
_REASON_SECONDS: Final = 1.0
_MAX_INTERIM: Final = 100


@interrupt_safe
class Http1Tunnel(trio.abc.Stream):
    """The transport after the proxy has answered.

    Args:
        transport: leads to the proxy; closed with this stream.
        early: what came with the answer.
    """

    def __init__(self, transport: trio.abc.Stream, early: bytes) -> None:
        self.below = transport
        self._early = early

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receives what came early first. Cancelled: nothing is lost."""
        if not self._early:
            return await self.below.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        size = len(self._early) if max_bytes is None else max_bytes
        data, self._early = self._early[:size], self._early[size:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends as the transport does."""
        await self.below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Waits as the transport does."""
        await self.below.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the transport."""
        await self.below.aclose()


async def open_http1_tunnel(
    transport: trio.abc.Stream, proxy: Proxy, target: str, config: ClientConfig
) -> trio.abc.Stream:
    """Asks a proxy for a tunnel. Failed or cancelled: *transport* is closed.

    Args:
        transport: leads to the proxy; it belongs to the result.
        proxy: who is asked.
        target: host and port.
        config: limits the size of the answer's head.

    Raises:
        ProxyError: it refused, or gave no answer that can be understood.
        trio.BrokenResourceError: the connection broke.
    """
    wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=config.max_header_list_size + _LINE_ROOM)
    try:
        fields = [(b"host", target.encode("ascii")), *proxy.headers.raw]
        try:
            head = wire.send(h11.Request(method="CONNECT", target=target, headers=fields))
        except h11.LocalProtocolError as exc:
            forget_frames(exc)
            # h11 says which field it is, with its value.
            raise ProxyError(f"HTTP/1.1 cannot say the headers for the proxy {proxy.url}", proxy=proxy.url) from None
        assert head is not None
        await transport.send_all(head)
        response = await _response(transport, wire, proxy)
        # RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will
        # switch to tunnel mode immediately after the response header section".
        if response.status_code >= 300:
            headers = headers_of(response.status_code, list(response.headers))
            reason = response.reason.decode("ascii", "backslashreplace")
            body = await _body(transport, wire)
            raise proxy_refusal(proxy.url, f"a tunnel to {target}", response.status_code, reason, headers, body)
        early, _ended = wire.trailing_data
    except BaseException:
        await trio.aclose_forcefully(transport)
        raise
    return Http1Tunnel(transport, early)


async def _response(transport: trio.abc.Stream, wire: h11.Connection, proxy: Proxy) -> h11.Response:
    interim = 0
    while True:
        event = await _next(transport, wire, proxy)
        if isinstance(event, h11.Response):
            return event
        interim += isinstance(event, h11.InformationalResponse)
        if not isinstance(event, h11.InformationalResponse) or interim > _MAX_INTERIM:
            raise ProxyError(f"the proxy {proxy.url} did not answer as HTTP/1.1 does", proxy=proxy.url)


async def _next(
    transport: trio.abc.Stream, wire: h11.Connection, proxy: Proxy
) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    ended = False
    while True:
        try:
            event = wire.next_event()
        except h11.RemoteProtocolError as exc:
            forget_frames(exc)
            what = "closed the connection without an answer" if ended else "did not answer as HTTP/1.1 does"
            raise ProxyError(f"the proxy {proxy.url} {what}", proxy=proxy.url) from None
        if event is not h11.NEED_DATA:
            return event
        data = bytes(await transport.receive_some(_RECEIVE_SIZE))
        ended = not data
        wire.receive_data(data)


async def _body(transport: trio.abc.Stream, wire: h11.Connection) -> bytes:
    """Returns as much of a refusal's body as comes soon."""
    body = bytearray()
    with trio.move_on_after(_REASON_SECONDS):
        try:
            while len(body) < MAX_REASON:
                event = wire.next_event()
                if isinstance(event, h11.Data):
                    body += event.data
                elif event is h11.NEED_DATA:
                    wire.receive_data(bytes(await transport.receive_some(_RECEIVE_SIZE)))
                else:
                    break
        except (h11.RemoteProtocolError, trio.BrokenResourceError):
            pass  # the status has said enough
    return bytes(body[:MAX_REASON])
