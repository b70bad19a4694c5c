"""Names and numbers of HTTP/2, for those who would rather not spell them.

Header names are plain `str` as they are on the wire. For methods and statuses there are `http.HTTPMethod` and
`http.HTTPStatus`, whose members are taken wherever a method or a status is. Error codes are members of `ErrorCode`; one
that is unknown stays an `int`.
"""

from __future__ import annotations

from typing import Final

from . import ErrorCode as ErrorCode
from . import PaddingStrategy as PaddingStrategy
from . import Role as Role
from . import SettingCode as SettingCode
from ._public import publish as _publish

# -- pseudo-headers (RFC 9113 §8.3, RFC 8441 §4) -----------------------------------------------------------------------

HEADER_STATUS: Final = ":status"
HEADER_METHOD: Final = ":method"
HEADER_AUTHORITY: Final = ":authority"
HEADER_SCHEME: Final = ":scheme"
HEADER_PATH: Final = ":path"
HEADER_PROTOCOL: Final = ":protocol"

# -- header fields -----------------------------------------------------------------------------------------------------

HEADER_ACCEPT: Final = "accept"
HEADER_ACCEPT_CHARSET: Final = "accept-charset"
HEADER_ACCEPT_ENCODING: Final = "accept-encoding"
HEADER_ACCEPT_LANGUAGE: Final = "accept-language"
HEADER_ACCEPT_RANGES: Final = "accept-ranges"
HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS: Final = "access-control-allow-credentials"
HEADER_ACCESS_CONTROL_ALLOW_HEADERS: Final = "access-control-allow-headers"
HEADER_ACCESS_CONTROL_ALLOW_METHODS: Final = "access-control-allow-methods"
HEADER_ACCESS_CONTROL_ALLOW_ORIGIN: Final = "access-control-allow-origin"
HEADER_ACCESS_CONTROL_EXPOSE_HEADERS: Final = "access-control-expose-headers"
HEADER_ACCESS_CONTROL_MAX_AGE: Final = "access-control-max-age"
HEADER_ACCESS_CONTROL_REQUEST_HEADERS: Final = "access-control-request-headers"
HEADER_ACCESS_CONTROL_REQUEST_METHOD: Final = "access-control-request-method"
HEADER_AGE: Final = "age"
HEADER_ALLOW: Final = "allow"
HEADER_ALT_SVC: Final = "alt-svc"
HEADER_AUTHORIZATION: Final = "authorization"
HEADER_CACHE_CONTROL: Final = "cache-control"
HEADER_CONNECTION: Final = "connection"
HEADER_CONTENT_DISPOSITION: Final = "content-disposition"
HEADER_CONTENT_ENCODING: Final = "content-encoding"
HEADER_CONTENT_LANGUAGE: Final = "content-language"
HEADER_CONTENT_LENGTH: Final = "content-length"
HEADER_CONTENT_LOCATION: Final = "content-location"
HEADER_CONTENT_MD5: Final = "content-md5"
HEADER_CONTENT_RANGE: Final = "content-range"
HEADER_CONTENT_SECURITY_POLICY: Final = "content-security-policy"
HEADER_CONTENT_TYPE: Final = "content-type"
HEADER_COOKIE: Final = "cookie"
HEADER_DATE: Final = "date"
HEADER_DNT: Final = "dnt"
HEADER_EARLY_DATA: Final = "early-data"
HEADER_ETAG: Final = "etag"
HEADER_EXPECT: Final = "expect"
HEADER_EXPECT_CT: Final = "expect-ct"
HEADER_EXPIRES: Final = "expires"
HEADER_FORWARDED: Final = "forwarded"
HEADER_FROM: Final = "from"
HEADER_HOST: Final = "host"
HEADER_HTTP2_SETTINGS: Final = "http2-settings"
HEADER_IF_MATCH: Final = "if-match"
HEADER_IF_MODIFIED_SINCE: Final = "if-modified-since"
HEADER_IF_NONE_MATCH: Final = "if-none-match"
HEADER_IF_RANGE: Final = "if-range"
HEADER_IF_UNMODIFIED_SINCE: Final = "if-unmodified-since"
HEADER_KEEP_ALIVE: Final = "keep-alive"
HEADER_LAST_MODIFIED: Final = "last-modified"
HEADER_LINK: Final = "link"
HEADER_LOCATION: Final = "location"
HEADER_MAX_FORWARDS: Final = "max-forwards"
HEADER_ORIGIN: Final = "origin"
HEADER_PREFER: Final = "prefer"
HEADER_PRIORITY: Final = "priority"
HEADER_PROXY_AUTHENTICATE: Final = "proxy-authenticate"
HEADER_PROXY_AUTHORIZATION: Final = "proxy-authorization"
HEADER_PROXY_CONNECTION: Final = "proxy-connection"
HEADER_PURPOSE: Final = "purpose"
HEADER_RANGE: Final = "range"
HEADER_REFERER: Final = "referer"
HEADER_REFRESH: Final = "refresh"
HEADER_RETRY_AFTER: Final = "retry-after"
HEADER_SERVER: Final = "server"
HEADER_SET_COOKIE: Final = "set-cookie"
HEADER_STRICT_TRANSPORT_SECURITY: Final = "strict-transport-security"
HEADER_TE: Final = "te"
HEADER_TIMING_ALLOW_ORIGIN: Final = "timing-allow-origin"
HEADER_TK: Final = "tk"
HEADER_TRAILER: Final = "trailer"
HEADER_TRANSFER_ENCODING: Final = "transfer-encoding"
HEADER_UPGRADE: Final = "upgrade"
HEADER_UPGRADE_INSECURE_REQUESTS: Final = "upgrade-insecure-requests"
HEADER_USER_AGENT: Final = "user-agent"
HEADER_VARY: Final = "vary"
HEADER_VIA: Final = "via"
HEADER_WARNING: Final = "warning"
HEADER_WWW_AUTHENTICATE: Final = "www-authenticate"
HEADER_X_CONTENT_TYPE_OPTIONS: Final = "x-content-type-options"
HEADER_X_FORWARDED_FOR: Final = "x-forwarded-for"
HEADER_X_FRAME_OPTIONS: Final = "x-frame-options"
HEADER_X_XSS_PROTECTION: Final = "x-xss-protection"

