"""The rules for received messages, one table for each message kind."""

from __future__ import annotations

import pytest
from hpack import HeaderTuple

from trio_h2._checks import CONNECTION_SPECIFIC
from trio_h2._wire._fields import (
    MalformedMessageError,
    MessageHead,
    check_request,
    check_response,
    check_trailers,
    field_section_size,
    parse_authority,
    parse_length,
    same_authority,
)
from trio_h2._wire._headers import PLAIN_NAMES, RawField

Fields = list[RawField]

METHOD = (b":method", b"GET")
SCHEME = (b":scheme", b"https")
AUTHORITY = (b":authority", b"example.com")
PATH = (b":path", b"/")
GET: Fields = [METHOD, SCHEME, AUTHORITY, PATH]
OK: Fields = [(b":status", b"200")]
CONNECT: Fields = [(b":method", b"CONNECT"), (b":authority", b"example.com:443")]
WEBSOCKET: Fields = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"https"),
    (b":path", b"/chat"),
    (b":authority", b"example.com"),
]

# fmt: off
BAD_METHODS = (b"", b"GE T", b" GET", b"GET\n", b"G\xc9T", b"A:B")
BAD_SCHEMES = (b"", b"https:", b"1http", b"ht tp", b" https", b"https\0", b"http\xe9", b"-")
BAD_PATHS = (
    b"", b"a", b"index.html", b"*", b"?a", b"http://example.com/", b" /", b"/ ", b"/a b", b"/\t", b"/a#b", b"#",
    b"/\0", b"/\x01", b"/\x1f", b"/\x7f", b"/a\r\nb", b"\n/",
)
BAD_AUTHORITIES = (
    b"", b":80", b":", b"user@example.com", b"user:pass@example.com", b"@", b"exam ple.com", b" example.com",
    b"example.com ", b"example.com/", b"example.com?", b"example.com#", b"a\\b", b"example.com:http",
    b"example.com:-1", b"example.com:65536", b"example.com:123456", b"example.com:80:80", b"::1", b"[::1", b"[]",
    b"[::1]x", b"a[::1]", b"caf\xc3\xa9.example", b"a\0", b"a\n", b"a\x7f", b'"a"', b"a,b:c",
)
BAD_TARGETS = (
    b"", b"a", b"a:", b":443", b"a:0", b"a:65536", b"a:b", b"u@a:1", b"a b:1", b"[::1]", b"::1:1", b"/a:1",
)
BAD_STATUSES = (
    b"", b"0", b"20", b"2000", b"099", b"000", b"1000", b"-20", b"+20", b"2e1", b"20 ", b" 20", b"2 0", b"20\n",
    b"200 OK", b"abc", b"101", b"\xb2\xb0\xb0", b"0200", b"200\0", b"\xd9\xa1\xd9\xa0",
)
BAD_LENGTHS: tuple[list[bytes], ...] = (
    [b""], [b"-1"], [b"+5"], [b" 5"], [b"5 "], [b"5,5"], [b"5, 5"], [b"5.0"], [b"0x5"], [b"5_0"], [b"1e3"], [b"five"],
    [b"\xb2"], [b"\xd9\xa5"], [b"10000000000000000000"], [b"9" * 5000], [b"5", b"6"], [b"6", b"5"],
    [b"5", b"5", b"4"], [b"5", b""], [b"5", b"x"], [b"x", b"5"], [b"x", b"x"],
)
# fmt: on


def _with(fields: Fields, *changes: RawField) -> Fields:
    """Returns *fields* with the values of some names replaced."""
    new = dict(changes)
    return [(name, new.get(name, value)) for name, value in fields]


def _without(fields: Fields, *names: bytes) -> Fields:
    return [field for field in fields if field[0] not in names]


