"""Noticing early that a server is gone."""

import trio

import trio_h2

# -- configuration
CONFIG = trio_h2.ClientConfig(
    ping_interval=20,  # seconds of silence, while requests are open
    ping_timeout=10,
)


# -- a question
async def is_there(session: trio_h2.ClientSession) -> bool:
    try:
        with trio.fail_after(5):
            await session.ping()
    except (trio_h2.SessionError, trio.ClosedResourceError, trio.TooSlowError):
        return False
    return not session.closed
