"""Responses and trailers that users may send, what all kinds of messages share, and what is refused."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, cast

import pytest
from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

from trio_h2._wire import _headers
from trio_h2._wire._fields import check_response, check_trailers
from trio_h2._wire._headers import Headers, RawField
from trio_h2._wire._outbound import (
    content_length_of,
    informational_fields,
    may_be_remembered,
    plain_key,
    request_fields,
    response_fields,
    trailer_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_h2._wire._headers import HeadersInput

Fields = list[RawField]

TO_SEND: dict[str, Callable[[HeadersInput], Fields]] = {
    "request": lambda headers: request_fields("GET", "/", "https", "example.com", headers),
    "response": response_fields,
    "informational": lambda headers: informational_fields(103, headers),
    "trailers": trailer_fields,
}
KINDS = pytest.mark.parametrize("send", TO_SEND.values(), ids=TO_SEND.keys())


def _untyped(value: object) -> str:
    """Passes what the type checker would refuse."""
    return cast("str", value)


def test_what_type_checkers_must_see() -> None:
    """The plain spellings of `HeadersInput` refuse one or another of these; mypy reads this test, too."""
    pairs = [("a", "b")]
    raw = [(b"a", b"b")]
    plain = {"a": "b"}
    lists = {"a": ["b"]}
    for fields in (
        response_fields({":status": 200, "a": "b"}),
        response_fields({":status": 200, "a": ["b", "c", 1]}),
        response_fields([("a", "b"), ("c", 1), (b"d", b"e"), ("f", ["g", 1])]),
        response_fields(pairs),
        response_fields(raw),
        response_fields(plain),
        response_fields(lists),
        response_fields(plain.items()),
        response_fields(pair for pair in pairs),
        response_fields(Headers({":status": 200, "a": "b"}, sensitive={"a"})),
    ):
        assert fields[1] == (b"a", b"b")


# -- responses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, [(b":status", b"200")]),
        ({}, [(b":status", b"200")]),
        (204, [(b":status", b"204")]),
        (http.HTTPStatus.NOT_FOUND, [(b":status", b"404")]),
        ({":status": 599}, [(b":status", b"599")]),
        ({":status": 999}, [(b":status", b"999")]),
        ({":status": "200"}, [(b":status", b"200")]),
        ([("a", "b"), (b":status", b"500")], [(b":status", b"500"), (b"a", b"b")]),
        ({"Content-Length": 5, "host": "a"}, [(b":status", b"200"), (b"content-length", b"5"), (b"host", b"a")]),
        ({":status": 304, "content-length": "5"}, [(b":status", b"304"), (b"content-length", b"5")]),
        (Headers({"A": "b", ":status": 201}), [(b":status", b"201"), (b"a", b"b")]),
    ],
)
def test_good_responses(headers: HeadersInput | int | None, expected: Fields) -> None:
    fields = response_fields(headers)
    assert fields == expected
    assert type(fields) is list
    check_response(fields)


@pytest.mark.parametrize(
    "status", [-200, 0, 20, 99, 1000, 2000, 20000, "", "abc", "200 OK", "+20", "2 0", "0200", "\xb2\xb0\xb0"]
)
def test_bad_statuses(status: int | str) -> None:
    with pytest.raises(ValueError, match="':status' of a final response must be a number from 200 to 999"):
        response_fields({":status": status})
    if isinstance(status, int):
        with pytest.raises(ValueError, match=f"from 200 to 999, not '{status}'"):
            response_fields(status)


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_interim_statuses_are_not_final(status: int) -> None:
    with pytest.raises(ValueError, match="send_informational"):
        response_fields(status)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({":status": ["200", "200"]}, "':status' is given twice"),
        ({":method": "GET"}, "':method' is not allowed in a response \\(allowed: ':status'\\)"),
        ({":path": "/"}, "':path' is not allowed in a response"),
        ({":status": 204, "content-length": "0"}, "'content-length' is not allowed in a 204 response"),
    ],
)
def test_bad_responses(headers: HeadersInput, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        response_fields(headers)


@pytest.mark.parametrize("headers", [True, False, "200", b"200", 200.0])
def test_responses_of_a_wrong_type(headers: object) -> None:
    with pytest.raises(TypeError, match="headers"):
        response_fields(cast("int", headers))


@pytest.mark.parametrize("status", [100, 102, 103, 199, http.HTTPStatus.EARLY_HINTS])
def test_good_informational_responses(status: int) -> None:
    expected = (b":status", b"%d" % status)
    assert informational_fields(status, None) == [expected]
    assert informational_fields(status, {"Link": "</a>", ":status": status}) == [expected, (b"link", b"</a>")]
    assert check_response(informational_fields(status, {})).status == status


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (99, None, "must be from 100 to 199, not 99"),
        (200, None, "must be from 100 to 199, not 200"),
        (-100, None, "must be from 100 to 199"),
        (101, None, "status 101 does not exist in HTTP/2"),
        (103, {":status": "100"}, "':status' in the headers contradicts"),
        (103, {":path": "/"}, "':path' is not allowed in an informational response"),
        (100, {"content-length": 0}, "'content-length' is not allowed in an informational response"),
    ],
)
def test_bad_informational_responses(status: int, headers: HeadersInput | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        informational_fields(status, headers)


@pytest.mark.parametrize("status", [True, "103", 103.0, None])
def test_informational_statuses_of_a_wrong_type(status: object) -> None:
    with pytest.raises(TypeError, match="the status must be an int"):
        informational_fields(cast("int", status), None)


# -- trailers ----------------------------------------------------------------------------------------------------------


def test_good_trailers() -> None:
    assert trailer_fields({}) == []
    fields = trailer_fields([("Grpc-Status", 0), ("x", ["a", "b"])])
    assert fields == [(b"grpc-status", b"0"), (b"x", b"a"), (b"x", b"b")]
    assert type(fields) is list
    check_trailers(fields)


@pytest.mark.parametrize("name", [":status", ":method", ":path", ":unknown"])
def test_pseudo_headers_in_trailers(name: str) -> None:
    with pytest.raises(ValueError, match=f"pseudo-header '{name}' is not allowed in trailers \\(allowed: none\\)"):
        trailer_fields({"x": "y", name: "200"})


@pytest.mark.parametrize("name", ["Content-Length", "host"])
def test_framing_and_routing_in_trailers(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name.lower()}' is not allowed in trailers"):
        trailer_fields({name: "5"})


@pytest.mark.parametrize("headers", [None, 5, True, "x", b"x"])
def test_trailers_of_a_wrong_type(headers: object) -> None:
    with pytest.raises(TypeError, match="headers"):
        trailer_fields(cast("HeadersInput", headers))


# -- what all kinds share ----------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("name", ["", "a b", "a:b", "na\xefve", "\u212a", "a\nb", "a\0", ":", "a\x7f"])
def test_bad_names(send: Callable[[HeadersInput], Fields], name: str) -> None:
    with pytest.raises(ValueError, match=r"header name .* is not allowed: a name is made of ASCII letters"):
        send({name: "x"})


@KINDS
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\rb", "line breaks"),
        ("a\nb", "line breaks"),
        ("a\0b", "NUL"),
        ("a\x1bb", "control characters"),
        (b"a\r\nb: c", "line breaks"),
        (" a", "white space"),
        ("a ", "white space"),
        ("a\t", "white space"),
        ("\u20ac", "latin-1"),
    ],
)
def test_bad_values(send: Callable[[HeadersInput], Fields], value: str, message: str) -> None:
    for headers in ({"x-name": value}, {"x-name": ["fine", value]}, [("X-Name", value)]):
        with pytest.raises(ValueError, match=rf"'x-name' .*{message}"):
            send(headers)


@KINDS
def test_headers_made_by_from_raw_are_checked_as_well(send: Callable[[HeadersInput], Fields]) -> None:
    with pytest.raises(ValueError, match=r"'x-name' .*line breaks"):
        send(Headers.from_raw([(b"x-name", b"a\nb")]))


@KINDS
@pytest.mark.parametrize("value", [None, 1.5, True, {"a": 1}, object()])
def test_values_of_a_wrong_type(send: Callable[[HeadersInput], Fields], value: object) -> None:
    with pytest.raises(TypeError, match="'x-name' must be str, int, bytes or a list"):
        send({"x-name": _untyped(value)})


@KINDS
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Connection", "manages the connection itself"),
        ("keep-alive", "manages the connection itself"),
        ("proxy-connection", "manages the connection itself"),
        ("Transfer-Encoding", "frames every body itself"),
        ("upgrade", "extended CONNECT"),
        ("HTTP2-Settings", "settings in frames"),
    ],
)
def test_connection_specific_fields(send: Callable[[HeadersInput], Fields], name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"'{name.lower()}' is not allowed in HTTP/2: leave it out; .*{hint}"):
        send({name: "x"})


@KINDS
def test_te(send: Callable[[HeadersInput], Fields]) -> None:
    assert send({"TE": "trailers"})[-1] == (b"te", b"trailers")
    for value in ("gzip", "trailers, gzip", ""):
        with pytest.raises(ValueError, match="'te' may only be 'trailers'"):
            send({"te": value})


@KINDS
@pytest.mark.parametrize("name", ["authorization", "cookie", "set-cookie", "proxy-authorization"])
def test_secrets_are_not_remembered(send: Callable[[HeadersInput], Fields], name: str) -> None:
    """Fields that come again and again are kept as they are encoded; not those that may be secret."""
    send({"x-open": "the door"})
    send({name: "the secret key"})
    send(Headers({"x-token": "the secret key"}, sensitive=["X-Token"]))
    assert "the door" in repr(_headers._known_fields)
    assert "the secret key" not in repr(_headers._known_fields)


@pytest.mark.parametrize("name", ["authorization", "cookie", "set-cookie", "proxy-authorization"])
def test_header_sections_with_a_secret_are_not_to_be_remembered(name: str) -> None:
    assert may_be_remembered(response_fields({"x-open": "the door"}))
    assert not may_be_remembered(response_fields({"x-open": "the door", name: "k" * 30}))
    assert not may_be_remembered(response_fields({"x-long": "k" * 1100}))


def test_what_tells_header_dicts_apart() -> None:
    """What is refused must not be taken for what it equals."""
    assert plain_key({"x": 1}) != plain_key({"x": True})
    assert plain_key({"x": True}) is None
    assert plain_key({"x": 1}) == plain_key({"x": 1})
    assert plain_key({"x": 1, "y": 2}) != plain_key({"y": 2, "x": 1})
    assert plain_key({"x": ["a", "b"]}) is None
    assert plain_key([("x", "a")]) == plain_key((("x", "a"),))
    assert plain_key([["x", "a"]]) is plain_key([("x",)]) is plain_key("xy") is None
    assert plain_key([NeverIndexedHeaderTuple(b"x", b"a")]) is None
    assert plain_key(Headers({"x": "a"})) == plain_key(Headers({"X": "a"})) != plain_key(Headers({"x": "b"}))
    assert plain_key(Headers({"x": "a"})) not in (plain_key({"x": "a"}), plain_key([(b"x", b"a")]))
    assert plain_key(Headers({"x": "a"}, sensitive=["x"])) is None
    assert plain_key(Headers([("x", "a")] * 1000)) is None
    assert plain_key(200) != plain_key(None)
    assert plain_key(True) is None
    assert plain_key({b"x": "a"}) is plain_key([(["x"], "a")]) is None


@KINDS
def test_secrets_are_never_indexed(send: Callable[[HeadersInput], Fields]) -> None:
    headers = Headers(
        [
            *[("authorization", "a" * 100), ("proxy-authorization", "b" * 100), ("x-token", "c"), ("x-open", "d")],
            *[("cookie", "e" * 19), ("cookie", "f" * 20), ("set-cookie", "g" * 19), ("set-cookie", "h" * 20)],
        ],
        sensitive=["X-Token"],
    )
    fields = send(headers)[-8:]
    assert [isinstance(field, NeverIndexedHeaderTuple) for field in fields] == [
        *[True, True, True, False],
        *[True, False, True, False],
    ]
    # The mark reaches the wire: the receiver's decoder reports it.
    decoded = Decoder().decode(Encoder().encode(fields), raw=True)
    assert decoded == fields
    assert [isinstance(field, NeverIndexedHeaderTuple) for field in decoded] == [
        isinstance(field, NeverIndexedHeaderTuple) for field in fields
    ]


# -- content-length ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "length"),
    [([], None), ([b"0"], 0), ([b"5", b"5"], 5), ([b"5", b"05"], 5), ([b"9" * 19], 10**19 - 1)],
)
def test_content_length_of(values: list[bytes], length: int | None) -> None:
    fields: Fields = [(b"x", b"6"), *((b"content-length", value) for value in values)]
    assert content_length_of(fields) == length
    assert content_length_of(iter(fields)) == length


@pytest.mark.parametrize(
    "values", [["5", "6"], [5, 6], ["x"], [""], ["-5"], [-5], ["+5"], ["5,5"], ["5.0"], ["9" * 20]]
)
def test_bad_content_lengths(values: list[str | int]) -> None:
    message = "'content-length' (must be a number of bytes|is repeated with another value)"
    with pytest.raises(ValueError, match=message):
        content_length_of([(b"content-length", str(value).encode()) for value in values])
    for send in (TO_SEND["request"], TO_SEND["response"]):
        with pytest.raises(ValueError, match=message):
            send({"content-length": values})