def _accepted(kind: str, fields: Fields) -> bool:
    """Whether *fields* pass as regular fields of the given kind of message."""
    try:
        if kind == "request":
            check_request(GET + fields)
        elif kind == "response":
            check_response(OK + fields)
        else:
            check_trailers(fields)
    except MalformedMessageError:
        return False
    return True


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        GET,
        [PATH, AUTHORITY, SCHEME, METHOD],
        [HeaderTuple(*field) for field in GET],
        _with(GET, (b":method", b"get")),
        _with(GET, (b":method", b"M-SEARCH")),
        _with(GET, (b":method", b"!#$%&'*+-.^_`|~09AZaz")),
        _with(GET, (b":method", b"OPTIONS"), (b":path", b"*")),
        _with(GET, (b":method", b"OPTIONS")),
        _with(GET, (b":path", b"/a/b?c=d&e=%20%ff;~!'()*/?:@")),
        _with(GET, (b":path", b"//")),
        _with(GET, (b":path", b"/caf\xc3\xa9")),
        _with(GET, (b":path", b'/a"b<c>\\^`{|}')),
        _with(GET, (b":scheme", b"http")),
        _with(GET, (b":scheme", b"HTTPS")),
        _with(GET, (b":scheme", b"a+b-c.9")),
        _with(_without(GET, b":authority"), (b":scheme", b"coap")),
        _with(GET, (b":scheme", b"coap"), (b":authority", b"")),
        _with(GET, (b":authority", b"example.com:")),
        _with(GET, (b":authority", b"example.com:65535")),
        _with(GET, (b":authority", b"EXAMPLE.com.")),
        _with(GET, (b":authority", b"under_score-dash.example")),
        _with(GET, (b":authority", b"192.0.2.1:80")),
        _with(GET, (b":authority", b"[2001:db8::1]")),
        _with(GET, (b":authority", b"[fe80::1%25eth0]:8443")),
        _with(GET, (b":authority", b"caf%C3%A9.example")),
        [*_without(GET, b":authority"), (b"host", b"example.com")],
        [*GET, (b"host", b"example.com")],
        [*GET, (b"host", b"EXAMPLE.com")],
        [*GET, (b"host", b"example.com:443")],
        [*GET, (b"host", b"Example.com:")],
        [*_with(GET, (b":scheme", b"http"), (b":authority", b"example.com:80")), (b"host", b"example.com")],
        [*_with(GET, (b":scheme", b"coap"), (b":authority", b"a:1")), (b"host", b"a:1")],
        [*GET, (b"te", b"trailers")],
        [*GET, (b"te", b"Trailers")],
        [*GET, (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x", b""), (b"accept", b"*/*"), (b"accept", b"a/b")],
    ],
)
def test_good_requests(fields: Fields) -> None:
    assert check_request(fields) == MessageHead(dict(fields)[b":method"], None, None, None)
    assert check_request(tuple(fields), extended_connect=True).method == dict(fields)[b":method"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([], "':method' is missing"),
        ([(b"accept", b"*/*")], "':method' is missing"),
        (_without(GET, b":method"), "':method' is missing"),
        (_without(GET, b":scheme"), "':scheme' is missing"),
        (_without(GET, b":path"), "':path' is missing"),
        (_without(GET, b":authority"), "missing, or without a host"),
        (_with(_without(GET, b":authority"), (b":scheme", b"HTTP")), "missing, or without a host"),
        *[(_with(GET, (b":method", method)), "':method'") for method in BAD_METHODS],
        *[(_with(GET, (b":scheme", scheme)), "':scheme'") for scheme in BAD_SCHEMES],
        *[(_with(GET, (b":path", path)), "':path'") for path in BAD_PATHS],
        (_with(GET, (b":method", b"OPTIONS"), (b":path", b"**")), "':path'"),
        (_with(GET, (b":method", b"OPTIONS"), (b":path", b"")), "':path'"),
        *[(_with(GET, (b":authority", authority)), "host") for authority in BAD_AUTHORITIES],
        (_with(GET, (b":scheme", b"coap"), (b":authority", b"user@a")), "is not host"),
        ([*_without(GET, b":authority"), (b"host", b"")], "without a host"),
        ([*_without(GET, b":authority"), (b"host", b"user@example.com")], "is not host"),
        ([*_without(GET, b":authority"), (b"host", b"a b")], "is not host"),
        ([*_with(GET, (b":authority", b"")), (b"host", b"example.com")], "'host' is not ':authority'"),
        ([*GET, (b"host", b"")], "'host' is not ':authority'"),
        ([*GET, (b"host", b"example.org")], "'host' is not ':authority'"),
        ([*GET, (b"host", b"example.com:80")], "'host' is not ':authority'"),
        ([*GET, (b"host", b"user@example.com")], "'host' is not ':authority'"),
        ([*_with(GET, (b":authority", b"a@b")), (b"host", b"b")], "'host' is not ':authority'"),
        (
            [*_with(GET, (b":scheme", b"coap"), (b":authority", b"a:5683")), (b"host", b"a")],
            "'host' is not ':authority'",
        ),
        ([*GET, (b"host", b"example.com"), (b"host", b"example.com")], "'host' is repeated"),
        *[([*GET, field], f"pseudo-header '{field[0].decode()}' is repeated") for field in GET],
        ([METHOD, METHOD, *GET[1:]], "pseudo-header ':method' is repeated"),
        ([*GET, (b":status", b"200")], "':status' does not belong here"),
        ([*GET, (b":unknown", b"")], "':unknown' does not belong here"),
        ([*GET, (b":", b"")], "':' does not belong here"),
        ([*GET, (b":Method", b"GET")], "':Method' does not belong here"),
        ([METHOD, SCHEME, AUTHORITY, (b"accept", b"*/*"), PATH], "':path' after regular fields"),
        ([*GET, (b"accept", b"*/*"), (b":unknown", b"")], "':unknown' after regular fields"),
        ([(b"accept", b"*/*"), *GET], "':method' after regular fields"),
        ([*GET, (b":protocol", b"websocket")], "':protocol'"),
    ],
)
def test_malformed_requests(fields: Fields, reason: str) -> None:
    for extended_connect in (False, True):
        with pytest.raises(MalformedMessageError, match=reason):
            check_request(fields, extended_connect=extended_connect)


