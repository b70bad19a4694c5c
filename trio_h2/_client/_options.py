"""What requests can be told, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from .. import HeadersInput, JSONValue, Priority
    from ._outgoing import Files, Params, RequestBody
    from ._timeouts import Timeouts


class RequestOptions(TypedDict, total=False):
    """The arguments of `Client.get`, `Client.post` and their like beside the URL: those of `Client.fetch`."""

    params: Params | None
    headers: HeadersInput | None
    body: RequestBody | None
    json: JSONValue
    data: Params | None
    files: Files | None
    max_size: int
    follow_redirects: bool | None
    decode: bool | None
    expect_continue: bool
    priority: Priority | None
    timeouts: Timeouts | None
