"""Which route a request takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trio_h2.gateway import Route
from trio_h2.gateway._table import DotSegmentsError, RouteTable, plain

if TYPE_CHECKING:
    import trio_h2


async def _handler(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=b"")


def _table() -> RouteTable[str]:
    return RouteTable(
        [
            (Route("/", _handler), "any"),
            (Route("/api", _handler), "api"),
            (Route("/api/v2/", _handler), "v2"),
            (Route("/", _handler, host="Example.com"), "example"),
            (Route("/only", _handler, host="*.example.com"), "below"),
            (Route("/only", _handler, host="*.deep.example.com"), "deep"),
            (Route("/", _handler, host="[::1]"), "six"),
        ]
    )


@pytest.mark.parametrize(
    ("authority", "path", "found"),
    [
        ("a", "/", "any"),
        ("a", "/?x=/api", "any"),
        ("a", "/api", "api"),
        ("a", "/api?x", "api"),
        ("a", "/api/x", "api"),
        ("a", "/apis", "any"),
        ("a", "/api/v2", "api"),
        ("a", "/api/v2/x", "v2"),
        ("a", "/%61pi/%7e", "api"),
        ("a", "/%2Fapi", "any"),
        ("a", "/%zz", "any"),
        ("a", "*", "any"),
        ("a", "", "any"),
        ("example.com", "/api", "example"),
        ("EXAMPLE.com.:8443", "/api", "example"),
        ("x.example.com", "/only", "below"),
        ("x.y.example.com:1", "/only/x", "below"),
        ("x.deep.example.com", "/only", "deep"),
        ("x.example.com", "/api", "api"),
        ("notexample.com", "/only", "any"),
        (".example.com", "/only", "any"),
        ("[::1]:8443", "/api", "six"),
        ("[::1]", "/", "six"),
        ("a", "/.well-known/x", "any"),
        ("a", "/a..b/...", "any"),
        ("a", "/x?y=/../z", "any"),
    ],
)
def test_the_most_precise_host_and_the_longest_prefix_win(authority: str, path: str, found: str) -> None:
    assert _table().find(authority, path) == found


@pytest.mark.parametrize("path", ["/api/../x", "/..", "/.", "/./x", "/%2e%2E/x", "/x/.%2e?y", "/x/..?y"])
def test_paths_that_lead_up_are_refused(path: str) -> None:
    with pytest.raises(DotSegmentsError):
        _table().find("a", path)


def test_hosts_without_routes() -> None:
    table = RouteTable([(Route("/x", _handler, host="a"), 1), (Route("/x", _handler, host="*.b"), 2)])
    assert table.find("c", "/x") is None
    assert table.find("a", "/") is None
    assert [table.knows(host) for host in ("a", "A:1", "x.b", "b", "c")] == [True, True, True, False, False]


def test_escapes_that_need_not_be() -> None:
    every = "".join(f"%{byte:02x}%{byte:02X}" for byte in range(128))
    unreserved = "".join(chr(byte) for byte in range(128) if chr(byte).isalnum() or chr(byte) in "-._~")
    kept = plain(every)
    assert "".join(dict.fromkeys(sign for sign in kept if f"%{ord(sign):02x}" not in kept)) >= ""
    assert [sign for sign in unreserved if f"%{ord(sign):02x}" in kept or f"%{ord(sign):02X}" in kept] == []
    others = [byte for byte in range(128) if chr(byte) not in unreserved]
    assert all(f"%{byte:02x}" in kept and f"%{byte:02X}" in kept for byte in others)
    assert plain("/%41?%41") == "/A?%41"
