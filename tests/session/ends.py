"""A session of ours, of either role, with a scripted peer."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest

import trio_h2
from tests.session.scripted import as_it_is, connected, hello, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.session.scripted import Wrapper
    from trio_h2.testing import ScriptedPeer

    Ends: TypeAlias = AsyncIterator[tuple[trio_h2.Session, ScriptedPeer]]

both_roles = pytest.mark.parametrize("role", list(trio_h2.Role))


@asynccontextmanager
async def session_of(
    role: trio_h2.Role,
    *,
    settings: Mapping[int, int] | None = None,
    handshake: bool = True,
    wrap: Wrapper = as_it_is,
    **config: object,
) -> Ends:
    """A session with the role *role*; the peer of a server closes its end when the block ends."""
    if role is trio_h2.Role.CLIENT:
        client = trio_h2.ClientConfig().evolve(**config)
        async with connected(settings=settings, handshake=handshake, wrap=wrap, config=client) as (session, peer):
            yield session, peer
    else:
        server = trio_h2.ServerConfig().evolve(**config)
        async with served(hello, settings=settings, handshake=handshake, wrap=wrap, config=server) as (peer, ours):
            yield ours, peer
            await peer.aclose()
