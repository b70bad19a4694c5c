"""The examples of RFC 7541, Appendix C: decoded, encoded, and read by hpack."""

from __future__ import annotations

from dataclasses import dataclass

import hpack
import pytest

from trio_h2._wire._hpack import Decoder, Encoder, NeverIndexedHeaderTuple
from trio_h2._wire._hpack._integers import decode_long_integer, encode_integer

Fields = list[tuple[bytes, bytes]]


@dataclass
class Example:
    """One field block: its fields, and the size of the dynamic table after it."""

    block: str
    fields: Fields
    size: int


COOKIE = b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
REQUEST: Fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
REQUESTS: list[Fields] = [
    REQUEST,
    [*REQUEST, (b"cache-control", b"no-cache")],
    [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        (b":authority", b"www.example.com"),
        (b"custom-key", b"custom-value"),
    ],
]
RESPONSES: list[Fields] = [
    [
        (b":status", b"302"),
        (b"cache-control", b"private"),
        (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
        (b"location", b"https://www.example.com"),
    ],
    [
        (b":status", b"307"),
        (b"cache-control", b"private"),
        (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
        (b"location", b"https://www.example.com"),
    ],
    [
        (b":status", b"200"),
        (b"cache-control", b"private"),
        (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
        (b"location", b"https://www.example.com"),
        (b"content-encoding", b"gzip"),
        (b"set-cookie", COOKIE),
    ],
]

# The requests and responses of one session each: the capacity of the table, and the blocks in order.
SESSIONS: dict[str, tuple[int, list[Example]]] = {
    "C.2.1 literal with indexing": (
        4096,
        [
            Example(
                "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
                [(b"custom-key", b"custom-header")],
                55,
            )
        ],
    ),
    "C.2.2 literal without indexing": (
        4096,
        [Example("040c 2f73 616d 706c 652f 7061 7468", [(b":path", b"/sample/path")], 0)],
    ),
    "C.2.3 literal never indexed": (
        4096,
        [
            Example(
                "1008 7061 7373 776f 7264 0673 6563 7265 74",
                [NeverIndexedHeaderTuple(b"password", b"secret")],
                0,
            )
        ],
    ),
    "C.2.4 indexed": (4096, [Example("82", [(b":method", b"GET")], 0)]),
    "C.3 requests": (
        4096,
        [
            Example("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", REQUESTS[0], 57),
            Example("8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1], 110),
            Example(
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                REQUESTS[2],
                164,
            ),
        ],
    ),
    "C.4 requests with Huffman coding": (
        4096,
        [
            Example("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUESTS[0], 57),
            Example("8286 84be 5886 a8eb 1064 9cbf", REQUESTS[1], 110),
            Example("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", REQUESTS[2], 164),
        ],
    ),
    "C.5 responses": (
        256,
        [
            Example(
                """4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d""",
                RESPONSES[0],
                222,
            ),
            Example("4803 3330 37c1 c0bf", RESPONSES[1], 222),
            Example(
                """88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
                7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
                6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31""",
                RESPONSES[2],
                215,
            ),
        ],
    ),
    "C.6 responses with Huffman coding": (
        256,
        [
            Example(
                """4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
                1718 63c7 8f0b 97c8 e9ae 82ae 43d3""",
                RESPONSES[0],
                222,
            ),
            Example("4883 640e ffc1 c0bf", RESPONSES[1], 222),
            Example(
                """88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
                e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07""",
                RESPONSES[2],
                215,
            ),
        ],
    ),
}

session = pytest.mark.parametrize("name", SESSIONS)


@session
def test_decoding(name: str) -> None:
    capacity, examples = SESSIONS[name]
    decoder = Decoder(capacity)
    if capacity != 4096:
        assert decoder.decode(encode_integer(capacity, 0x20, 0x1F)) == []
    for example in examples:
        fields = decoder.decode(bytes.fromhex(example.block))
        assert fields == example.fields
        assert [type(field) for field in fields] == [type(field) for field in example.fields]
        assert decoder.size == example.size


def test_the_table_of_the_responses_is_that_of_the_rfc() -> None:
    """Appendix C.5.3 and C.6.3: what was evicted, and what is left, newest first."""
    for name in "C.5 responses", "C.6 responses with Huffman coding":
        capacity, examples = SESSIONS[name]
        decoder = Decoder(capacity)
        decoder.decode(encode_integer(capacity, 0x20, 0x1F))
        tables = []
        for example in examples:
            decoder.decode(bytes.fromhex(example.block))
            count = 4 if example is not examples[2] else 3
            tables.append(decoder.decode(bytes(range(0xBE, 0xBE + count))))
        date, location = RESPONSES[0][2:]
        private = (b"cache-control", b"private")
        assert tables == [
            [location, date, private, (b":status", b"302")],
            [(b":status", b"307"), location, date, private],
            [(b"set-cookie", COOKIE), (b"content-encoding", b"gzip"), (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT")],
        ]


@session
def test_encoding(name: str) -> None:
    """Ours and hpack's decoder read what we make of the fields; the table stays within its capacity."""
    capacity, examples = SESSIONS[name]
    encoder, decoder, judge = Encoder(capacity), Decoder(capacity), hpack.Decoder()
    judge.max_allowed_table_size = capacity
    for example in examples:
        block = encoder.encode(example.fields)
        for fields in decoder.decode(block), list(judge.decode(block, raw=True)):
            assert fields == example.fields
            marks = [isinstance(field, NeverIndexedHeaderTuple) for field in fields]
            assert marks == [isinstance(field, NeverIndexedHeaderTuple) for field in example.fields]
        assert encoder.size == decoder.size <= capacity


def test_encoding_to_the_byte() -> None:
    """The requests of Appendix C.4 have no field that we would treat in another way."""
    encoder = Encoder(4096)
    for example in SESSIONS["C.4 requests with Huffman coding"][1]:
        assert encoder.encode(example.fields) == bytes.fromhex(example.block)
        assert encoder.size == example.size


@pytest.mark.parametrize(
    ("value", "mask", "encoded"),
    [(10, 0x1F, "0a"), (1337, 0x1F, "1f9a0a"), (42, 0xFF, "2a")],
)
def test_integers(value: int, mask: int, encoded: str) -> None:
    """Appendix C.1."""
    data = bytes.fromhex(encoded)
    assert encode_integer(value, 0, mask) == data
    if data[0] == mask:
        assert decode_long_integer(data, 1, mask) == (value, len(data))
