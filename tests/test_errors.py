"""The exception tree: its shape, its attributes, its text, and the one helper that takes a group apart."""

from __future__ import annotations

import copy
import gc
import pickle
import traceback
import weakref

import pytest
import trio

from trio_h2 import _errors
from trio_h2._errors import (
    GoAwayError,
    H2Error,
    HandshakeError,
    KeepaliveTimeoutError,
    LocalProtocolError,
    RemoteProtocolError,
    SessionError,
    SettingsTimeoutError,
    StreamError,
    StreamRefusedError,
    StreamResetError,
    TransportLostError,
    UnknownProtocolError,
    from_failure,
)
from trio_h2._util import unwrap_body_error
from trio_h2._wire._codes import ErrorCode, Initiator
from trio_h2._wire._failure import Cause, SessionFailure, StreamFailure

ALL = [cls for cls in vars(_errors).values() if isinstance(cls, type) and issubclass(cls, H2Error)]
SESSION_ERRORS = [
    RemoteProtocolError,
    GoAwayError,
    KeepaliveTimeoutError,
    SettingsTimeoutError,
    TransportLostError,
    HandshakeError,
    UnknownProtocolError,
]


class TestTree:
    @pytest.mark.parametrize("cls", ALL)
    def test_every_class_is_an_error_with_a_docstring_that_says_what_to_do(self, cls: type[H2Error]) -> None:
        assert cls.__name__.endswith("Error")
        assert cls.__doc__
        if cls is not H2Error:
            assert "what to do:" in " ".join(cls.__doc__.lower().split())

    @pytest.mark.parametrize("cls", [StreamResetError, StreamRefusedError])
    def test_stream_errors_are_broken_resources(self, cls: type[H2Error]) -> None:
        assert issubclass(cls, StreamError)
        assert issubclass(cls, trio.BrokenResourceError)
        assert not issubclass(cls, SessionError)

    @pytest.mark.parametrize("cls", SESSION_ERRORS)
    def test_session_errors_are_broken_resources(self, cls: type[H2Error]) -> None:
        assert issubclass(cls, SessionError)
        assert issubclass(cls, trio.BrokenResourceError)
        assert not issubclass(cls, StreamError)

    def test_a_local_protocol_error_breaks_nothing(self) -> None:
        assert not issubclass(LocalProtocolError, trio.BrokenResourceError)

    def test_another_protocol_is_told_apart_from_failed_tls(self) -> None:
        assert issubclass(UnknownProtocolError, HandshakeError)

    async def test_generic_trio_code_catches_them(self) -> None:
        with pytest.raises(trio.BrokenResourceError):
            raise GoAwayError("the peer went away")


class TestAttributes:
    @pytest.mark.parametrize("cls", ALL)
    def test_all_exist_with_defaults(self, cls: type[H2Error]) -> None:
        error = cls("something happened")
        assert (error.code, error.initiator, error.stream_id, error.debug_data) == (None, None, None, b"")
        assert error.retryable is (cls is StreamRefusedError)
        assert error.args == ("something happened",)

    def test_a_known_code_becomes_an_error_code_and_an_unknown_one_stays(self) -> None:
        assert H2Error(code=7).code is ErrorCode.REFUSED_STREAM
        assert H2Error(code=0x0).code is ErrorCode.NO_ERROR
        assert H2Error(code=0xF00D).code == 0xF00D

    def test_retryable_can_be_said_either_way(self) -> None:
        assert GoAwayError(retryable=True).retryable is True
        assert StreamRefusedError(retryable=False).retryable is False

    @pytest.mark.parametrize("cls", ALL)
    def test_pickle_and_copy_keep_everything(self, cls: type[H2Error]) -> None:
        error = cls(
            "gone",
            code=0xB,
            initiator=Initiator.REMOTE,
            stream_id=3,
            debug_data=b"calm",
            retryable=True,
        )
        error.add_note("seen in passing")
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(twin) is cls
            assert twin.args == error.args
            assert vars(twin) == vars(error)
            assert str(twin) == str(error)
            assert twin.__notes__ == ["seen in passing"]


