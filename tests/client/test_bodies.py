"""What requests carry in the forms that applications have it in, and the methods by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.client.network import network, ours
from trio_h2 import Client
from trio_h2.testing import session_pair

if TYPE_CHECKING:
    from trio.testing import MockClock

URL = "http://a.example"
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])


async def _tell(stream: trio_h2.ServerStream) -> None:
    body = await stream.read()
    said = [stream.method, stream.path, stream.headers.get("content-type"), body.decode("utf-8")]
    await stream.respond(200, body=json.dumps(said).encode())


@both
async def test_methods_by_name(http1: bool, autojump_clock: MockClock) -> None:
    async with network(ours(_tell, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        for send, method in (
            (client.get, "GET"),
            (client.post, "POST"),
            (client.put, "PUT"),
            (client.patch, "PATCH"),
            (client.delete, "DELETE"),
            (client.options, "OPTIONS"),
        ):
            body = b"" if method in ("GET", "DELETE", "OPTIONS") else b"x"
            response = await send(f"{URL}/p", params={"q": 1}, body=body, max_size=100)
            assert (response.method, response.json()) == (method, [method, "/p?q=1", None, body.decode()])
        head = await client.head(URL)
        assert (head.method, head.status, head.content) == ("HEAD", 200, b"")
        with pytest.raises(trio_h2.BodyTooLargeError):
            await client.post(URL, max_size=3)


@both
async def test_json_and_forms(http1: bool, autojump_clock: MockClock) -> None:
    form = "application/x-www-form-urlencoded"
    async with network(ours(_tell, http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        for value, text in (
            ({"ä": [1, None, True]}, '{"ä":[1,null,true]}'),
            ([], "[]"),
            (False, "false"),
            (0, "0"),
            ("", '""'),
            ("\ud800", '"\\ud800"'),
        ):
            response = await client.post(URL, json=value)  # type: ignore[arg-type]  # mypy joins them to object
            assert response.json() == ["POST", "/", "application/json", text]
        for data, text in (
            ({"a": "1 2", "b": ["x&y", "ä"]}, "a=1+2&b=x%26y&b=%C3%A4"),
            ([("a", 1), ("a", 2)], "a=1&a=2"),
            ({}, ""),
        ):
            response = await client.put(URL, data=data)
            assert response.json() == ["PUT", "/", form, text]
        own = await client.post(URL, json=1, headers={"Content-Type": "application/merge-patch+json"})
        assert own.json() == ["POST", "/", "application/merge-patch+json", "1"]
        async with client.request("POST", URL, json={}) as streamed:
            assert json.loads(await streamed.read()) == ["POST", "/", "application/json", "{}"]


async def test_none_is_no_body(autojump_clock: MockClock) -> None:
    """So is it in a session's own requests; a method that may have one says that it has none."""
    async with network(ours(_tell)) as made, Client(transport=made, prior_knowledge=True) as client:
        for response in (
            await client.get(URL),
            await client.post(URL, body=None),
            await client.fetch("PUT", URL, body=None),
        ):
            assert response.json() == [response.method, "/", None, ""]
        assert (await client.post(URL, body=None, json=1)).json() == ["POST", "/", "application/json", "1"]
    async with session_pair(_tell) as (session, _):
        for method in "GET", "POST":
            async with session.request(method, "/", body=None) as stream:
                assert await stream.json() == [method, "/", None, ""]
            own = await session.open_stream(method, "/", body=None)
            assert await own.json() == [method, "/", None, ""]
            await own.aclose()


async def test_wrong_bodies_are_refused_at_the_call() -> None:
    async with Client() as client:
        with pytest.raises(ValueError, match="exclude each other"):
            client.request("POST", URL, body=b"x", json={})
        with pytest.raises(ValueError, match="exclude each other"):
            client.request("POST", URL, json=1, data={})
        with pytest.raises(TypeError, match="data must be a mapping or a list of pairs"):
            client.request("POST", URL, data="a=b")  # type: ignore[arg-type]  # that is the test
        with pytest.raises(ValueError, match="Out of range"):
            client.request("POST", URL, json=float("nan"))
        with pytest.raises(TypeError, match="serializable"):
            client.request("POST", URL, json=object())  # type: ignore[arg-type]  # that is the test
