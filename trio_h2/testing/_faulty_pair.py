"""A pair of sessions over a transport that behaves badly."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from .._util import construct
from ._block import Block
from ._pair import session_pair

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from typing import Unpack

    import trio_h2

    from ._options import FaultyPairOptions

FaultT = TypeVar("FaultT", bound=trio.abc.Stream)


def faulty_session_pair(
    handler: trio_h2.Handler,
    fault: Callable[[trio.abc.HalfCloseableStream], FaultT],
    **options: Unpack[FaultyPairOptions],
) -> Block[tuple[trio_h2.ClientSession, trio_h2.ServerSession, FaultT]]:
    """Like `session_pair`, but the client's transport is faulty; ``async with`` gives both sessions and that transport.

    The sessions may still be opening when the block begins; after ``await client.ping()`` they are not.

    Example::

        async with faulty_session_pair(handler, CuttingStream) as (client, server, transport):
            async with client.request("GET", "/") as stream:
                await stream.receive_response()
                await transport.cut()
                with pytest.raises(trio_h2.TransportLostError):
                    await stream.receive_some()

    Args:
        handler: The server's handler.
        fault: Makes the transport of the end of a memory transport: `StallableStream`, `CuttingStream`,
            `BlackHoleStream`, `TrickleStream`, or a function that gives one of them its arguments, such as
            ``lambda below: ChaosStream(below, seed)``.
        **options: Those of `session_pair` without ``wrap_client``.
    """
    made: list[FaultT] = []

    def wrap(below: trio.abc.HalfCloseableStream) -> FaultT:
        made.append(fault(below))
        return made[0]

    pair = session_pair(handler, wrap_client=wrap, **options)

    @asynccontextmanager
    async def block() -> AsyncGenerator[tuple[trio_h2.ClientSession, trio_h2.ServerSession, FaultT], None]:
        async with pair as (client, server):
            yield client, server, made[0]

    return construct(Block, block())
