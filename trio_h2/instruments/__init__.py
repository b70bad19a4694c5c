"""What looks at sessions: give some of these, or your own, to ``instruments`` of a configuration.

`LogInstrument` writes to `logging`, `FrameDump` prints frames as nghttp does, `QlogTrace` writes a trace, which
``trio-h2 view`` shows. `trio_h2.instruments.prometheus` counts for Prometheus, and
`trio_h2.instruments.opentelemetry` makes spans and metrics; they need the extras of the same names.

Your own are made from `trio_h2.Instrument`; the other classes here are what it is told.
"""

from __future__ import annotations

from .._public import publish as _publish
from .._trace._instrument import Instrument as Instrument
from .._trace._outgoing import OutgoingRequest as OutgoingRequest
from .._trace._seen import Dependency as Dependency
from .._trace._seen import Frame as Frame
from .._trace._seen import Limit as Limit
from .._trace._seen import Message as Message
from .._trace._seen import MessagePart as MessagePart
from .._trace._seen import PingAnswer as PingAnswer
from .._trace._seen import SessionEnd as SessionEnd
from .._trace._seen import SessionInfo as SessionInfo
from .._trace._seen import Side as Side
from .._trace._seen import Stall as Stall
from .._trace._seen import StreamEnd as StreamEnd
from .._trace._seen import StreamInfo as StreamInfo
from .._trace._seen import TlsInfo as TlsInfo
from .._trace._seen import Window as Window
from .._trace._seen import WindowCause as WindowCause
from ._dump import FrameDump as FrameDump
from ._log import LogInstrument as LogInstrument
from ._qlog import QlogTrace as QlogTrace
from ._redaction import SECRET_FIELDS as SECRET_FIELDS

_publish(globals())
