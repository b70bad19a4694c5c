"""URLs, header fields and bodies as the command line gives them."""

from __future__ import annotations

import pytest

from trio_h2._cli._errors import UsageError
from trio_h2._cli._target import parse_headers, parse_target


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://host", "https://host", "/"),
        ("https://host/", "https://host", "/"),
        ("HTTPS://Host:443/a?b=c#d", "https://host", "/a?b=c"),
        ("http://host:80?q", "http://host", "/?q"),
        ("http://host:8080/%2e%2e/../x", "http://host:8080", "/%2e%2e/../x"),
        ("host:8443/x", "https://host:8443", "/x"),
        ("host/?u=http://x", "https://host", "/?u=http://x"),
        ("//host/x", "https://host", "/x"),
        ("https://[::1]:8443/x", "https://[::1]:8443", "/x"),
        ("https://host/ü?ü", "https://host", "/%C3%BC?%C3%BC"),
        ("https://host//a;b,c", "https://host", "//a;b,c"),
        ("https://host/a?", "https://host", "/a?"),
        ("host?", "https://host", "/?"),
        ("https://host/a?#b?c", "https://host", "/a?"),
        ("https://host/a??", "https://host", "/a??"),
    ],
)
def test_url(url: str, origin: str, path: str) -> None:
    target = parse_target(url)
    assert (target.url, target.origin, target.path) == (url, origin, path)
    assert target.is_tls == origin.startswith("https:")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "host"),
        ("ftp://host", "ftp"),
        ("https://", "host"),
        ("https://a b", "white space"),
        ("https://host/a b", "white space"),
        ("https://host\n", "control"),
        ("https://host:0", "port"),
        ("https://host:99999", "port"),
        ("https://::1", "bracket"),
        ("https://[::1", "IPv6"),
        ("https://user:secret@host", "authorization"),
    ],
)
def test_bad_url(url: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        parse_target(url)
    assert "secret" not in str(caught.value)


def test_headers() -> None:
    lines = ("a: b", "C:d:e ", "e:", "u: ü", "a:  two\t")
    assert parse_headers(lines) == [
        ("a", b"b"),
        ("C", b"d:e"),
        ("e", b""),
        ("u", "ü".encode()),
        ("a", b"two"),
    ]


@pytest.mark.parametrize("line", ["", "a", ": b", ":path: /x", "a\n: b", "a: b\nc", "a: b\r\n", "a b: c", "ü: x"])
def test_bad_header(line: str) -> None:
    with pytest.raises(UsageError):
        parse_headers(("fine: yes", line))