def test_reasons_do_not_tell_values() -> None:
    with pytest.raises(MalformedMessageError) as caught:
        check_request([*GET, (b"authorization", b"secret\n")])
    assert caught.value.reason == "the value of 'authorization' has characters it may not have"


@pytest.mark.parametrize(
    "fields",
    [
        CONNECT,
        CONNECT[::-1],
        _with(CONNECT, (b":authority", b"[::1]:1")),
        _with(CONNECT, (b":authority", b"192.0.2.1:65535")),
        [*CONNECT, (b"host", b"EXAMPLE.com:443"), (b"user-agent", b"x")],
        # RFC 9110 §9.3.6: a CONNECT has no content, so its length is nothing to hold the tunnel to.
        [*CONNECT, (b"content-length", b"5")],
        [*CONNECT, (b"content-length", b"5"), (b"content-length", b"x")],
    ],
)
def test_good_connects(fields: Fields) -> None:
    for extended_connect in (False, True):
        assert check_request(fields, extended_connect=extended_connect) == MessageHead(b"CONNECT", None, None, None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([*CONNECT, SCHEME], "':scheme' or ':path'"),
        ([*CONNECT, PATH], "':scheme' or ':path'"),
        ([*CONNECT, SCHEME, PATH], "':scheme' or ':path'"),
        ([*CONNECT, (b":path", b"")], "':scheme' or ':path'"),
        (CONNECT[:1], "host:port"),
        ([CONNECT[0], (b"host", b"example.com:443")], "host:port"),
        *[(_with(CONNECT, (b":authority", authority)), "host:port") for authority in BAD_TARGETS],
        ([*CONNECT, (b"host", b"example.com")], "'host' is not"),
        ([*CONNECT, (b"host", b"example.org:443")], "'host' is not"),
        ([*CONNECT, (b"connection", b"close")], "connection-specific"),
    ],
)
def test_malformed_connects(fields: Fields, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=reason):
        check_request(fields)


