"""What these responses ask of an exchange, so that they work below whatever HTTP version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from trio_h2 import Headers, HeadersInput

HeaderFields: TypeAlias = dict[str, str | int | Sequence[str | int]]
"""Header fields that can be edited: names in lower case, values as `trio_h2.Headers` takes them."""


class FileExchange(Protocol):
    """A request and its response as a handler gets them, as far as files need it; `trio_h2.ServerStream` is one."""

    @property
    def headers(self) -> Headers:
        """The request headers, pseudo-headers included."""

    @property
    def method(self) -> str:
        """The request method."""

    @property
    def path(self) -> str:
        """Path and query as they came."""

    @property
    def headers_sent(self) -> bool:
        """Whether the final response headers were sent."""

    async def respond(
        self, headers: HeadersInput | int | None = None, *, body: bytes | None = None, end_stream: bool = False
    ) -> None:
        """Sends the final response headers; with *body*, the whole response."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends body bytes."""

    async def send_eof(self) -> None:
        """Ends the response."""

    async def send_trailers(self, headers: HeadersInput) -> None:
        """Ends the response with trailers."""

    def reset(self, code: int = 0) -> None:
        """Ends the exchange at once."""

    def destroy(self, error: BaseException | None = None) -> None:
        """Ends the exchange at once; its later operations name the error."""
