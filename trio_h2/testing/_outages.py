"""Transports that stop working at a moment the test chooses: stalled, cut off, or gone silent."""

from __future__ import annotations

import trio

from ._faults import FaultyStream


class _Gate:
    """Holds tasks back while it is shut; closing it for good lets them go with an error."""

    def __init__(self) -> None:
        self._shut = False
        self._closed = False
        self._waiting = trio.lowlevel.ParkingLot()

    @property
    def is_shut(self) -> bool:
        return self._shut and not self._closed

    def shut(self) -> None:
        self._shut = True

    def open(self) -> None:
        self._shut = False
        self._waiting.unpark_all()

    def close(self) -> None:
        self._closed = True
        self._waiting.unpark_all()

    async def pass_through(self) -> None:
        while self.is_shut:
            await self._waiting.park()
        if self._closed:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError


class StallableStream(FaultyStream):
    """Stands still in one direction, or both, until it is told to go on. Nothing is lost.

    Args:
        transport: The stream below.
    """

    def __init__(self, transport: trio.abc.Stream) -> None:
        super().__init__(transport)
        self._send_gate = _Gate()
        self._receive_gate = _Gate()
        self._still_to_send: int | None = None
        self._held: bytes | None = None

    def stall_send(self, *, after: int = 0) -> None:
        """Makes `send_all` wait, once *after* more bytes have passed."""
        self._still_to_send = after
        if not after:
            self._send_gate.shut()

    def stall_receive(self) -> None:
        """Makes `receive_some` wait, also one that waits already when something comes."""
        self._receive_gate.shut()

    def resume(self) -> None:
        """Lets both directions go on."""
        self.resume_send()
        self.resume_receive()

    def resume_send(self) -> None:
        """Lets `send_all` go on."""
        self._still_to_send = None
        self._send_gate.open()

    def resume_receive(self) -> None:
        """Lets `receive_some` go on."""
        self._receive_gate.open()

    async def aclose(self) -> None:
        """Closes the stream below; stalled tasks get `trio.ClosedResourceError`."""
        self._send_gate.close()
        self._receive_gate.close()
        await super().aclose()

    async def _send(self, data: memoryview) -> None:
        while True:
            await self._send_gate.pass_through()
            piece = data[: self._still_to_send]
            if self._still_to_send is not None:
                self._still_to_send -= len(piece)  # now: a later `stall_send` does not count what is on its way
            await self.transport.send_all(piece)
            if self._still_to_send == 0:
                self._send_gate.shut()
            data = data[len(piece) :]
            if not data:
                return

    async def _wait_sendable(self) -> None:
        await self._send_gate.pass_through()
        await super()._wait_sendable()

    async def _receive(self, max_bytes: int | None) -> bytes:
        while True:
            await self._receive_gate.pass_through()
            if self._held is None:
                data = await super()._receive(max_bytes)
                if not self._receive_gate.is_shut:
                    return data
                # The gate was shut while this waited. Kept here, so that a cancelled wait loses nothing.
                self._held = data
                continue
            await trio.lowlevel.checkpoint()
            if self._receive_gate.is_shut:
                continue
            data, rest = self._held[:max_bytes], self._held[len(self._held[:max_bytes]) :]
            self._held = rest or None
            return data


