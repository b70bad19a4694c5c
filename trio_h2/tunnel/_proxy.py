"""The proxy's side of tunnels: a handler that joins each CONNECT to a TCP connection."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

import trio_h2

from .._checks import check_timeout, is_int
from .._field_docs import describe_fields
from .._tcp import probe_when_silent
from .._util import interrupt_safe
from ._auth import CHALLENGE, checker, is_authentic
from ._dial import abort, dial, resolve
from ._join import join
from ._refusal import Refusal, as_refusal
from ._report import Report
from ._rules import AllowList
from ._target import parse_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._auth import CredentialCheck
    from ._dial import Candidate

logger = logging.getLogger("trio_h2.proxy")

_REALM_CHARACTERS: Final = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}


@describe_fields
@dataclass(frozen=True, slots=True)
class ProxyStatistics:
    """What a `ConnectProxy` has done so far; a snapshot."""

    open: int
    """Tunnels that are up, or being connected."""
    opened: int
    """Tunnels that were up, those that are included."""
    refused: int
    """Requests that were refused."""
    bytes_up: int
    """Bytes carried from clients to targets."""
    bytes_down: int
    """Bytes carried from targets to clients."""


@interrupt_safe
class ConnectProxy:
    """A handler for ``serve_tcp`` and its like that is a forward proxy: each CONNECT becomes a TCP connection.

    ::

        proxy = ConnectProxy(["example.com:443", "*.example.org:*", "10.1.0.0/16:5432"])
        await trio_h2.serve_ssl_over_tcp(proxy, 8443, ssl_context)

    The end of either direction is passed on; when the target's connection breaks, the client gets
    RST_STREAM(CONNECT_ERROR), and when the client resets, the target gets a TCP reset. Before the tunnel is up, the
    client is told by status and a sentence: 400 the authority is not ``host:port``, 403 the target is not allowed, 407
    credentials are missing or wrong, 501 an extended CONNECT, 502 the target cannot be reached, 503 too many tunnels,
    504 it did not answer in time. Any other method is reset with REFUSED_STREAM. Every tunnel and every refusal is a
    line in the log ``trio_h2.proxy``, at level INFO.

    With ``allow_http1``, HTTP/1.1 clients are served as well. They are told of a broken target by a TCP reset, and of
    another method than CONNECT by 405.

    A server lets 128 streams run at once in a session; `trio_h2.ServerConfig` can allow more tunnels. Its
    ``tcp_keepalive_idle``, ``tcp_keepalive_interval`` and ``tcp_keepalive_count`` also hold for the connections to
    targets: either side whose host is gone without a word breaks the tunnel, as a reset would.

    Args:
        allow: the rules of an `AllowList`, or one.
        authenticate: passwords by user name, or a function (async or not) that gets both and returns whether they are
            right; by default nobody is asked.
        realm: what the credentials are for, as the client is told.
        connect_timeout: seconds for looking the target up and connecting to it.
        idle_timeout: seconds in which nothing moves in either direction, as for `join`; then a tunnel is reset with
            CANCEL. 0 and ``None`` turn these times off.
        max_tunnels: how many may be open at once, in all sessions.

    Raises:
        TypeError, ValueError: an argument is not allowed.
    """

    def __init__(
        self,
        allow: AllowList | Iterable[str],
        *,
        authenticate: Mapping[str, str] | CredentialCheck | None = None,
        realm: str = "proxy",
        connect_timeout: float | None = 10.0,
        idle_timeout: float | None = 300.0,
        max_tunnels: int = 1000,
    ) -> None:
        self._allow = allow if isinstance(allow, AllowList) else AllowList(allow)
        self._check = checker(authenticate)
        if not _REALM_CHARACTERS.issuperset(realm):
            raise ValueError(f"realm must be printable ASCII without quotation marks and backslashes, not {realm!r}")
        self._challenge = CHALLENGE.format(realm)
        self._connect_timeout = check_timeout("connect_timeout", connect_timeout)
        self._idle_timeout = check_timeout("idle_timeout", idle_timeout)
        if not is_int(max_tunnels):
            raise TypeError(f"max_tunnels must be an int, not {max_tunnels!r}")
        if max_tunnels < 1:
            raise ValueError(f"max_tunnels must be 1 or more, not {max_tunnels}")
        self._max_tunnels = max_tunnels
        self._reports: set[Report] = set()
        """Those of the tunnels that are open."""
        self._opened = self._refused = self._up = self._down = 0

    def __repr__(self) -> str:
        return f"<ConnectProxy with {len(self._reports)} tunnels>"

    def statistics(self) -> ProxyStatistics:
        """Returns a snapshot of what it has done."""
        return ProxyStatistics(
            open=len(self._reports),
            opened=self._opened,
            refused=self._refused,
            bytes_up=self._up + sum(report.traffic.left_to_right for report in self._reports),
            bytes_down=self._down + sum(report.traffic.right_to_left for report in self._reports),
        )

    async def __call__(self, stream: trio_h2.ServerExchange) -> None:
        """Serves one exchange, to its end. Cancelled: the target's connection is reset."""
        if stream.method != "CONNECT":
            await _refuse_method(stream)
            return
        report = Report(stream)
        try:
            try:
                connection = await self._reach(stream, report)
            except Refusal as refusal:
                self._refused += 1
                report.reason = f"refused with {refusal.status}: {refusal.detail}"
                await stream.respond(refusal.headers, body=refusal.body)
            else:
                await self._serve(stream, connection, report)
        except Exception as exc:  # which the session knows what to make of
            report.reason = report.reason or f"failed with {type(exc).__name__}"
            raise
        finally:
            self._reports.discard(report)
            self._up += report.traffic.left_to_right
            self._down += report.traffic.right_to_left
            logger.info("%s", report.line())

    # -- before the tunnel is up -----------------------------------------------------------------------------------

    async def _reach(self, stream: trio_h2.ServerExchange, report: Report) -> trio.SocketStream:
        """Connects to the target.

        Raises:
            Refusal: it shall not, or cannot.
        """
        if self._check is not None and not await is_authentic(stream.headers, self._check):
            raise Refusal(
                407, "", "proxy credentials are missing or wrong", extra={"proxy-authenticate": self._challenge}
            )
        if stream.headers.get(":protocol") is not None:
            # RFC 9220 §3: of a :protocol that is unknown or not supported, "the server SHOULD respond to the request
            # with a 501 (Not Implemented) status code".
            raise Refusal(501, "", "this proxy opens TCP connections only")
        try:
            target = parse_target(stream.headers.get(":authority") or "")
        except ValueError as exc:
            raise Refusal(400, "http_request_error", str(exc)) from None
        if not self._allow.may_allow(target):
            raise Refusal(403, "http_request_denied", f"{target} is not allowed")
        if len(self._reports) >= self._max_tunnels:
            raise Refusal(503, "connection_limit_reached", f"{self._max_tunnels} tunnels are open already")
        self._reports.add(report)
        scope = trio.CancelScope(deadline=trio.current_time() + self._connect_timeout)
        with scope:
            try:
                candidates = await resolve(target)
            except OSError as exc:
                raise Refusal(502, "dns_error", f"{target.host} cannot be looked up", str(exc)) from exc
            allowed = [one for one in candidates if self._allow.allows(target, one.address)]
            if not allowed:
                raise Refusal(
                    *(403, "destination_ip_prohibited", f"{target} leads to addresses that are not allowed"),
                    " ".join(str(one.address) for one in candidates),
                )
            connection = await self._dial(allowed, report)
            if not stream.destroyed:
                # A target whose host is gone says nothing: the system has to ask, as it does for the client's.
                probe_when_silent(connection, stream.session.config)
            return connection
        raise Refusal(504, "connection_timeout", f"{target} did not answer in {self._connect_timeout:g} s")

    async def _dial(self, allowed: list[Candidate], report: Report) -> trio.SocketStream:
        try:
            connection, candidate = await dial(allowed)
        except OSError as exc:
            raise as_refusal(exc, report.target) from exc
        report.address = str(candidate)
        return connection

    # -- while it is up --------------------------------------------------------------------------------------------

    async def _serve(self, stream: trio_h2.ServerExchange, connection: trio.SocketStream, report: Report) -> None:
        """Carries bytes until both sides have ended, or either breaks. Closes the connection in any case."""
        whole = False
        try:
            # RFC 9113 §8.5: "Once this connection is successfully established, the proxy sends a HEADERS frame
            # containing a 2xx series status code to the client".
            await stream.respond({":status": 200})
            self._opened += 1
            await join(stream, connection, idle_timeout=self._idle_timeout, traffic=report.traffic)
            whole = True
            report.reason = "both sides have ended"
        except trio.TooSlowError:
            report.reason = f"nothing was sent for {self._idle_timeout:g} s"
            stream.reset(trio_h2.ErrorCode.CANCEL)
        except trio.BrokenResourceError as exc:
            if report.traffic.broken is not connection:
                report.reason = report.client_left() or f"the client's side broke: {exc}"
                raise  # the session knows what to make of it
            report.reason = f"the target's connection broke: {exc.__cause__ or exc}"
            # RFC 9113 §8.5: "A proxy treats any error in the TCP connection, which includes receiving a TCP segment
            # with the RST bit set, as a stream error (Section 5.4.2) of type CONNECT_ERROR."
            stream.reset(trio_h2.ErrorCode.CONNECT_ERROR)
        finally:
            if whole:
                connection.socket.close()  # what is still in its buffer goes out
            else:
                # RFC 9113 §8.5: "a proxy MUST send a TCP segment with the RST bit set if it detects an error with the
                # stream or the HTTP/2 connection."
                abort(connection)


async def _refuse_method(stream: trio_h2.ServerExchange) -> None:
    """Says that this is a proxy for CONNECT only."""
    if stream.http_version.startswith("1."):
        refusal = Refusal(405, "", "this proxy is for CONNECT only", extra={"allow": "CONNECT"})
        await stream.respond(refusal.headers, body=refusal.body)
    else:
        stream.reset(trio_h2.ErrorCode.REFUSED_STREAM)
        await trio.lowlevel.checkpoint()
