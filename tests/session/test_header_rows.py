"""Every rule about headers, as both sides of a session see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.session.scripted import GET, connected, forbidden, served
from trio_h2 import ErrorCode, Headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_h2 import HeadersInput

FIRST_WINS = """
    age authorization access-control-allow-credentials access-control-max-age access-control-request-method
    content-encoding content-language content-location content-md5 content-range content-type date dnt etag expires
    from if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards
    proxy-authorization range referer retry-after tk upgrade-insecure-requests user-agent x-content-type-options
""".split()  # noqa: SIM905  (a list of 34 strings is no easier to read)


async def sent(headers: HeadersInput) -> list[tuple[bytes, bytes]]:
    """Returns the fields of a request as they are on the wire, without those that every request has."""
    async with connected() as (session, peer), session.request("GET", headers=headers):
        frame = await peer.expect_headers()
        return [(bytes(name), bytes(value)) for name, value in frame.fields if not name.startswith(b":")]


async def received(fields: Sequence[tuple[str, str]]) -> Headers:
    """Returns the headers of a response with these fields, as the application gets them."""
    async with connected() as (session, peer), session.request("GET") as stream:
        await peer.expect_headers()
        await peer.send_headers(stream.id, [(":status", "200"), *fields], end_stream=True)
        return await stream.receive_response()


@pytest.mark.parity("J1")
async def test_names_are_lower_case_on_the_wire_and_found_in_any_case(autojump_clock: object) -> None:
    assert await sent({"X-Mixed-Case": "Value"}) == [(b"x-mixed-case", b"Value")]
    headers = await received([("x-latin", "é"), ("x-plain", "a")])
    assert headers["X-Latin"] == headers["x-latin"] == "é"
    assert headers.status == 200
    assert [name for name, _ in headers.raw] == [b":status", b"x-latin", b"x-plain"]
    assert list(headers) == [":status", "x-latin", "x-plain"]


@pytest.mark.parity("J2")
async def test_lists_and_numbers(autojump_clock: object) -> None:
    assert await sent({"x-several": ["a", "b", 3], "x-number": 7}) == [
        (b"x-several", b"a"),
        (b"x-several", b"b"),
        (b"x-several", b"3"),
        (b"x-number", b"7"),
    ]


@pytest.mark.parity("J3")
async def test_how_repeated_fields_are_joined(autojump_clock: object) -> None:
    fields = [(name, value) for name in FIRST_WINS for value in ("first", "second")]
    fields += [(name, value) for name in ("set-cookie", "cookie", "x-other", "vary") for value in ("1", "2")]
    headers = await received(fields)
    assert Headers([("host", "first"), ("host", "second")])["host"] == "first"  # it is not in responses
    for name in FIRST_WINS:
        assert headers[name] == "first", name
        assert headers.get_all(name) == ["first", "second"]
    assert headers["set-cookie"] == ["1", "2"]
    assert headers["cookie"] == "1; 2"
    assert headers["x-other"] == headers["vary"] == "1, 2"
    assert (await received([("set-cookie", "1")]))["set-cookie"] == ["1"]


@pytest.mark.parity("J3")
@pytest.mark.parametrize("extra", [[(":path", "/")], [("content-length", "1"), ("content-length", "2")]])
async def test_what_may_not_be_repeated(extra: list[tuple[str, str]], autojump_clock: object) -> None:
    async with served(forbidden) as (peer, _):
        await peer.send_headers(1, [*GET.items(), *extra])  # whatever body would follow
        await peer.expect_rst(1, ErrorCode.PROTOCOL_ERROR)
        await peer.ping()


@pytest.mark.parity("J4")
async def test_the_raw_list_is_kept_in_order(autojump_clock: object) -> None:
    fields = [("x-b", "1"), ("x-a", "2"), ("x-b", "3"), ("date", "4"), ("date", "5"), ("x-a", "2")]
    octets = [(name.encode(), value.encode()) for name, value in fields]
    assert (await received(fields)).raw == [(b":status", b"200"), *octets]
    assert await sent(fields) == octets


@pytest.mark.parity("J5")
async def test_names_and_values_that_are_allowed(autojump_clock: object) -> None:
    assert await sent({"x`!#$%&'*+-.^_|~1": "a b\té"}) == [(b"x`!#$%&'*+-.^_|~1", b"a b\t\xe9")]
