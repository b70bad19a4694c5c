"""RFC 9113 §8.3 and §8.3.1: pseudo-header fields, and those of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.conformance.feeds import both_ways
from trio_h2 import ErrorCode
from trio_h2.testing import HeadersFrame

if TYPE_CHECKING:
    from tests.conformance.ends import ClientEnd, End, Pairs, ServerEnd

GET: Pairs = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/hold")]


def _get(**changes: str | None) -> Pairs:
    """Returns a right request with other pseudo-header fields; None leaves one out."""
    given = {str(name): value for name, value in GET} | {f":{name}": value for name, value in changes.items()}
    return [(name, value) for name, value in given.items() if value is not None]


# ---- §8.3: received ----


@pytest.mark.parametrize("name", [":protocol", ":version", ":", ":Method", "::method", ":authority "])
async def test_8_3_undefined_pseudo_header_fields_are_malformed(end: End, name: str) -> None:
    """`:protocol` is defined by RFC 8441, for those who have announced it."""
    (first, *rest) = end.head()
    stream_id = await end.receive_message([first, (name, "x"), *rest])
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


async def test_8_3_pseudo_header_fields_of_a_response_in_a_request_are_malformed(server: ServerEnd) -> None:
    stream_id = await server.receive_message([*GET, (":status", "200")])
    await server.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("field", GET, ids=str)
async def test_8_3_pseudo_header_fields_of_a_request_in_a_response_are_malformed(
    client: ClientEnd, field: tuple[str | bytes, str | bytes]
) -> None:
    stream_id = await client.receive_message([(":status", "200"), field])
    await client.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("position", range(4))
async def test_8_3_pseudo_header_field_after_others_is_malformed(end: End, position: int) -> None:
    fields = end.head()
    late = fields.pop(min(position, len(fields) - 1))
    stream_id = await end.receive_message([*fields, ("x-regular", "yes"), late])
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@both_ways
@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("same", [False, True])
async def test_8_3_repeated_pseudo_header_field_is_malformed(end: End, position: int, same: bool) -> None:
    fields = end.head()
    name, value = fields[min(position, len(fields) - 1)]
    stream_id = await end.receive_message([*fields, (name, value if same else "201")])
    await end.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


# ---- §8.3: sent ----


@pytest.mark.parametrize("name", [":version", ":", ":trailer"])
async def test_8_3_undefined_pseudo_header_fields_are_not_sent(end: End, name: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        await end.send_message({name: "x"})
    await end.expect_ignored()


async def test_8_3_pseudo_header_fields_of_the_other_kind_of_message_are_not_sent(end: End) -> None:
    name = ":method" if end.role == "server" else ":status"
    with pytest.raises(ValueError, match="not allowed"):
        await end.send_message({name: "200"})
    await end.expect_ignored()


async def test_8_3_pseudo_header_fields_are_sent_first_and_once(end: End) -> None:
    own = {"x-before": "1", ":path": "/own", ":scheme": "https"} if end.role == "client" else {"x-before": "1"}
    await end.send_message(own)
    head = end.peer.frames[-1]
    assert isinstance(head, HeadersFrame)
    names = [name for name, _ in head.fields]
    pseudo = [name for name in names if name.startswith(b":")]
    assert names[: len(pseudo)] == pseudo
    assert len(set(pseudo)) == len(pseudo) == (4 if end.role == "client" else 1)
    await end.expect_ignored()


async def test_8_3_repeated_pseudo_header_field_is_not_sent(client: ClientEnd) -> None:
    with pytest.raises(ValueError, match="twice"):
        await client.session.open_stream("GET", headers=[(":path", "/a"), (":path", "/a")])
    await client.expect_ignored()


# ---- §8.3.1: received ----


@pytest.mark.parametrize("name", ["method", "scheme", "path"])
async def test_8_3_1_request_without_a_mandatory_pseudo_header_field_is_malformed(server: ServerEnd, name: str) -> None:
    stream_id = await server.receive_message(_get(**{name: None}))
    await server.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": ""},
        {"method": "GE T"},
        {"method": "GET\x01"},
        {"method": "GET/"},
        {"scheme": ""},
        {"scheme": "1http"},
        {"scheme": "ht tp"},
        {"scheme": "http:"},
        {"path": ""},
        {"path": "hold"},
        {"path": "http://localhost/hold"},
        {"path": "/with space"},
        {"path": "/with\x01control"},
        {"path": "/with#fragment"},
        {"path": "*"},
        {"path": "/hold", "method": "OPTIONS", "scheme": ""},
        {"authority": "user@localhost"},
        {"authority": "user:secret@localhost"},
        {"authority": "local host"},
        {"authority": "localhost/path"},
        {"authority": "localhost:port"},
        {"authority": "localhost:99999"},
        {"authority": ""},
        {"authority": None},
    ],
    ids=str,
)
async def test_8_3_1_request_with_a_wrong_pseudo_header_field_is_malformed(
    server: ServerEnd, changes: dict[str, str | None]
) -> None:
    stream_id = await server.receive_message(_get(**changes))
    await server.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)
    assert stream_id not in server.handled


@both_ways
@pytest.mark.parametrize(
    "changes",
    [
        {"method": "M-SEARCH"},
        {"method": "get"},
        {"scheme": "https"},
        {"scheme": "coap+tcp", "authority": None},
        {"path": "/"},
        {"path": "/hold?a=b&c=%20d"},
        {"path": "//double"},
        {"path": "*", "method": "OPTIONS"},
        {"authority": "[::1]:8080"},
        {"authority": "localhost:8080"},
        {"authority": "localhost:"},
    ],
    ids=str,
)
async def test_8_3_1_unusual_but_right_requests_are_received(server: ServerEnd, changes: dict[str, str | None]) -> None:
    stream_id = await server.receive_message(_get(**changes))
    await server.settle()
    stream = server.app(stream_id)
    assert stream.method == changes.get("method", "GET")
    assert stream.path == changes.get("path", "/hold")
    await server.expect_ignored()


async def test_8_3_1_host_is_not_used_when_there_is_an_authority(server: ServerEnd) -> None:
    stream_id = await server.receive_message([*_get(authority="LocalHost:80"), ("host", "localhost")])
    await server.settle()
    assert server.app(stream_id).authority == "LocalHost:80"
    await server.expect_ignored()


@pytest.mark.parametrize("host", ["other", "localhost:81", "user@localhost", "", "localhost, localhost"])
async def test_8_3_1_host_that_differs_from_the_authority_is_malformed(server: ServerEnd, host: str) -> None:
    stream_id = await server.receive_message([*GET, ("host", host)])
    await server.expect_stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("scheme", "authority", "host"),
    [("http", "localhost", "localhost:80"), ("https", "localhost:443", "LOCALHOST"), ("https", "a:8443", "A:8443")],
)
async def test_8_3_1_host_and_authority_are_normalised_by_scheme(
    server: ServerEnd, scheme: str, authority: str, host: str
) -> None:
    stream_id = await server.receive_message([*_get(scheme=scheme, authority=authority), ("host", host)])
    await server.settle()
    assert server.app(stream_id).authority == authority
    await server.expect_ignored()


async def test_8_3_1_host_stands_for_an_authority_that_is_missing(server: ServerEnd) -> None:
    stream_id = await server.receive_message([*_get(authority=None), ("host", "localhost:8080")])
    await server.settle()
    assert server.app(stream_id).authority == "localhost:8080"
    await server.expect_ignored()


# ---- §8.3.1: sent ----


@pytest.mark.parametrize("path", ["/", "/a?b=c", "/%20"])
async def test_8_3_1_requests_of_ours_are_complete(client: ClientEnd, path: str) -> None:
    await client.session.open_stream("GET", path)
    head = await client.peer.expect_headers(end_stream=True)
    assert head.fields == (
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"example.test"),
        (b":path", path.encode()),
    )
    await client.expect_ignored()


@pytest.mark.parametrize("path", ["", "no-slash", "/with space", "/line\nbreak", "/fragment#x", "/\xe4", "*"])
async def test_8_3_1_wrong_path_is_not_sent(client: ClientEnd, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await client.session.open_stream("GET", path)
    await client.expect_ignored()


async def test_8_3_1_options_for_the_whole_server_has_a_star(client: ClientEnd) -> None:
    await client.session.open_stream("OPTIONS", "*")
    await client.peer.expect_headers(fields={":method": "OPTIONS", ":path": "*"})
    await client.expect_ignored()


@pytest.mark.parametrize("host", ["example.test", "EXAMPLE.test:80"])
async def test_8_3_1_host_of_ours_becomes_the_authority(client: ClientEnd, host: str) -> None:
    await client.session.open_stream("GET", headers={"host": host})
    head = await client.peer.expect_headers(fields={":authority": host})
    assert head.get("host") is None
    await client.expect_ignored()


async def test_8_3_1_host_of_ours_that_differs_is_not_sent(client: ClientEnd) -> None:
    with pytest.raises(ValueError, match="host"):
        await client.session.open_stream("GET", headers={":authority": "a.test", "host": "b.test"})
    await client.expect_ignored()


@pytest.mark.parametrize("authority", ["user@example.test", "user:secret@example.test", "a b", "a/b"])
async def test_8_3_1_wrong_authority_is_not_sent(client: ClientEnd, authority: str) -> None:
    with pytest.raises(ValueError, match="authority"):
        await client.session.open_stream("GET", headers={":authority": authority})
    await client.expect_ignored()


def test_8_3_1_user_info_of_a_url_does_not_become_part_of_the_authority() -> None:
    """Whoever connects by a URL with user-info gets a session without it; see tests/net/test_address.py."""
    connecting = trio_h2.connect("http://user:secret@example.test:8080")
    assert connecting._origin.authority == "example.test:8080"


async def test_8_3_1_authority_of_ours_is_left_out_when_there_is_none(client: ClientEnd) -> None:
    await client.session.open_stream("GET", headers={":scheme": "coap", ":authority": ""})
    head = await client.peer.expect_headers()
    assert head.get(":authority") is None
    await client.expect_ignored()
