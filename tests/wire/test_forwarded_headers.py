"""Headers to pass on: `Headers.forwarded`."""

from __future__ import annotations

import pytest
from hpack import NeverIndexedHeaderTuple

from trio_h2 import Headers


def test_what_is_about_the_connection_is_left_out() -> None:
    """RFC 9110 §7.6.1."""
    headers = Headers.from_raw(
        [
            (b"Connection", b"close, X-Secret ,\tx-other"),
            (b"connection", b"x-more"),
            (b"keep-alive", b"timeout=5"),
            (b"proxy-connection", b"keep-alive"),
            (b"transfer-encoding", b"chunked"),
            (b"upgrade", b"h2c"),
            (b"http2-settings", b"AAMAAABk"),
            (b"X-Secret", b"1"),
            (b"x-other", b"2"),
            (b"x-more", b"3"),
            (b"x-kept", b"4"),
            (b"cache-control", b"no-cache"),
        ]
    )
    assert headers.forwarded().raw == [(b"x-kept", b"4"), (b"cache-control", b"no-cache")]


@pytest.mark.parametrize(
    ("value", "passed"), [("trailers", True), ("gzip, Trailers", True), ("gzip", False), ("gzip;q=trailers", False)]
)
def test_of_te_trailers_are_passed_on(value: str, passed: bool) -> None:
    """RFC 9113 §8.2.2."""
    forwarded = Headers({"te": value, "a": "b"}).forwarded()
    assert forwarded.raw == [*([(b"te", b"trailers")] if passed else []), (b"a", b"b")]
    assert Headers({"te": "trailers", "connection": "te"}).forwarded().raw == []


def test_order_duplicates_and_marks_stay() -> None:
    secret = NeverIndexedHeaderTuple(b"x-key", b"1")
    fields = [(b":status", b"200"), (b"set-cookie", b"a"), secret, (b"x-key", b"2"), (b"set-cookie", b"b")]
    forwarded = Headers.from_raw(fields).forwarded()
    assert forwarded.raw == fields
    assert isinstance(forwarded.raw[2], NeverIndexedHeaderTuple)
    assert not isinstance(forwarded.raw[3], NeverIndexedHeaderTuple)
    assert forwarded.sensitive == {"x-key"}


def test_what_is_dropped_and_added() -> None:
    headers = Headers([(":method", "GET"), (":authority", "a"), ("Via", "1 a"), ("cookie", "c"), ("x", "y")])
    forwarded = headers.forwarded(drop=["Cookie", ":authority"], add=Headers({"via": "2 b", "z": "w"}, sensitive=["z"]))
    assert forwarded.raw == [(b":method", b"GET"), (b"via", b"1 a"), (b"x", b"y"), (b"via", b"2 b"), (b"z", b"w")]
    assert forwarded.sensitive == {"z"}
    assert headers["cookie"] == "c"


def test_a_pseudo_header_that_is_added_takes_the_place_of_the_other() -> None:
    headers = Headers([(":method", "GET"), (":authority", "a"), ("x", "y")])
    assert headers.forwarded(add={":authority": "b", ":path": "/p"}).raw == [
        (b":path", b"/p"),
        (b":method", b"GET"),
        (b":authority", b"b"),
        (b"x", b"y"),
    ]
    assert headers.forwarded(drop=[":authority"], add={":authority": "b"}).first(b":authority") == "b"


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="drop must be an iterable of header names, not one string"):
        Headers().forwarded(drop="via")
    with pytest.raises(ValueError, match="header name 'a b' is not allowed"):
        Headers().forwarded(drop=["a b"])
    with pytest.raises(ValueError, match="line breaks"):
        Headers().forwarded(add={"a": "b\nc"})
