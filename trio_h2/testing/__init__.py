"""Tools for testing programs, and protocols, over HTTP/2.

* `ScriptedPeer` plays the other side of a connection, frame by frame, right or wrong.
* `ReferenceClient` and `ReferenceServer` are h2: another implementation to test a handler or a client with.
* `memory_transports` connects two sides in memory, with backpressure; `session_pair` two whole sessions.
* `TrickleStream`, `ChaosStream`, `StallableStream`, `CuttingStream` and `BlackHoleStream` make a
  transport behave badly.
* `sweep_cancellation` and `CancellationSweep` cancel a scenario at every moment it can be cancelled.
* `ThrowawayAuthority` makes certificates for TLS.

They need no real time: with the autojump clock of Trio or pytest-trio, timeouts of minutes pass at once.
"""

from __future__ import annotations

from .._public import publish as _publish
from ._certs import ThrowawayAuthority as ThrowawayAuthority
from ._faults import ChaosStream as ChaosStream
from ._faults import FaultyStream as FaultyStream
from ._faults import TrickleStream as TrickleStream
from ._field_blocks import FieldsInput as FieldsInput
from ._field_blocks import SettingsInput as SettingsInput
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
from ._memory import MemoryTransport as MemoryTransport
from ._memory import memory_transports as memory_transports
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
from ._sweep import CancellationSweep as CancellationSweep
from ._sweep import SweepRun as SweepRun
from ._sweep import sweep_cancellation as sweep_cancellation

_publish(globals())
