"""A client one hands URLs to: `Client`. It keeps sessions, sends again what is safe, and knows HTTP/1.1 as well."""

from __future__ import annotations

from .._public import publish as _publish
from ._client import Client as Client
from ._client_exchange import ClientExchange as ClientExchange
from ._cookie_jar import CookieJarLike as CookieJarLike
from ._cookie_jar import CookieLike as CookieLike
from ._errors import DownloadError as DownloadError
from ._errors import ProxyError as ProxyError
from ._errors import RequestTimeoutError as RequestTimeoutError
from ._errors import StatusError as StatusError
from ._errors import TooManyRedirectsError as TooManyRedirectsError
from ._exchange_block import ExchangeBlock as ExchangeBlock
from ._lines import LineIterator as LineIterator
from ._options import RequestOptions as RequestOptions
from ._outgoing import FileContent as FileContent
from ._outgoing import FilePart as FilePart
from ._outgoing import Files as Files
from ._outgoing import Params as Params
from ._outgoing import RequestBody as RequestBody
from ._proxy import Proxy as Proxy
from ._relay import relay as relay
from ._request_block import RequestBlock as RequestBlock
from ._response import Response as Response
from ._retry import Retry as Retry
from ._server_sent import EventIterator as EventIterator
from ._server_sent import ServerSentEvent as ServerSentEvent
from ._statistics import ClientStatistics as ClientStatistics
from ._timeouts import Timeouts as Timeouts
from ._upstream import Upstream as Upstream

_publish(globals(), into="trio_h2")
