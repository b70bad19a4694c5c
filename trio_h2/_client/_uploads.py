"""The sending of a body that comes piece by piece, while its response is waited for: once for each attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._util import interrupt_safe, unwrap_body_error
from ._stored_body import StoredBody
from ._upload import Upload

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ._incoming import Incoming
    from ._outgoing import Outgoing


@interrupt_safe
class Uploads:
    """The tasks of one request that send its body, one after the other. `begin` comes first, and `end` last."""

    def __init__(self) -> None:
        self._block: AbstractAsyncContextManager[trio.Nursery] = trio.open_nursery()
        self._nursery: trio.Nursery | None = None
        self._upload: Upload | None = None
        self._stored: StoredBody | None = None

    async def begin(self, request: Outgoing) -> Outgoing:
        """Opens what the body is stored in, if it is; returns the request with the size of that."""
        self._nursery = await self._block.__aenter__()
        body = request.body
        if isinstance(body, StoredBody):
            self._stored = body
            return request.of_size(await body.open())
        return request

    def start(self, request: Outgoing, incoming: Incoming, seconds: float) -> None:
        """Sends the body, for the response that is coming.

        Args:
            request: has the body.
            incoming: the response.
            seconds: how long the server may take for each piece.
        """
        assert self._nursery is not None
        self._upload = Upload(request, incoming, seconds)
        self._nursery.start_soon(self._upload.run, name=f"trio_h2 body of {request.method} {request.url}")

    def stop(self) -> None:
        """The attempt was given up."""
        if self._upload is not None:
            self._upload.stop()

    async def end(self, exc: BaseException | None) -> None:
        """Ends the task that sends the body. What that raised comes out, not wrapped in a group if it is alone."""
        assert self._nursery is not None
        self._nursery.cancel_scope.cancel()
        error = exc
        if self._upload is not None and isinstance(exc, trio.Cancelled):
            error = self._upload.error
        try:
            await self._block.__aexit__(type(exc) if exc is not None else None, exc, None)
        except BaseExceptionGroup as group:
            unwrap_body_error(group, error)
        finally:
            if self._stored is not None:
                await self._stored.close()
            del exc, error
