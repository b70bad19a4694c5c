"""A scripted HTTP/2 peer: the test says frame by frame what it sends and what it wants to see.

It is built on hyperframe and hpack only, so it shares no code, and therefore no mistake, with the
engine that it tests. Three layers, each of which adds to the one before: sending any frame
(`_sender.py`), reading and judging what comes (`_receiver.py`), and here the roles and expectations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self, TypeVar

import trio
import trio.testing

from ._frames import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)
from ._receiver import FrameReceiver, PeerClosedError

if TYPE_CHECKING:
    from types import TracebackType

    from ._sender import Fields, Number, Settings

FrameT = TypeVar("FrameT", bound=Frame)


class ScriptedPeer(FrameReceiver):
    """One end of an HTTP/2 connection, played by a test.

    It has no task of its own: it reads, and so acknowledges, only while one of its receiving methods
    runs. Leaving `async with` closes the transport without a word.

    The expecting methods skip frames for which `is_routine` is true unless one of them is asked for;
    any other frame fails the test, with a list of what came before. Attributes are compared with `==`;
    a set stands for "one of these". Frames that are skipped by `until` are gone (but still in `frames`);
    those that `pick` and `collect_body` pass over stay for the next call.

    Example:
        A client under test gets a response that is cut off::

            client_end, peer_end = memory_transports()
            async with ScriptedPeer(peer_end, client=False) as peer:
                await peer.handshake()
                request = await peer.expect_headers(end_stream=True)
                await peer.send_headers(request.stream_id, {":status": "200"})
                await peer.send_rst(request.stream_id, ErrorCode.INTERNAL_ERROR)
                await peer.expect_nothing()

    Args:
        transport: Any Trio stream, which the peer owns from now on.
        client: Whether the peer plays the client.
        auto_ack: Whether SETTINGS and PING are acknowledged as soon as they are read.
        timeout: Seconds of Trio's clock to wait for a frame before the test is failed. With an
            autojump clock this costs no time; raise it where a test waits for a long timeout.
    """

    def __init__(
        self, transport: trio.abc.Stream, *, client: bool, auto_ack: bool = True, timeout: float = 10.0
    ) -> None:
        super().__init__(transport, auto_ack=auto_ack, timeout=timeout)
        self.client = client
        self._next_stream_id = 1 if client else 2

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await trio.aclose_forcefully(self.transport)

    # ---- Whole steps of the protocol ----

    async def handshake(self, settings: Settings[Number] = (), *, wait_ack: bool = True) -> SettingsFrame:
        """Opens the connection: preface, SETTINGS both ways, acknowledgements both ways.

        Other frames that come meanwhile stay for the next receiving call.

        Args:
            settings: The peer's own settings.
            wait_ack: Whether to wait until the other side has acknowledged them, so that they are in force.

        Returns:
            The other side's SETTINGS.
        """
        if self.client:
            async with self.batch():
                await self.send_preface()
                await self.send_settings(settings)
        else:
            await self.receive_preface()
            await self.send_settings(settings)
        first = await self._read_frame()
        if not isinstance(first, SettingsFrame) or first.ack:
            # RFC 9113 §3.4: "This sequence MUST be followed by a SETTINGS frame"; for the server:
            # it "MUST be the first frame the server sends".
            raise AssertionError(f"the first frame is not SETTINGS but {first!r}")
        if wait_ack:
            await self.pick(SettingsFrame, ack=True)
        return first

    async def request(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        scheme: str = "https",
        authority: str = "localhost",
        headers: Fields = (),
        body: bytes | None = None,
        end_stream: bool = True,
    ) -> int:
        """Sends a request on the next stream of this side.

        Args:
            method: `:method`.
            path: `:path`.
            scheme: `:scheme`.
            authority: `:authority`.
            headers: The other fields.
            body: The content, sent as the windows allow.
            end_stream: Whether the request ends here.

        Returns:
            The stream's id.
        """
        stream_id = self.next_stream_id()
        pseudo = {":method": method, ":scheme": scheme, ":authority": authority, ":path": path}
        await self._send_message(stream_id, pseudo, headers, body, end_stream)
        return stream_id

    async def respond(
        self,
        stream_id: int,
        status: int = 200,
        *,
        headers: Fields = (),
        body: bytes | None = None,
        end_stream: bool = True,
    ) -> None:
        """Sends a response; the arguments are those of `request`."""
        await self._send_message(stream_id, {":status": str(status)}, headers, body, end_stream)

    def next_stream_id(self) -> int:
        """Returns the next unused stream id of this side and uses it up."""
        stream_id = self._next_stream_id
        self._next_stream_id += 2
        return stream_id

    async def send_body(self, stream_id: int, data: bytes, *, end_stream: bool = True) -> None:
        """Sends content in DATA frames no longer and no faster than the other side allows.

        Frames that come meanwhile stay for the next receiving call.
        """
        view = memoryview(data)
        limits = self._limits
        while view:
            credit = min(self.send_window(stream_id), self.send_window(), limits.their_max_frame_size)
            if credit <= 0:
                self._queue.append(await self._read_frame())
                continue
            piece, view = bytes(view[:credit]), view[credit:]
            await self.send_data(stream_id, piece, end_stream=end_stream and not view)
        if end_stream and not data:
            await self.send_data(stream_id, end_stream=True)

    async def ping(self, data: bytes = b"roundtrp") -> None:
        """Sends PING and waits for its answer: all that was sent before has then been processed.

        Frames that come meanwhile stay for the next receiving call.
        """
        await self.send_ping(data)
        await self.pick(PingFrame, ack=True, data=data)

    # ---- Expectations ----

    async def expect(self, kind: type[FrameT], *, strict: bool = False, **attributes: object) -> FrameT:
        """Returns the next frame, which must be of a kind and have these attributes.

        Args:
            kind: The class of the frame.
            strict: Whether routine frames fail the test too.
            **attributes: Attributes of that class, `stream_id` among them.
        """
        return await self._expect(kind, attributes, strict=strict)

    async def until(self, kind: type[FrameT], **attributes: object) -> FrameT:
        """Returns the next frame of a kind with these attributes and drops all frames before it."""
        wanted = _describe(kind, attributes)
        while True:
            frame = await self._receive_for(wanted)
            if isinstance(frame, kind) and _matches(frame, attributes):
                return frame

    async def pick(self, kind: type[FrameT], **attributes: object) -> FrameT:
        """Returns the next frame of a kind with these attributes and leaves all others where they are."""
        wanted = _describe(kind, attributes)
        for index, queued in enumerate(self._queue):
            if isinstance(queued, kind) and _matches(queued, attributes):
                await trio.lowlevel.checkpoint()
                del self._queue[index]
                return queued
        while True:
            frame = await self._receive_for(wanted, queued=False)
            if isinstance(frame, kind) and _matches(frame, attributes):
                return frame
            self._queue.append(frame)

    async def expect_headers(
        self,
        stream_id: int | None = None,
        *,
        status: int | None = None,
        end_stream: bool | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> HeadersFrame:
        """Expects a field block. None leaves an attribute open; *fields* must be there among others."""
        frame = await self._expect(HeadersFrame, _given(stream_id=stream_id, status=status, end_stream=end_stream))
        for name, value in (fields or {}).items():
            assert frame.get(name) == value, f"expected {name}: {value}\nbut got  {frame!r}"
        return frame

    async def expect_data(
        self, stream_id: int | None = None, data: bytes | None = None, *, end_stream: bool | None = None
    ) -> DataFrame:
        """Expects one DATA frame. None leaves an attribute open."""
        return await self._expect(DataFrame, _given(stream_id=stream_id, data=data, end_stream=end_stream))

    async def expect_rst(self, stream_id: int, code: int | set[int] | None = None) -> RstStreamFrame:
        """Expects RST_STREAM on a stream, with one code, one of several, or any."""
        return await self._expect(RstStreamFrame, _given(stream_id=stream_id, code=code))

    async def expect_goaway(
        self, code: int | set[int] | None = None, *, last_stream_id: int | None = None
    ) -> GoAwayFrame:
        """Expects GOAWAY, with one code, one of several, or any."""
        return await self._expect(GoAwayFrame, _given(code=code, last_stream_id=last_stream_id))

    async def expect_connection_error(self, code: int | set[int] | None = None) -> GoAwayFrame:
        """Expects what RFC 9113 §5.4.1 demands after a connection error: GOAWAY, then the end.

        Frames that were underway before GOAWAY are dropped.
        """
        goaway = await self.until(GoAwayFrame)
        assert _matches(goaway, _given(code=code)), f"expected code {code!r}, got {goaway!r}"
        await self.expect_eof()
        return goaway

    async def expect_eof(self) -> None:
        """Expects the end of the transport, at a frame boundary. Routine frames before it are skipped."""
        while True:
            try:
                frame = await self.receive_frame()
            except PeerClosedError as exc:
                if exc.partial:
                    raise
                return
            if not self.is_routine(frame):
                raise AssertionError(f"expected the end\nbut got  {frame!r}\n{self.history()}")

    async def expect_nothing(self, seconds: float = 0.0, *, strict: bool = False) -> None:
        """Expects that no frame comes, nor the end, until all tasks are blocked.

        This is exact with in-memory transports only; with sockets the other side may be slow.

        Args:
            seconds: How long to go on waiting on Trio's clock; costs no time with an autojump clock.
            strict: Whether routine frames fail the test too.
        """
        surprises: list[str] = []
        timeout, self.timeout = self.timeout, float("inf")

        async def watch() -> None:
            try:
                while not surprises:
                    frame = await self.receive_frame()
                    if strict or not self.is_routine(frame):
                        surprises.append(repr(frame))
            except AssertionError as exc:
                surprises.append(str(exc))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                await trio.sleep(seconds)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        finally:
            self.timeout = timeout
        assert not surprises, f"expected nothing\nbut got  {surprises[0]}\n{self.history()}"

    async def collect_body(self, stream_id: int, *, grant: bool = True) -> bytes:
        """Returns the content of a message, up to END_STREAM.

        Trailers stay for `expect_headers`, frames of other streams for whoever wants them.

        Args:
            stream_id: The stream.
            grant: Whether to give back the credit of each DATA frame, for stream and connection.
        """
        body = bytearray()
        while True:
            frame = await self.pick(Frame, stream_id=stream_id)
            match frame:
                case DataFrame():
                    body += frame.data
                    if grant and frame.flow_controlled_length:
                        await self._give_back(frame)
                    if frame.end_stream:
                        return bytes(body)
                case HeadersFrame(end_stream=True):
                    self._queue.appendleft(frame)
                    return bytes(body)
                case _ if not self.is_routine(frame):
                    raise AssertionError(f"the body was interrupted by {frame!r}\n{self.history()}")

    # ---- Inside ----

    async def _expect(self, kind: type[FrameT], attributes: Mapping[str, object], *, strict: bool = False) -> FrameT:
        wanted = _describe(kind, attributes)
        while True:
            frame = await self._receive_for(wanted)
            if isinstance(frame, kind) and _matches(frame, attributes):
                return frame
            if strict or not self.is_routine(frame):
                raise AssertionError(f"expected {wanted}\nbut got  {frame!r}\n{self.history()}")

    async def _give_back(self, frame: DataFrame) -> None:
        await self.send_window_update(0, frame.flow_controlled_length)
        if not frame.end_stream:
            await self.send_window_update(frame.stream_id, frame.flow_controlled_length)

    async def _send_message(
        self, stream_id: int, pseudo: Mapping[str, str], headers: Fields, body: bytes | None, end_stream: bool
    ) -> None:
        others = headers.items() if isinstance(headers, Mapping) else headers
        pairs: list[tuple[str | bytes, str | bytes]] = [*pseudo.items(), *others]
        await self.send_headers(stream_id, pairs, end_stream=end_stream and body is None)
        if body is not None:
            await self.send_body(stream_id, body, end_stream=end_stream)

    async def _receive_for(self, wanted: str, *, queued: bool = True) -> Frame:
        try:
            return await (self.receive_frame() if queued else self._read_frame())
        except PeerClosedError as exc:
            raise PeerClosedError(f"expected {wanted}\nbut {exc}", exc.partial) from exc.__cause__
        except AssertionError as exc:
            raise AssertionError(f"expected {wanted}\nbut {exc}") from exc.__cause__


def _given(**attributes: object) -> dict[str, object]:
    """Leaves out the attributes that the test doesn't care about."""
    return {name: value for name, value in attributes.items() if value is not None}


def _matches(frame: Frame, attributes: Mapping[str, object]) -> bool:
    for name, wanted in attributes.items():
        actual: object = getattr(frame, name)
        if isinstance(wanted, set | frozenset):
            if actual not in wanted:
                return False
        elif actual != wanted:
            return False
    return True


def _describe(kind: type[Frame], attributes: Mapping[str, object]) -> str:
    for name in attributes:
        if name not in {field.name for field in dataclasses.fields(kind)} and not hasattr(kind, name):
            raise TypeError(f"{kind.__name__} has no attribute {name!r}")
    return f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in attributes.items())})"
