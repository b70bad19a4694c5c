"""Requests that users may send, and what is refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from hpack import NeverIndexedHeaderTuple

from trio_h2._wire._fields import check_request
from trio_h2._wire._headers import Headers, RawField
from trio_h2._wire._outbound import request_fields

if TYPE_CHECKING:
    from trio_h2._wire._headers import HeadersInput

Fields = list[RawField]

METHOD = (b":method", b"GET")
SCHEME = (b":scheme", b"https")
AUTHORITY = (b":authority", b"example.com")
PATH = (b":path", b"/")
CONNECT = (b":method", b"CONNECT")
WEBSOCKET = {":protocol": "websocket"}


def _get(path: str | None = "/", headers: HeadersInput | None = None) -> Fields:
    return request_fields("GET", path, "https", "example.com", headers)


def _connect(authority: str | None, headers: HeadersInput | None = None, path: str | None = None) -> Fields:
    return request_fields("CONNECT", path, "https", authority, headers)


def _untyped(value: object) -> str:
    """Passes what the type checker would refuse."""
    return cast("str", value)


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/", None, [METHOD, SCHEME, AUTHORITY, PATH]),
        (None, {}, [METHOD, SCHEME, AUTHORITY, PATH]),
        ("/a?b=%20", {}, [METHOD, SCHEME, AUTHORITY, (b":path", b"/a?b=%20")]),
        ("/", {":path": "/x"}, [METHOD, SCHEME, AUTHORITY, (b":path", b"/x")]),
        ("/x", {":path": "/x"}, [METHOD, SCHEME, AUTHORITY, (b":path", b"/x")]),
        ("/", {":method": "GET"}, [METHOD, SCHEME, AUTHORITY, PATH]),
        ("/", {":scheme": "http"}, [METHOD, (b":scheme", b"http"), AUTHORITY, PATH]),
        ("/", {":authority": "b:1"}, [METHOD, SCHEME, (b":authority", b"b:1"), PATH]),
        ("/", {"Host": "b:1"}, [METHOD, SCHEME, (b":authority", b"b:1"), PATH]),
        ("/", {"host": "B:443", ":authority": "b"}, [METHOD, SCHEME, (b":authority", b"b"), PATH]),
        ("/", [("a", "1"), (":path", "/"), ("b", "2")], [METHOD, SCHEME, AUTHORITY, PATH, (b"a", b"1"), (b"b", b"2")]),
        ("/", {"A": ["1", 2]}, [METHOD, SCHEME, AUTHORITY, PATH, (b"a", b"1"), (b"a", b"2")]),
        ("/", [(b"a", b"\xff"), ("b", "\xff")], [METHOD, SCHEME, AUTHORITY, PATH, (b"a", b"\xff"), (b"b", b"\xff")]),
        ("/", {"content-length": 5}, [METHOD, SCHEME, AUTHORITY, PATH, (b"content-length", b"5")]),
    ],
)
def test_good_requests(path: str | None, headers: HeadersInput | None, expected: Fields) -> None:
    fields = _get(path, headers)
    assert fields == expected
    assert type(fields) is list
    check_request(fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            request_fields("OPTIONS", "*", "https", "a", None),
            [(b":method", b"OPTIONS"), SCHEME, (b":authority", b"a"), (b":path", b"*")],
        ),
        (
            request_fields("GET", "/", None, None, {":scheme": "https", ":authority": "[::1]:8443"}),
            [METHOD, SCHEME, (b":authority", b"[::1]:8443"), PATH],
        ),
        (request_fields("GET", "/", "coap", None, None), [METHOD, (b":scheme", b"coap"), PATH]),
        (request_fields("GET", "/", "coap", "", {}), [METHOD, (b":scheme", b"coap"), PATH]),
        (_connect("a:443"), [CONNECT, (b":authority", b"a:443")]),
        (_connect("a:443", path="/"), [CONNECT, (b":authority", b"a:443")]),
        (_connect("me:1", {":authority": "a:443"}), [CONNECT, (b":authority", b"a:443")]),
        (_connect("me:1", {"host": "a:443", "x": "y"}), [CONNECT, (b":authority", b"a:443"), (b"x", b"y")]),
        (_connect("me:1", {":authority": "a:443", "host": "A:443"}), [CONNECT, (b":authority", b"a:443")]),
        (_connect(None, {":authority": "[::1]:1"}), [CONNECT, (b":authority", b"[::1]:1")]),
        (
            _connect("a", WEBSOCKET),
            [CONNECT, SCHEME, (b":authority", b"a"), PATH, (b":protocol", b"websocket")],
        ),
        (
            _connect("a", {"x": "y", ":path": "/chat", ":scheme": "http", **WEBSOCKET}),
            [
                *[CONNECT, (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/chat")],
                *[(b":protocol", b"websocket"), (b"x", b"y")],
            ],
        ),
    ],
)
def test_good_requests_of_other_kinds(fields: Fields, expected: Fields) -> None:
    assert fields == expected
    assert type(fields) is list
    check_request(fields, extended_connect=True)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("", "method '' is not allowed"),
        ("GE T", "method 'GE T' is not allowed"),
        ("G:T", "method 'G:T' is not allowed"),
        ("G\xc9T", "is not allowed"),
        (" GET", "':method' starts or ends with white space"),
        ("GET\r\n", "':method' has '\\\\r' at position 3"),
        ("\u20ac", "':method' has a character outside latin-1"),
    ],
)
def test_bad_methods(method: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        request_fields(method, "/", "https", "a", None)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        *[
            (path, "':path' must begin with '/'")
            for path in ("", "a", "?a", "*", "https://a/", "/a b", "/a#b", "#", "/caf\xe9")
        ],
        ("/a\n", "':path' has '\\\\n' at position 2: line breaks"),
        ("/a\r\nb", "':path' has '\\\\r' at position 2: line breaks"),
        ("/\0", "':path' has '\\\\x00' at position 1"),
        ("/\x7f", "':path' has '\\\\x7f' at position 1"),
        ("/a\tb", "':path' must begin"),
        (" /", "':path' starts or ends with white space"),
        ("/\u20ac", "':path' has a character outside latin-1 at position 1: percent-encode"),
    ],
)
def test_bad_paths(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _get(path)
    with pytest.raises(ValueError, match=message):
        _get("/", {":path": path})


@pytest.mark.parametrize("scheme", [None, "", "https:", "1a", "ht tp", "http\xe9", "-"])
def test_bad_schemes(scheme: str | None) -> None:
    with pytest.raises(ValueError, match="':scheme' is missing or not allowed"):
        request_fields("GET", "/", scheme, "a", None)
    with pytest.raises(ValueError, match="':scheme' is missing or not allowed"):
        request_fields("GET", "/", "https", "a", {":scheme": scheme or ""})


@pytest.mark.parametrize(
    ("authority", "message"),
    [
        (None, "':authority' is missing or without a host"),
        ("", "':authority' is missing or without a host"),
        (":80", "':authority' is missing or without a host"),
        ("user@a", "':authority' must be host or host:port in ASCII, without user name"),
        ("a b", "':authority' must be host or host:port"),
        ("a/b", "':authority' must be host or host:port"),
        ("a:b", "':authority' must be host or host:port"),
        ("a:65536", "':authority' must be host or host:port"),
        ("::1", "':authority' must be host or host:port"),
        ("caf\xe9", "':authority' must be host or host:port"),
        ("a\n", "line breaks"),
        ("\u20ac", "outside latin-1"),
    ],
)
def test_bad_authorities(authority: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        request_fields("GET", "/", "https", authority, None)
    if authority is not None:
        for name in (":authority", "host"):
            with pytest.raises(ValueError, match=message.replace("':authority' has", f"'{name}' has")):
                request_fields("GET", "/", "https", "good.example", {name: authority})


@pytest.mark.parametrize("argument", range(4))
@pytest.mark.parametrize("value", [5, b"GET", True, ["GET"]])
def test_arguments_of_a_wrong_type(argument: int, value: object) -> None:
    arguments = ["GET", "/", "https", "a"]
    arguments[argument] = _untyped(value)
    name = [":method", ":path", ":scheme", ":authority"][argument]
    with pytest.raises(TypeError, match=f"'{name}' must be str, not {type(value).__name__}"):
        request_fields(arguments[0], arguments[1], arguments[2], arguments[3], None)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({":method": "POST"}, "':method' in the headers contradicts"),
        ({":path": "/y"}, "':path' in the headers contradicts"),
        ({":protocol": "websocket"}, "':protocol' is for the method CONNECT only"),
        ({":status": "200"}, "pseudo-header ':status' is not allowed in a request \\(allowed: ':authority', ':method'"),
        ({":unknown": "x"}, "pseudo-header ':unknown' is not allowed in a request"),
        ({":path": ["/x", "/x"]}, "':path' is given twice"),
        ([(":scheme", "https"), (":Scheme", "https")], "':scheme' is given twice"),
        ({"host": ["a", "a"]}, "'host' is given twice"),
        ({"host": "a", ":authority": "b"}, "'host' contradicts ':authority'"),
        ({"host": "a:80", ":authority": "a"}, "'host' contradicts ':authority'"),
    ],
)
def test_contradictions_in_requests(headers: HeadersInput, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _get("/x", headers)


@pytest.mark.parametrize(
    ("authority", "headers", "path", "message"),
    [
        (None, None, None, "a CONNECT needs the ':authority' it is to reach, as host:port"),
        ("a", None, None, "needs the ':authority'"),
        ("a:", None, None, "needs the ':authority'"),
        ("a:0", None, None, "needs the ':authority'"),
        ("", None, None, "needs the ':authority'"),
        (":1", None, None, "needs the ':authority'"),
        ("u@a:1", None, None, "':authority' must be host or host:port"),
        ("a:1", {":authority": "a:1", "host": "b:1"}, None, "'host' contradicts ':authority'"),
        ("a:1", {":scheme": "https"}, None, "a CONNECT has no ':scheme' and no ':path'"),
        ("a:1", {":path": "/"}, None, "a CONNECT has no ':scheme' and no ':path'"),
        ("a:1", None, "/x", "a CONNECT has no ':scheme' and no ':path'"),
        ("a:1", None, "", "a CONNECT has no ':scheme' and no ':path'"),
        ("a:1", {"content-length": "0"}, None, "'content-length' is not allowed in a CONNECT"),
        ("a:1", {"content-length": "0", **WEBSOCKET}, None, "'content-length' is not allowed in a CONNECT"),
        ("a:1", {":protocol": ""}, None, "':protocol' must be a word like websocket"),
        ("a:1", {":protocol": "web socket"}, None, "':protocol' must be a word like websocket"),
        (None, WEBSOCKET, None, "':authority' is missing or without a host"),
        (None, {":scheme": "coap", **WEBSOCKET}, None, "':authority' is missing or without a host"),
        ("a", WEBSOCKET, "*", "':path' must begin"),
    ],
)
def test_connect_rules(authority: str | None, headers: HeadersInput | None, path: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _connect(authority, headers, path)


def test_received_headers_can_be_passed_on() -> None:
    raw = [
        *[METHOD, (b":path", b"/a?b"), SCHEME, AUTHORITY, (b"host", b"example.com"), (b"x", b"1"), (b"y", b"2")],
        *[(b"x", b"3"), NeverIndexedHeaderTuple(b"x-token", b"secret")],
    ]
    received = Headers.from_raw(list(raw))
    fields = request_fields(received[":method"], None, None, None, received)
    assert fields == [METHOD, SCHEME, AUTHORITY, raw[1], *raw[5:]]
    assert isinstance(fields[-1], NeverIndexedHeaderTuple)


def test_pseudo_headers_can_be_secret() -> None:
    fields = _get("/token", Headers({"a": "b"}, sensitive=[":path"]))
    assert fields == [METHOD, SCHEME, AUTHORITY, (b":path", b"/token"), (b"a", b"b")]
    assert [isinstance(field, NeverIndexedHeaderTuple) for field in fields] == [False, False, False, True, False]
