"""One request and its response, both under way at the same time, in the hands of an application."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from .. import Headers, LocalProtocolError
from .._checks import bytes_of, check_int
from .._util import NoPublicConstructor, interrupt_safe
from ._attempt import Attempt
from ._timeouts import Deadline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from .. import HeadersInput, Priority
    from ._attempts import Attempts

_T = TypeVar("_T")

_KEPT: Final = 64 * 1024
"""Bytes of a body that are kept until the response begins, so that they can be sent again. No more than the window that
a server gives by default, so that a new session takes them at once."""


@interrupt_safe
class ClientExchange(metaclass=NoPublicConstructor):
    """One request and its response: ``async with client.exchange(…) as exchange``. The same over HTTP/2 and HTTP/1.1.

    One task may send while another receives. Before the response begins, a request that the server has not processed is
    sent again, as `Retry` has it, by whatever method finds that out; it waits meanwhile. The first 64 KiB of the body
    are kept for that: once more was sent, the request is not sent again.
    """

    _made_by = "Client.exchange makes it"

    def __init__(self, attempts: Attempts, attempt: Attempt, body: bytes, *, ended: bool) -> None:
        self._attempts = attempts
        self._attempt = attempt
        self._kept: bytearray | None = bytearray()
        self._ended = ended
        self._trailers: Headers | None = None
        self._head: Headers | None = None
        self._priority: Priority | None = None
        """What was said of the response since the request."""
        self._sending = False
        self._reopening = trio.Lock()
        self._closed = False
        self._keep(body)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._attempts.request.method} {self.url}>"

    # -- where it is -----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """What is asked for."""
        return self._attempts.request.url

    @property
    def http_version(self) -> str:
        """``"2"`` or ``"1.1"``."""
        return self._attempt.incoming.http_version

    @property
    def send_unwanted(self) -> bool:
        """Whether the server wants no more of the request, so that what is sent is silently dropped."""
        return self._attempt.over or self._attempt.exchange.send_unwanted

    @property
    def readable(self) -> bool:
        """Whether `receive_some` would return or raise something without waiting for the server, as far as is known."""
        return self._attempt.exchange.readable

    @property
    def body_ended(self) -> bool:
        """Whether the response was taken to its end, or has no body at all: `receive_some` would return ``b""``."""
        return self._attempt.over or self._attempt.exchange.body_ended

    @property
    def switched(self) -> bool:
        """Whether the server has opened the tunnel, or speaks the protocol that was asked for.

        Then bytes go both ways until both sides have ended, each for itself, and no `Timeouts` count. Until then, and
        if the server declines, which is an ordinary response, nothing can be sent.
        """
        head = self._head
        return head is not None and self._attempts.request.switched(head.status, self.http_version)

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses so far, in order."""
        return self._attempt.incoming.informational

    @property
    def trailers(self) -> Headers | None:
        """The trailers of the response, when its body was taken to its end; ``None`` before, and if there are none."""
        return self._attempt.exchange.trailers if self.body_ended else None

    # -- sending ---------------------------------------------------------------------------------------------------

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends bytes of the request's body; waits until the server's windows, or its connection, have taken them.

        Cancelled: the body is torn, unless nothing of *data* was on its way; leave the block.

        Args:
            data: bytes, bytes-like.

        Raises:
            TypeError: *data* is something else.
            RequestTimeoutError: it took longer than ``Timeouts.send``.
            StreamError, SessionError: the request has failed. What is sent after a response that makes it unwanted
                (`send_unwanted`) is silently dropped instead.
            LocalProtocolError: the body is longer than its ``content-length``, or what was asked for is a tunnel or
                another protocol, which the server has not opened.
            trio.ClosedResourceError: the request has ended, or the block was left.
            trio.BusyResourceError: another task is sending.
        """
        content = bytes_of("data", data)
        await self._send(lambda attempt: attempt.exchange.send_all(content), lambda: self._keep(content))

    async def send_eof(self) -> None:
        """Ends the request. A second call does nothing.

        Cancelled: leave the block. Raises as `send_all`; `LocalProtocolError` if the body is shorter than its
        ``content-length``.
        """
        if self._ended and not self._closed:
            await trio.lowlevel.checkpoint()
            return
        await self._send(lambda attempt: attempt.exchange.send_eof(), self._end)

    async def send_trailers(self, headers: HeadersInput) -> None:
        """Ends the request with trailers. HTTP/1.1 drops them if the request has a ``content-length``.

        Cancelled: leave the block.

        Args:
            headers: the trailer fields.

        Raises:
            ValueError: a field is not allowed, or a tunnel has no trailers.
            RequestTimeoutError, StreamError, SessionError, LocalProtocolError, trio.ClosedResourceError,
                trio.BusyResourceError: as `send_all`.
        """
        trailers = Headers(headers)
        if self._attempts.request.switches:
            raise ValueError("a tunnel has no trailers")

        def end() -> None:
            self._end()
            self._trailers = trailers

        await self._send(lambda attempt: attempt.exchange.send_trailers(trailers), end)

    async def _send(self, send: Callable[[Attempt], Awaitable[None]], keep: Callable[[], None]) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        self._sending = True
        try:
            attempt = await self._working()
            if self._has_ended():
                raise trio.ClosedResourceError("the request has ended already")
            if self._attempts.request.switches and not self.switched:
                raise LocalProtocolError("the server has not opened what was asked for: wait for its response first")
            keep()
            if attempt.over:
                await trio.lowlevel.checkpoint()
                return
            seconds = math.inf if self.switched else self._attempts.timeouts.send
            try:
                with Deadline(seconds, "send", "sending the next piece of the body"):
                    await send(attempt)
            except Exception as exc:
                if self._attempt.over:
                    return  # the other task has received the end of the response meanwhile
                await self._again(attempt, exc)  # sends what was kept, these bytes included
            except BaseException:
                self._keep_no_more()
                raise
            else:
                if self._has_ended():
                    attempt.incoming.request_sent()
        finally:
            self._sending = False

    def _has_ended(self) -> bool:
        return self._ended

    def _end(self) -> None:
        self._ended = True

    def _keep(self, data: bytes) -> None:
        if self._kept is not None:
            if len(self._kept) + len(data) > _KEPT:
                self._keep_no_more()
            else:
                self._kept += data

    def _keep_no_more(self) -> None:
        """From now on the request cannot be sent again."""
        self._kept = None
        self._attempts.request.started = True

    def prioritize(self, priority: Priority) -> None:
        """Tells the server that the response matters so much now (RFC 9218 §7); never waits. HTTP/1.1 cannot say it.

        Args:
            priority: urgency, and whether the content is incremental.
        """
        self._priority = priority
        self._attempt.exchange.prioritize(priority)

    # -- receiving -------------------------------------------------------------------------------------------------

    async def receive_informational(self) -> Headers | None:
        """Waits for the next 1xx response, each of which is returned once; ``None`` if the final one has come.

        ``Timeouts.response`` begins anew after each. Cancelled: nothing is lost.

        Raises:
            OSError, HandshakeError, RequestTimeoutError, StreamError, SessionError, trio.ClosedResourceError: as
                `receive_response`.
        """
        return await self._receive(_informational)

    async def receive_response(self) -> Headers:
        """Waits for the head of the final response; later calls return it again. Cancelled: nothing is lost.

        Raises:
            OSError, HandshakeError: no new connection could be opened, after the server left the first one.
            RequestTimeoutError: it took too long.
            StreamError, SessionError: the request has failed.
            trio.ClosedResourceError: the block was left.
        """
        while self._head is None:
            head = await self._receive(_head)
            attempt = self._attempt
            pause = self._attempts.pause_after_response(head, attempt.incoming.pooled)
            if pause is None:
                self._head = head
                self._keep_no_more()
                if self.switched:
                    attempt.incoming.switch()
                return head
            attempt.given_up = True
            await attempt.incoming.discard()
            await self._reopen(attempt, pause)
        await trio.lowlevel.checkpoint()
        return self._head

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receives bytes of the response's body, as they come: nothing is decoded. Cancelled: nothing is lost.

        When the body has ended, so has the exchange: what is left of the request is given up. Only what is `switched`
        goes on until `send_eof`.

        Args:
            max_bytes: at most this many bytes; ``None``: what is here, up to 64 KiB.

        Returns:
            At least one byte, or ``b""`` at the end of the body.

        Raises:
            TypeError, ValueError: *max_bytes* is no int, or less than 1.
            RequestTimeoutError: the next piece took longer than ``Timeouts.idle``.
            StreamError, SessionError: the response broke off.
            trio.ClosedResourceError: the block was left.
        """
        if max_bytes is not None:
            check_int("max_bytes", max_bytes, 1)
        if self._head is None:
            await self.receive_response()
        return await self._attempt.incoming.receive_some(max_bytes)

    def __aiter__(self) -> Self:
        """Iterates over the pieces of the response's body."""
        return self

    async def __anext__(self) -> bytes:
        """Returns the next piece of the response's body."""
        piece = await self.receive_some()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def _receive(self, receive: Callable[[Attempt], Awaitable[_T]]) -> _T:
        while True:
            attempt = await self._working()
            try:
                return await receive(attempt)
            except Exception as exc:
                await self._again(attempt, exc)

    # -- sending again ---------------------------------------------------------------------------------------------

    async def _working(self) -> Attempt:
        """Returns the attempt that is under way; makes it, if whoever was about to has been cancelled."""
        while self._attempt.given_up:
            await self._reopen(self._attempt, 0.0)
        if self._closed:
            raise trio.ClosedResourceError("the block of this exchange has been left")
        return self._attempt

    async def _again(self, failed: Attempt, error: Exception) -> None:
        """Makes another attempt after one that has failed, or raises what it failed of."""
        if self._attempt is not failed or failed.given_up:
            await self._reopen(failed, 0.0)
            return
        pause = self._attempts.pause_after_error(error, failed.incoming.pooled)
        if pause is None:
            raise error
        failed.given_up = True
        await self._reopen(failed, pause)

    async def _reopen(self, failed: Attempt, pause: float) -> None:
        """Sends once more what was kept, in place of *failed*, unless another task has done that already."""
        async with self._reopening:
            if self._attempt is not failed:
                return
            if failed.error is not None:
                raise failed.error
            failed.incoming.close()
            await trio.sleep(pause)
            assert self._kept is not None
            trailers = self._trailers
            try:
                incoming = await self._attempts.open(bytes(self._kept), end_stream=self._ended and trailers is None)
            except Exception as exc:
                failed.error = exc
                raise
            self._attempt = attempt = Attempt(incoming)
            if self._priority is not None:
                attempt.exchange.prioritize(self._priority)
            if trailers is not None:
                await attempt.exchange.send_trailers(trailers)
                attempt.incoming.request_sent()

    def close(self) -> None:
        """The block is left: gives up what has not ended. For the block."""
        self._closed = True
        self._attempt.incoming.close()


async def _head(attempt: Attempt) -> Headers:
    return await attempt.incoming.receive_head()


async def _informational(attempt: Attempt) -> Headers | None:
    return await attempt.incoming.receive_informational()
