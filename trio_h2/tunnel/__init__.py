"""Tunnels through HTTP/2: CONNECT as a byte stream, for clients and for proxies (RFC 9113 §8.5, RFC 9110 §9.3.6).

* `open_tunnel` asks a proxy for a tunnel; the stream that comes of it goes wherever a Trio stream goes, into
  `trio.SSLStream` for instance. `through` makes a transport for `trio_h2.connect` of it.
* `ConnectProxy` is a handler that joins tunnels to TCP connections, for those targets that an `AllowList` names.
* `join` carries bytes between any two streams.
"""

from __future__ import annotations

from .._public import publish as _publish
from ._auth import CredentialCheck as CredentialCheck
from ._client import Tunnel as Tunnel
from ._client import TunnelRefusedError as TunnelRefusedError
from ._client import open_tunnel as open_tunnel
from ._client import through as through
from ._join import HalfCloseable as HalfCloseable
from ._join import Traffic as Traffic
from ._join import join as join
from ._proxy import ConnectProxy as ConnectProxy
from ._proxy import ProxyStatistics as ProxyStatistics
from ._rules import AllowList as AllowList
from ._target import IPAddress as IPAddress
from ._target import Target as Target

_publish(globals())
