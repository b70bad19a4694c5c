"""Status and headers of a response: set, looked at, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

import trio_h2
from tests.compat.clients import every_version, served
from trio_h2 import Headers, LocalProtocolError, compat

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_h2.compat import HeaderValue, Request, Response


async def check(inspect: Callable[[Response], object], version: str = "2.0") -> None:
    """Calls *inspect* with a response that nothing was done with."""

    async def app(request: Request, response: Response) -> None:
        inspect(response)
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        await client.fetch()


@pytest.mark.parity("G3")
@every_version
async def test_what_is_set_is_sent(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert response.status_code == 200
        response.status_code = 201
        response.set_header("X-Number", 17)
        response.set_header("x-list", ["a", "b"])
        response.set_header("x-gone", "?")
        response.set_header("X-Gone", "gone")
        response.remove_header("X-GONE")
        response.remove_header("x-never")
        assert response.status_code == 201
        await response.end("ok")

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch()
    assert (reply.status, reply.body) == (201, b"ok")
    assert reply.headers["x-number"] == "17"
    assert reply.headers.get_all("x-list") == ["a", "b"]
    assert "x-gone" not in reply.headers
    assert reply.headers["content-length"] == "2"


@pytest.mark.parity("G3")
async def test_what_is_set_can_be_looked_at() -> None:
    def inspect(response: Response) -> None:
        assert response.get_header("x-a") is None
        response.set_header("X-A", "old")
        response.set_header("x-a", 1)
        response.set_header("X-List", ["b", "c"])
        assert response.get_header("X-A") == 1
        assert response.get_header("x-list") == ["b", "c"]
        assert response.get_header_names() == ["x-a", "x-list"]
        assert response.has_header("X-LIST")
        assert not response.has_header("x-b")
        response.set_header("x-list", ["b"])  # replaced as a whole
        assert response.get_header("x-list") == ["b"]
        assert not response.headers_sent

    await check(inspect)


@pytest.mark.parity("G3")
async def test_all_headers_are_a_shallow_copy() -> None:
    def inspect(response: Response) -> None:
        response.set_header("x-list", ["b"])
        headers = response.get_headers()
        headers["x-other"] = "c"
        assert not response.has_header("x-other")
        assert headers["x-list"] is response.get_header("x-list")

    await check(inspect)


@pytest.mark.parity("G3")
async def test_a_list_is_taken_as_it_is_now() -> None:
    def inspect(response: Response) -> None:
        values = ["a"]
        response.set_header("x-list", values)
        values.append("b")
        assert response.get_header("x-list") == ["a"]

    await check(inspect)


@every_version
async def test_values_are_appended(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        response.append_header("set-cookie", "a=1")
        response.append_header("Set-Cookie", ["b=2", "c=3"])
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).headers["set-cookie"] == ["a=1", "b=2", "c=3"]


BAD_FIELDS: list[tuple[object, object, type[Exception], str]] = [
    ("x y", "a", ValueError, "header name 'x y'"),
    ("", "a", ValueError, "header name ''"),
    ("x\r\ny", "a", ValueError, "header name"),
    ("ü", "a", ValueError, "header name"),
    (b"x", "a", TypeError, "must be str, not bytes"),
    (None, "a", TypeError, "must be str"),
    (":status", "200", ValueError, "set status_code"),
    (":path", "/", ValueError, "pseudo-header ':path'"),
    ("Connection", "close", ValueError, "'connection' is about the connection"),
    ("transfer-encoding", "chunked", ValueError, "'transfer-encoding' is about the connection"),
    ("x", "a\r\nb", ValueError, "line breaks"),
    ("x", "a\0b", ValueError, "control characters"),
    ("x", " a", ValueError, "white space"),
    ("x", "€", ValueError, "outside latin-1"),
    ("x", ["a", "b\n"], ValueError, "line breaks"),
    ("x", None, TypeError, "not NoneType"),
    ("x", 1.5, TypeError, "not float"),
    ("x", [None], TypeError, "not NoneType"),
    ("content-length", "five", ValueError, "must be a number of bytes"),
    ("content-length", -1, ValueError, "must be a number of bytes"),
    ("content-length", "9" * 20, ValueError, "19 at most"),
    ("content-length", [1, 2], ValueError, "several values"),
    ("te", "gzip", ValueError, "may only be 'trailers'"),
]


@pytest.mark.parity("G3", "G4")
@pytest.mark.parametrize(
    ("where", "name", "value", "error", "match"),
    [
        (where, *field)
        for where in ("set_header", "append_header", "write_head", "pairs", "add_trailers")
        for field in BAD_FIELDS
        if where != "pairs" or not isinstance(field[0], bytes)  # names in pairs may be bytes
    ],
)
async def test_bad_fields_raise_at_once(
    where: str, name: object, value: object, error: type[Exception], match: str
) -> None:
    field = (cast("str", name), cast("HeaderValue", value))
    calls: dict[str, Callable[[Response], object]] = {
        "set_header": lambda response: response.set_header(*field),
        "append_header": lambda response: response.append_header(*field),
        "write_head": lambda response: response.write_head(200, dict([field])),
        "pairs": lambda response: response.write_head(200, [field]),
        "add_trailers": lambda response: response.add_trailers(dict([field])),
    }

    def inspect(response: Response) -> None:
        with pytest.raises(error, match=match):
            calls[where](response)
        assert not response.get_headers()
        assert not response.headers_sent
        response.set_header("x-good", "1")

    await check(inspect)


@pytest.mark.parity("G3")
@pytest.mark.parametrize(
    ("status", "error"),
    [(199, ValueError), (101, ValueError), (1000, ValueError), ("200", TypeError), (True, TypeError)],
)
async def test_a_bad_status_raises_at_once(status: object, error: type[Exception]) -> None:
    def inspect(response: Response) -> None:
        with pytest.raises(error, match="the status"):
            response.status_code = cast("int", status)
        with pytest.raises(error, match="the status"):
            response.write_head(cast("int", status))
        assert response.status_code == 200

    await check(inspect)


@pytest.mark.parity("G3")
async def test_after_the_headers_nothing_can_be_set() -> None:
    refused: list[str] = []

    async def app(request: Request, response: Response) -> None:
        response.set_header("x", "1")
        await response.write("a")
        assert response.headers_sent
        calls: list[Callable[[], object]] = [
            lambda: response.set_header("x", "2"),
            lambda: response.append_header("x", "2"),
            lambda: response.remove_header("x"),
            lambda: response.write_head(200),
            lambda: setattr(response, "status_code", 404),
        ]
        for call in calls:
            with pytest.raises(LocalProtocolError, match="have been sent already"):
                call()
            refused.append("x")
        assert response.get_header("x") == "1"
        assert response.status_code == 200

    async with served("2.0", compat.request_handler(app)) as client:
        assert (await client.fetch()).headers["x"] == "1"
    assert len(refused) == 5


@pytest.mark.parity("G3")
@every_version
async def test_the_date_can_be_left_out_or_set(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        assert response.send_date
        response.send_date = request.url != "/off"
        if request.url == "/own":
            response.set_header("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert len((await client.fetch("GET", "/on")).headers.get_all("date")) == 1
        assert "date" not in (await client.fetch("GET", "/off")).headers
        own = await client.fetch("GET", "/own")
        assert own.headers.get_all("date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]


@pytest.mark.parity("G3", "G4")
@every_version
async def test_a_status_message_is_not_sent_and_warned_about(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        with pytest.warns(UserWarning, match="no status message"):
            response.status_message = "Fine"
        assert response.status_message == ""
        with pytest.warns(UserWarning, match="no status message"):
            assert response.write_head(404, status_message="Nowhere") is response
        await response.end()

    async with served(version, compat.request_handler(app)) as client:
        assert (await client.fetch()).status == 404


# -- write_head --------------------------------------------------------------------------------------------------------


@pytest.mark.parity("G4")
@every_version
async def test_write_head_wins_over_what_was_set(version: str) -> None:
    async def app(request: Request, response: Response) -> None:
        response.status_code = 202
        response.set_header("x-both", "set")
        response.set_header("x-set", "set")
        returned = response.write_head(203, {"X-Both": "written", "x-written": ["a", "b"]})
        assert returned is response
        assert response.headers_sent
        assert response.status_code == 203
        await returned.end("body")

    async with served(version, compat.request_handler(app)) as client:
        reply = await client.fetch()
    assert reply.status == 203
    assert (reply.headers["x-both"], reply.headers["x-set"]) == ("written", "set")
    assert reply.headers.get_all("x-written") == ["a", "b"]
    assert reply.body == b"body"


@pytest.mark.parity("G4")
async def test_write_head_works_once_and_before_the_end() -> None:
    def twice(response: Response) -> None:
        response.write_head(200)
        with pytest.raises(LocalProtocolError, match="sent already"):
            response.write_head(200)
        with pytest.raises(LocalProtocolError, match="sent already"):
            response.set_header("x", "1")

    await check(twice)

    async def after_end(request: Request, response: Response) -> None:
        await response.end()
        with pytest.raises(LocalProtocolError, match="sent already"):
            response.write_head(200)

    async with served("2.0", compat.request_handler(after_end)) as client:
        assert (await client.fetch()).status == 200


async def test_secrets_stay_secret() -> None:
    def inspect(response: Response) -> None:
        response.write_head(200, Headers({"x-key": "k", "x-open": "o"}, sensitive=["x-key"]))
        assert response._head.headers().sensitive == {"x-key"}

    await check(inspect)


def test_responses_are_not_made_by_users() -> None:
    with pytest.raises(TypeError, match="Response has no public constructor; request_handler"):
        compat.Response()  # type: ignore[call-arg]
    assert not isinstance(compat.Response, trio_h2.ServerStream)
