"""Tools for testing programs, and protocols, over HTTP/2.

Blocks, for ``async with``, each of which is also a fixture of pytest with the same name, see below:

* `session_pair` connects a client session to a handler in memory; `faulty_session_pair` over a transport that behaves
  badly: `TrickleStream`, `ChaosStream`, `StallableStream`, `CuttingStream` or `BlackHoleStream`.
* `plain_server` and `tls_server` are servers on this machine, for clients in Python and others; with throw-away
  certificates (`ThrowawayAuthority`), also for clients.
* `scripted_client` and `scripted_server` are the other side of a connection, played by the test frame by frame, right
  or wrong (`ScriptedPeer`).
* `reference_client` and `reference_server` are the other side as h2, another implementation, plays it
  (`ReferenceClient`, `ReferenceServer`).

And what they are made of, and more:

* `memory_transports` connects two sides in memory, with backpressure.
* `sweep_cancellation` and `CancellationSweep` cancel a scenario at every moment it can be cancelled.

What a handler raises in one of these blocks fails the test, where a server in production only logs it. All but the two
servers need no real time: with the autojump clock of Trio or pytest-trio, timeouts of minutes pass at once.

The fixtures come with the extra ``testing``, and work in tests that pytest-trio runs, with or without ``trio_mode``.
Each gives an async function that takes the arguments of the block, starts it, and returns what it gives; with the test
the blocks end, the last one first::

    async def test_hello(tls_server) -> None:
        server = await tls_server(hello)
        async with server.connect() as session: ...

Two more: `client_certificate`, a function that takes a name and returns a `ClientCertificate`; and `tls_authority`, the
`ThrowawayAuthority` of all tests of a run, whose certificates `tls_server` and `client_certificate` use. For type
checkers, `TlsServerFixture` and the like are the types of what the fixtures give.
"""

from __future__ import annotations

from .._public import publish as _publish
from ._block import Block as Block
from ._certs import ThrowawayAuthority as ThrowawayAuthority
from ._client_certificate import ClientCertificate as ClientCertificate
from ._faults import ChaosStream as ChaosStream
from ._faults import FaultyStream as FaultyStream
from ._faults import TrickleStream as TrickleStream
from ._faulty_pair import faulty_session_pair as faulty_session_pair
from ._field_blocks import FieldsInput as FieldsInput
from ._field_blocks import SettingsInput as SettingsInput
from ._fixtures import ClientCertificateFixture as ClientCertificateFixture
from ._fixtures import FaultySessionPairFixture as FaultySessionPairFixture
from ._fixtures import PlainServerFixture as PlainServerFixture
from ._fixtures import ReferenceClientFixture as ReferenceClientFixture
from ._fixtures import ReferenceServerFixture as ReferenceServerFixture
from ._fixtures import ScriptedClientFixture as ScriptedClientFixture
from ._fixtures import ScriptedServerFixture as ScriptedServerFixture
from ._fixtures import SessionPairFixture as SessionPairFixture
from ._fixtures import TlsServerFixture as TlsServerFixture
from ._frames import CLIENT_PREFACE as CLIENT_PREFACE
from ._frames import ContinuationFrame as ContinuationFrame
from ._frames import DataFrame as DataFrame
from ._frames import Frame as Frame
from ._frames import FrameFlag as FrameFlag
from ._frames import FrameType as FrameType
from ._frames import GoAwayFrame as GoAwayFrame
from ._frames import HeadersFrame as HeadersFrame
from ._frames import PingFrame as PingFrame
from ._frames import Priority as Priority
from ._frames import PriorityFrame as PriorityFrame
from ._frames import PushPromiseFrame as PushPromiseFrame
from ._frames import RstStreamFrame as RstStreamFrame
from ._frames import SettingsFrame as SettingsFrame
from ._frames import UnknownFrame as UnknownFrame
from ._frames import WindowUpdateFrame as WindowUpdateFrame
from ._frames import pack_frame as pack_frame
from ._local_server import LocalServer as LocalServer
from ._local_tls_server import LocalTlsServer as LocalTlsServer
from ._memory import MemoryTransport as MemoryTransport
from ._memory import memory_transports as memory_transports
from ._options import ClientSideOptions as ClientSideOptions
from ._options import FaultyPairOptions as FaultyPairOptions
from ._options import ServerOptions as ServerOptions
from ._options import ServerSideOptions as ServerSideOptions
from ._options import SessionPairOptions as SessionPairOptions
from ._outages import BlackHoleStream as BlackHoleStream
from ._outages import CuttingStream as CuttingStream
from ._outages import StallableStream as StallableStream
from ._pair import SessionPair as SessionPair
from ._pair import Sessions as Sessions
from ._pair import Wrapper as Wrapper
from ._pair import session_pair as session_pair
from ._peer import ScriptedPeer as ScriptedPeer
from ._receiver import PeerClosedError as PeerClosedError
from ._reference._client import ReferenceClient as ReferenceClient
from ._reference._client_stream import ReferenceClientStream as ReferenceClientStream
from ._reference._exchange import ReferenceExchange as ReferenceExchange
from ._reference._peer import ReferencePeer as ReferencePeer
from ._reference._server import ReferenceHandler as ReferenceHandler
from ._reference._server import ReferenceServer as ReferenceServer
from ._reference._server_stream import ReferenceServerStream as ReferenceServerStream
from ._reference._stream import ReferenceStream as ReferenceStream
from ._references import reference_client as reference_client
from ._references import reference_server as reference_server
from ._scripted import scripted_client as scripted_client
from ._scripted import scripted_server as scripted_server
from ._servers import plain_server as plain_server
from ._servers import tls_server as tls_server
from ._sweep import CancellationSweep as CancellationSweep
from ._sweep import SweepRun as SweepRun
from ._sweep import sweep_cancellation as sweep_cancellation

_publish(globals())
