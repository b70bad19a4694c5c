"""Passes one exchange on to another server, whole."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from .. import (
    ErrorCode,
    ExtendedConnectError,
    H2Error,
    HandshakeError,
    Headers,
    HeadersTooLargeError,
    Http1Exchange,
    Initiator,
    LocalProtocolError,
    Priority,
    RemoteProtocolError,
    StreamResetError,
)
from .._checks import check_hook
from .._util import interrupt_safe, interruptible
from ._errors import RequestTimeoutError
from ._relayed_tunnel import RelayedTunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from .. import ServerStream
    from ._client_exchange import ClientExchange
    from ._upstream import Upstream

    Instead: TypeAlias = Callable[[Exception], Awaitable[Upstream | None]]

logger = logging.getLogger("trio_h2.relay")

_T = TypeVar("_T")

_ENDS_WITH_HEAD: Final = (204, 205, 304)
_CONTINUE_SECONDS: Final = 1.0
"""How long a client that waits for 100 waits for the server to say it. Many servers never do (RFC 9110 §10.1.1: a
client "SHOULD NOT wait for an indefinite period")."""
_PASSED_ON: Final = (ErrorCode.CANCEL, ErrorCode.ENHANCE_YOUR_CALM, ErrorCode.INTERNAL_ERROR)
_NOT_IN_TRAILERS: Final = ("content-length", "host")
_FAILURES: Final = (H2Error, OSError, trio.ClosedResourceError)


class _ClientLeftError(Exception):
    """The side of the client has failed; `error` says how."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


async def relay(
    down: ServerStream, up: Upstream, *, instead: Callable[[Exception], Awaitable[Upstream | None]] | None = None
) -> Exception | None:
    """Passes the request of a handler on to another server, and the response back, over HTTP/2 and HTTP/1.1 each.

    Both bodies go on as they come, at the same time, a piece of up to 64 KiB of each at once: whoever reads slowly
    holds up who sends. So do 1xx responses, trailers where the other side can carry them, ``expect: 100-continue``
    (the server's 100, or ours where none comes within a second), and changes of priority. A response that ends before
    the request stops that. Fields of one connection are dropped, and ``via`` and what `Upstream` says of the client are
    added.

    When the client leaves, the request is reset with CANCEL. When the server fails before its response has begun, the
    client gets 504 (it took too long), 503 (it did not process the request, or no connection was free) or 502 (it
    cannot be reached, broke the rules, or broke off), after as many attempts as the client's `Retry` allows: they need
    no more than 64 KiB of body; or 431, 400 or 501 if the request has too many fields for it, or cannot be said to it.
    If it fails later, the response is reset. What has failed is logged by ``trio_h2.relay``.

    WebSockets go on from HTTP/2 (RFC 8441, which `ServerConfig.enable_connect_protocol` offers to clients) and HTTP/1.1
    to either: a server of HTTP/2 that does not offer them is asked over HTTP/1.1, if it speaks that as well. Each side
    ends for itself; when one breaks, the other one is reset. So do tunnels, but only where ``Upstream(tunnels=True)``
    has a proxy behind; else CONNECT is answered with 501.

    Cancelled: the request is given up.

    Args:
        down: what a handler gets; nothing was received or sent yet.
        up: where the request goes.
        instead: an async function that names another server when one has not processed the request: there was no
            connection, or it has said so. It gets the error, and returns an `Upstream`, or ``None`` if there is none.
            It is called only as long as all that was taken of the body can be sent again.

    Returns:
        What the server has failed of, before its response or in it, which the client was told of; ``None``: it has not.

    Raises:
        TypeError: *instead* is no function.
        StreamResetError, SessionError, trio.ClosedResourceError: the client has left; a handler lets that pass.
    """
    check_hook("instead", instead)
    return await _Relay(down, up, instead).run()


