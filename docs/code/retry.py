"""One request that is sent again where that is safe."""

import trio

import trio_h2

IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"}


def may_be_sent_again(error: Exception, method: str) -> bool:
    """Whether a request that has failed may be sent a second time."""
    if isinstance(error, OSError):
        return True  # only connect() raises it: nothing was sent
    if isinstance(error, (trio_h2.StreamError, trio_h2.SessionError)):
        return error.retryable or method in IDEMPOTENT  # retryable: the server has not begun it
    return False


async def order(url: str, body: bytes) -> bytes:
    """Sends a POST, which must never be processed twice."""
    for delay in (0.1, 1, 5, None):
        try:
            async with trio_h2.connect(url) as session, session.request("POST", "/orders", body=body) as stream:
                response = await stream.receive_response()
                if response.status != 201:
                    raise ValueError(f"status {response.status}")
                return await stream.read()
        except (OSError, trio_h2.StreamError, trio_h2.SessionError) as error:
            if delay is None or not may_be_sent_again(error, "POST"):
                raise
        await trio.sleep(delay)
    raise AssertionError("unreachable")
