"""Cookies of a client (RFC 6265), kept in a jar of `http.cookiejar`, which gets only those that may be set."""

from __future__ import annotations

import email.message
import re
import urllib.request
from dataclasses import replace
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final

from publicsuffixlist import PublicSuffixList

from .. import Headers
from .._util import bracketed

if TYPE_CHECKING:
    from http.cookiejar import Cookie

    from ._outgoing import Outgoing

_MAX_COOKIE: Final = 4096
_MAX_OF_SITE: Final = 180
"""Cookies that one site keeps, as browsers do; RFC 6265 §6.1 wants at least 50."""
_MAX_ALL: Final = 3000
_IP: Final = re.compile(r"[0-9.]+|\[?[0-9a-f:.]*:[0-9a-f:.]*(%[^]]*)?\]?").fullmatch
# RFC 6265bis §5.6: such a line is ignored.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_SECONDS: Final = re.compile(r"-?[0-9]+").fullmatch
_LONGEST: Final = 400 * 86400
"""RFC 6265bis §5.5: the limit of ``max-age`` "SHOULD NOT be greater than 400 days"."""


@lru_cache(maxsize=1)
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()  # takes a tenth of a second


class Cookies:
    """What a client does with cookies.

    Args:
        jar: where they are kept; ``None``: in one of its own.
    """

    def __init__(self, jar: CookieJar | None) -> None:
        if jar is None:
            # RFC 6265 §5.3, step 6: a cookie without a domain is for the host that set it, and not for those below it.
            jar = CookieJar(DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain))
        self.jar: CookieJar = jar
        self._suffixes = _public_suffixes()

    def added(self, request: Outgoing) -> Outgoing:
        """Returns a request with the cookies for it; itself if there are none, or it has a ``cookie`` of its own."""
        before = request.headers if request.without_cookies is None else request.without_cookies
        given = Headers(before)
        asked = _asked(request)
        self.jar.add_cookie_header(asked)
        value = asked.get_header("Cookie")
        if "cookie" in given or (value is None and request.without_cookies is None):
            return request
        if value is None:
            return replace(request, headers=before, without_cookies=None)
        try:
            encoded = value.encode("latin-1")
        except UnicodeEncodeError:  # put into the jar by somebody else
            encoded = value.encode("utf-8", "replace")
        headers = Headers([*given.raw, (b"cookie", encoded)], sensitive=given.sensitive)
        return replace(request, headers=headers, without_cookies=before)

    def take(self, request: Outgoing, headers: Headers) -> None:
        """Takes what a response sets."""
        lines = headers.get_all("set-cookie")
        if not lines:
            return
        secure = set() if request.origin.scheme == "https" else self._secure(_host_of(request))
        message = email.message.Message()
        for line in lines:
            checked = self._checked(request, line, secure)
            if checked is not None:
                message["set-cookie"] = checked
        if "set-cookie" in message:
            self.jar.extract_cookies(_Answer(message), _asked(request))  # type: ignore[arg-type]  # all that it uses
            self._evict()

    def _checked(self, request: Outgoing, line: str, taken: set[str]) -> str | None:
        """Returns a ``set-cookie`` as it may be given to the jar, ``None`` if it may not.

        `http.cookiejar` knows no public suffixes, no prefixes and no limits, and lets any host delete the cookies of
        every other one. So it gets what was checked here, put together anew: of attributes that come twice it takes
        the first, and RFC 6265 §5.3 the last.

        Args:
            request: whose response sets it.
            line: the field.
            taken: names that may not be set.
        """
        pair, *attributes = line.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals) or len(name) + len(value) > _MAX_COOKIE or _CONTROL(line):
            return None
        named: dict[str, str] = {}
        for attribute in attributes:
            key, _, content = attribute.partition("=")
            if len(content) <= 1024:  # RFC 6265bis §5.6
                named[key.strip().lower()] = content.strip()
        host = _host_of(request)
        domain = named.get("domain", "").strip('"').lower().removeprefix(".")
        if domain and not self._may_set(host, domain):
            return None
        secure = "secure" in named
        if secure and request.origin.scheme != "https":
            return None
        # RFC 6265bis §4.1.3
        prefix = name.lower()
        if prefix.startswith("__secure-") and not secure:
            return None
        if prefix.startswith("__host-") and not (secure and not domain and named.get("path") == "/"):
            return None
        if name in taken:
            return None
        checked = [f"{name}={value}"]
        # RFC 6265 §5.3, step 5: a public suffix that is the host itself may have a cookie, for itself only.
        if domain and not (domain == host and (self._is_shared(host) or _IP(host))):
            checked.append(f"domain={domain}")
        if named.get("path", "").startswith("/"):
            checked.append(f"path={named['path']}")
        if secure:
            checked.append("secure")
        if "httponly" in named:
            checked.append("httponly")
        if _SECONDS(named.get("max-age", "")):
            checked.append(f"max-age={min(int(named['max-age'][:20]), _LONGEST)}")
        elif "expires" in named:
            checked.append(f"expires={named['expires']}")
        return "; ".join(checked)

    def _may_set(self, host: str, domain: str) -> bool:
        """RFC 6265 §5.3: the host must domain-match, and no cookie is for all hosts below a public suffix."""
        if domain == host:
            return True
        return host.endswith(f".{domain}") and not _IP(host) and not self._is_shared(domain)

    def _is_shared(self, domain: str) -> bool:
        return not _IP(domain) and ("." not in domain or bool(self._suffixes.is_public(domain)))

    def _secure(self, host: str) -> set[str]:
        """Returns the names of secure cookies, which *host* must not replace, or shadow (RFC 6265bis §5.7)."""
        names = set()
        for cookie in self.jar:
            theirs = cookie.domain.removeprefix(".").removesuffix(".local")
            if cookie.secure and (theirs == host or host.endswith(f".{theirs}") or theirs.endswith(f".{host}")):
                names.add(cookie.name)
        return names

    def _evict(self) -> None:
        """Forgets some if there are too many: of a site, and then of the sites that came first."""
        if len(self.jar) <= _MAX_OF_SITE:
            return
        by_site: dict[str, list[Cookie]] = {}
        sites: dict[str, str] = {}
        for cookie in self.jar:
            domain = cookie.domain.removeprefix(".")
            if domain not in sites:
                sites[domain] = (None if _IP(domain) else self._suffixes.privatesuffix(domain)) or domain
            by_site.setdefault(sites[domain], []).append(cookie)
        left: list[Cookie] = []
        for kept in by_site.values():
            many = max(0, len(kept) - _MAX_OF_SITE)
            self._forget(kept[:many])
            left += kept[many:]
        self._forget(left[: max(0, len(left) - _MAX_ALL)])

    def _forget(self, cookies: list[Cookie]) -> None:
        for cookie in cookies:
            self.jar.clear(cookie.domain, cookie.path, cookie.name)


class _Answer:
    """A response, as far as `http.cookiejar` looks at it."""

    def __init__(self, message: email.message.Message) -> None:
        self._message = message

    def info(self) -> email.message.Message:
        """Returns its headers."""
        return self._message


def _host_of(request: Outgoing) -> str:
    return request.origin.host.partition("%")[0].lower()


def _asked(request: Outgoing) -> urllib.request.Request:
    """Returns a request, as `http.cookiejar` looks at it."""
    origin = request.origin
    host = bracketed(origin.host.partition("%")[0])
    return urllib.request.Request(f"{origin.scheme}://{host}:{origin.port}{request.target}", method=request.method)
