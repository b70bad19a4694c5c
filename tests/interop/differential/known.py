"""Where other servers answer otherwise than ours: what ours does, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

PEERS: Final = ("hypercorn", "anycorn")
ALL: Final = frozenset(["*"])
"""Every field: one side refuses what the other takes."""


@dataclass(frozen=True)
class Known:
    """A difference."""

    names: tuple[str, ...]
    fields: frozenset[str]
    """What may differ; `ALL`: everything."""
    why: str
    ours: dict[str, object] = field(default_factory=dict)
    """What ours gives."""
    versions: tuple[str, ...] = ("1.1", "2")
    peers: tuple[str, ...] = PEERS


def fields(*names: str) -> frozenset[str]:
    return frozenset(names)


_500: Final = {"status": 500, "end": "whole"}
_BROKEN: Final = (
    "text that is no UTF-8",
    "a continuation of nothing",
    "a reserved opcode",
    "a code that is not allowed",
)
_CLOSED_BY_CLIENT: Final = (
    *("text", "bytes", "an empty text", "an empty message of bytes", "fragments", "a ping", "a ping between fragments"),
    *("a large message", "subprotocols", "a code of the client's", "a close without a code"),
    *("fields with the acceptance", *_BROKEN),
)

KNOWN: Final = [
    # -- requests
    Known(
        ("encoded bytes that are no UTF-8", "an escape that is none"),
        ALL,
        "anycorn refuses them. RFC 3986 §2.4 leaves them as data, and the decoded path has a replacement character; "
        "raw_path has the bytes",
        {"status": 200},
        peers=("anycorn",),
    ),
    Known(
        ("a path of bytes that are no ASCII", "a query of bytes that are no ASCII"),
        ALL,
        "RFC 3986 §2 has ASCII only. Ours takes them, as Node does, and percent-encodes them",
        {"status": 200},
    ),
    Known(
        ("two cookies",),
        fields("scope headers"),
        "RFC 9113 §8.2.3 has them joined, and ASGI keeps the order: ours puts them where the first was",
        {"scope headers": ["host: example.com", "x-do: report", "cookie: a=1; b=2", "x: y"]},
        ("2",),
    ),
    Known(
        ("HTTP/1.0 that stays",),
        ALL,
        "hypercorn and anycorn take no second request over HTTP/1.0. RFC 9112 §9.3: with keep-alive, ours does",
        {"1. end": "whole", "1. status": 200},
    ),
    Known(
        ("an empty host",),
        ALL,
        'RFC 9110 §4.2.1: a URL "with an empty host identifier" is to be rejected as invalid',
        {"status": 400},
    ),
    Known(
        ("absolute form", "absolute form without path"),
        fields("scope headers", "scope path", "scope raw_path"),
        'RFC 9112 §3.2.2: an origin server "MUST ignore the received Host header field (if any)", and path is "HTTP '
        'path from URL"',
        {"scope headers": ["host: other.example"]},
    ),
    Known(
        ("CONNECT",),
        ALL,
        "ASGI has no scope for tunnels: ours says 501; the others take it for a request",
        {"status": 501},
    ),
    Known(
        ("an empty line before",),
        ALL,
        'RFC 9112 §2.2: a server "SHOULD ignore at least one empty line (CRLF) received prior to the request-line"',
        {"status": 200},
    ),
    Known(
        ("length and chunks",),
        ALL,
        'RFC 9112 §6.3: such a message "might indicate an attempt to perform request smuggling […] and ought to be '
        'handled as an error"',
        {"status": 400},
    ),
    Known(
        ("expect: 100-continue that nobody reads",),
        fields("interim"),
        "RFC 9110 §10.1.1: 100 asks for the body, and the application has not asked for it",
        {"status": 200},
    ),
    Known(
        (
            *("another host than :authority", "neither host nor :authority", "a name in upper case"),
            *("a connection field", "an empty path", "a body shorter than it says"),
        ),
        fields("end"),
        'RFC 9113 §8.1.1: "Malformed requests or responses that are detected MUST be treated as a stream error"; the '
        "others end the connection",
        {"end": "reset before an answer"},
    ),
    Known(
        (":scheme https",),
        fields("scope scheme"),
        'ASGI: the "URL scheme portion", which is what the client says; the others tell the transport\'s',
        {"scope scheme": "https"},
    ),
    Known(
        ("a body that nobody reads",),
        ALL,
        'RFC 9113 §8.1: a server "MAY request that the client abort transmission of a request without error"; what the '
        "others do when a body comes behind their answer depends on the moment",
        {"status": 200, "end": "whole", "body": "at once"},
        ("2",),
    ),
    # -- responses
    Known(
        ("GET 204 with a body", "GET 304 with a body"),
        fields("headers"),
        "RFC 9110 §8.6: no content-length in a 204; the one of a 304 is that of the 200 it stands for",
        {"end": "whole"},
        ("1.1",),
    ),
    Known(
        ("GET 204 with a body", "GET 304 with a body"),
        ALL,
        "RFC 9110 §15.3.5: such a response has no content. What the application says of it is left out; the "
        "others break",
        {"end": "whole"},
        ("2",),
    ),
    Known(
        ("fields of a connection in a response",),
        fields("headers"),
        "these are the server's: RFC 9113 §8.2.2 forbids them",
        {"headers": [("content-type", "text/plain")]},
    ),
    Known(
        ("trailers of a response", "trailers that nobody asked for"),
        fields("body", "headers", "trailers"),
        "only ours has the extension over both versions",
        {"body": "hello"},
    ),
    Known(
        ("a body shorter than its content-length", "a body longer than its content-length"),
        ALL,
        "the response goes out in one piece, so that its mistake is noticed before",
        _500,
    ),
    Known(
        ("raises after http.response.start", "text in place of bytes"),
        ALL,
        'ASGI: the server "must not start sending the response to the client until it has received at least one '
        'Response Body event", so this can be a 500 still',
        _500,
    ),
    # -- WebSockets
    Known(
        _CLOSED_BY_CLIENT,
        fields("application"),
        'hypercorn tells 1006 whatever the client has said. ASGI: the code is "as per the WebSocket spec", and reason '
        "is what the client gave, which anycorn does not tell",
    ),
    Known(
        ("text", "a code of the client's"),
        fields("frames"),
        "RFC 6455 §5.5.1 has the code echoed, and says nothing of the reason",
    ),
    Known(
        _BROKEN,
        fields("end", "frames"),
        'RFC 6455 §7.1.7: whoever fails the connection "SHOULD send a Close frame with an appropriate status code"',
        {"end": "closed"},
    ),
    Known(
        ("returns after accepting",),
        fields("frames"),
        "an application that returns has not failed: 1000, and not 1011",
        {"frames": ["close 1000"]},
    ),
    Known(
        ("a subprotocol that was not offered",),
        ALL,
        "RFC 6455 §4.2.2: it must be one that the client offered; an application that fails gives 500",
        _500,
    ),
]
