"""What `trio-h2 get` says of requests that fail."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

import trio_h2

from ._errors import CommandError, RequestError, UsageError, reason

if TYPE_CHECKING:
    from ._target import Proxy

_MAX_WORDS: Final = 500
_UNKNOWN_ISSUER: Final = frozenset((2, 18, 19, 20, 21))
"""Why OpenSSL does not trust a certificate (X509_V_ERR_…): it does not know the authority, or there is none."""

FAILURES: Final = (trio_h2.H2Error, OSError, trio.BrokenResourceError, trio.ClosedResourceError, ValueError)
"""What a request can raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Puts the errors of a client into words.

    Args:
        ca: The file of authorities that are trusted, if it was given.
        proxy: What requests go through.
    """

    ca: str | None
    proxy: Proxy | None

    def told(self, exc: Exception, url: str, origin: str) -> CommandError:
        """Returns what to say of a request that got no response.

        Args:
            exc: one of `FAILURES`.
            url: what was asked for.
            origin: whose it is.
        """
        match exc:
            case trio_h2.ProxyError():
                return self._at_the_proxy(exc, origin)
            case trio_h2.RequestTimeoutError():
                return RequestError(f"{url}: {exc}")
            case trio_h2.H2Error() if exc.session is None and isinstance(exc, trio_h2.SessionError):
                return self._not_connected(exc, origin, url)
            case OSError():
                return RequestError(f"cannot connect to {origin}: {reason(exc)}")
            case ValueError():
                return UsageError(str(exc))
            case _:
                return RequestError(f"{url}: {self.words(exc, origin)}")

    def words(self, exc: Exception, origin: str) -> str:
        """Returns what happened on a session."""
        if isinstance(exc, trio_h2.HandshakeError) and exc.code is trio_h2.ErrorCode.INADEQUATE_SECURITY:
            return str(exc)  # it says what is missing: TLS, mostly
        if isinstance(exc, trio_h2.HandshakeError) and not isinstance(exc.__cause__, ssl.SSLError):
            # Its first bytes were no HTTP/2, nor an alert of TLS.
            hint = " (--http1 asks it in HTTP/1.1)" if origin.startswith("http://") else ""
            return f"the server does not speak HTTP/2{hint}: {exc}"
        return str(exc) or f"the connection broke ({type(exc).__name__})"

    def _not_connected(self, exc: trio_h2.SessionError, origin: str, url: str) -> RequestError:
        """Returns what to say of errors before there was a session, or over HTTP/1.1."""
        if isinstance(exc, trio_h2.UnknownProtocolError):
            return RequestError(f"{origin} does not speak HTTP/2")
        if not isinstance(exc, trio_h2.HandshakeError):
            return RequestError(f"{url}: {exc}")
        if isinstance(exc.__cause__, ssl.SSLCertVerificationError):
            why = exc.__cause__.verify_message
            if exc.__cause__.verify_code in _UNKNOWN_ISSUER:
                hint = "--ca FILE trusts an authority of your own"
                why += f" ({hint if self.ca is None else f'the authorities in {self.ca} have not issued it'})"
            return RequestError(f"the certificate of {origin} was not accepted: {why}")
        return RequestError(f"cannot connect to {origin}: {exc}")

    def _at_the_proxy(self, exc: trio_h2.ProxyError, origin: str) -> RequestError:
        if exc.status is not None:
            return RequestError(f"cannot connect to {origin}: the proxy refused it: {_why(exc)}")
        assert self.proxy is not None
        match exc.__cause__:
            case OSError() as cause:
                return RequestError(f"cannot connect to {self.proxy.target.origin}: {reason(cause)}")
            case trio_h2.HandshakeError() as cause:
                return self._not_connected(cause, self.proxy.target.origin, "")
            case _:
                return RequestError(str(exc))


def _why(refusal: trio_h2.ProxyError) -> str:
    """Returns the status, with the proxy's own words if they are a short text rather than a page for a browser."""
    kind = (refusal.headers.get("content-type") or "text/plain").partition(";")[0].strip().lower()
    said = refusal.body.decode("utf-8", "replace").strip()
    if not said or kind != "text/plain" or len(said) > _MAX_WORDS:
        return f"status {refusal.status}"
    return f"{refusal.status}, {said}"
