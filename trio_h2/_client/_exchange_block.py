"""The block of one exchange that an application drives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._util import NoPublicConstructor, construct, interrupt_safe
from ._attempt import Attempt
from ._client_exchange import ClientExchange

if TYPE_CHECKING:
    from types import TracebackType

    from ._attempts import Attempts


@interrupt_safe
class ExchangeBlock(metaclass=NoPublicConstructor):
    """The block of one exchange: ``async with client.exchange(…) as exchange``. Use it once."""

    _made_by = "Client.exchange makes it"

    def __init__(self, attempts: Attempts, body: bytes, *, end_stream: bool) -> None:
        self._attempts = attempts
        self._body = body
        self._end_stream = end_stream
        self._exchange: ClientExchange | None = None
        self._used = False

    @property
    def url(self) -> str:
        """What is asked for. For messages about failures."""
        return self._attempts.request.url

    async def __aenter__(self) -> ClientExchange:
        """Sends the head of the request, and what there is of its body."""
        if self._used:
            raise RuntimeError("the block of an exchange can be entered only once; call exchange() again")
        self._used = True
        attempts, body, ended = self._attempts, self._body, self._end_stream
        attempts.begin()
        try:
            incoming = await attempts.open(body, end_stream=ended)
        except BaseException:
            attempts.end()
            raise
        self._exchange = exchange = construct(ClientExchange, attempts, Attempt(incoming), body, ended=ended)
        return exchange

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives up what has not ended; never waits for the server. Entering was the checkpoint."""
        assert self._exchange is not None
        self._exchange.close()
        self._attempts.end()
