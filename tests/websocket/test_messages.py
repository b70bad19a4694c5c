"""Messages both ways, against hand-made frames: text, bytes, fragments, control frames in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.websocket.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, both_roles, ends, pack
from trio_h2.websocket import WebSocketClosedHereError

if TYPE_CHECKING:
    from trio.testing import MockClock

pytestmark = pytest.mark.parity("L3")


@both_roles
async def test_text_and_octets(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        ws, wire = both.ws, both.wire
        await wire.send(TEXT, "Grüße €")
        await wire.send(BINARY, b"\x00\xff")
        await wire.send(TEXT)
        await wire.send(BINARY)
        assert [await ws.receive_message() for _ in range(4)] == ["Grüße €", b"\x00\xff", "", b""]
        for message in ("Grüße €", b"\x00\xff", bytearray(b"ab"), memoryview(b"cd"), "", b""):
            await ws.send_message(message)
        await wire.expect(TEXT, "Grüße €")
        for octets in (b"\x00\xff", b"ab", b"cd"):
            await wire.expect(BINARY, octets)
        await wire.expect(TEXT, b"")
        await wire.expect(BINARY, b"")
        await both.finish()


@both_roles
async def test_octet_by_octet(role: str, autojump_clock: MockClock) -> None:
    masked = role == "server"
    parts = [
        pack(TEXT, "h€".encode()[:2], fin=False, masked=masked),
        pack(PING, b"1", masked=masked),
        pack(CONT, "h€".encode()[2:], masked=masked),
        pack(BINARY, bytes(200), masked=masked),
        pack(BINARY, masked=masked),
    ]
    async with ends(role) as both:
        await both.wire.send_slowly(b"".join(parts))
        assert [await both.ws.receive_message() for _ in range(3)] == ["h€", bytes(200), b""]
        await both.wire.expect(PONG, b"1")
        await both.finish()


@both_roles
@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 200_000])
async def test_lengths(role: str, size: int, autojump_clock: MockClock) -> None:
    data = bytes(i % 251 for i in range(size))
    async with ends(role) as both, trio.open_nursery() as nursery:
        nursery.start_soon(both.wire.send, BINARY, data)
        assert await both.ws.receive_message() == data
        nursery.start_soon(both.ws.send_message, data)
        got, opcode = b"", BINARY
        while len(got) < size:  # RFC 6455 §5.4: the first fragment has the opcode, the last one FIN
            left = size - len(got)
            part = await both.wire.expect(opcode, fin=left <= 65_536)
            assert len(part) <= 65_536
            got, opcode = got + part, CONT
        assert got == data
        nursery.start_soon(both.finish)


@both_roles
async def test_fragments_with_control_frames_between(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        wire = both.wire
        await wire.send(TEXT, "a", fin=False)
        await wire.send(PING, "one")
        await wire.expect(PONG, "one")
        await wire.send(CONT, fin=False)
        await wire.send(PONG, "nobody asked")
        await wire.send(CONT, "b", fin=False)
        await wire.send(CONT, "c")
        assert await both.ws.receive_message() == "abc"
        await both.finish()


@both_roles
async def test_a_message_in_parts(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:
        ws, wire = both.ws, both.wire
        async with ws.open_message() as message:
            await message.send("a")
            await wire.expect(TEXT, "a", fin=False)
            nursery.start_soon(ws.send_message, b"waits")
            await wire.send(PING, "x")
            await wire.expect(PONG, "x")
            await message.send("ü")
            with pytest.raises(TypeError, match="of one kind"):
                await message.send(b"bytes")
            await wire.expect(CONT, "ü", fin=False)
            await wire.expect_nothing()
        await wire.expect(CONT, b"")
        await wire.expect(BINARY, b"waits")
        async with ws.open_message():
            pass  # nothing is sent
        await ws.send_message("next")
        await wire.expect(TEXT, "next")
        await both.finish()


@both_roles
async def test_a_part_outside_of_its_block_is_refused(role: str, autojump_clock: MockClock) -> None:
    """It would begin a message that nobody ends, and of which those of others become the rest."""
    async with ends(role) as both:
        with pytest.raises(RuntimeError, match="within the block"):
            await both.ws.open_message().send("before")
        async with both.ws.open_message() as message:
            await message.send("a")
        with pytest.raises(RuntimeError, match="within the block"):
            await message.send("after")
        await both.ws.send_message("next")
        await both.wire.expect(TEXT, "a", fin=False)
        await both.wire.expect(CONT, "")
        await both.wire.expect(TEXT, "next")
        await both.finish()


@both_roles
async def test_a_message_in_parts_that_fails_resets(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        with pytest.raises(KeyError):
            async with both.ws.open_message() as message:
                await message.send("a")
                raise KeyError
        with pytest.raises(WebSocketClosedHereError):
            await both.ws.send_message("x")
        await both.wire.expect(TEXT, "a", fin=False)
        with pytest.raises(trio.BrokenResourceError):
            await both.wire.receive()


@both_roles
async def test_a_message_in_parts_that_fails_before_its_first_part_does_no_harm(
    role: str, autojump_clock: MockClock
) -> None:
    async with ends(role) as both:
        with pytest.raises(KeyError):
            async with both.ws.open_message():
                raise KeyError
        block = both.ws.open_message()
        async with block as message:
            await message.send("fine")
        with pytest.raises(RuntimeError, match="entered only once"):
            await block.__aenter__()
        await both.wire.expect(TEXT, "fine", fin=False)
        await both.wire.expect(CONT, b"")
        await both.finish()


@both_roles
async def test_messages_of_many_tasks_never_mix(role: str, autojump_clock: MockClock) -> None:
    messages = {chr(65 + n) * 150_000 for n in range(5)}
    async with ends(role) as both, trio.open_nursery() as nursery:
        for message in messages:
            nursery.start_soon(both.ws.send_message, message)
        got = set()
        for _ in messages:
            whole = b""
            for opcode, fin in ((TEXT, False), (CONT, False), (CONT, True)):
                whole += await both.wire.expect(opcode, fin=fin)
            got.add(whole.decode())
        assert got == messages
        nursery.start_soon(both.finish)


@both_roles
async def test_a_pong_need_not_wait_for_a_whole_message(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both, trio.open_nursery() as nursery:
        nursery.start_soon(both.ws.send_message, bytes(10_000_000))
        await trio.testing.wait_all_tasks_blocked()
        await both.wire.send(PING, b"now")
        seen = 0
        while (frame := await both.wire.receive()).opcode != PONG:
            seen += len(frame.payload)
        assert seen < 2_000_000
        while not (await both.wire.receive()).fin:
            pass
        nursery.start_soon(both.finish)


@both_roles
async def test_iteration_and_one_receiver_at_a_time(role: str, autojump_clock: MockClock) -> None:
    got = []
    async with ends(role) as both, trio.open_nursery() as nursery:

        async def collect() -> None:
            async for message in both.ws:
                got.append(message)

        nursery.start_soon(collect)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await both.ws.receive_message()
        await both.wire.send(TEXT, "one")
        await both.wire.send(TEXT, "two")
        await both.wire.send(CLOSE)  # no code
        await both.wire.expect_close(None)
        await both.wire.expect_end()
        await both.wire.send_eof()
    assert got == ["one", "two"]
    assert (both.ws.close_code, both.ws.close_reason) == (1005, "")


@both_roles
async def test_only_text_and_octets_can_be_sent(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        with pytest.raises(TypeError, match="not int"):
            await both.ws.send_message(5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="surrogates"):
            await both.ws.send_message("\ud800")
        await both.ws.send_message("fine")
        await both.wire.expect(TEXT, "fine")
        await both.finish()


@both_roles
async def test_every_operation_is_a_checkpoint(role: str, autojump_clock: MockClock) -> None:
    async with ends(role) as both:
        await both.wire.send(TEXT, "a")
        await trio.testing.wait_all_tasks_blocked()
        with trio.testing.assert_checkpoints():
            await both.ws.receive_message()
        with trio.testing.assert_checkpoints():
            await both.ws.send_message("a")
        await both.wire.expect(TEXT, "a")
        await both.finish()
        with trio.testing.assert_checkpoints():
            await both.ws.aclose()
