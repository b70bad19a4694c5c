"""WebSockets over HTTP/2 (RFC 8441, RFC 6455, RFC 7692), for clients and servers. Needs the extra ``websocket``.

* `open_websocket` opens one on a session, beside its other streams; `connect_websocket` makes the session, too.
* `WebSocketHandler` makes a server of a function that gets each `WebSocket`, over HTTP/1.1 as well; `accept_websocket`
  accepts a single one.
"""

from __future__ import annotations

try:
    import wsproto  # noqa: F401 - only to say what is missing
except ModuleNotFoundError as _error:  # pragma: no cover - the tests have it
    raise ModuleNotFoundError(
        "trio_h2.websocket needs wsproto: pip install 'trio-h2[websocket]'", name="wsproto"
    ) from _error

from .._public import publish as _publish
from ._client import ConnectWebSocket as ConnectWebSocket
from ._client import OpenWebSocket as OpenWebSocket
from ._client import connect_websocket as connect_websocket
from ._client import open_websocket as open_websocket
from ._config import Deflate as Deflate
from ._config import WebSocketConfig as WebSocketConfig
from ._errors import WebSocketBrokenError as WebSocketBrokenError
from ._errors import WebSocketClosedError as WebSocketClosedError
from ._errors import WebSocketClosedHereError as WebSocketClosedHereError
from ._errors import WebSocketError as WebSocketError
from ._errors import WebSocketHandshakeError as WebSocketHandshakeError
from ._errors import WebSocketRefusedError as WebSocketRefusedError
from ._handshake import OriginCheck as OriginCheck
from ._server import AcceptWebSocket as AcceptWebSocket
from ._server import WebSocketHandler as WebSocketHandler
from ._server import accept_websocket as accept_websocket
from ._server import is_websocket as is_websocket
from ._socket import WebSocket as WebSocket
from ._socket import WebSocketFunction as WebSocketFunction
from ._writer import MessageWriter as MessageWriter

_publish(globals())
