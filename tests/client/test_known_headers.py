"""Headers that are passed on again and again are made once, unless they are long, or have a secret in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import trio_h2
from tests.client.network import network, ours
from trio_h2 import Client, Headers, Upstream, relay
from trio_h2._client._known_headers import KnownHeaders

if TYPE_CHECKING:
    from trio.testing import MockClock


def _made(known: KnownHeaders, headers: Headers, *facts: object) -> Headers:
    return known.of(headers, facts, lambda: headers.forwarded(add={"made": "1"}))


def test_equal_headers_share_what_is_made_of_them() -> None:
    known = KnownHeaders()
    first = _made(known, Headers({"a": "1", "b": "2"}), "fact")
    assert first.raw == [(b"a", b"1"), (b"b", b"2"), (b"made", b"1")]
    assert _made(known, Headers({"a": "1", "b": "2"}), "fact") is first
    for other in (Headers({"a": "1", "b": "3"}), Headers({"b": "2", "a": "1"}), Headers({"a": "1"})):
        assert _made(known, other, "fact") is not first
    assert _made(known, Headers({"a": "1", "b": "2"}), "another") is not first


@pytest.mark.parametrize("name", ["authorization", "proxy-authorization", "cookie", "set-cookie"])
def test_secrets_are_not_remembered(name: str) -> None:
    known = KnownHeaders()
    assert _made(known, Headers([(name, "x")])) is not _made(known, Headers([(name, "x")]))


def test_marks_of_what_must_never_be_indexed_stay() -> None:
    known = KnownHeaders()
    assert _made(known, Headers({"a": "1"})).sensitive == frozenset()
    assert _made(known, Headers({"a": "1"}, sensitive=["a"])).sensitive == {"a"}
    assert _made(known, Headers({"a": "1"})).sensitive == frozenset()


def test_memory_is_bounded() -> None:
    known = KnownHeaders()
    for number in range(200):
        _made(known, Headers({"a": number}))
    assert len(known) <= 64
    size = len(known)
    _made(known, Headers({"a": "x" * 3000}))
    _made(known, Headers([(f"a{number}", "") for number in range(50)]))
    assert len(known) == size


async def test_each_request_is_told_what_is_true_of_it(autojump_clock: MockClock) -> None:
    async def show(stream: trio_h2.ServerStream) -> None:
        seen = [name.decode() for name, _ in stream.headers.raw if name in (b"a", b"cookie", b"authorization")]
        seen += sorted(stream.headers.sensitive)
        await stream.respond([("seen", f"{','.join(seen)} {stream.path} {stream.method}")], body=b"")

    async with network(ours(show)) as behind, Client(transport=behind, prior_knowledge=True) as inner:
        up = Upstream(inner, "http://back.example")

        async def handler(stream: trio_h2.ServerStream) -> None:
            await relay(stream, up)

        async with network(ours(handler)) as front, Client(transport=front, prior_knowledge=True) as client:
            for _ in range(3):
                for headers, seen in (
                    (Headers({"a": "1"}), "a"),
                    (Headers({"a": "1"}, sensitive=["a"]), "a,a"),
                    (Headers({"a": "1", "cookie": "secret"}), "a,cookie,cookie"),
                ):
                    for method, path in (("GET", "/x"), ("GET", "/y?z"), ("POST", "/x")):
                        response = await client.fetch(method, f"http://front.example{path}", headers=headers)
                        assert response.headers["seen"] == f"{seen} {path} {method}"
