"""The exceptions of this library: one tree, and what to do about each.

`H2Error` is the root. What the outside world broke is a `trio.BrokenResourceError` too, so code written for
any Trio stream handles it without knowing HTTP/2. Three things are deliberately *not* in the tree: a bad
value is a `TypeError` or `ValueError` at the call, an object that you closed yourself raises
`trio.ClosedResourceError`, and two tasks using one direction of a stream raise `trio.BusyResourceError`.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, ClassVar, Protocol

import trio

from ._wire._codes import code_name, error_code
from ._wire._failure import Cause, StreamFailure

if TYPE_CHECKING:
    from ._wire._codes import ErrorCode, Initiator
    from ._wire._failure import OversizedSection, SessionFailure

_SHOWN_DEBUG_BYTES = 64
"""How much of a peer's debug data a message quotes: enough for a reason, too little to flood a log."""


class AnySession(Protocol):
    """What every session, of either role, and every connection of HTTP/1.1 has; the type of `H2Error.session`."""

    @property
    def closed(self) -> bool:
        """Whether the session takes no new streams."""

    @property
    def draining(self) -> bool:
        """Whether the session has begun to shut down."""

    async def wait_closed(self) -> None:
        """Waits until the session is over."""


class AnyStream(Protocol):
    """What every stream of either role and HTTP version has; the type of `H2Error.stream`."""

    @property
    def id(self) -> int:
        """Its number in the session."""

    @property
    def session(self) -> AnySession:
        """Its session."""

    @property
    def closed(self) -> bool:
        """Whether it is over."""


class H2Error(Exception):
    """The root of all errors of this library.

    Args:
        message: What happened, in one sentence.
        code: The error code that was sent or received, `None` if no frame carried one.
        initiator: Who ended the stream or the session, `None` if nothing was ended.
        stream_id: The stream concerned, `None` if it is the session as a whole.
        debug_data: What the peer put into its GOAWAY. It is untrusted input.
        retryable: Whether the peer is known not to have acted on the request, so that sending it again, on this
            session or a new one, is safe whatever its method. `None` takes the default of the class.
        stream: The stream whose error it is.
        session: The session whose error it is; by default that of *stream*.
    """

    # Not in the `__dict__`, which is pickled. Weak, for an error may outlive what it tells of, and may even be kept
    # by it, as the reason why it was destroyed.
    __slots__ = ("_session", "_stream")

    code: ErrorCode | int | None
    """The error code that was sent or received; an unknown one is a plain `int`."""
    initiator: Initiator | None
    """Who ended the stream or the session."""
    stream_id: int | None
    """The stream concerned, `None` if it is the session as a whole."""
    debug_data: bytes
    """What the peer put into its GOAWAY; empty without one."""
    retryable: bool
    """Whether the request may be sent again safely, whatever its method."""

    _retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str = "",
        *,
        code: ErrorCode | int | None = None,
        initiator: Initiator | None = None,
        stream_id: int | None = None,
        debug_data: bytes = b"",
        retryable: bool | None = None,
        stream: AnyStream | None = None,
        session: AnySession | None = None,
    ) -> None:
        # The message alone goes into `args`: pickle and copy rebuild an exception from its `args` and then
        # restore its `__dict__`, which is where everything else lives.
        super().__init__(message)
        self.code = None if code is None else error_code(code)
        self.initiator = initiator
        self.stream_id = stream_id
        self.debug_data = bytes(debug_data)
        self.retryable = self._retryable_by_default if retryable is None else retryable
        if session is None and stream is not None:
            session = stream.session
        self._stream = None if stream is None else weakref.ref(stream)
        self._session = None if session is None else weakref.ref(session)

    @property
    def stream(self) -> AnyStream | None:
        """The stream whose error it is: the object that the failed operation was called on.

        ``None`` if it is no stream's, or nobody has the stream any more: an error keeps no stream and no session alive
        (its traceback may). It is not pickled, and not copied; `stream_id` is.
        """
        return None if self._stream is None else self._stream()

    @property
    def session(self) -> AnySession | None:
        """The session whose error it is, or that of `stream`; ``None`` as there.

        A program that speaks with several peers, a gateway say, can tell by it which of them failed.
        """
        return None if self._session is None else self._session()

    def __str__(self) -> str:
        details = []
        if self.code is not None:
            details.append(code_name(self.code))
        if self.stream_id is not None:
            details.append(f"stream {self.stream_id}")
        if self.debug_data:
            cut = "…" if len(self.debug_data) > _SHOWN_DEBUG_BYTES else ""
            details.append(f"debug data {self.debug_data[:_SHOWN_DEBUG_BYTES]!r}{cut}")
        if self.retryable:
            details.append("safe to retry")
        message = str(self.args[0]) if self.args else ""
        if not details:
            return message
        return f"{message} ({', '.join(details)})".lstrip()


