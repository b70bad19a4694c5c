"""Where a gateway passes requests on to, and what it tells that server of the client."""

from __future__ import annotations

import ipaddress
import re
import secrets
from typing import TYPE_CHECKING, Final

import trio

from .. import Headers
from .._checks import check_bool, check_hook, check_timeout
from .._url import url_text
from ._client import Client
from ._known_headers import KnownHeaders
from ._outgoing import where
from ._timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from .. import Address, HeadersInput, ServerStream
    from .._url import Url
    from ._exchange_block import ExchangeBlock

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_QUOTED: Final = re.compile(r"[\t \x21-\x7e]*").fullmatch
_OURS: Final = (
    *(":method", ":path", ":scheme", ":protocol", "proxy-authorization"),
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip"),
)
"""What is not passed on: of the client's word on who it is, only what `ServerConfig.trusted_proxies` believes."""
_DEFAULT_VIA: Final = f"trio-h2-{secrets.token_hex(4)}"


class Upstream:
    """A server that requests are passed on to by `relay`.

    Example::

        application = trio_h2.Upstream(client, "http://localhost:3000")


        async def gateway(stream: trio_h2.ServerStream) -> None:
            await trio_h2.relay(stream, application)

    Args:
        client: makes the requests: its connections, time-outs and retries count, but not its headers, cookies and
            redirects, which are the business of whoever asks.
        url: of the server; a path is put before that of each request.
        keep_host: whether the server is told the host that the client asked for; if not, that of *url*.
        forwarded: whether a ``forwarded`` field (RFC 7239) tells the client's address, scheme and host. What the
            client itself says of that is never passed on, but for what ``ServerConfig.trusted_proxies`` believes.
        x_forwarded: whether ``x-forwarded-for``, ``-proto`` and ``-host`` tell them.
        via: the name of this gateway in ``via``. A request that has it there already goes in a circle, and is answered
            with 508. By default a name of this process.
        timeouts: how long each part of a request may take, instead of what the client was told. They end where a
            WebSocket or a tunnel begins.
        rewrite: a function that gets the headers of each request as they are to be sent, with ``:path`` (what the
            client asked for, but for CONNECT and ``OPTIONS *``) and perhaps ``:authority``, and returns those that are
            sent instead. It must not wait.
        tunnels: whether CONNECT is passed on: the server is a proxy then, and decides on where tunnels may lead. If
            not, as by default, it is answered with 501, so that no gateway is an open proxy unawares. WebSockets need
            no permission.
        tunnel_idle_timeout: seconds after which a WebSocket or a tunnel that has carried no byte is given up; ``None``
            for never.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        client: Client,
        url: Url,
        *,
        keep_host: bool = True,
        forwarded: bool = True,
        x_forwarded: bool = False,
        via: str | None = None,
        timeouts: Timeouts | None = None,
        rewrite: Callable[[Headers], HeadersInput] | None = None,
        tunnels: bool = False,
        tunnel_idle_timeout: float | None = None,
    ) -> None:
        if not isinstance(client, Client):
            raise TypeError(f"client must be a Client, not {client!r}")
        if timeouts is not None and not isinstance(timeouts, Timeouts):
            raise TypeError(f"timeouts must be Timeouts, not {timeouts!r}")
        if via is not None and not isinstance(via, str):
            raise TypeError(f"via must be a str, not {via!r}")
        if via is not None and not _TOKEN(via):
            raise ValueError(f"via must be a name of letters, digits and hyphens, not {via!r}")
        check_hook("rewrite", rewrite)
        text = url_text(url)
        where(text, None)
        if "?" in text or "#" in text:
            raise ValueError(f"url must have neither a query nor a fragment: {text!r}")
        self._client = client
        self._url = text.rstrip("/")
        self._dropped = _OURS if check_bool("keep_host", keep_host) else (*_OURS, ":authority", "host")
        self._forwarded = check_bool("forwarded", forwarded)
        self._x_forwarded = check_bool("x_forwarded", x_forwarded)
        self._via = _DEFAULT_VIA if via is None else via
        self._timeouts = timeouts
        self._rewrite = rewrite
        self._requests = KnownHeaders()
        self._answers = KnownHeaders()
        self.tunnels: bool = check_bool("tunnels", tunnels)
        """Whether CONNECT is passed on."""
        check_timeout("tunnel_idle_timeout", tunnel_idle_timeout)
        self.tunnel_idle_timeout: float | None = tunnel_idle_timeout
        """Seconds of silence after which a WebSocket or a tunnel is given up."""

    def __repr__(self) -> str:
        return f"<Upstream {self._url}>"

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    def loops(self, headers: Headers) -> bool:
        """Whether a request has been here before.

        Args:
            headers: of the request.
        """
        hops = (hop.split() for value in headers.get_all("via") for hop in value.split(","))
        return any(len(hop) > 1 and hop[1] == self._via for hop in hops)

    def via(self, version: str) -> str:
        """Returns what ``via`` says of a message that has come here (RFC 9110 §7.6.3).

        Args:
            version: of HTTP, in which it came.
        """
        return f"{version.removesuffix('.0') if version == '2.0' else version} {self._via}"

    def exchange(
        self, stream: ServerStream, body: bytes, *, end_stream: bool, protocol: str | None = None
    ) -> ExchangeBlock:
        """Prepares the request that passes one on.

        Args:
            stream: has the request.
            body: what is here of its body.
            end_stream: whether that is all.
            protocol: what it asks to speak instead of HTTP.
        """
        path, headers = stream.path, self._headers(stream, protocol)
        whole = path == "*"
        if self._rewrite is not None:
            path, headers = _rewritten(self._rewrite, path, headers)
        return self._client.exchange(
            stream.method if protocol is None else "GET",
            self._url if whole else self._url + path.replace("#", "%23"),
            headers=headers,
            body=body,
            end_stream=end_stream,
            own_headers=False,
            timeouts=self._timeouts,
            protocol=protocol,
            whole_server=whole,
        )

    def answered(self, head: Headers, version: str) -> Headers:
        """Returns what the client gets of the head of a response.

        Args:
            head: as the server has sent it.
            version: of HTTP, in which it came.
        """
        return self._answers.of(head, (version,), lambda: head.forwarded(add={"via": self.via(version)}))

    def _headers(self, stream: ServerStream, protocol: str | None) -> Headers:
        client, peer = stream.peer_address, stream.transport.peer_address
        facts = (stream.http_version, client, peer, stream.scheme, stream.end_after_headers, protocol)
        return self._requests.of(stream.headers, facts, lambda: self._made_headers(stream, client, peer, protocol))

    def _made_headers(
        self, stream: ServerStream, client: Address | None, peer: Address | None, protocol: str | None
    ) -> Headers:
        add = [("via", self.via(stream.http_version))]
        if self._forwarded or self._x_forwarded:
            hops = [_host(client), *([_host(peer)] if peer != client else [])]
            host = stream.authority
            if self._forwarded:
                told = f";host={_value(host)}" if host and _QUOTED(host) else ""
                scheme = f";proto={stream.scheme}" if stream.scheme else ""  # a CONNECT has none
                first = f"for={_value(hops[0])}{scheme}{told}"
                add.append(("forwarded", ", ".join([first, *[f"for={_value(hop)}" for hop in hops[1:]]])))
            if self._x_forwarded:
                add.append(("x-forwarded-for", ", ".join(hop.strip("[]") for hop in hops)))
                if stream.scheme:
                    add.append(("x-forwarded-proto", stream.scheme))
                if host:
                    add.append(("x-forwarded-host", host))
        headers = stream.headers
        dropped = self._dropped if stream.expects_continue else (*self._dropped, "expect")
        if not stream.authority.partition(":")[0]:
            # It names no host, as HTTP/1.0 need not: the server is told its own.
            dropped = (*dropped, ":authority", "host")
        if protocol is not None:
            dropped = (*dropped, "sec-websocket-key")
        elif stream.method == "CONNECT":
            # Its authority is where the tunnel leads. RFC 9110 §11.7.2: a proxy may relay credentials "if that is the
            # mechanism by which the proxies cooperatively authenticate a given request"; this one asks for none.
            dropped = tuple(name for name in dropped if name not in (":authority", "host", "proxy-authorization"))
        cookies = headers.get_all("cookie")
        if len(cookies) > 1:
            # RFC 9113 §8.2.3: the parts of a cookie "MUST be concatenated into a single octet string using the
            # two-octet delimiter of 0x3b, 0x20 (the ASCII string "; ") before being passed into a non-HTTP/2 context".
            dropped = (*dropped, "cookie")
            add.append(("cookie", "; ".join(cookies)))
        return headers.forwarded(drop=dropped, add=add)


@trio.lowlevel.disable_ki_protection
def _rewritten(rewrite: Callable[[Headers], HeadersInput], path: str, headers: Headers) -> tuple[str, Headers]:
    """Returns the path that an application's function makes of a request, and the other headers.

    A CONNECT has no path, and that of ``OPTIONS *`` stays.
    """
    has_path = path[:1] == "/"
    try:
        rewritten = Headers(rewrite(headers.forwarded(add={":path": path}) if has_path else headers))
    except ValueError as exc:  # a mistake of the application, and not of whoever asks
        raise RuntimeError(f"rewrite must return headers that may be sent: {exc}") from exc
    given = rewritten.get(":path")
    if not has_path:
        given = path
    elif given is None or given[:1] != "/":
        raise RuntimeError(f"rewrite must return headers whose :path begins with a slash, not {given!r}")
    return given, rewritten.forwarded(drop=[":path"])


def _host(address: Address | None) -> str:
    """Returns what RFC 7239 §6 calls a node."""
    if not isinstance(address, tuple):
        return "unknown"
    try:
        ip = ipaddress.ip_address(address[0].partition("%")[0])
    except ValueError:
        return "unknown"
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    return f"[{ip}]" if ip.version == 6 else str(ip)


def _value(text: str) -> str:
    """Returns a value of ``forwarded``, quoted if need be (RFC 7239 §4)."""
    return text if _TOKEN(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
