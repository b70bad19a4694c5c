"""`Headers` and the spelling of single fields."""

from __future__ import annotations

import copy
import http
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, assert_type, cast

import pytest
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from trio_h2._wire._headers import (
    PLAIN_NAMES,
    Headers,
    encode_fields,
    encode_name,
    encode_value,
    is_field_name,
    show_name,
)

if TYPE_CHECKING:
    from trio_h2._wire._headers import HeadersInput, RawField

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
FIRST_WINS = """age authorization access-control-allow-credentials access-control-max-age access-control-request-method
    content-encoding content-language content-location content-md5 content-range content-type date dnt etag expires
    from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location
    max-forwards proxy-authorization range referer retry-after tk upgrade-insecure-requests user-agent
    x-content-type-options""".split()  # noqa: SIM905  # the list of the feature map, word by word


def _untyped(value: object) -> HeadersInput:
    """Passes what the type checker would refuse."""
    return cast("HeadersInput", value)


# -- what goes in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "raw"),
    [
        ({}, []),
        ([], []),
        ({"Content-Type": "text/plain"}, [(b"content-type", b"text/plain")]),
        ({":STATUS": 200}, [(b":status", b"200")]),
        ({":status": http.HTTPStatus.NOT_FOUND}, [(b":status", b"404")]),
        ({"x-count": -5}, [(b"x-count", b"-5")]),
        ({"X-Mixed": ["a", 2, "c"]}, [(b"x-mixed", b"a"), (b"x-mixed", b"2"), (b"x-mixed", b"c")]),
        ({"x": ("a", "b")}, [(b"x", b"a"), (b"x", b"b")]),
        ({"x": []}, []),
        ({"x": ""}, [(b"x", b"")]),
        ({"x": "caf\xe9"}, [(b"x", b"caf\xe9")]),
        ({"x": "a\tb  c"}, [(b"x", b"a\tb  c")]),
        ([("A", "1"), ("b", "2"), ("a", "3")], [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]),
        ([(b"A", b"1"), (b":path", b"/")], [(b"a", b"1"), (b":path", b"/")]),
        ([("a", ["1", "2"])], [(b"a", b"1"), (b"a", b"2")]),
        ([("a", [b"1", "2", 3])], [(b"a", b"1"), (b"a", b"2"), (b"a", b"3")]),
        ([["a", "1"]], [(b"a", b"1")]),
        ((pair for pair in [("a", "1")]), [(b"a", b"1")]),
        ({"a": bytearray(b"1"), "b": memoryview(b"2")}, [(b"a", b"1"), (b"b", b"2")]),
        ({TOKEN: "1"}, [(TOKEN.encode(), b"1")]),
        (Headers([("a", "1"), ("a", "2")]), [(b"a", b"1"), (b"a", b"2")]),
    ],
)
def test_what_users_may_give(given: HeadersInput, raw: list[RawField]) -> None:
    assert Headers(given).raw == raw


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a:b",
        "a:",
        ":",
        "::a",
        "na\xefve",
        "\u212a",
        "a\r\nb",
        "a\0",
        "a\x7f",
        'a"b',
        "a(b)",
        "a/b",
        "[a]",
    ],
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"header name .* is not allowed"):
        Headers({name: "x"})
    with pytest.raises(ValueError, match=r"header name .* is not allowed"):
        Headers([(name.encode(), b"x")])


def test_every_byte_in_a_name() -> None:
    for octet in range(256):
        name = b"a" + bytes([octet])
        if chr(octet).lower() in TOKEN and octet < 128:
            assert encode_name(name) == name.lower()
        else:
            with pytest.raises(ValueError, match="is not allowed"):
                encode_name(name)


def test_every_byte_in_a_value() -> None:
    for octet in range(256):
        value = b"a" + bytes([octet]) + b"b"
        if (octet >= 0x20 and octet != 0x7F) or octet == 0x09:
            assert encode_value(b"x", value) == value
            assert encode_value(b"x", value.decode("latin-1")) == value
        else:
            with pytest.raises(ValueError, match="position 1: line breaks, NUL and other control characters"):
                encode_value(b"x", value)


@pytest.mark.parametrize("value", [" ", "\t", " a", "a ", "\ta", "a\t", "  ", b" a", "a b "])
def test_white_space_at_the_ends_is_refused(value: str | bytes) -> None:
    with pytest.raises(ValueError, match="'x-name' starts or ends with white space"):
        Headers([("x-name", value)])


@pytest.mark.parametrize("value", ["a\n", "\na", "\r", "\n", "a\r\nset-cookie: b", "\0"])
def test_line_breaks_at_the_ends_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"'x-name' has '\\(n|r|x00)' at position"):
        Headers({"x-name": value})


def test_values_outside_latin1_are_refused() -> None:
    with pytest.raises(ValueError, match="'x-price' has a character outside latin-1 at position 3"):
        Headers({"x-price": "10 \u20ac"})


