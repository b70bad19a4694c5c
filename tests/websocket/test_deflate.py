"""permessage-deflate (RFC 7692): the terms, and messages that are compressed."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel

from tests.stream.harness import pair
from tests.websocket.frames import BINARY, CONT, OFFERING, PING, PONG, TEXT, Extension, both_roles, deflated, ends
from trio_h2.websocket import Deflate, WebSocketBrokenError, WebSocketHandler, open_websocket
from trio_h2.websocket._extensions import Agreement, accept, agreed, offer, parse_extensions

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trio_h2.websocket import WebSocket

pytestmark = pytest.mark.parity("L3")

WIDE = Deflate(max_window_bits=15)
KEEPS: Extension = (WIDE, "permessage-deflate")
FORGETS: Extension = (WIDE, "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
RSV1 = 4

# -- the terms ---------------------------------------------------------------------------------------------------------


def test_what_a_client_offers() -> None:
    assert offer(WIDE) == "permessage-deflate; client_max_window_bits"
    assert offer(Deflate()) == "permessage-deflate; server_max_window_bits=12; client_max_window_bits"
    assert offer(Deflate(max_window_bits=15, context_takeover=False)) == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    )


@pytest.mark.parametrize(
    ("ours", "offered", "answer", "terms"),
    [
        (WIDE, "permessage-deflate", "permessage-deflate", Agreement()),
        (Deflate(), "permessage-deflate", "permessage-deflate", Agreement(send_bits=12)),
        (
            Deflate(),
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=12",
            Agreement(send_bits=12, receive_bits=12),
        ),
        (
            WIDE,
            "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
            Agreement(send_bits=8, receive_bits=8),
        ),
        (
            WIDE,
            "permessage-deflate; server_max_window_bits=10; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
            Agreement(send_bits=10, send_takeover=False),
        ),
        (
            Deflate(context_takeover=False, max_window_bits=15),
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Agreement(send_takeover=False, receive_takeover=False),
        ),
        (
            WIDE,
            'x-other; a=b, permessage-deflate; unknown, permessage-deflate; client_max_window_bits="9"',
            "permessage-deflate; client_max_window_bits=9",
            Agreement(receive_bits=9),
        ),
    ],
)
def test_what_a_server_answers(ours: Deflate, offered: str, answer: str, terms: Agreement) -> None:
    assert accept(ours, parse_extensions([offered])) == (answer, terms)


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; speed=9",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "x-other; a; a",
    ],
)
def test_offers_that_a_server_declines(offered: str) -> None:
    """RFC 7692 §7.1: declining an offer does not fail the handshake."""
    assert accept(WIDE, parse_extensions([offered] if offered else [])) is None


@pytest.mark.parametrize(
    ("answer", "terms"),
    [
        ("permessage-deflate", Agreement(send_bits=12)),
        (
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
            Agreement(send_bits=10, receive_bits=9),
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Agreement(send_bits=12, send_takeover=False, receive_takeover=False),
        ),
    ],
)
def test_answers_that_a_client_takes(answer: str, terms: Agreement) -> None:
    assert agreed(Deflate(), parse_extensions([answer])) == terms


def test_no_answer_is_no_compression() -> None:
    assert agreed(Deflate(), []) is None
    assert agreed(None, []) is None


@pytest.mark.parametrize(
    "answer",
    [
        "permessage-deflate; server_max_window_bits=13",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; speed=9",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate, permessage-deflate",
        "x-other",
    ],
)
def test_answers_that_a_client_cannot_take(answer: str) -> None:
    with pytest.raises(ValueError, match=r"bits|speed|was not offered"):
        agreed(Deflate(), parse_extensions([answer]))
    with pytest.raises(ValueError, match="was not offered"):
        agreed(None, parse_extensions([answer]))


@pytest.mark.parametrize("field", [";", "a b", "a;", "a,", "a=b", "a; b=", 'a; b="c', "a; b=c d", "=b", ","])
def test_a_malformed_field(field: str) -> None:
    with pytest.raises(ValueError, match="sec-websocket-extensions"):
        parse_extensions([field])


@pytest.mark.parametrize("field", ["a{}@", "a;{}b{}@", "a;b{}={}c{}@", 'a;b="{}', "{}@"])
def test_much_white_space_takes_no_time(field: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match="sec-websocket-extensions"):
        parse_extensions([field.replace("{}", " " * 15_000)])
    assert time.process_time() - started < 0.5  # it was 5 s and more when the time grew with the square


def test_several_fields_are_one_list() -> None:
    assert parse_extensions(["a; B=c", 'D ;e="f\\"g, h" , i']) == [
        ("a", [("B", "c")]),
        ("d", [("e", 'f"g, h')]),
        ("i", []),
    ]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [("max_window_bits", 8, ValueError), ("max_window_bits", "9", TypeError), ("context_takeover", 1, TypeError)],
)
def test_wrong_terms(name: str, value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=name):
        Deflate(**{name: value})  # type: ignore[arg-type]


# -- messages ----------------------------------------------------------------------------------------------------------


@both_roles
@pytest.mark.parametrize("extension", [KEEPS, FORGETS])
async def test_messages_that_are_received(role: str, extension: Extension, autojump_clock: MockClock) -> None:
    takeover = extension is KEEPS
    words = b"the same words again and again"
    payloads = deflated(words, words, words, takeover=takeover)
    assert (len(payloads[1]) < len(payloads[0]) / 2) is takeover
    async with ends(role, extension=extension) as both:
        assert both.ws.compressed
        for payload in payloads:
            await both.wire.send(TEXT, payload, rsv=RSV1)
            assert await both.ws.receive_message() == words.decode()
        await both.wire.send(TEXT, "as it is")  # nobody must compress
        assert await both.ws.receive_message() == "as it is"
        await both.finish()


@both_roles
@pytest.mark.parametrize("extension", [KEEPS, FORGETS])
async def test_messages_that_are_sent(role: str, extension: Extension, autojump_clock: MockClock) -> None:
    takeover = extension is KEEPS
    words = "the same words again and again"
    inflate = zlib.decompressobj(-15)
    async with ends(role, extension=extension) as both:
        sizes = []
        for n in range(3):
            await both.ws.send_message(words)
            payload = await both.wire.expect(TEXT, rsv=RSV1)
            sizes.append(len(payload))
            if not takeover and n:
                inflate = zlib.decompressobj(-15)
            assert inflate.decompress(payload + b"\x00\x00\xff\xff").decode() == words
        assert (sizes[1] < sizes[0] / 2) is takeover
        await both.finish()


@both_roles
@pytest.mark.parametrize("extension", [KEEPS, FORGETS])
async def test_fragments_with_control_frames_between(
    role: str, extension: Extension, autojump_clock: MockClock
) -> None:
    """RFC 7692 §6.1: the bit is on the first frame, and control frames have nothing to do with it."""
    message = bytes(range(256)) * 4
    takeover = extension is KEEPS
    payloads = deflated(message, message, takeover=takeover)
    async with ends(role, extension=extension) as both:
        for payload in payloads:
            half = len(payload) // 2
            await both.wire.send(BINARY, payload[:half], fin=False, rsv=RSV1)
            await both.wire.send(PING, "between")
            await both.wire.expect(PONG, "between")
            await both.wire.send(CONT, payload[half:], fin=False)
            await both.wire.send(PONG)
            await both.wire.send(CONT)
            assert await both.ws.receive_message() == message
        async with both.ws.open_message() as parts:
            await parts.send(message)
            await both.wire.send(PING, "x")
            first = await both.wire.expect(BINARY, fin=False, rsv=RSV1)
            await both.wire.expect(PONG, "x")
            await parts.send(message)
        rest = await both.wire.expect(CONT, fin=False) + await both.wire.expect(CONT)
        assert zlib.decompressobj(-15).decompress(first + rest + b"\x00\x00\xff\xff") == message * 2
        await both.finish()


HELLO = {
    "one block": "f248cdc9c90700",
    "a block without compression": "000500faff48656c6c6f00",
    "a block with BFINAL": "f348cdc9c9070000",
    "two blocks": "f248 05 000000ffff cac9c90700",
}


@both_roles
@pytest.mark.parametrize("what", list(HELLO))
async def test_the_examples_of_the_rfc(role: str, what: str, autojump_clock: MockClock) -> None:
    """RFC 7692 §7.2.3."""
    payload = bytes.fromhex(HELLO[what])
    async with ends(role, extension=FORGETS) as both:
        for _ in range(2):
            await both.wire.send(TEXT, payload, rsv=RSV1)
            assert await both.ws.receive_message() == "Hello"
        await both.wire.send(TEXT, payload[:3], fin=False, rsv=RSV1)
        await both.wire.send(CONT, payload[3:])
        assert await both.ws.receive_message() == "Hello"
        await both.wire.send(TEXT, b"\x00", rsv=RSV1)  # §7.2.3.6: an empty message
        assert await both.ws.receive_message() == ""
        await both.finish()


@both_roles
async def test_a_message_that_refers_to_the_one_before(role: str, autojump_clock: MockClock) -> None:
    """RFC 7692 §7.2.3.2."""
    async with ends(role, extension=KEEPS) as both:
        for payload in ("f248cdc9c90700", "f200110000"):
            await both.wire.send(TEXT, bytes.fromhex(payload), rsv=RSV1)
            assert await both.ws.receive_message() == "Hello"
        await both.finish()


@both_roles
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(TEXT, b"\xff\xff\xff", True, RSV1)], 1007),
        ([(TEXT, deflated(b"\xff")[0], True, RSV1)], 1007),
        ([(BINARY, b"\x00\x0a\x00\xf5\xffab", True, RSV1)], 1007),  # 2 of the 10 bytes of a block
        ([(TEXT, b"a", False, 0), (CONT, b"b", True, RSV1)], 1002),
        ([(PING, b"", True, RSV1)], 1002),
        ([(TEXT, deflated(b"good")[0], True, RSV1), (CONT, b"\xff", True, 0)], 1002),  # of nothing
        ([(TEXT, b"", True, 2)], 1002),
    ],
)
async def test_what_cannot_be_inflated(
    role: str, frames: list[tuple[int, bytes, bool, int]], code: int, autojump_clock: MockClock
) -> None:
    async with ends(role, extension=KEEPS) as both:
        for opcode, payload, fin, rsv in frames:
            await both.wire.send(opcode, payload, fin=fin, rsv=rsv)
        with pytest.raises(WebSocketBrokenError) as info:
            while await both.ws.receive_message() == "good":
                pass
        assert info.value.close_code == code


@both_roles
async def test_a_cancelled_message_is_not_referred_to(role: str, autojump_clock: MockClock) -> None:
    """What was compressed and not sent must not be in the memory of later messages."""
    words = "words that nobody has seen before, and that are worth to be referred to"
    async with ends(role, extension=KEEPS) as both:
        inflate = zlib.decompressobj(-15)
        await both.ws.send_message("first")
        with trio.CancelScope() as scope:
            scope.cancel()
            await both.ws.send_message(words)
        async with trio.open_nursery() as nursery:

            async def hold_up() -> None:
                async with both.ws._connection.frame_lock:
                    await trio.sleep(2)

            nursery.start_soon(hold_up)
            await trio.lowlevel.checkpoint()
            with trio.move_on_after(1) as scope:
                await both.ws.send_message(words)
            assert scope.cancelled_caught
        await both.ws.send_message(words)
        got = []
        for _ in range(2):
            payload = await both.wire.expect(TEXT, rsv=RSV1)
            got.append(inflate.decompress(payload + b"\x00\x00\xff\xff").decode())
        assert got == ["first", words]
        await both.finish()


async def test_a_window_too_small_for_zlib_sends_without_compression(autojump_clock: MockClock) -> None:
    async with ends("server", extension=(WIDE, "permessage-deflate; server_max_window_bits=8")) as both:
        await both.ws.send_message("plain")
        await both.wire.expect(TEXT, "plain")
        await both.wire.send(TEXT, deflated(b"squeezed")[0], rsv=RSV1)
        assert await both.ws.receive_message() == "squeezed"
        await both.finish()


@pytest.mark.parametrize("client_terms", [None, WIDE, Deflate(), Deflate(max_window_bits=9, context_takeover=False)])
@pytest.mark.parametrize("server_terms", [None, WIDE, Deflate(), Deflate(max_window_bits=9, context_takeover=False)])
async def test_both_sides_are_ours(
    client_terms: Deflate | None, server_terms: Deflate | None, autojump_clock: MockClock
) -> None:
    async def echo(ws: WebSocket) -> None:
        assert ws.compressed is (client_terms is not None and server_terms is not None)
        async for message in ws:
            await ws.send_message(message)

    handler = WebSocketHandler(echo, compression=server_terms)
    async with (
        pair(handler, server_config=OFFERING) as (client, _),
        open_websocket(client, compression=client_terms) as ws,
    ):
        for message in ("text " * 30_000, bytes(range(256)) * 500, "", "text " * 10):
            await ws.send_message(message)
            assert await ws.receive_message() == message
