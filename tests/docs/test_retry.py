"""What docs/which-errors-to-retry.md says may be sent again."""

from __future__ import annotations

import pytest
import retry
import trio

import trio_h2
from tests.docs.conftest import serving


@pytest.mark.parametrize(
    ("error", "method", "may"),
    [
        (trio_h2.StreamRefusedError(), "POST", True),
        (trio_h2.GoAwayError(retryable=True), "POST", True),
        (trio_h2.StreamResetError(), "POST", False),
        (trio_h2.StreamResetError(), "GET", True),
        (trio_h2.TransportLostError(), "PUT", True),
        (trio_h2.TransportLostError(), "POST", False),
        (trio_h2.LocalProtocolError(), "GET", False),
        (trio.ClosedResourceError(), "GET", False),
        (ValueError(), "GET", False),
        (ConnectionRefusedError(), "POST", True),
    ],
)
def test_what_may_be_sent_again(error: Exception, method: str, may: bool) -> None:
    assert retry.may_be_sent_again(error, method) is may


async def test_a_post_is_sent_again_only_if_the_server_has_not_begun_it() -> None:
    seen: list[bytes] = []

    async def handler(stream: trio_h2.ServerStream) -> None:
        seen.append(b"".join([bytes(chunk) async for chunk in stream]))
        if len(seen) == 1:
            stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)
        elif len(seen) == 2:
            await stream.respond(201, body=b"ordered")
        else:
            stream.reset(trio_h2.ErrorCode.INTERNAL_ERROR)

    async with serving(handler) as server:
        assert await retry.order(server.urls[0], b"tea") == b"ordered"
        assert seen == [b"tea", b"tea"]
        with pytest.raises(trio_h2.StreamResetError):
            await retry.order(server.urls[0], b"milk")
        assert seen == [b"tea", b"tea", b"milk"]