@pytest.mark.parametrize(
    "fields",
    [
        WEBSOCKET,
        _with(WEBSOCKET, (b":protocol", b"connect-udp")),
        [*WEBSOCKET, (b"host", b"example.com"), (b"sec-websocket-version", b"13")],
        _with(WEBSOCKET, (b":scheme", b"coap")),
        [*WEBSOCKET, (b"content-length", b"5")],
    ],
)
def test_good_extended_connects(fields: Fields) -> None:
    expected = MessageHead(b"CONNECT", None, dict(fields)[b":protocol"], None)
    assert check_request(fields, extended_connect=True) == expected
    with pytest.raises(MalformedMessageError, match="':protocol' without SETTINGS_ENABLE_CONNECT_PROTOCOL"):
        check_request(fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (_with(WEBSOCKET, (b":method", b"GET")), "method other than CONNECT"),
        (_without(WEBSOCKET, b":method"), "':method' is missing"),
        (_without(WEBSOCKET, b":scheme"), "':scheme' is missing"),
        (_without(WEBSOCKET, b":path"), "':path' is missing"),
        (_without(WEBSOCKET, b":authority"), "':authority' is missing"),
        ([*_without(WEBSOCKET, b":authority"), (b"host", b"example.com")], "':authority' is missing"),
        (_with(WEBSOCKET, (b":authority", b"")), "':authority' is missing"),
        (_with(WEBSOCKET, (b":authority", b"u@a")), "is not host"),
        (_with(WEBSOCKET, (b":path", b"*")), "':path'"),
        (_with(WEBSOCKET, (b":scheme", b"")), "':scheme'"),
        (_with(WEBSOCKET, (b":protocol", b"")), "':protocol' is not a token"),
        (_with(WEBSOCKET, (b":protocol", b"web socket")), "':protocol' is not a token"),
        ([*WEBSOCKET, (b":protocol", b"websocket")], "':protocol' is repeated"),
    ],
)
def test_malformed_extended_connects(fields: Fields, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=reason):
        check_request(fields, extended_connect=True)


# -- responses and trailers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [100, 102, 103, 199, 200, 204, 304, 404, 418, 500, 599, 600, 999])
def test_good_statuses(status: int) -> None:
    head = check_response([(b":status", b"%d" % status), (b"server", b"x")])
    assert head == MessageHead(None, status, None, None)


@pytest.mark.parametrize("status", BAD_STATUSES)
def test_bad_statuses(status: bytes) -> None:
    with pytest.raises(MalformedMessageError, match=r"':status' is (not a number from 100|101)"):
        check_response([(b":status", status)])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([], "':status' is missing"),
        ([(b"server", b"x")], "':status' is missing"),
        ([*OK, *OK], "':status' is repeated"),
        ([*OK, (b":status", b"404")], "':status' is repeated"),
        ([*OK, METHOD], "':method' does not belong here"),
        ([PATH, *OK], "':path' does not belong here"),
        ([(b"server", b"x"), *OK], "':status' after regular fields"),
        ([*OK, (b"server", b"x"), (b":path", b"/")], "':path' after regular fields"),
    ],
)
def test_malformed_responses(fields: Fields, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=reason):
        check_response(fields)


def test_trailers() -> None:
    check_trailers([])
    check_trailers([(b"grpc-status", b"0"), (b"x", b""), (b"x", b"a")])
    check_trailers([(b"content-length", b"nonsense")])
    for fields, reason in [
        (OK, "pseudo-header ':status' in trailers"),
        (GET, "pseudo-header ':method' in trailers"),
        ([(b"x", b""), *OK], "pseudo-header ':status' after regular fields"),
    ]:
        with pytest.raises(MalformedMessageError, match=reason):
            check_trailers(fields)


# -- what all kinds share ----------------------------------------------------------------------------------------------

KINDS = pytest.mark.parametrize("kind", ["request", "response", "trailers"])


@KINDS
def test_every_byte_in_names(kind: str) -> None:
    allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
    for octet in range(256):
        for name in (bytes([octet]), b"x" + bytes([octet]), bytes([octet]) + b"x", b"x" + bytes([octet]) + b"x"):
            assert _accepted(kind, [(name, b"")]) == (octet in allowed), name
    assert not _accepted(kind, [(b"", b"x")])


@KINDS
def test_every_byte_in_values(kind: str) -> None:
    for octet in range(256):
        control = (octet < 0x20 and octet != 0x09) or octet == 0x7F
        space = octet in (0x20, 0x09)
        one = bytes([octet])
        for name in (b"x-any", b"user-agent"):
            assert _accepted(kind, [(name, b"a" + one + b"a")]) == (not control), one
            for value in (one, one + b"a", b"a" + one, b"a" + one + one, one + b" a"):
                assert _accepted(kind, [(name, value)]) == (not control and not space), value
    assert _accepted(kind, [(b"x", b"")])
    assert _accepted(kind, [(b"x", b"a \t b")])
    assert not _accepted(kind, [(b"x", b" ")])


