"""What an allow-list allows: names, wildcards, addresses, networks and ports, and never more than it says."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from trio_h2.tunnel import AllowList
from trio_h2.tunnel._rules import is_public
from trio_h2.tunnel._target import parse_target

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

pytestmark = pytest.mark.parity("L1")


@pytest.mark.parametrize(
    ("rule", "authority", "address"),
    [
        ("example.com:443", "example.com:443", PUBLIC),
        ("example.com:443", "EXAMPLE.COM.:443", PUBLIC_6),
        ("Example.Com.:443", "example.com:443", PUBLIC),
        ("exämple.com:443", "xn--exmple-cua.com:443", PUBLIC),
        ("*.example.com:*", "a.example.com:1", PUBLIC),
        ("*.example.com:*", "a.b.example.com:65535", PUBLIC),
        ("*:443", "anything.test:443", PUBLIC),
        ("*:443", f"{PUBLIC}:443", PUBLIC),
        ("*:443", f"[{PUBLIC_6}]:443", PUBLIC_6),
        ("example.com:80,443", "example.com:443", PUBLIC),
        ("example.com:80,8000-8099", "example.com:8099", PUBLIC),
        ("10.0.0.0/8:*", "10.1.2.3:5432", "10.1.2.3"),
        ("10.0.0.0/8:*", "[::ffff:10.1.2.3]:5432", "10.1.2.3"),
        ("10.0.0.0/8:*", "db.internal:5432", "10.1.2.3"),
        ("10.0.0.0/8:*", "db.internal:5432", "::ffff:10.1.2.3"),
        ("127.0.0.1:8080", "localhost:8080", "127.0.0.1"),
        ("[::1]:8080", "[0:0::1]:8080", "::1"),
        ("[fd00::]/8:*", "[fd12::1]:1", "fd12::1"),
        ("[fd00::/8]:*", "[fd12::1]:1", "fd12::1"),
        ("[::ffff:10.0.0.0]/104:*", "10.1.1.1:1", "10.1.1.1"),
        ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", "127.0.0.1"),
    ],
)
def test_what_a_rule_allows(rule: str, authority: str, address: str) -> None:
    rules = AllowList([rule])
    target = parse_target(authority)
    assert rules.may_allow(target)
    assert rules.allows(target, ip_address(address))


@pytest.mark.parametrize(
    ("rule", "authority", "address"),
    [
        ("example.com:443", "example.com:80", PUBLIC),
        ("example.com:443", "www.example.com:443", PUBLIC),
        ("example.com:443", "example.com.evil.test:443", PUBLIC),
        ("example.com:443", "notexample.com:443", PUBLIC),
        ("*.example.com:*", "example.com:443", PUBLIC),
        ("*.example.com:*", "badexample.com:443", PUBLIC),
        ("example.com:*", f"{PUBLIC}:443", PUBLIC),  # its address is not its name
        ("*.com:*", f"{PUBLIC}:443", PUBLIC),
        ("*:443", "127.0.0.1:443", "127.0.0.1"),
        ("*:*", "[::1]:443", "::1"),
        ("*:*", "169.254.169.254:80", "169.254.169.254"),
        ("example.com:8000-8099", "example.com:8100", PUBLIC),
        ("10.0.0.0/8:5432", "10.1.2.3:5433", "10.1.2.3"),
        ("10.0.0.0/8:*", "11.0.0.1:80", "11.0.0.1"),
        ("10.0.0.0/8:*", "[::10.1.2.3]:80", "::a01:203"),
        ("127.0.0.1:*", "127.0.0.2:80", "127.0.0.2"),
        ("[::1]:*", "127.0.0.1:80", "127.0.0.1"),
        ("0.0.0.0/0:*", "[2606::1]:80", "2606::1"),
    ],
)
def test_what_a_rule_does_not_allow(rule: str, authority: str, address: str) -> None:
    assert not AllowList([rule]).allows(parse_target(authority), ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *["0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1"],
        *["172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1"],
        *["203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
        *["::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "fe80::1", "fec0::1"],
        *["fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1"],
        *["2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1"],
    ],
)
def test_a_name_does_not_open_a_private_address(address: str) -> None:
    """The name is allowed; where somebody lets it point to is not."""
    rules = AllowList(["example.com:443", "*:443"])
    target = parse_target("example.com:443")
    assert rules.may_allow(target)
    assert not rules.allows(target, ip_address(address))
    literal = parse_target(f"[{address}]:443" if ":" in address else f"{address}:443")
    assert not rules.may_allow(literal)


@pytest.mark.parametrize(
    "address", [PUBLIC, PUBLIC_6, "1.1.1.1", "172.32.0.1", "223.255.255.255", "64:ff9b::101:101", "2a00:1450::1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


def test_a_name_is_looked_up_only_if_that_can_help() -> None:
    assert not AllowList(["example.com:443"]).may_allow(parse_target("other.test:443"))
    assert not AllowList(["10.0.0.0/8:5432"]).may_allow(parse_target("db.internal:80"))
    assert AllowList(["10.0.0.0/8:5432"]).may_allow(parse_target("db.internal:5432"))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        *[("", "HOST:PORTS"), ("example.com", "HOST:PORTS"), (":443", "HOST:PORTS"), ("[::1]", "HOST:PORTS")],
        *[("example.com:", "port"), ("example.com:0", "port"), ("example.com:65536", "port"), ("a:b", "port")],
        *[("a:80-", "port"), ("a:-80", "port"), ("a:90-80", "empty"), ("a:80,,81", "port"), ("a:\uff18\uff10", "port")],
        *[("a.*:80", "host name"), ("*a.com:80", "host name"), ("*.*:80", "host name"), ("*.:80", "host name")],
        *[
            ("a b:80", "host name"),
            ("http://a:80", "brackets"),
            ("a/8:80", "8"),
            ("u@a:80", "host name"),
            ("::1:80", "brackets"),
        ],
        *[("*.1.2.3.4:80", "below an address"), ("*.7:80", "four decimal"), ("*.[::1]:80", "below an address")],
        *[("10.0.0.1/8:80", "host bits"), ("10.0.0.0/33:80", "33"), ("10.0.0.0/255.0.0.0:80", "bits")],
        *[("127.1:80", "four decimal"), ("2130706433:80", "four decimal"), ("fd00::/8:80", "brackets")],
        *[
            ("[fe80::1%eth0]:80", "zone"),
            ("[::g]:80", "IPv6"),
            ("[fe80::%eth0]/10:80", "no zone"),
            ("[fe80::%1/10]:80", "no zone"),
            ("10/8:80", "10"),
        ],
    ],
)
def test_a_rule_that_is_not_right(rule: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AllowList([rule])


@pytest.mark.parametrize(
    "rules",
    [
        *[["localhost:8080"], ["LOCALHOST.:8080"], ["a.localhost:8080"], ["*.localhost:8080"], ["ip6-localhost:8080"]],
        ["localhost.localdomain:8080"],
        ["localhost:8080", "example.com:8080", "*:8080"],
        ["10.0.0.0/8:8080", "localhost:8080"],
        ["localhost:8080", "127.0.0.1:80,8081-8090"],
        ["localhost:8080", "[::]/127:80"],
        ["localhost:8080", "[2001:db8::]/32:*"],
    ],
)
def test_a_rule_for_localhost_alone_can_never_match(rules: list[str]) -> None:
    """RFC 6761 §6.3: it is always this machine, and a rule for a name allows public addresses only."""
    with pytest.raises(ValueError, match=r"can never match: .* allow 127\.0\.0\.1:8080 or \[::1\]:8080"):
        AllowList(rules)


@pytest.mark.parametrize(
    "rules",
    [
        ["localhost:8080", "127.0.0.1:8080"],
        ["127.0.0.0/8:*", "localhost:8080"],
        ["localhost:8080", "[::1]:8000-8099"],
        ["localhost:80,8080", "[::]/0:80"],
        ["localhost:*", "0.0.0.0/0:443"],
        ["mylocalhost:80", "localhost.example.com:80", "*.localhosts:1"],
    ],
)
def test_rules_for_localhost_that_another_one_makes_work(rules: list[str]) -> None:
    assert repr(AllowList(rules)) == f"AllowList({rules!r})"


def test_lists_that_are_not_right() -> None:
    with pytest.raises(ValueError, match="at least one rule"):
        AllowList([])
    for wrong in ("example.com:443", b"a:1", 5):
        with pytest.raises(TypeError, match="several strings"):
            AllowList(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a string"):
        AllowList([5])  # type: ignore[list-item]
    assert repr(AllowList(["a:1"])) == "AllowList(['a:1'])"