def test_errors_do_not_tell_the_value() -> None:
    for value in ("secret\n", " secret", "secret \u20ac"):
        with pytest.raises(ValueError, match="authorization") as caught:
            Headers({"authorization": value})
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [None, True, 1.5, {"a": 1}, {1}, object(), [["a"]], [None], [True]])
def test_values_of_a_wrong_type_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="the value of header field 'x-name' must be str, int, bytes or a list"):
        Headers(_untyped({"x-name": value}))


@pytest.mark.parametrize("name", [None, 1, ("a",)])
def test_names_of_a_wrong_type_are_refused(name: object) -> None:
    with pytest.raises(TypeError, match="a header name must be str or bytes"):
        Headers(_untyped({name: "x"}))


@pytest.mark.parametrize("given", [None, 5, "ab", b"ab", bytearray(b"ab"), memoryview(b"ab"), object()])
def test_headers_of_a_wrong_type_are_refused(given: object) -> None:
    with pytest.raises(TypeError, match="headers must be a mapping or"):
        Headers(_untyped(given))


@pytest.mark.parametrize("item", ["ab", ("a",), ("a", "b", True), None, 5, {"a", "b"}])
def test_items_that_are_no_pairs_are_refused(item: object) -> None:
    with pytest.raises(TypeError, match="something in them is no pair"):
        Headers(_untyped([item]))


def test_a_long_name_is_shortened_in_messages() -> None:
    assert show_name(b"x" * 64) == repr("x" * 64)
    assert show_name(b"x" * 65) == repr("x" * 61 + "...")


def test_the_shortcut_for_known_names_knows_only_proper_ones() -> None:
    assert all(is_field_name(name) for name in PLAIN_NAMES)
    for name in ("content-type", ":status", "host"):
        assert encode_name(name) == encode_name(name.upper()) == name.encode()


# -- the mapping -------------------------------------------------------------------------------------------------------


def test_it_is_a_mapping() -> None:
    headers = Headers([(":status", "200"), ("A", "1"), ("b", "2"), ("a", "3")])
    assert isinstance(headers, Mapping)
    assert headers["a"] == headers["A"] == "1, 3"
    assert list(headers) == list(headers.keys()) == [":status", "a", "b"]
    assert list(headers.values()) == ["200", "1, 3", "2"]
    assert dict(headers.items()) == dict(headers) == {":status": "200", "a": "1, 3", "b": "2"}
    assert len(headers) == 3
    assert "a" in headers
    assert "B" in headers
    assert "c" not in headers
    assert cast("str", b"a") not in headers
    assert headers.get("A") == "1, 3"
    assert headers.get("c") is None
    assert headers.get("c", 5) == 5
    assert headers.get_all("A") == ["1", "3"]
    assert headers.get_all("c") == []
    with pytest.raises(KeyError, match="'c'"):
        headers["c"]
    with pytest.raises(TypeError, match="not bytes; `raw` has bytes"):
        headers[cast("str", b"a")]


def test_static_types_follow_the_name() -> None:
    headers = Headers([("set-cookie", "a"), ("b", "c")])
    assert_type(headers["set-cookie"], list[str])
    assert_type(headers["b"], str)
    assert_type(headers.get("set-cookie"), list[str] | None)
    assert_type(headers.get("b"), str | None)
    assert_type(headers.get("b", 5), str | int)
    assert_type(headers.get("set-cookie", 5), list[str] | int)


@pytest.mark.parametrize("name", [*FIRST_WINS, "content-length"])
def test_of_a_single_valued_field_the_first_one_counts(name: str) -> None:
    headers = Headers.from_raw([(name.encode(), b"1"), (b"other", b""), (name.encode(), b"2")])
    assert headers[name] == "1"
    assert headers.get_all(name) == ["1", "2"]


@pytest.mark.parametrize("name", ["accept", "cache-control", "vary", "via", "x-anything", "www-authenticate"])
def test_other_fields_are_joined(name: str) -> None:
    assert Headers({name: ["1", "", "2, 3"]})[name] == "1, , 2, 3"


def test_cookies() -> None:
    assert Headers({"cookie": ["a=1", "b=2"]})["cookie"] == "a=1; b=2"
    assert Headers({"cookie": "a=1"})["cookie"] == "a=1"
    assert Headers({"set-cookie": "a=1"})["set-cookie"] == ["a=1"]
    two = Headers({"Set-Cookie": ["a=1", "b=2"]})
    assert two.get("set-cookie") == ["a=1", "b=2"]
    # The type checker takes any other spelling for a field that is a str.
    assert cast("list[str]", two["SET-COOKIE"]) == ["a=1", "b=2"]
    two["set-cookie"].clear()
    assert two["set-cookie"] == ["a=1", "b=2"]


