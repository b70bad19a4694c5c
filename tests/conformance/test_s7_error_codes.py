"""RFC 9113 §7: error codes. Which error has which code is tested with the errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import trio_h2
from trio_h2 import ErrorCode

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End

UNKNOWN = [0x0E, 0xFF, 0x1234_5678, 2**32 - 1]
KNOWN = {
    "NO_ERROR": 0x00,
    "PROTOCOL_ERROR": 0x01,
    "INTERNAL_ERROR": 0x02,
    "FLOW_CONTROL_ERROR": 0x03,
    "SETTINGS_TIMEOUT": 0x04,
    "STREAM_CLOSED": 0x05,
    "FRAME_SIZE_ERROR": 0x06,
    "REFUSED_STREAM": 0x07,
    "CANCEL": 0x08,
    "COMPRESSION_ERROR": 0x09,
    "CONNECT_ERROR": 0x0A,
    "ENHANCE_YOUR_CALM": 0x0B,
    "INADEQUATE_SECURITY": 0x0C,
    "HTTP_1_1_REQUIRED": 0x0D,
}


def test_7_codes_have_the_numbers_of_the_rfc() -> None:
    assert {code.name: code.value for code in ErrorCode} == KNOWN


@pytest.mark.parametrize("code", UNKNOWN)
async def test_7_unknown_codes_in_rst_stream_are_like_any_other(end: End, code: int) -> None:
    stream_id = await end.reset_by_peer(code)
    with pytest.raises(trio_h2.StreamResetError) as caught:
        await end.app(stream_id).receive_some()
    assert caught.value.code == code
    assert not isinstance(caught.value, trio_h2.StreamRefusedError)
    assert not caught.value.retryable
    await end.expect_ignored()


async def test_7_no_code_in_rst_stream_ends_the_session(end: End) -> None:
    """Not even those that are meant for connections, as SETTINGS_TIMEOUT."""
    for code in [*UNKNOWN, *KNOWN.values()]:
        await end.reset_by_peer(code)
    await end.expect_ignored()


@pytest.mark.parametrize("code", [*UNKNOWN, ErrorCode.CANCEL, ErrorCode.REFUSED_STREAM])
async def test_7_unusual_codes_in_goaway_are_like_any_other(client: ClientEnd, code: int) -> None:
    first, second = await client.open(), await client.open()
    await client.peer.send_goaway(first, code)
    await client.peer.send_data(first, b"whole", end_stream=True)
    await client.settle()
    await client.expect_body(first, b"whole")
    with pytest.raises(trio_h2.StreamRefusedError):
        await client.app(second).receive_some()
    with pytest.raises(trio_h2.GoAwayError) as caught:
        await client.session.open_stream("GET")
    assert caught.value.code == code
    await client.peer.expect_nothing()


@pytest.mark.parametrize("code", [*UNKNOWN, ErrorCode.NO_ERROR, ErrorCode.HTTP_1_1_REQUIRED])
async def test_7_codes_of_the_application_are_sent_as_they_are(end: End, code: int) -> None:
    await end.reset_by_us(code)
    await end.expect_ignored()
