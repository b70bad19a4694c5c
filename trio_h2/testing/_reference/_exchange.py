"""A whole response, as the reference client got it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio_h2

    from ._client_stream import ReferenceClientStream


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceExchange:
    """A request of the reference client and the complete response, field by field as it came.

    Attributes:
        request: The fields that were sent; of a push, those that were promised.
        headers: The fields of the final response, ``:status`` among them.
        body: The whole content.
        trailers: The trailers; None if there were none.
        informational: The 1xx responses, in order.
        pushes: What the server has pushed on this request, each complete, in order; only `ReferenceClient.request`
            receives it. What was reset is among the ``pushes`` of the stream alone.
        stream: The stream, for what is beside the response.
    """

    request: trio_h2.Headers
    headers: trio_h2.Headers
    body: bytes
    trailers: trio_h2.Headers | None
    informational: list[trio_h2.Headers]
    stream: ReferenceClientStream
    pushes: list[ReferenceExchange] = dataclasses.field(default_factory=list)

    @property
    def status(self) -> int:
        """The status of the final response."""
        return self.headers.status
