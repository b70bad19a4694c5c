"""What a gateway may be told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from trio_h2.gateway import Ejection, Gateway, HealthCheck, Retries, Route, Servers

if TYPE_CHECKING:
    import trio_h2


async def _handler(stream: trio_h2.ServerStream) -> None:
    await stream.respond(200, body=b"")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_running": 0}, "max_running must be at least 1, not 0"),
        ({"max_waiting": -1}, "max_waiting must not be negative, not -1"),
        ({"max_wait": 0}, "max_wait must be more than 0 seconds"),
        ({"tunnel_idle_timeout": -1}, "tunnel_idle_timeout must be 0 seconds or more"),
        ({"urls": []}, "urls must name at least one server"),
        ({"urls": ["ftp://a"]}, "ftp"),
        ({"urls": ["http://a?b"]}, "neither a query nor a fragment"),
        ({"urls": ["unix:"]}, "urls must name a path behind 'unix:'"),
    ],
)
def test_values_of_servers(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Servers(**{"urls": "http://a", **options})  # type: ignore[arg-type]  # is tested


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"check": "/"}, "check must be HealthCheck or None, not '/'"),
        ({"ejection": 3}, "ejection must be Ejection or None, not 3"),
        ({"retries": None}, "retries must be Retries, not None"),
        ({"timeouts": 3}, "timeouts must be Timeouts, not 3"),
        ({"ssl_context": 3}, "ssl_context must be SSLContext or None, not 3"),
        ({"keep_host": 1}, "keep_host must be True or False, not 1"),
        ({"transport": 1}, "transport must be a function or None, not 1"),
        ({"urls": [1]}, "urls must hold text"),
    ],
)
def test_types_of_servers(options: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Servers(**{"urls": "http://a", **options})  # type: ignore[arg-type]  # is tested


def test_one_url_is_a_list_of_one() -> None:
    assert Servers("http://a") == Servers(["http://a"])
    assert Route("/", "http://a").target == Servers(["http://a"])


def test_values_of_the_rest() -> None:
    for make, message in (
        (lambda: HealthCheck("health"), "path must begin with a slash"),
        (lambda: HealthCheck(interval=0), "interval must be more than 0 seconds"),
        (lambda: HealthCheck(timeout=-1), "timeout must be more than 0 seconds"),
        (lambda: HealthCheck(healthy=0), "healthy must be at least 1, not 0"),
        (lambda: HealthCheck(unhealthy=0), "unhealthy must be at least 1, not 0"),
        (lambda: HealthCheck(statuses=[100]), "must be in 200..599, not 100"),
        (lambda: Ejection(failures=0), "failures must be at least 1, not 0"),
        (lambda: Ejection(seconds=0), "seconds must be more than 0"),
        (lambda: Ejection(seconds=5, max_seconds=1), "max_seconds must be at least seconds=5, not 1"),
        (lambda: Ejection(statuses={200}), "must be in 400..599, not 200"),
        (lambda: Retries(attempts=-1), "attempts must not be negative, not -1"),
        (lambda: Retries(share=1.5), "share must be in 0..1, not 1.5"),
        (lambda: Retries(share=math.nan), "share must be 0"),
        (lambda: Retries(reserve=-1), "reserve must not be negative, not -1"),
        (lambda: Route("api", _handler), "prefix must be a path that begins with a slash, without escapes, not 'api'"),
        (lambda: Route("/a%20b", _handler), "without escapes"),
        (lambda: Route("/a//b", _handler), "without escapes"),
        (lambda: Route("/", _handler, host="a:80"), "without a port, not 'a:80'"),
        (lambda: Route("/", _handler, host="a.*"), "host must be a name such as"),
        (lambda: Route("/a", _handler, strip_prefix=True), "strip_prefix and rewrite are for servers"),
        (lambda: Gateway([]), "routes must have at least one Route"),
        (lambda: Gateway([Route("/", _handler), Route("/", _handler)]), "routes must differ"),
        (lambda: Gateway([Route("/", "http://a")], via="a b"), "via must be a name"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_types_of_the_rest() -> None:
    for make, message in (
        (lambda: Route("/", 3), "handler must be an async function"),  # type: ignore[arg-type]  # is tested
        (lambda: Route(3, _handler), "prefix must be a str, not 3"),  # type: ignore[arg-type]  # is tested
        (lambda: Route("/", _handler, host=3), "host must be a str or None, not 3"),  # type: ignore[arg-type]  # is tested
        (lambda: Route("/", "http://a", rewrite=3), "rewrite must be a function or None, not 3"),  # type: ignore[arg-type]  # is tested
        (lambda: Gateway(["/"]), "routes must have nothing but Route objects, not '/'"),  # type: ignore[list-item]  # is tested
        (lambda: HealthCheck(3), "path must be a str, not 3"),  # type: ignore[arg-type]  # is tested
        (lambda: HealthCheck(host=3), "host must be a str, not 3"),  # type: ignore[arg-type]  # is tested
    ):
        with pytest.raises(TypeError, match=message):
            make()


def test_time_outs_of_ejection_double() -> None:
    ejection = Ejection(seconds=1, max_seconds=10)
    assert [ejection.time_out(times) for times in (0, 1, 2, 3, 4, 1000)] == [1, 2, 4, 8, 10, 10]
