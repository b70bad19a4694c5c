"""What a client needs of one exchange, whichever version of HTTP carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .. import Headers, Priority


class Exchange(Protocol):
    """One request and its response: a `ClientStream`, or one over HTTP/1.1."""

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses so far."""

    @property
    def trailers(self) -> Headers | None:
        """The trailers of the response, when its body has ended with some."""

    @property
    def send_unwanted(self) -> bool:
        """Whether the server wants no more of the request."""

    @property
    def readable(self) -> bool:
        """Whether `receive_some` would return or raise something without waiting for the server, as far as is known."""

    @property
    def body_ended(self) -> bool:
        """Whether the body was taken to its end, so that `receive_some` would return ``b""``."""

    async def receive_informational(self) -> Headers | None:
        """Waits for the next 1xx response, ``None`` if the final one has come."""

    async def receive_response(self) -> Headers:
        """Waits for the head of the final response."""

    async def receive_some(self, max_bytes: int | None = None, /) -> bytes:
        """Receives bytes of the body, ``b""`` at its end."""

    def receive_some_nowait(self, max_bytes: int | None = None, /) -> bytes:
        """The same, but raises `trio.WouldBlock` where that would wait."""

    async def send_all(self, data: bytes, /) -> None:
        """Sends bytes of the request's body."""

    async def send_eof(self) -> None:
        """Ends the request."""

    async def send_trailers(self, headers: Headers, /) -> None:
        """Ends the request with trailers, where it can have some."""

    def prioritize(self, priority: Priority, /) -> None:
        """Tells the server how much the response matters, where that can be said."""

    def destroy(self) -> None:
        """Ends the exchange at once, if it has not ended."""
