"""How a client that leaves is noticed while nobody reads what it has sent."""

from __future__ import annotations

import select

import trio

from .._stream._proxied import socket_below


async def departure(transport: trio.abc.Stream, *, ends: bool) -> bool:
    """Waits until the client has left, which its socket tells without being read; returns whether by a reset.

    It takes epoll to ask a socket that: on systems without it, and on transports without a socket, this waits for
    ever, and the departure is noticed when somebody reads again. So it is where no descriptor is left for epoll.

    Args:
        transport: the stream.
        ends: whether a client leaves by ending its side, too.
    """
    below = socket_below(transport)
    if below is None or not hasattr(select, "epoll"):
        await trio.sleep_forever()
    if below.socket.fileno() < 0:
        return True  # this side has closed it
    try:
        poll = select.epoll()
    except OSError:
        await trio.sleep_forever()
    with poll:
        poll.register(below.socket.fileno(), select.EPOLLRDHUP if ends else 0)  # ERR and HUP are always reported
        await trio.lowlevel.wait_readable(poll.fileno())
        reset = any(mask & select.EPOLLERR for _, mask in poll.poll(0))
    if not (reset or ends):
        await trio.sleep_forever()  # both sides have ended: there is no connection left that could be reset
    return reset
