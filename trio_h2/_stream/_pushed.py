"""A stream that the server pushes: a request that it made itself, and the response to that (RFC 9113 §8.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias, cast

from .._errors import LocalProtocolError
from .._util import interrupt_safe
from ._base import Stream
from ._client import length_counts, send_priority_update

if TYPE_CHECKING:
    from trio_h2 import ClientSession

    from .._wire._headers import Headers
    from .._wire._schedule import Priority
    from ._core import StreamCore


@interrupt_safe
class PushedStream(Stream):
    """The client's side of a push; given to the *push_handler* of `connect`.

    ``headers`` are those of the promised request; what follows is a response as to any request. ``reset`` refuses it.
    Nothing can be sent: sending raises `LocalProtocolError`.
    """

    def __init__(self, core: StreamCore, parent_id: int) -> None:
        super().__init__(core)
        assert core.request is not None
        assert core.response is not None
        self._request = core.request
        self._response = core.response
        self._parent_id = parent_id

    @property
    def session(self) -> ClientSession:
        """The session that the push came on; the same still when it is over."""
        return cast("ClientSession", self._core.session)

    @property
    def parent_id(self) -> int:
        """The id of the request's stream that the server pushed on; that may be over already."""
        return self._parent_id

    # -- the promised request --------------------------------------------------------------------------------------

    @property
    def headers(self) -> Headers:
        """The headers of the promised request, pseudo-headers included."""
        return self._request.headers

    @property
    def method(self) -> str:
        """The method of the promised request."""
        return self._request.method

    @property
    def path(self) -> str:
        """Path and query as they came."""
        return self._request.path

    @property
    def scheme(self) -> str:
        """``"https"`` or ``"http"``."""
        return self._request.scheme

    @property
    def authority(self) -> str:
        """The host (and port) that the server answers for: ``:authority``, else the ``host`` field."""
        return self._request.authority

    # -- the response ----------------------------------------------------------------------------------------------

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses so far, in order: as `ClientStream.informational`."""
        return self._response.informational

    async def receive_informational(self) -> Headers | None:
        """Waits for the next 1xx response: as `ClientStream.receive_informational`."""
        return await self._response.receive_informational()

    async def receive_response(self) -> Headers:
        """Waits for the final response headers: as `ClientStream.receive_response`."""
        return await self._response.receive()

    # -- inside ----------------------------------------------------------------------------------------------------

    async def _wait_for_message(self) -> None:
        await self._response.receive()

    def _announced_length(self) -> int | None:
        length = super()._announced_length()
        return length if length_counts(self._request.method, self._core) else None

    def _signal_priority(self, priority: Priority, *, silent: bool) -> None:
        if not silent:
            self._core.priority = priority
            send_priority_update(self._core, priority)

    def _check_can_send(self) -> None:
        outbox = self._core.outbox
        if outbox.closed:
            outbox.check()
        raise LocalProtocolError(
            "a pushed stream brings a response; nothing can be sent on it", stream_id=self._core.id, stream=self
        )


PushHandler: TypeAlias = Callable[[PushedStream], Awaitable[object]]
"""What clients run for every push: an async function."""