class TestText:
    def test_message_alone(self) -> None:
        assert str(LocalProtocolError("respond was called twice")) == "respond was called twice"

    def test_everything(self) -> None:
        error = StreamRefusedError("the peer refused the stream", code=7, stream_id=5)
        assert str(error) == "the peer refused the stream (REFUSED_STREAM, stream 5, safe to retry)"

    def test_no_error_is_a_code_too(self) -> None:
        assert str(StreamResetError("reset", code=0, stream_id=1)) == "reset (NO_ERROR, stream 1)"

    def test_unknown_code_in_hexadecimal(self) -> None:
        assert str(GoAwayError("the peer went away", code=0xF00D)) == "the peer went away (0xf00d)"

    def test_without_a_message(self) -> None:
        assert str(H2Error()) == ""
        assert str(H2Error(code=8)) == "(CANCEL)"

    def test_debug_data_is_quoted_and_cut(self) -> None:
        text = str(GoAwayError("gone", debug_data=b"line\n" + b"x" * 10_000))
        assert "debug data b'line\\nxxx" in text
        assert "\n" not in text
        assert text.endswith("…)")
        assert len(text) < 100


class TestFromFailure:
    def test_reset(self) -> None:
        error = from_failure(StreamFailure(5, ErrorCode.CANCEL, Initiator.REMOTE, "the peer reset the stream"))
        assert isinstance(error, StreamResetError)
        assert (error.code, error.initiator, error.stream_id) == (ErrorCode.CANCEL, Initiator.REMOTE, 5)
        assert not error.retryable
        assert str(error) == "the peer reset the stream (CANCEL, stream 5)"

    def test_reset_that_may_be_retried(self) -> None:
        failure = StreamFailure(None, ErrorCode.CANCEL, Initiator.LOCAL, "never sent", retryable=True)
        error = from_failure(failure)
        assert isinstance(error, StreamResetError)
        assert error.retryable

    def test_refused(self) -> None:
        error = from_failure(StreamFailure(7, 7, Initiator.REMOTE, "refused", refused=True, debug_data=b"later"))
        assert isinstance(error, StreamRefusedError)
        assert error.retryable
        assert error.debug_data == b"later"

    @pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.CLOSED])
    def test_session(self, cause: Cause) -> None:
        network = OSError("no route to host")
        error = from_failure(SessionFailure(cause, 0xF00D, Initiator.REMOTE, "it ended", True, b"bye", network))
        assert isinstance(error, SessionError)
        assert type(error) in SESSION_ERRORS
        assert (error.code, error.initiator, error.debug_data) == (0xF00D, Initiator.REMOTE, b"bye")
        assert error.retryable
        assert error.stream_id is None
        assert error.__cause__ is network

    def test_causes_are_told_apart(self) -> None:
        kinds = {type(from_failure(SessionFailure(cause, 0, Initiator.LOCAL, "x"))) for cause in Cause}
        assert len(kinds) == len(Cause)

    def test_closed_by_this_side(self) -> None:
        error = from_failure(SessionFailure(Cause.CLOSED, 0, Initiator.LOCAL, "this session was closed"))
        assert type(error) is trio.ClosedResourceError
        assert str(error) == "this session was closed"

    def test_a_fresh_one_each_time(self) -> None:
        failure = SessionFailure(Cause.LOST, 0, Initiator.REMOTE, "gone")
        assert from_failure(failure) is not from_failure(failure)


def leave(group: BaseExceptionGroup[BaseException], body_error: BaseException | None) -> None:
    """Calls the helper as a block does: from inside the handler of the group."""
    try:
        raise group
    except BaseExceptionGroup as caught:
        unwrap_body_error(caught, body_error)


