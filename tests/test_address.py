"""URLs become origins, or a ValueError that says what is wrong with which URL."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlparse, urlsplit

import pytest

from trio_h2._address import Origin, parse_url


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "authority"),
    [
        ("https://example.com", "https", "example.com", 443, "example.com"),
        ("http://example.com", "http", "example.com", 80, "example.com"),
        ("https://example.com:443", "https", "example.com", 443, "example.com"),
        ("http://example.com:443", "http", "example.com", 443, "example.com:443"),
        ("https://example.com:80/", "https", "example.com", 80, "example.com:80"),
        ("https://example.com:8443/a/b?c=d#e", "https", "example.com", 8443, "example.com:8443"),
        ("https://example.com?c=d:9", "https", "example.com", 443, "example.com"),
        ("https://example.com#e@f", "https", "example.com", 443, "example.com"),
        ("https://example.com/redirect?to=http://other:1/", "https", "example.com", 443, "example.com"),
        ("HTTPS://EXAMPLE.Com", "https", "example.com", 443, "example.com"),
        ("https://user:p%40ss@example.com:1", "https", "example.com", 1, "example.com:1"),
        ("https://user@example.com", "https", "example.com", 443, "example.com"),
        ("https://example.com:", "https", "example.com", 443, "example.com"),
        ("https://example.com:08443", "https", "example.com", 8443, "example.com:8443"),
        ("https://example.com:65535", "https", "example.com", 65535, "example.com:65535"),
        ("https://example.com.", "https", "example.com.", 443, "example.com."),
        ("https://my_service.local", "https", "my_service.local", 443, "my_service.local"),
        ("http://127.0.0.1:8080", "http", "127.0.0.1", 8080, "127.0.0.1:8080"),
        ("http://[::1]", "http", "::1", 80, "[::1]"),
        ("http://[::1]:8080/x", "http", "::1", 8080, "[::1]:8080"),
        ("http://[2001:DB8:0:0:0:0:0:1]", "http", "2001:db8::1", 80, "[2001:db8::1]"),
        ("http://[fe80::1%25eth0]:81", "http", "fe80::1%eth0", 81, "[fe80::1]:81"),
        ("http://[fe80::1%eth0]", "http", "fe80::1%eth0", 80, "[fe80::1]"),
        ("https://bücher.example", "https", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
        ("https://BÜCHER.example", "https", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
        ("https://faß.de", "https", "xn--fa-hia.de", 443, "xn--fa-hia.de"),
        ("https://例え.テスト", "https", "xn--r8jz45g.xn--zckzah", 443, "xn--r8jz45g.xn--zckzah"),
        ("https://xn--bcher-kva.example", "https", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
        ("//example.com:8443/x", "https", "example.com", 8443, "example.com:8443"),
    ],
)
def test_good_urls(url: str, scheme: str, host: str, port: int, authority: str) -> None:
    origin = parse_url(url)
    assert origin == Origin(scheme, host, port)
    assert origin.authority == authority
    assert str(origin) == f"{scheme}://{authority}"
    assert parse_url(str(origin)).authority == authority


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("localhost:8443", "localhost", 8443),
        ("example.com", "example.com", None),
        ("[::1]:8443", "::1", 8443),
        ("[::1]", "::1", None),
        ("127.0.0.1:1/path", "127.0.0.1", 1),
        ("example.com/path:5", "example.com", None),
        ("user@example.com:5", "example.com", 5),
    ],
)
def test_without_a_scheme_the_default_one_is_taken(url: str, host: str, port: int | None, scheme: str) -> None:
    expected = {"http": 80, "https": 443}[scheme] if port is None else port
    assert parse_url(url, default_scheme=scheme) == Origin(scheme, host, expected)


def test_a_scheme_in_the_url_beats_the_default() -> None:
    assert parse_url("https://h", default_scheme="http").scheme == "https"


@pytest.mark.parametrize("parse", [urlsplit, urlparse])
def test_parsed_urls_are_accepted(parse: type) -> None:
    assert parse_url(parse("http://u@example.com:81/path;x?y#z")) == Origin("http", "example.com", 81)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "names no host"),
        ("https://", "names no host"),
        ("https://:443", "names no host"),
        ("https:///path", "names no host"),
        ("https://user@:443", "names no host"),
        ("/path", "names no host"),
        ("?x", "names no host"),
        ("ftp://example.com", "the scheme must be http or https, not 'ftp'"),
        ("h2://example.com", "the scheme must be http or https"),
        ("://example.com", "the scheme must be http or https"),
        ("file:///etc/passwd", "the scheme must be http or https"),
        ("mailto:joe@example.com", "write the scheme too"),
        ("http:/example.com", "must look like"),
        ("https:", "must look like"),
        ("https:8443", "must look like"),
        ("unix:/run/app.sock", "must look like"),
        ("https://example.com:0", "from 1 to 65535, not '0'"),
        ("https://example.com:65536", "from 1 to 65535"),
        ("https://example.com:-1", "from 1 to 65535"),
        ("https://example.com:+1", "from 1 to 65535"),
        ("https://example.com:1_0", "from 1 to 65535"),
        ("https://example.com:٣", "from 1 to 65535"),
        ("https://example.com:http", "from 1 to 65535"),
        ("https://example.com:" + "9" * 5000, "from 1 to 65535"),
        ("https://[::1]:x", "from 1 to 65535"),
        (" https://example.com", "white space"),
        ("https://example.com\n", "white space"),
        ("https://exam\tple.com", "white space"),
        ("https://exam\r\nple.com", "white space"),
        ("https://example.com/a b", "white space"),
        ("https://exam\x00ple.com", "control characters"),
        ("https://exam\x7fple.com", "control characters"),
        ("https://exam\u00a0ple.com", "white space"),
        ("https://exam\ud800ple.com", "control characters"),
        ("https://exa%6Dple.com", "may hold only"),
        ("https://example.com\\@other.example", "backslash"),
        ("https://exam*ple.com", "may hold only"),
        ("https://<script>", "may hold only"),
        ("https://a..b", "between two dots"),
        ("https://.", "between two dots"),
        ("https://.a", "between two dots"),
        ("https://" + "a" * 64, "between two dots"),
        ("https://" + "a.b." * 64, "at most 253 characters"),
        ("https://1.2.3", "not an IPv4 address"),
        ("https://256.0.0.1", "not an IPv4 address"),
        ("https://2130706433", "not an IPv4 address"),
        ("https://example.1", "not an IPv4 address"),
        ("https://::1/", "must be in brackets"),
        ("::1", "must be in brackets"),
        ("https://[::1", "must look like [::1]"),
        ("https://[::1]8443", "must look like [::1]"),
        ("https://[::g]", "not an IPv6 address"),
        ("https://[]", "not an IPv6 address"),
        ("https://[127.0.0.1]", "not an IPv6 address"),
        ("https://[v1.x]", "not an IPv6 address"),
        ("https://[fe80::1%]", "not the zone"),
        ("https://[fe80::1%25]x", "must look like"),
        ("https://[fe80::1%25a;b]", "not the zone"),
        ("https://ex☺mple.com", "not an international host name"),
        ("https://-ü.example", "not an international host name"),
    ],
)
def test_bad_urls(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"^bad URL '") as caught:
        parse_url(url)
    assert why in str(caught.value)
    assert repr(url) in str(caught.value) or "@" in url
    assert type(caught.value) is ValueError


def test_a_password_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"'https://\*\*\*@host:x/y'") as caught:
        parse_url("https://joe:secret@host:x/y")
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="write the scheme too") as caught:
        parse_url("joe:secret@host:1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["", "ftp", "HTTP", "https:"])
def test_bad_default_scheme(scheme: str) -> None:
    with pytest.raises(ValueError, match=f"bad scheme {scheme!r}: only 'http' and 'https'"):
        parse_url("example.com", default_scheme=scheme)


class UrlObject:
    """What other libraries make of URLs."""

    def __init__(self, text: str, scheme: object = "https") -> None:
        self.scheme = scheme
        self._text = text

    def __str__(self) -> str:
        return self._text


def test_url_objects_are_accepted() -> None:
    origin = parse_url(UrlObject("http://joe:secret@example.com:81/path?x#y", "http"))  # type: ignore[arg-type]
    assert origin == Origin("http", "example.com", 81)
    for text, why in ("http://example.com:x", "port"), ("<UrlObject>", "host"), ("ftp://example.com", "scheme"):
        with pytest.raises(ValueError, match=f"bad URL .*{why}"):
            parse_url(UrlObject(text))  # type: ignore[arg-type]  # its scheme is anything


@pytest.mark.parametrize(
    "url",
    [
        *(None, b"https://example.com", 443, ["https://example.com"], object()),
        UrlObject("https://example.com", None),
        urlsplit(b"https://example.com"),
    ],
)
def test_not_text(url: object) -> None:
    with pytest.raises(TypeError, match=f"must be a str, or an object .*, not {type(url).__name__}"):
        parse_url(url)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"must be a str, not {type(url).__name__}"):
        parse_url("h", default_scheme=url)  # type: ignore[arg-type]


def test_an_origin_is_a_value() -> None:
    origin = parse_url("https://example.com")
    assert len({origin, parse_url("https://EXAMPLE.com:443/x")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        origin.port = 1  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        origin.path = "/"  # type: ignore[attr-defined]
