"""A proxy that a client goes through, as an application names it."""

from __future__ import annotations

import base64
import re
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from .. import Headers
from .._address import DEFAULT_PORTS, Origin, parse_url
from .._checks import check_bool
from .._url import shown_url, url_text
from .._util import host_and_port

if TYPE_CHECKING:
    from .. import HeadersInput
    from .._url import Url

_AUTHORITY: Final = re.compile(r"(?:([^/?#]*)@)?[^/?#@]*/?")


class Proxy:
    """A proxy for `Client`: where it is, how to speak to it, and who we are to it.

    For ``https`` targets, and for HTTP/2 in clear text, the client asks it for a tunnel (CONNECT) and speaks TLS with
    the target inside of that. Tunnels through a proxy that speaks HTTP/2 share one session with it. Requests to
    ``http`` targets go to a proxy that speaks HTTP/1.1 as they are, with the whole URL (RFC 9112 §3.2.2).

    Args:
        url: ``"http://host:port"``, or ``"https://host:port"`` for TLS with the proxy itself; with ``user:password@``
            for basic authentication, percent-encoded where they have special characters. Only the proxy gets to see
            them, and no message or `repr` has them.
        ssl_context: for TLS with the proxy; by default one that verifies against the system's CAs.
        headers: further fields for the proxy: of each CONNECT, and of requests that it forwards.
        http2: whether it is spoken to in HTTP/2. By default an ``https`` proxy chooses, by ALPN, and an ``http`` one
            gets HTTP/1.1. ``True`` for an ``http`` proxy means HTTP/2 in clear text.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        url: Url,
        *,
        ssl_context: ssl.SSLContext | None = None,
        headers: HeadersInput | None = None,
        http2: bool | None = None,
    ) -> None:
        text = url_text(url)
        scheme, colon, rest = text.partition("://")
        if not colon:
            raise ValueError(f"bad proxy {shown_url(text)}: it must begin with 'http://' or 'https://'")
        self.origin: Origin = parse_url(text)
        """Scheme, host and port."""
        match = _AUTHORITY.fullmatch(rest)
        if match is None:
            raise ValueError(f"bad proxy {shown_url(text)}: it must look like '{scheme}://user:password@host:port'")
        user_info: str | None = match[1]
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise TypeError(f"ssl_context must be an ssl.SSLContext, not {ssl_context!r}")
        if ssl_context is not None and self.origin.scheme == "http":
            raise ValueError("an http:// proxy takes no ssl_context; did you mean https://?")
        if http2 is not None:
            check_bool("http2", http2)
        self.ssl_context: ssl.SSLContext | None = ssl_context
        """For TLS with the proxy, if one was given."""
        self.http2: bool | None = http2
        """Whether it is spoken to in HTTP/2; ``None`` for what the proxy chooses."""
        given = Headers({} if headers is None else headers)
        if "host" in given or any(name.startswith(b":") for name, _ in given.raw):
            raise ValueError("'host' and pseudo-header fields cannot be among the headers of a proxy")
        if user_info is not None:
            if "proxy-authorization" in given:
                raise ValueError("user and password of a proxy and its header 'proxy-authorization' exclude each other")
            fields = [*given.raw, (b"proxy-authorization", _basic(user_info))]
            given = Headers(fields, sensitive=[*given.sensitive, "proxy-authorization"])
        self.headers: Headers = given
        """What each request for the proxy has, credentials included."""

    @property
    def url(self) -> str:
        """Its URL, without user and password."""
        origin = self.origin
        return f"{origin.scheme}://{host_and_port(origin.host, origin.port)}"

    def __repr__(self) -> str:
        return f"<trio_h2.Proxy {self.url}>"


def _basic(user_info: str) -> bytes:
    """Returns the value of ``proxy-authorization`` (RFC 7617)."""
    user, _, password = user_info.partition(":")
    user = unquote(user)
    if ":" in user:  # RFC 7617 §2: "a user-id containing a colon character is invalid"
        raise ValueError("the user name for a proxy cannot have a colon in it")
    return b"Basic " + base64.b64encode(f"{user}:{unquote(password)}".encode())


def authority_of(origin: Origin) -> str:
    """Returns host and port, as a CONNECT names them: RFC 9110 §9.3.6, "there is no default port"."""
    return origin.authority if origin.port != DEFAULT_PORTS[origin.scheme] else f"{origin.authority}:{origin.port}"
