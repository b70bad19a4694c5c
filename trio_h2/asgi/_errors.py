"""What can go wrong between an application and its server."""

from __future__ import annotations

import trio_h2


class ClientDisconnectedError(OSError):
    """``send`` was called, but the client has left.

    The ASGI specification (HTTP and WebSocket, 2.4) wants an `OSError` of the server's own. What to do: nothing, or
    tidy up; it may escape from the application, and is no error of it.
    """


class LifespanError(trio_h2.H2Error):
    """The application could not start, or could not shut down in good order.

    What to do: the message has what the application said, and ``__cause__`` what it raised.
    """


class AsyncioNeededError(RuntimeError):
    """The application, or a library that it uses, needs asyncio, which does not run here.

    What to do: use what runs on Trio, or on both through AnyIO; or serve the application with a server that runs on
    asyncio. ``__cause__`` shows where it was noticed.
    """


_SIGNS = (
    "no running event loop",  # asyncio.get_running_loop, and what calls it
    "no current event loop",  # asyncio.get_event_loop
    "unrecognized yield message",  # Trio, of a coroutine that waits for a future of asyncio
)


def explained(error: Exception) -> Exception:
    """Returns an `AsyncioNeededError` if that is what *error* is about, else *error*."""
    found = _asyncio_error(error)
    if found is None:
        return error
    told = AsyncioNeededError(
        "this application needs asyncio, but runs on Trio, where there is no event loop of asyncio "
        f"({type(found).__name__}: {str(found).partition('. ')[0][:100]}). Use libraries that run on Trio or, through "
        "AnyIO, on both: anyio in place of asyncio, httpx, Quart-Trio in place of Quart; or serve it on asyncio, with "
        "hypercorn or uvicorn"
    )
    told.__cause__ = error
    return told


def _asyncio_error(error: BaseException | None) -> BaseException | None:
    """Returns the error that only code for asyncio makes, in *error* or what has caused it."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for member in error.exceptions if (found := _asyncio_error(member)) is not None), None)
    while error is not None:
        if isinstance(error, RuntimeError | TypeError) and any(sign in str(error) for sign in _SIGNS):
            return error
        error = error.__cause__
    return None


def only_of_leaving(error: BaseException) -> bool:
    """Whether an error out of an application says only that its client has left.

    Frameworks make errors of their own of it: those that have come of a `ClientDisconnectedError` count.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(only_of_leaving(member) for member in error.exceptions)
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientDisconnectedError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
