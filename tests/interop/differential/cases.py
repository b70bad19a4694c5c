"""The requests that all servers get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

Fields = list[tuple[bytes, bytes]]

HOST: Final = b"example.com"
HTTP1: Final = ("1.1",)


@dataclass(frozen=True)
class Case:
    """One request, in the form that both versions share."""

    name: str
    do: str = "report"
    method: bytes = b"GET"
    target: bytes = b"/"
    fields: Fields = field(default_factory=list)
    body: bytes | None = None
    versions: tuple[str, ...] = ("1.1", "2")

    def http1(self) -> bytes:
        """Returns it as HTTP/1.1 writes it."""
        fields = [(b"host", HOST), (b"x-do", self.do.encode()), *self.fields]
        if self.body is not None:
            fields.append((b"content-length", b"%d" % len(self.body)))
        head = b"".join(b"%s: %s\r\n" % one for one in fields)
        return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (self.method, self.target, head, self.body or b"")

    def http2(self) -> Fields:
        """Returns its header section as HTTP/2 has it."""
        pseudo = [(b":method", self.method), (b":scheme", b"http"), (b":authority", HOST), (b":path", self.target)]
        return [*pseudo, (b"x-do", self.do.encode()), *self.fields]


@dataclass(frozen=True)
class Written:
    """One or more requests over HTTP/1.1 that are written down byte for byte."""

    name: str
    parts: list[bytes]
    methods: list[str] = field(default_factory=lambda: ["GET"])


@dataclass(frozen=True)
class Fields2:
    """A request over HTTP/2 whose fields are written down one by one."""

    name: str
    fields: Fields
    body: bytes | None = None
    trailers: Fields | None = None
    padding: int = 0


def status(number: int, method: bytes = b"GET", *, body: bool = False) -> Case:
    do = "status_with_body" if body else "status"
    name = f"{method.decode()} {number}{' with a body' if body else ''}"
    return Case(name, do, method, fields=[(b"x-status", b"%d" % number)])


CASES: Final = [
    *(Case(f"method {method}", method=method.encode()) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    *(Case(f"method {method}", method=method.encode()) for method in ("OPTIONS", "HEAD", "TRACE", "BREW")),
    Case("method in lower case", method=b"get"),
    # paths and queries
    Case("two slashes", target=b"//a//b"),
    Case("an encoded slash", target=b"/a%2Fb%2fc"),
    Case("an encoded space", target=b"/a%20b+c"),
    Case("encoded UTF-8", target=b"/%C3%A9t%C3%A9"),
    Case("encoded bytes that are no UTF-8", target=b"/%ff%fe"),
    Case("an escape that is none", target=b"/%zz/100%"),
    Case("an encoded null", target=b"/a%00b"),
    Case("dots", target=b"/a/../b/./c"),
    Case("encoded dots", target=b"/a/%2e%2e/b"),
    Case("signs", target=b"/a;b=c,d!$&'()*:@~"),
    Case("a query", target=b"/x?a=b&a=c&d"),
    Case("an empty query", target=b"/x?"),
    Case("a query of odd escapes", target=b"/x?a=%zz&b=%&c=%00&d=%C3%A9"),
    Case("a question mark in a query", target=b"/x?a?b=c?d"),
    Case("a query of bytes that are no ASCII", target=b"/x?a=\xc3\xa9"),
    Case("a path of bytes that are no ASCII", target=b"/\xc3\xa9"),
    Case("a long path", target=b"/" + 4000 * b"x"),
    # fields
    Case("a repeated field", fields=[(b"x-one", b"1"), (b"x-two", b"2"), (b"x-one", b"3")]),
    Case("two cookies", fields=[(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]),
    Case("an empty field", fields=[(b"x-empty", b"")]),
    Case("a field of bytes that are no ASCII", fields=[(b"x-latin", b"\xe9t\xe9 \xc3\xa9")]),
    Case("te: trailers", fields=[(b"te", b"trailers")]),
    Case("many fields", fields=[(b"x-%d" % number, b"v") for number in range(60)]),
    # bodies
    Case("a body", method=b"POST", body=b"hello"),
    Case("an empty body", method=b"POST", body=b""),
    Case("a large body", method=b"POST", body=300_000 * b"x"),
    Case("a body of GET", body=b"hello"),
    Case("a body that nobody reads", "unread", b"POST", body=2000 * b"x"),
    Case("a body that comes back", "echo", b"POST", body=100_000 * b"x"),
    # responses
    *(status(number) for number in (200, 201, 204, 205, 299, 301, 304, 404, 418, 500, 503, 599)),
    *(status(number, body=True) for number in (204, 304, 404, 500)),
    *(status(number, b"HEAD") for number in (200, 304)),
    status(200, b"HEAD", body=True),
    Case("no headers and no body", "no_headers"),
    Case("a response in pieces", "stream"),
    Case("a response in pieces to HEAD", "stream", b"HEAD"),
    Case("a large response", "large"),
    Case("odd headers in a response", "odd_headers"),
    Case("fields of a connection in a response", "connection_headers"),
    Case("date and server of the application", "own_date"),
    Case("trailers of a response", "trailers", fields=[(b"te", b"trailers")]),
    Case("trailers that nobody asked for", "trailers"),
    # Mistakes of the application. Over HTTP/2, hypercorn and anycorn leave some of these without an end.
    Case("a body shorter than its content-length", "too_short"),
    Case("a body longer than its content-length", "too_long"),
    Case("raises", "raises"),
    Case("raises after http.response.start", "raises_started", versions=HTTP1),
    Case("raises in its response", "raises_midway", versions=HTTP1),
    Case("raises after its response", "raises_after"),
    Case("returns without a response", "returns_early"),
    Case("returns in its response", "returns_midway", versions=HTTP1),
    Case("a body before the start", "body_first"),
    Case("an unknown message", "unknown_message"),
    Case("text in place of bytes", "text_for_bytes", versions=HTTP1),
]

_ASK = b"GET / HTTP/1.1\r\nhost: example.com\r\nx-do: report\r\n"
_CHUNKS: Final = _ASK.replace(b"GET", b"POST") + b"transfer-encoding: chunked\r\n\r\n"
WRITTEN: Final = [
    Written("HTTP/1.0", [b"GET / HTTP/1.0\r\n\r\n"]),
    Written("HTTP/1.0 with host", [b"GET /a HTTP/1.0\r\nhost: example.com\r\n\r\n"]),
    Written(
        "HTTP/1.0 that stays",
        [2 * b"GET / HTTP/1.0\r\nhost: example.com\r\nconnection: keep-alive\r\n\r\n"],
        ["GET", "GET"],
    ),
    Written("HTTP/1.0 with a body", [b"POST / HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello"], ["POST"]),
    Written("HTTP/1.0, in pieces", [b"GET / HTTP/1.0\r\nx-do: stream\r\n\r\n"]),
    Written("no host", [b"GET / HTTP/1.1\r\n\r\n"]),
    Written("an empty host", [b"GET / HTTP/1.1\r\nhost: \r\n\r\n"]),
    Written("two hosts", [b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"]),
    Written("a host with a port", [b"GET / HTTP/1.1\r\nhost: Example.COM:8080\r\n\r\n"]),
    Written("a host of IPv6", [b"GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n"]),
    Written("absolute form", [b"GET http://other.example/a/b?c=d HTTP/1.1\r\nhost: example.com\r\n\r\n"]),
    Written("absolute form without path", [b"GET http://other.example HTTP/1.1\r\nhost: example.com\r\n\r\n"]),
    Written("OPTIONS *", [b"OPTIONS * HTTP/1.1\r\nhost: example.com\r\n\r\n"], ["OPTIONS"]),
    Written("CONNECT", [b"CONNECT example.com:80 HTTP/1.1\r\nhost: example.com:80\r\n\r\n"], ["CONNECT"]),
    Written("one after the other", [_ASK + b"\r\n" + _ASK.replace(b"/ ", b"/2 ", 1) + b"\r\n"], ["GET", "GET"]),
    Written("connection: close", [_ASK + b"connection: close\r\n\r\n"]),
    Written("names in upper case", [b"GET / HTTP/1.1\r\nHOST: example.com\r\nX-Do: report\r\nX-MIXED: Kept\r\n\r\n"]),
    Written("white space around a value", [_ASK + b"x-space:   a  b \t\r\n\r\n"]),
    Written("an empty line before", [b"\r\n" + _ASK + b"\r\n"]),
    Written("chunks", [_CHUNKS + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"]),
    Written(
        "chunks with extensions and trailers",
        [_CHUNKS + b"3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nx-sum: 5\r\n\r\n"],
    ),
    Written("a chunk that is none", [_CHUNKS + b"zz\r\n"]),
    Written(
        "length and chunks",
        [
            _ASK.replace(b"GET", b"POST")
            + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
        ],
    ),
    Written("a length that is none", [_ASK + b"content-length: x\r\n\r\n"]),
    Written("a field without a colon", [_ASK + b"nonsense\r\n\r\n"]),
    Written("no HTTP", [b"nonsense\r\n\r\n"]),
    Written("expect: 100-continue", [_ASK + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n", b"hello"]),
    Written(
        "expect: 100-continue that nobody reads",
        [_ASK.replace(b"report", b"unread") + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n"],
    ),
    Written("an upgrade that nobody knows", [_ASK + b"connection: upgrade\r\nupgrade: dance\r\n\r\n"]),
    Written("connection fields", [_ASK + b"connection: x-hop\r\nx-hop: 1\r\nkeep-alive: 5\r\n\r\n"]),
]

_GET: Final = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]
_POST: Final = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", HOST), (b":path", b"/")]
FIELDS: Final = [
    Fields2("host in place of :authority", [*_GET, (b"x", b"y"), (b"host", HOST)]),
    Fields2("host beside :authority", [*_GET, (b":authority", HOST), (b"x", b"y"), (b"host", HOST)]),
    Fields2("another host than :authority", [*_GET, (b":authority", HOST), (b"host", b"other.example")]),
    Fields2("neither host nor :authority", _GET),
    Fields2(":scheme https", [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", HOST), (b":path", b"/")]),
    Fields2("a name in upper case", [*_GET, (b":authority", HOST), (b"X-Upper", b"y")]),
    Fields2("a connection field", [*_GET, (b":authority", HOST), (b"connection", b"close")]),
    Fields2("an empty path", [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", HOST), (b":path", b"")]),
    Fields2("a body with padding", _POST, body=b"hello", padding=20),
    Fields2("a body with trailers", _POST, body=b"hello", trailers=[(b"x-sum", b"5")]),
    Fields2("a body shorter than it says", [*_POST, (b"content-length", b"9")], body=b"hello"),
    Fields2("CONNECT", [(b":method", b"CONNECT"), (b":authority", b"example.com:80")]),
]