class CuttingStream(FaultyStream):
    """Breaks, after so many bytes or on demand.

    Args:
        transport: The stream below.
        receive_limit: Bytes that can be received. After them comes `b""`, as if the other side had
            ended its direction, and sending still works; or with *error* the whole stream is cut.
        send_limit: Bytes that can be sent. Sending more delivers those and cuts the whole stream.
        error: What `receive_some` does where it was cut: raise `trio.BrokenResourceError`, as after a
            reset of the TCP connection, or return `b""`, as after its orderly end.

    Attributes:
        is_cut: Whether the stream is broken in both directions.
    """

    def __init__(
        self,
        transport: trio.abc.Stream,
        *,
        receive_limit: int | None = None,
        send_limit: int | None = None,
        error: bool = False,
    ) -> None:
        super().__init__(transport)
        self.is_cut: bool = False
        self._to_receive = receive_limit
        self._to_send = send_limit
        self._error = error
        self._closed = False

    async def cut(self) -> None:
        """Breaks both directions now, also for tasks that wait in them; the other end sees the end.

        From now on `send_all` raises `trio.BrokenResourceError`.
        """
        self.is_cut = True
        await trio.aclose_forcefully(self.transport)

    async def aclose(self) -> None:
        """Closes the stream below."""
        self._closed = True
        await super().aclose()

    async def send_eof(self) -> None:
        """Ends the sending direction, unless the stream was cut."""
        await self._check_sendable()
        await super().send_eof()

    async def _send(self, data: memoryview) -> None:
        await self._check_sendable()
        allowed = data if self._to_send is None else data[: self._to_send]
        try:
            await self.transport.send_all(allowed)
        except trio.ClosedResourceError:
            await self._check_sendable()
            raise
        if self._to_send is not None:
            self._to_send -= len(allowed)
        if len(allowed) < len(data):
            await self.cut()
            await self._check_sendable()

    async def _wait_sendable(self) -> None:
        await self._check_sendable()
        try:
            await super()._wait_sendable()
        except trio.ClosedResourceError:
            await self._check_sendable()
            raise

    async def _check_sendable(self) -> None:
        if self.is_cut and not self._closed:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("the stream was cut")

    async def _receive(self, max_bytes: int | None) -> bytes:
        if self._to_receive is not None:
            if not self._to_receive and not self._closed:
                return await self._end_of_limit()
            max_bytes = min(max_bytes or self._to_receive, self._to_receive) or max_bytes
        if self.is_cut and not self._closed:
            await trio.lowlevel.checkpoint()
            return self._end()
        try:
            data = await super()._receive(max_bytes)
        except trio.ClosedResourceError:
            if self.is_cut and not self._closed:
                return self._end()
            raise
        if self._to_receive is not None:
            self._to_receive -= len(data)
        return data

    async def _end_of_limit(self) -> bytes:
        if self._error:
            await self.cut()
        else:
            await trio.lowlevel.checkpoint()
        return self._end()

    def _end(self) -> bytes:
        if self._error:
            raise trio.BrokenResourceError("the stream was cut")
        return b""


class BlackHoleStream(FaultyStream):
    """Goes silent on demand, as a network does without a word: no bytes, no end, no error.

    Sending still seems to work, as the system's buffer would make it seem. Closing the stream closes
    the one below, and so shows the other end its end: nothing else would ever free it.

    Args:
        transport: The stream below.
        send_capacity: Bytes that seem to be sent before `send_all` waits for ever; None for no limit.

    Attributes:
        swallowed: Bytes that were sent into the hole.
    """

    def __init__(self, transport: trio.abc.Stream, *, send_capacity: int | None = None) -> None:
        super().__init__(transport)
        self.swallowed: int = 0
        self._send_capacity = send_capacity
        self._gate = _Gate()

    @property
    def is_silent(self) -> bool:
        """Whether the stream has gone silent. There is no way back."""
        return self._gate.is_shut

    def go_silent(self) -> None:
        """From now on nothing gets through, in either direction."""
        self._gate.shut()

    async def aclose(self) -> None:
        """Closes the stream below; waiting tasks get `trio.ClosedResourceError`."""
        self._gate.close()
        await super().aclose()

    async def send_eof(self) -> None:
        """Ends the sending direction; nobody hears of it if the stream has gone silent."""
        if self.is_silent:
            await trio.lowlevel.checkpoint()
        else:
            await super().send_eof()

    async def _send(self, data: memoryview) -> None:
        if not self.is_silent:
            await self.transport.send_all(data)
            return
        await trio.lowlevel.checkpoint()
        self.swallowed += len(data)
        if self._send_capacity is not None and self.swallowed > self._send_capacity:
            await self._gate.pass_through()

    async def _wait_sendable(self) -> None:
        if not self.is_silent:
            await super()._wait_sendable()
        elif self._send_capacity is not None and self.swallowed >= self._send_capacity:
            await self._gate.pass_through()
        else:
            await trio.lowlevel.checkpoint()

    async def _receive(self, max_bytes: int | None) -> bytes:
        if not self.is_silent:
            try:
                data = await super()._receive(max_bytes)
            except trio.BrokenResourceError:
                if not self.is_silent:
                    raise
            else:
                if not self.is_silent:
                    return data
        await self._gate.pass_through()
        raise AssertionError("a black hole was left without being closed")