@interrupt_safe
class _Relay:
    """One exchange that is passed on."""

    def __init__(self, down: ServerStream, up: Upstream, instead: Instead | None) -> None:
        self._down = down
        self._up = up
        self._instead = instead
        self._taken = False
        """More of the body was taken than what the first piece had, which is kept."""
        self._wanted = trio.Event()
        """The body of the request may be asked for."""
        self._error: Exception | None = None
        self._scope: trio.CancelScope | None = None
        self._tunnel = RelayedTunnel.asked_for_by(down)
        field = down.headers.get("priority")
        self._priority = Priority() if field is None else Priority.parse(field)

    async def run(self) -> Exception | None:
        """See `relay`."""
        down = self._down
        try:
            refusal = self._refusal()
            if refusal is not None:
                await self._of_client(down.respond(refusal[0], body=refusal[1]))
                return None
            await self._pass_on()
        except _ClientLeftError as left:
            error = left.error
            logger.info("%s: the client has left: %s", self._name(), error)
        except _FAILURES as exc:
            await self._upstream_failed(exc)
            return None if isinstance(exc, LocalProtocolError) else exc  # not the server's fault
        except BaseException as exc:
            if down.aborted and not isinstance(exc, Exception):  # the handler is cancelled then
                logger.info("%s: the client has left", self._name())
            raise
        else:
            return None
        raise error

    def _refusal(self) -> tuple[int, bytes] | None:
        """Returns status and body of the answer to what is not passed on."""
        down, tunnel = self._down, self._tunnel
        if tunnel is not None:
            if tunnel.protocol not in (None, "websocket"):
                # RFC 9220 §3: of a :protocol that is unknown, "the server SHOULD respond to the request with a 501".
                return 501, b"this gateway passes on WebSockets, and no other protocol\n"
            if tunnel.objection is not None:
                return 400, f"{tunnel.objection}\n".encode()
        if self._up.loops(down.headers):
            logger.error("%s: it goes in a circle: via %s", self._name(), down.headers["via"])
            return 508, b"this request goes in a circle\n"
        return None

    def _name(self) -> str:
        return f"{self._down.method} {self._down.path or self._down.authority} to {self._up.url}"

    async def _pass_on(self) -> None:
        down = self._down
        body, ended = b"", down.end_after_headers
        if self._tunnel is not None:
            ended = False
        elif not ended and down.readable:
            body = await self._of_client(down.receive_some())
            ended = down.body_ended and down.trailers is None
        while True:
            try:
                await self._ask(body, ended=ended)
            except _FAILURES as exc:
                up = await self._other(exc)
                if up is None:
                    raise
                self._up, self._error = up, None
            else:
                return

    async def _other(self, error: Exception) -> Upstream | None:
        """Returns the server that is asked after one that has failed, if there is one, and nothing is lost by that."""
        if self._instead is None or self._taken or self._down.headers_sent or not _unprocessed(error):
            return None
        name = self._name()
        up = await interruptible(self._instead, error)
        if up is not None:
            logger.info("%s: not processed, goes to %s instead: %s", name, up.url, error)
        return up

    async def _ask(self, body: bytes, *, ended: bool) -> None:
        """Passes the request on to one server."""
        down, protocol = self._down, None
        if self._tunnel is not None:
            protocol = self._tunnel.protocol
            if protocol is None and not self._up.tunnels:
                await self._of_client(down.respond(501, body=b"this gateway opens no tunnels\n"))
                return
        try:
            block = self._up.exchange(down, body, end_stream=ended, protocol=protocol)
        except ValueError as exc:
            logger.info("%s: it cannot be passed on: %s", self._name(), exc)
            await self._of_client(down.respond(400, body=b"this request cannot be passed on\n"))
            return
        async with block as exchange:
            if self._tunnel is not None:
                await self._respond(exchange)
                return
            self._pass_priority_on(exchange)
            if ended:
                await self._respond(exchange)
                return
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._upload, exchange)
                try:
                    await self._respond(exchange)
                except Exception as exc:
                    self._error = self._error or exc
                nursery.cancel_scope.cancel()
            if self._error is not None:
                raise self._error

    async def _of_client(self, step: Awaitable[_T]) -> _T:
        """Does something with the client; tells its failures from those of the server."""
        try:
            return await step
        except (H2Error, trio.ClosedResourceError) as exc:
            raise _ClientLeftError(exc) from exc

    # -- the request -----------------------------------------------------------------------------------------------

    async def _upload(self, exchange: ClientExchange) -> None:
        assert self._scope is not None
        try:
            await self._send_body(exchange)
        except (_ClientLeftError, RequestTimeoutError) as exc:
            self._error = self._error or exc
            self._scope.cancel()
        except _FAILURES:
            pass  # whoever waits for the response is told the same, or gets one that came before
        except Exception as exc:
            self._error = self._error or exc
            self._scope.cancel()

    async def _send_body(self, exchange: ClientExchange) -> None:
        down = self._down
        if down.expects_continue and not down.readable:
            # To wait for the body is what asks the client for it.
            with trio.move_on_after(_CONTINUE_SECONDS):
                await self._wanted.wait()
        while piece := await self._of_client(down.receive_some()):
            if exchange.send_unwanted:
                return
            self._taken = True
            await exchange.send_all(piece)
        trailers = None if down.trailers is None else down.trailers.forwarded(drop=_NOT_IN_TRAILERS)
        if trailers:
            await exchange.send_trailers(trailers)
        else:
            await exchange.send_eof()

    # -- the response ----------------------------------------------------------------------------------------------

    async def _respond(self, exchange: ClientExchange) -> None:
        down = self._down
        while (interim := await exchange.receive_informational()) is not None:
            if interim.status == 100:
                await self._of_client(down.send_continue())
                self._wanted.set()
            else:
                fields = interim.forwarded(drop=[":status", "content-length"])
                await self._of_client(down.send_informational(interim.status, fields))
        head = await exchange.receive_response()
        if self._tunnel is not None:
            if exchange.switched:
                await self._carry(self._tunnel, exchange, head)
                return
            if head.status < 300 and not isinstance(down, Http1Exchange):
                # To the client, that would say that the server has agreed (RFC 8441 §4).
                reason = f"it ignored the upgrade, and answered with {head.status}"
                raise RemoteProtocolError(reason, initiator=Initiator.LIBRARY)
        if head.status < 300:
            self._wanted.set()
        fields = self._up.answered(head, exchange.http_version)
        piece, ended = b"", exchange.body_ended
        if ended or down.method == "HEAD" or head.status in _ENDS_WITH_HEAD:
            if not ended:
                with contextlib.suppress(H2Error):
                    await exchange.receive_some(1)  # the end, which gives the connection back
            if exchange.trailers is None or down.method == "HEAD" or head.status in _ENDS_WITH_HEAD:
                await self._send_head(fields, None, end=True)
                return
        elif exchange.readable:
            piece = await exchange.receive_some()
            if exchange.body_ended and exchange.trailers is None:
                await self._send_head(fields, piece, end=True)
                return
        await self._send_head(fields, None, end=False)
        await self._send_rest(exchange, piece)

    async def _send_head(self, fields: Headers, body: bytes | None, *, end: bool) -> None:
        await self._answer(self._down.respond(fields, body=body, end_stream=end))

    async def _answer(self, step: Awaitable[None]) -> None:
        """Sends the client what the server has answered, if that can be sent at all."""
        try:
            await self._of_client(step)
        except ValueError as exc:
            raise _unsayable(exc) from None
        except _ClientLeftError as left:
            if isinstance(left.error, HeadersTooLargeError):
                raise _unsayable(left.error) from None
            raise

    async def _send_rest(self, exchange: ClientExchange, piece: bytes) -> None:
        down = self._down
        while piece or (piece := await exchange.receive_some()):
            await self._of_client(down.send_all(piece))
            if down.send_unwanted:
                return
            piece = b""
        trailers = None if exchange.trailers is None else exchange.trailers.forwarded(drop=_NOT_IN_TRAILERS)
        if trailers:
            await self._of_client(down.send_trailers(trailers))
        else:
            await self._of_client(down.send_eof())

    async def _carry(self, tunnel: RelayedTunnel, exchange: ClientExchange, head: Headers) -> None:
        """Passes bytes on in both directions."""
        from ..tunnel import Traffic  # rarely needed

        traffic = Traffic()
        await self._answer(tunnel.agree(head, self._up.via(exchange.http_version)))
        try:
            await tunnel.carry(exchange, traffic, self._up.tunnel_idle_timeout)
        except trio.TooSlowError as exc:
            logger.info("%s: given up: %s", self._name(), exc)
            self._down.reset(ErrorCode.CANCEL)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            if tunnel.client_broke(traffic):
                raise _ClientLeftError(exc) from exc
            raise

    def _pass_priority_on(self, exchange: ClientExchange) -> None:
        """Tells the server what the client has said of the response meanwhile, and what it will say."""
        down = self._down
        priority = down.priority
        if priority != self._priority:
            exchange.prioritize(priority)
        down.call_when_prioritized(exchange.prioritize)

    # -- failures --------------------------------------------------------------------------------------------------

    async def _upstream_failed(self, error: Exception) -> None:
        down = self._down
        if down.headers_sent:
            code = ErrorCode.INTERNAL_ERROR if self._tunnel is None else self._tunnel.reset_code
            if isinstance(error, StreamResetError) and error.initiator is Initiator.REMOTE and error.code in _PASSED_ON:
                code = ErrorCode(error.code)
            logger.warning("%s: the server broke off its response: %s", self._name(), error)
            down.reset(code)
            return
        status = _status(error)
        what = "it cannot be passed on" if isinstance(error, LocalProtocolError) else "the server has failed"
        logger.warning("%s: %s, answered with %d: %s", self._name(), what, status, error)
        headers = Headers({":status": status, "content-type": "text/plain; charset=utf-8"})
        await down.respond(headers, body=_REASONS[status])