def test_of_a_repeated_pseudo_header_the_first_one_counts() -> None:
    assert Headers.from_raw([(b":path", b"/a"), (b":path", b"/b")])[":path"] == "/a"


def test_bytes_come_out_as_latin1() -> None:
    assert Headers.from_raw([(b"x", b"caf\xe9"), (b"X", b"\xff")])["x"] == "caf\xe9, \xff"


def test_raw_is_a_copy() -> None:
    headers = Headers({"a": "1"})
    headers.raw.clear()
    headers.get_all("a").clear()
    assert headers.raw == [(b"a", b"1")]
    assert headers.get_all("a") == ["1"]


def test_input_is_copied() -> None:
    given = {"a": "1"}
    headers = Headers(given)
    given["a"] = "2"
    assert headers["a"] == "1"


def test_from_raw_takes_the_list_as_it_is() -> None:
    raw = [(b"Bad Name", b"bad\nvalue"), (b":x", b"")]
    headers = Headers.from_raw(raw)
    assert headers.raw == raw
    assert list(headers) == ["bad name", ":x"]


@pytest.mark.parametrize("given", [{":status": 204}, [("a", "b"), (":status", "204")], [(":status", "204")]])
def test_status(given: HeadersInput) -> None:
    assert Headers(given).status == 204


def test_no_status() -> None:
    with pytest.raises(LookupError, match="no ':status'"):
        _ = Headers({":method": "GET"}).status
    with pytest.raises(ValueError, match="invalid literal"):
        _ = Headers({":status": "fine"}).status


def test_equality() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3"), ("set-cookie", "c")])
    assert headers == {"A": "1, 3", "b": "2", "set-cookie": ["c"]}
    assert headers == Headers([("B", "2"), ("a", "1"), ("a", "3"), ("set-cookie", "c")])
    assert headers != Headers([("a", "3"), ("b", "2"), ("a", "1"), ("set-cookie", "c")])
    assert headers != {"a": "1, 3"}
    assert headers != {1: 2}
    assert headers != "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(headers)


def test_copies() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")], sensitive=["a", "c"])
    for twin in (copy.copy(headers), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))):
        assert twin.raw == headers.raw
        assert [type(field) for field in twin.raw] == [NeverIndexedHeaderTuple, tuple, NeverIndexedHeaderTuple]
        assert twin.sensitive == {"a", "c"}


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_sensitive_names() -> None:
    headers = Headers([("X-Token", "1"), ("a", "b"), ("x-token", "2")], sensitive=["X-TOKEN", "x-absent"])
    assert headers.sensitive == {"x-token", "x-absent"}
    assert [isinstance(field, NeverIndexedHeaderTuple) for field in headers.raw] == [True, False, True]
    assert Headers(headers).sensitive == headers.sensitive
    assert Headers(headers, sensitive=["a"]).sensitive == {"a", "x-token", "x-absent"}
    assert Headers({"authorization": "x"}).sensitive == frozenset()


def test_what_the_sender_marked_is_sensitive() -> None:
    raw = [NeverIndexedHeaderTuple(b"x-token", b"1"), HeaderTuple(b"a", b"b"), (b"x-token", b"2")]
    for headers in (Headers.from_raw(list(raw)), Headers(raw)):
        assert headers.sensitive == {"x-token"}
        # A proxy must not lose the mark (RFC 7541 §6.2.3), and a name is as secret in one field as in another.
        assert [isinstance(field, NeverIndexedHeaderTuple) for field in encode_fields(headers)] == [True, False, True]


@pytest.mark.parametrize("sensitive", ["authorization", b"authorization"])
def test_sensitive_wants_several_names(sensitive: object) -> None:
    with pytest.raises(TypeError, match="not one string"):
        Headers({}, sensitive=cast("list[str]", sensitive))


def test_sensitive_names_are_checked() -> None:
    with pytest.raises(ValueError, match="header name 'x y' is not allowed"):
        Headers({}, sensitive=["x y"])


def test_repr_hides_secrets() -> None:
    raw = [
        (b":status", b"200"),
        (b"authorization", b"s1"),
        (b"Cookie", b"s2"),
        (b"proxy-authorization", b"s3"),
        (b"set-cookie", b"s4"),
        (b"x-token", b"s5"),
        NeverIndexedHeaderTuple(b"x-marked", b"s6"),
        (b"a", b"caf\xe9"),
    ]
    assert repr(Headers(raw, sensitive=["x-token"])) == (
        "Headers([(':status', '200'), ('authorization', <hidden>), ('cookie', <hidden>), "
        "('proxy-authorization', <hidden>), ('set-cookie', <hidden>), ('x-token', <hidden>), "
        "('x-marked', <hidden>), ('a', 'café')])"
    )
    assert "s2" not in repr(Headers.from_raw(raw))