@KINDS
@pytest.mark.parametrize("name", sorted(CONNECTION_SPECIFIC))
def test_connection_specific_fields(kind: str, name: bytes) -> None:
    assert not _accepted(kind, [(name, b"x")])
    assert not _accepted(kind, [(b"x", b"y"), (name, b"")])


@KINDS
@pytest.mark.parametrize(
    ("value", "fine"),
    [(b"trailers", True), (b"TRAILERS", True), (b"", False), (b"gzip", False), (b"trailers, gzip", False)],
)
def test_te(kind: str, value: bytes, fine: bool) -> None:
    assert _accepted(kind, [(b"te", value)]) == fine


@KINDS
def test_plain_names_pass(kind: str) -> None:
    assert _accepted(kind, [(name, b"x") for name in sorted(PLAIN_NAMES)])


def test_a_long_bad_value_is_found_in_linear_time() -> None:
    # Quadratic backtracking over this would take minutes, and the test's time limit would end it.
    for tail in (b" ", b"\n", b"\0a"):
        assert not _accepted("response", [(b"x", b"a " * 2_000_000 + tail)])
        assert not _accepted("response", [(b"content-length", b"0" * 2_000_000 + b"x" + tail.strip())])


# -- content-length ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ([], None),
        ([b"0"], 0),
        ([b"5"], 5),
        ([b"005"], 5),
        ([b"5", b"5"], 5),
        ([b"5", b"05", b"5"], 5),
        ([b"9999999999999999999"], 10**19 - 1),
        ([b"0" * 5000 + b"7"], 7),
    ],
)
def test_good_content_lengths(values: list[bytes], length: int | None) -> None:
    fields = [(b"content-length", value) for value in values]
    assert check_request(GET + fields) == MessageHead(b"GET", None, None, length)
    assert check_response([*OK, (b"server", b"x"), *fields]) == MessageHead(None, 200, None, length)


@pytest.mark.parametrize("values", BAD_LENGTHS)
def test_bad_content_lengths(values: list[bytes]) -> None:
    fields = [(b"content-length", value) for value in values]
    with pytest.raises(MalformedMessageError, match="content-length"):
        check_request(GET + fields)
    with pytest.raises(MalformedMessageError, match="content-length"):
        check_response(OK + fields)


def test_parse_length() -> None:
    assert parse_length(b"123") == 123
    assert parse_length(b"") is None


# -- helpers -----------------------------------------------------------------------------------------------------------


def test_field_section_size() -> None:
    assert field_section_size([]) == 0
    assert field_section_size([(b"", b"")]) == 32
    assert field_section_size(GET) == 4 * 32 + sum(len(name) + len(value) for name, value in GET)


@pytest.mark.parametrize(
    ("authority", "parsed"),
    [
        (b"", (b"", None)),
        (b"a", (b"a", None)),
        (b"a:", (b"a", None)),
        (b"a:0", (b"a", 0)),
        (b"a:00080", (b"a", 80)),
        (b"a:65535", (b"a", 65535)),
        (b"[::1]:", (b"[::1]", None)),
        (b"[v1.x]:80", (b"[v1.x]", 80)),
        (b"a:65536", None),
        (b"u@a", None),
        (b"a:1:2", None),
    ],
)
def test_parse_authority(authority: bytes, parsed: tuple[bytes, int | None] | None) -> None:
    assert parse_authority(authority) == parsed


@pytest.mark.parametrize(
    ("first", "second", "scheme", "same"),
    [
        (b"a", b"a", b"https", True),
        (b"a", b"A", b"https", True),
        (b"a", b"A:443", b"HTTPS", True),
        (b"a:80", b"a", b"http", True),
        (b"a:", b"a", b"coap", True),
        (b"a:443", b"a", b"http", False),
        (b"a:443", b"a", b"coap", False),
        (b"a", b"b", b"https", False),
        (b"a:1", b"a:2", b"https", False),
        (b"a", b"u@a", b"https", False),
        (b"u@a", b"a", b"https", False),
    ],
)
def test_same_authority(first: bytes, second: bytes, scheme: bytes, same: bool) -> None:
    assert same_authority(first, second, scheme) is same
