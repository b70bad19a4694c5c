"""The sessions of `trio-h2 get`: one for each origin, perhaps each in a tunnel through one with a proxy."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import trio

import trio_h2
from trio_h2.tunnel import TunnelRefusedError, through

from ._errors import RequestError, reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from ._target import Proxy, Target

_MAX_WORDS: Final = 500
_UNKNOWN_ISSUER: Final = frozenset((2, 18, 19, 20, 21))
"""Why OpenSSL does not trust a certificate (X509_V_ERR_…): it does not know the authority, or there is none."""


class Sessions:
    """Opens sessions when they are needed.

    Args:
        stack: they last as long as this.
        context: whom to trust, where TLS is spoken.
        proxy: through which to go.
        ca: the file of authorities that *context* trusts, if it was given.
        config: of all sessions.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        context: ssl.SSLContext | None,
        proxy: Proxy | None,
        ca: str | None = None,
        config: trio_h2.ClientConfig | None = None,
    ) -> None:
        self._config = config
        self._stack = stack
        self._ca = ca
        self._context = context
        self._proxy = proxy
        self._open: dict[str, trio_h2.ClientSession] = {}
        self._to_proxy: trio_h2.ClientSession | None = None

    async def get(self, target: Target) -> trio_h2.ClientSession:
        """Returns the session for an origin.

        Raises:
            RequestError: it cannot be opened.
        """
        session = self._open.get(target.origin)
        if session is None or session.closed:
            session = await self._connect(target, await self._transport())
            self._open[target.origin] = session
        return session

    async def _transport(self) -> Callable[[str], Awaitable[trio.abc.Stream]] | None:
        if self._proxy is None:
            return None
        if self._to_proxy is None or self._to_proxy.closed:
            self._to_proxy = await self._connect(self._proxy.target, None)
        return through(self._to_proxy, credentials=self._proxy.credentials)

    async def _connect(
        self, target: Target, transport: Callable[[str], Awaitable[trio.abc.Stream]] | None
    ) -> trio_h2.ClientSession:
        """Opens a session; puts into words what can go wrong."""
        origin = target.origin
        context = self._context if target.is_tls else None
        try:
            return await self._stack.enter_async_context(
                trio_h2.connect(origin, transport=transport, ssl_context=context, config=self._config)
            )
        except trio_h2.UnknownProtocolError as exc:
            raise RequestError(f"{origin} does not speak HTTP/2") from exc
        except trio_h2.HandshakeError as exc:
            if isinstance(exc.__cause__, ssl.SSLCertVerificationError):
                why = exc.__cause__.verify_message
                if exc.__cause__.verify_code in _UNKNOWN_ISSUER:
                    hint = "--ca FILE trusts an authority of your own"
                    why += f" ({hint if self._ca is None else f'the authorities in {self._ca} have not issued it'})"
                raise RequestError(f"the certificate of {origin} was not accepted: {why}") from exc
            raise RequestError(f"cannot connect to {origin}: {exc}") from exc
        except OSError as exc:
            raise RequestError(f"cannot connect to {origin}: {reason(exc)}") from exc
        except TunnelRefusedError as exc:
            raise RequestError(f"cannot connect to {origin}: the proxy refused it: {_why(exc)}") from exc
        except (trio_h2.H2Error, trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            way = "" if transport is None else " through the proxy"
            raise RequestError(f"cannot connect to {origin}{way}: {exc}") from exc


def _why(refusal: TunnelRefusedError) -> str:
    """Returns the status, with the proxy's own words if they are a short text rather than a page for a browser."""
    kind = (refusal.headers.get("content-type") or "text/plain").partition(";")[0].strip().lower()
    said = refusal.body.decode("utf-8", "replace").strip()
    if not said or kind != "text/plain" or len(said) > _MAX_WORDS:
        return f"status {refusal.status}"
    return f"{refusal.status}, {said}"