class LocalProtocolError(H2Error):
    """You asked for something that HTTP/2 does not allow at this moment.

    Raised by the call itself, for instance by a second `respond` or by data after the end. Nothing was sent,
    and the stream and the session are as they were. What to do: it is a bug in the calling code, so fix the
    order of the calls.
    """


class HeadersTooLargeError(LocalProtocolError):
    """The peer's SETTINGS say that it takes no header section as large as this one (RFC 9113 §6.5.2).

    Nothing was sent, and the stream is as it was. What to do: send fewer or shorter fields. If it escapes from the
    handler of a server and `limit` is far below what clients usually take, then it is no error of the application,
    and none in the log.
    """

    limit: int = 0
    """The peer's SETTINGS_MAX_HEADER_LIST_SIZE, in bytes."""


def headers_too_large(
    section: OversizedSection,
    stream_id: int | None,
    *,
    stream: AnyStream | None = None,
    session: AnySession | None = None,
) -> HeadersTooLargeError:
    """Returns what is raised for a header section that the peer would not take."""
    message = (
        f"the headers have {section.size} bytes, the peer accepts at most {section.limit} "
        f"(its SETTINGS_MAX_HEADER_LIST_SIZE)"
    )
    error = HeadersTooLargeError(message, stream_id=stream_id, stream=stream, session=session)
    error.limit = section.limit
    return error


class BodyError(H2Error):
    """A body that was wanted as a whole, by `Stream.read`, `Stream.text` or `Stream.json`, is not as it should be.

    The stream is as it was. What to do: on a server nothing, for if it escapes from the handler of the request whose
    body it is, the client gets `status` with `reason`, and nothing is logged above INFO. On a client it is the server's
    mistake, or a reason to ask for more with ``max_size``.
    """

    status: int = 400
    """What a server answers with, if the error escapes from the handler: 400, 413 or 415."""
    reason: str = ""
    """What a server tells the client then."""


class BodyTooLargeError(BodyError):
    """The body has more bytes than were asked for, or its ``content-length`` says so: then none of it was read.

    What to do: on a server nothing, the client gets 413. If larger bodies are all right, give the call a larger
    ``max_size``, or receive the body piece by piece with `Stream.receive_some`, which has no limit. What was received
    is not lost: another call of either kind has it.
    """

    status = 413
    limit: int = 0
    """The bytes that would not have been too many."""


class BodyDecodeError(BodyError):
    """The body is no text in its charset (`status` 400), or in none that is known (415); or it is no JSON (400).

    What to do: on a server nothing, the client gets that status. On a client, `Stream.read` has the bytes; the
    ``encoding`` of `Stream.text` helps where the server names the wrong charset, or none.
    """


class ExtendedConnectError(LocalProtocolError):
    """The server's SETTINGS came, and do not offer extended CONNECT (SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441).

    Nothing was sent, and the session is as it was. What to do: use another server or protocol; a WebSocket, for
    instance, can be had over HTTP/1.1.
    """


class StreamError(H2Error, trio.BrokenResourceError):
    """One stream was ended before its time; its session and all other streams go on.

    Raised by every pending and later operation of the stream. What to do: give up this exchange, or send the
    request again if `retryable` says so or the method is idempotent.
    """


class StreamResetError(StreamError):
    """The stream was reset: by the peer, by this library, or because its session ended.

    `initiator` says by whom and `code` why. What to do: as for any `StreamError`; `CANCEL` and `NO_ERROR`
    from a peer mean that it lost interest, `ENHANCE_YOUR_CALM` that it wants fewer requests.
    """