# -- flags of frames (RFC 9113 §6), as in `Stream.flags` and `Headers.flags` -------------------------------------------

FLAG_NONE: Final = 0x0
FLAG_ACK: Final = 0x1
FLAG_END_STREAM: Final = 0x1
FLAG_END_HEADERS: Final = 0x4
FLAG_PADDED: Final = 0x8
FLAG_PRIORITY: Final = 0x20

# -- settings: what holds before anyone says anything (RFC 9113 §6.5.2, `Settings.defaults`), and their bounds ---------

DEFAULT_SETTINGS_HEADER_TABLE_SIZE: Final = 4096
DEFAULT_SETTINGS_ENABLE_PUSH: Final = True
DEFAULT_SETTINGS_MAX_CONCURRENT_STREAMS: Final = 2**32 - 1
DEFAULT_SETTINGS_INITIAL_WINDOW_SIZE: Final = 65_535
DEFAULT_SETTINGS_MAX_FRAME_SIZE: Final = 16_384
DEFAULT_SETTINGS_MAX_HEADER_LIST_SIZE: Final = 65_535
DEFAULT_SETTINGS_ENABLE_CONNECT_PROTOCOL: Final = False
MIN_MAX_FRAME_SIZE: Final = 16_384
MAX_MAX_FRAME_SIZE: Final = 2**24 - 1
MAX_INITIAL_WINDOW_SIZE: Final = 2**31 - 1

# -- priorities of RFC 7540 --------------------------------------------------------------------------------------------

DEFAULT_WEIGHT: Final = 16

_publish(globals())
