"""The block of one request of a client: sends it, again if that is safe, and gives the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._util import NoPublicConstructor, construct, interrupt_safe
from ._decoded import decoded
from ._errors import TooManyRedirectsError
from ._redirect import redirected
from ._response import Response
from ._uploads import Uploads

if TYPE_CHECKING:
    from types import TracebackType

    from ._attempts import Attempts
    from ._handling import Handling
    from ._incoming import Incoming
    from ._outgoing import Outgoing


@interrupt_safe
class RequestBlock(metaclass=NoPublicConstructor):
    """The block of one request: ``async with client.request(…) as response``. Use it once."""

    _made_by = "Client.request makes it"

    def __init__(self, attempts: Attempts, handling: Handling) -> None:
        self._attempts = attempts
        self._handling = handling
        self._incoming: Incoming | None = None
        self._uploads: Uploads | None = None
        self._used = False

    @property
    def url(self) -> str:
        """What is asked for: where the last redirect led, if some were followed. For messages about failures."""
        return self._attempts.request.url

    async def __aenter__(self) -> Response:
        """Sends the request; returns when the head of its response is here."""
        if self._used:
            raise RuntimeError("a request block can be entered only once; call request() again")
        self._used = True
        attempts = self._attempts
        if attempts.request.content is not None:
            return await self._send()
        self._uploads = uploads = Uploads()
        try:
            attempts.request = await uploads.begin(attempts.request)
            return await self._send()
        except BaseException as exc:
            await uploads.end(exc)
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives up what has not ended; never waits for the server. Entering was the checkpoint."""
        if self._incoming is not None:
            self._incoming.close()
        if self._uploads is not None:
            await self._uploads.end(exc)

    # -- sending ---------------------------------------------------------------------------------------------------

    async def _send(self) -> Response:
        """Sends the request, again if need be, and follows redirects; returns the response."""
        attempts, handling = self._attempts, self._handling
        cookies = handling.cookies
        history: tuple[Response, ...] = ()
        attempts.begin()
        try:
            while True:
                if cookies is not None:
                    attempts.request = cookies.added(attempts.request)
                content = attempts.request.content
                self._incoming = incoming = await attempts.open(content or b"", end_stream=content is not None)
                try:
                    if content is None:
                        assert self._uploads is not None
                        self._uploads.start(attempts.request, incoming, attempts.timeouts.send)
                    headers = await incoming.receive_head()
                except BaseException as exc:
                    self._give_up()
                    pause = attempts.pause_after_error(exc, incoming.pooled) if isinstance(exc, Exception) else None
                    if pause is None:
                        raise
                else:
                    if cookies is not None:
                        cookies.take(attempts.request, headers)
                    pause = attempts.pause_after_response(headers, incoming.pooled)
                    if pause is None:
                        following = redirected(attempts.request, headers) if handling.max_redirects else None
                        if following is None:
                            body = decoded(incoming, headers) if handling.decode else None
                            return construct(Response, incoming, attempts.request, headers, history, body)
                        history = *history, construct(Response, incoming, attempts.request, headers, history)
                        await self._drop()
                        self._follow(following, history)
                        continue
                    await self._drop()
                await trio.sleep(pause)
        finally:
            attempts.end()

    def _follow(self, following: Outgoing, history: tuple[Response, ...]) -> None:
        """The request is *following* now."""
        if len(history) > self._handling.max_redirects:
            raise TooManyRedirectsError(
                f"{history[0].method} {history[0].url} was redirected more often than "
                f"max_redirects={self._handling.max_redirects} times, to {following.url} in the end"
            )
        self._attempts.request = following
        self._attempts.begin()

    async def _drop(self) -> None:
        """Gives up a response that nobody wants; a short one is read to its end, which keeps the connection."""
        try:
            if self._incoming is not None:
                await self._incoming.discard()
        finally:
            self._give_up()

    def _give_up(self) -> None:
        if self._incoming is not None:
            self._incoming.close()
            self._incoming = None
        if self._uploads is not None:
            self._uploads.stop()