_REASONS: Final = {
    400: b"this request cannot be passed on\n",
    431: b"the header fields of this request are too large for the server behind this gateway\n",
    501: b"the server behind this gateway speaks no WebSockets\n",
    502: b"the server behind this gateway cannot be reached, or has failed\n",
    503: b"the server behind this gateway takes no requests at the moment\n",
    504: b"the server behind this gateway took too long\n",
}


def _unprocessed(error: Exception) -> bool:
    """Whether a server that has failed so has not processed the request for sure."""
    return isinstance(error, (OSError, HandshakeError)) or (isinstance(error, H2Error) and error.retryable)


def _unsayable(error: Exception) -> RemoteProtocolError:
    """Returns what is wrong with a server whose response nobody may send.

    RFC 9110 §15.6.3: 502 is for "an invalid response from an inbound server".
    """
    return RemoteProtocolError(f"the response cannot be passed on: {error}", initiator=Initiator.LIBRARY)


def _status(error: Exception) -> int:
    """Returns what the client is told of a server's failure (RFC 9110 §15.6)."""
    if isinstance(error, RequestTimeoutError):
        return 503 if error.phase == "slot" else 504
    if isinstance(error, LocalProtocolError):
        if isinstance(error, ExtendedConnectError):
            return 501
        # RFC 6585 §5: 431, "the server is unwilling to process the request because its header fields are too large".
        return 431 if isinstance(error, HeadersTooLargeError) else 400
    if isinstance(error, trio.ClosedResourceError):
        return 503  # the gateway's own client is closed
    return 503 if isinstance(error, H2Error) and error.retryable else 502