class TestUnwrap:
    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_sole_error_comes_out_itself(self, depth: int) -> None:
        error = KeyError("mine")
        group: BaseExceptionGroup[BaseException] = BaseExceptionGroup("nursery", [error])
        for _ in range(depth - 1):
            group = BaseExceptionGroup("outer nursery", [group])
        with pytest.raises(KeyError) as caught:
            leave(group, error)
        assert caught.value is error

    def test_a_group_of_the_body_comes_out_as_that_group(self) -> None:
        own = ExceptionGroup("the user's own nursery", [KeyError("mine")])
        with pytest.raises(ExceptionGroup) as caught:
            leave(BaseExceptionGroup("ours", [own]), own)
        assert caught.value is own

    def test_a_group_of_the_body_is_recognized_in_a_copy(self) -> None:
        """A cancelled nursery splits what it raises, and so makes new groups."""
        own = ExceptionGroup("the user's own nursery", [KeyError("mine"), ExceptionGroup("x", [ValueError("too")])])
        _, copied = BaseExceptionGroup("ours", [own]).split(trio.Cancelled)
        assert copied is not None
        assert copied.exceptions[0] is not own
        with pytest.raises(ExceptionGroup) as caught:
            leave(copied, own)
        assert caught.value is own

    def test_what_the_nursery_took_out_stays_out(self) -> None:
        own = BaseExceptionGroup("the user's own nursery", [KeyError("mine"), KeyboardInterrupt()])
        rest, _ = BaseExceptionGroup("ours", [own]).split(KeyError)
        assert rest is not None
        with pytest.raises(ExceptionGroup) as caught:
            leave(rest, own)
        assert caught.value is rest.exceptions[0]
        assert caught.value.message == "the user's own nursery"

    def test_a_group_beside_another_error_is_not_unwrapped(self) -> None:
        own = ExceptionGroup("the user's own nursery", [KeyError("mine")])
        group = BaseExceptionGroup("ours", [own, AssertionError("a bug of a service task")])
        with pytest.raises(BaseExceptionGroup) as caught:
            leave(group, own)
        assert caught.value is group

    def test_with_another_error_the_group_comes_out(self) -> None:
        error = KeyError("mine")
        group = BaseExceptionGroup("nursery", [error, AssertionError("a bug of a service task")])
        with pytest.raises(BaseExceptionGroup) as caught:
            leave(group, error)
        assert caught.value is group

    def test_an_error_of_another_task_is_not_taken_for_the_bodys(self) -> None:
        group = BaseExceptionGroup("nursery", [AssertionError("a bug of a service task")])
        for body_error in (None, KeyError("swallowed")):
            with pytest.raises(BaseExceptionGroup) as caught:
                leave(group, body_error)
            assert caught.value is group

    def test_context_cause_and_traceback_stay_the_bodys(self) -> None:
        def body() -> None:
            try:
                raise OSError("first")
            except OSError as exc:
                raise KeyError("second") from exc

        with pytest.raises(KeyError) as original:
            body()
        error = original.value
        with pytest.raises(KeyError) as caught:
            leave(BaseExceptionGroup("nursery", [error]), error)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__context__ is caught.value.__cause__
        assert "body" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]

    async def test_a_real_nursery_leaves_no_cycle_behind(self) -> None:
        class MineError(Exception):
            pass

        async def block() -> None:
            body_error: BaseException | None = None
            try:
                async with trio.open_nursery():
                    try:
                        raise MineError
                    except BaseException as exc:
                        body_error = exc
                        raise
            except BaseExceptionGroup as group:
                unwrap_body_error(group, body_error)
            finally:
                del body_error

        gc.collect()
        gc.disable()
        try:
            # Not pytest.raises: its ExceptionInfo would keep the error alive.
            left: list[weakref.ref[MineError]] = []
            context: BaseException | None = None
            try:
                await block()
            except MineError as exc:
                left.append(weakref.ref(exc))
                context = exc.__context__
            assert context is None
            await trio.lowlevel.checkpoint()
            assert [ref() for ref in left] == [None]
        finally:
            gc.enable()