class StreamRefusedError(StreamError):
    """The peer did not process the request at all, so it is always safe to retry.

    RFC 9113 §8.7: "The REFUSED_STREAM error code can be included in a RST_STREAM frame to indicate that the
    stream is being closed prior to any processing having occurred." The streams above the last id of a GOAWAY
    end so, too. What to do: send the request again, after a GOAWAY on a new session.
    """

    _retryable_by_default = True


class SessionError(H2Error, trio.BrokenResourceError):
    """The session is over, and with it every stream that was still open.

    Raised by all pending and later operations of the session and its streams, `from` the cause if there is one. What to
    do: connect again; of the requests that were under way, repeat those whose own error is `retryable`.
    """


class RemoteProtocolError(SessionError):
    """The peer broke the rules of HTTP/2 so that the session could not go on.

    `code` is what this side sent in its GOAWAY. What to do: nothing on this side is wrong; report it to
    whoever runs the peer. A peer that speaks no HTTP/2 at all ends so, too.
    """


class GoAwayError(SessionError):
    """The peer ended the session with a GOAWAY frame, or takes no new streams after one.

    `code` is the peer's: `NO_ERROR` is an orderly shutdown or restart. `debug_data` may tell more. What to
    do: connect again; anything that is `retryable` was not processed and can be sent there.
    """


class KeepaliveTimeoutError(SessionError):
    """The peer has answered no PING in time: the network or the peer is gone without a word.

    What to do: connect again. Whether a request under way was processed is unknown.
    """


class SettingsTimeoutError(SessionError):
    """The peer did not send, or did not acknowledge, SETTINGS in time (RFC 9113 §6.5.3).

    What to do: the peer is overloaded or does not speak HTTP/2; check the address, then try again later.
    """


class TransportLostError(SessionError):
    """The bytes below stopped: the network broke, or the peer closed the transport without a GOAWAY.

    What to do: connect again. Whether a request under way was processed is unknown.
    """


class HandshakeError(SessionError):
    """The session never began: TLS, its ALPN or the HTTP/2 preface failed.

    Raised by `connect` and, on a server, reported for that one connection. `__cause__` is the `ssl.SSLError`
    if there is one. What to do: the message says what is wrong with the certificate, the protocol or the
    settings of either side.
    """


class UnknownProtocolError(HandshakeError):
    """TLS succeeded, but the two sides did not agree on HTTP/2 by ALPN.

    What to do: the peer speaks another protocol, most likely HTTP/1.1; use a client for that, or enable
    HTTP/2 there. If the `ssl.SSLContext` is your own, call `set_alpn_protocols(["h2"])` on it.
    """


_SESSION_ERRORS: dict[Cause, type[SessionError]] = {
    Cause.PROTOCOL: RemoteProtocolError,
    Cause.GOAWAY: GoAwayError,
    Cause.KEEPALIVE: KeepaliveTimeoutError,
    Cause.SETTINGS_TIMEOUT: SettingsTimeoutError,
    Cause.HANDSHAKE: HandshakeError,
    Cause.LOST: TransportLostError,
}


def from_failure(
    failure: StreamFailure | SessionFailure, *, stream: AnyStream | None = None, session: AnySession | None = None
) -> Exception:
    """Makes the public exception for what ended a stream or a session, a new one for every raise.

    Args:
        failure: What ended it.
        stream: The stream whose operation raises it, if it is one of a stream.
        session: The session whose operation raises it, if it is not one of a stream.

    Returns:
        A `StreamError`, a `SessionError` with the transport's own error as its cause, or `trio.ClosedResourceError` if
        this side closed the session. Raise it at once.
    """
    if isinstance(failure, StreamFailure):
        kind = StreamRefusedError if failure.refused else StreamResetError
        return kind(
            failure.reason,
            code=failure.code,
            initiator=failure.initiator,
            stream_id=failure.stream_id,
            debug_data=failure.debug_data,
            retryable=failure.retryable or failure.refused,
            stream=stream,
            session=session,
        )
    if failure.cause is Cause.CLOSED:
        closed = trio.ClosedResourceError(failure.reason)
        closed.__cause__ = failure.error  # what `Session.destroy` was given
        return closed
    error = _SESSION_ERRORS[failure.cause](
        failure.reason,
        code=failure.code,
        initiator=failure.initiator,
        debug_data=failure.debug_data,
        retryable=failure.retryable,
        stream=stream,
        session=session,
    )
    error.__cause__ = failure.error
    return error
