"""HTTP/2 for Trio: clients, servers and test servers, in structured concurrency.

General layout: `_wire` knows the protocol and nothing of Trio; `_stream` and `_session` make Trio streams and tasks of
it; `_net` connects and listens. Only the names below are public.
"""

from __future__ import annotations

from ._content import JSONValue as JSONValue
from ._errors import AnySession as AnySession
from ._errors import AnyStream as AnyStream
from ._errors import BodyDecodeError as BodyDecodeError
from ._errors import BodyError as BodyError
from ._errors import BodyTooLargeError as BodyTooLargeError
from ._errors import ExtendedConnectError as ExtendedConnectError
from ._errors import GoAwayError as GoAwayError
from ._errors import H2Error as H2Error
from ._errors import HandshakeError as HandshakeError
from ._errors import HeadersTooLargeError as HeadersTooLargeError
from ._errors import KeepaliveTimeoutError as KeepaliveTimeoutError
from ._errors import LocalProtocolError as LocalProtocolError
from ._errors import RemoteProtocolError as RemoteProtocolError
from ._errors import SessionError as SessionError
from ._errors import SettingsTimeoutError as SettingsTimeoutError
from ._errors import StreamError as StreamError
from ._errors import StreamRefusedError as StreamRefusedError
from ._errors import StreamResetError as StreamResetError
from ._errors import TransportLostError as TransportLostError
from ._errors import UnknownProtocolError as UnknownProtocolError
from ._http1._connection import Http1Connection as Http1Connection
from ._http1._exchange import Http1Exchange as Http1Exchange
from ._net._connect import Connect as Connect
from ._net._connect import connect as connect
from ._net._contexts import client_ssl_context as client_ssl_context
from ._net._contexts import server_ssl_context as server_ssl_context
from ._net._open_server import OpenServer as OpenServer
from ._net._open_server import open_server as open_server
from ._net._options import ErrorHook as ErrorHook
from ._net._options import UnknownProtocolHook as UnknownProtocolHook
from ._net._serve import serve_listeners as serve_listeners
from ._net._serve import serve_ssl_over_tcp as serve_ssl_over_tcp
from ._net._serve import serve_stream as serve_stream
from ._net._serve import serve_tcp as serve_tcp
from ._net._serve import serve_unix as serve_unix
from ._net._server import IdleHook as IdleHook
from ._net._server import Server as Server
from ._net._transport import Transport as Transport
from ._net._transport import open_transport as open_transport
from ._public import publish as _publish
from ._session._base import Session as Session
from ._session._client import ClientSession as ClientSession
from ._session._events import FrameError as FrameError
from ._session._events import GoAwayReceived as GoAwayReceived
from ._session._events import LocalSettingsAcknowledged as LocalSettingsAcknowledged
from ._session._events import PingReceived as PingReceived
from ._session._events import RemoteSettingsReceived as RemoteSettingsReceived
from ._session._events import SessionClosed as SessionClosed
from ._session._events import SessionHappening as SessionHappening
from ._session._events import SessionIdle as SessionIdle
from ._session._events import Subscription as Subscription
from ._session._extensions import AltSvcReceived as AltSvcReceived
from ._session._extensions import HasOrigin as HasOrigin
from ._session._extensions import OriginLike as OriginLike
from ._session._extensions import OriginReceived as OriginReceived
from ._session._pings import PingResult as PingResult
from ._session._request import ClientRequest as ClientRequest
from ._session._server import ServerSession as ServerSession
from ._session._server import SessionHook as SessionHook
from ._session._state import SessionState as SessionState
from ._session._statistics import SessionStatistics as SessionStatistics
from ._stream._base import Stream as Stream
from ._stream._client import ClientStream as ClientStream
from ._stream._exchange import ServerExchange as ServerExchange
from ._stream._forwarded import ForwardedClient as ForwardedClient
from ._stream._port import StreamSession as StreamSession
from ._stream._proxied import Address as Address
from ._stream._pushed import PushedStream as PushedStream
from ._stream._pushed import PushHandler as PushHandler
from ._stream._refused_request import RefusedRequest as RefusedRequest
from ._stream._server import Handler as Handler
from ._stream._server import ServerStream as ServerStream
from ._stream._state import StreamState as StreamState
from ._stream._transport import TransportView as TransportView
from ._trace._instrument import Instrument as Instrument
from ._url import HasScheme as HasScheme
from ._url import Url as Url
from ._version import __version__ as __version__
from ._wire._codes import ErrorCode as ErrorCode
from ._wire._codes import Initiator as Initiator
from ._wire._codes import Role as Role
from ._wire._codes import SettingCode as SettingCode
from ._wire._codes import code_name as code_name
from ._wire._codes import error_code as error_code
from ._wire._config import ClientConfig as ClientConfig
from ._wire._config import ServerConfig as ServerConfig
from ._wire._config import SessionConfig as SessionConfig
from ._wire._flow import Ledger as Ledger
from ._wire._headers import Headers as Headers
from ._wire._headers import HeadersInput as HeadersInput
from ._wire._padding import PaddingStrategy as PaddingStrategy
from ._wire._schedule import Priority as Priority
from ._wire._settings import Settings as Settings

# The client stands on the names above.
# isort: split
from ._client import Client as Client
from ._client import ClientStatistics as ClientStatistics
from ._client import CookieJarLike as CookieJarLike
from ._client import CookieLike as CookieLike
from ._client import DownloadError as DownloadError
from ._client import EventIterator as EventIterator
from ._client import FileContent as FileContent
from ._client import FilePart as FilePart
from ._client import Files as Files
from ._client import LineIterator as LineIterator
from ._client import Params as Params
from ._client import Proxy as Proxy
from ._client import ProxyError as ProxyError
from ._client import RequestBlock as RequestBlock
from ._client import RequestBody as RequestBody
from ._client import RequestOptions as RequestOptions
from ._client import RequestTimeoutError as RequestTimeoutError
from ._client import Response as Response
from ._client import Retry as Retry
from ._client import ServerSentEvent as ServerSentEvent
from ._client import StatusError as StatusError
from ._client import Timeouts as Timeouts
from ._client import TooManyRedirectsError as TooManyRedirectsError

_publish(globals())
