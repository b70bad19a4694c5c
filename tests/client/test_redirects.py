"""Redirects: which are followed, and what goes along (RFC 9110 §15.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import trio_h2
from tests.client.network import network, ours
from trio_h2 import Client, Retry
from trio_h2.testing import ThrowawayAuthority, sweep_cancellation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

URL = "http://a.example"
both = pytest.mark.parametrize("http1", [False, True], ids=["2", "1.1"])


class Site:
    """Answers ``/STATUS`` with that status and a ``location``, everything else by saying what was asked."""

    def __init__(self, location: str = "/end", *, size: int = 20) -> None:
        self.location = location
        self.size = size
        self.seen: list[tuple[str, str, str, bytes]] = []
        self.fields: list[trio_h2.Headers] = []

    async def __call__(self, stream: trio_h2.ServerStream) -> None:
        body = await stream.read()
        self.seen.append((stream.method, stream.authority or "", stream.path, body))
        self.fields.append(stream.headers)
        if stream.path[1:].isdigit():
            headers = {":status": stream.path[1:], "location": self.location}
            await stream.respond(headers, body=bytes(self.size))
        else:
            await stream.respond(200, body=b"here")


@both
@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"),
        (301, "HEAD", "HEAD"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (303, "GET", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
async def test_methods(status: int, method: str, then: str, http1: bool, autojump_clock: MockClock) -> None:
    site = Site()
    carries = method in ("POST", "PUT", "PATCH")
    body = b'{"a":1}' if carries else b""
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        response = await client.fetch(method, f"{URL}/{status}", json={"a": 1} if carries else None)
        assert (response.status, response.url, response.method) == (200, f"{URL}/end", then)
        kept = body if then == method else b""
        assert site.seen == [(method, "a.example", f"/{status}", body), (then, "a.example", "/end", kept)]
        assert site.fields[1].get("content-type") == ("application/json" if kept else None)
        assert [(old.status, old.url, old.method, old.headers["location"]) for old in response.history] == [
            (status, f"{URL}/{status}", method, "/end")
        ]
        assert client.statistics().opened == 1
        assert client.statistics().requests == 0


@both
async def test_off_by_default_and_for_one_request(http1: bool, autojump_clock: MockClock) -> None:
    async with network(ours(Site(), http1=True)) as made, Client(transport=made, prior_knowledge=not http1) as client:
        response = await client.get(f"{URL}/302")
        assert (response.status, response.content, response.history) == (302, bytes(20), ())
        assert (await client.get(f"{URL}/302", follow_redirects=True)).status == 200
        async with client.request("GET", f"{URL}/302", follow_redirects=True) as streamed:
            assert await streamed.read() == b"here"
    async with (
        network(ours(Site(), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        assert (await client.get(f"{URL}/302", follow_redirects=False)).status == 302


@both
async def test_bodies_that_can_be_made_again(http1: bool, autojump_clock: MockClock) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await trio.sleep(0.01)
        yield b"two"

    site = Site()
    async with (
        network(ours(site, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        again = await client.post(f"{URL}/307", body=pieces)
        assert (again.status, [body for *_, body in site.seen]) == (200, [b"onetwo", b"onetwo"])
        site.seen.clear()
        once = await client.post(f"{URL}/307", body=pieces())
        assert (once.status, once.headers["location"], len(site.seen)) == (307, "/end", 1)
        became_get = await client.post(f"{URL}/303", body=pieces())
        assert (became_get.status, site.seen[-1]) == (200, ("GET", "a.example", "/end", b""))


@both
@pytest.mark.parametrize(
    ("location", "url", "asked"),
    [
        ("//b.example/x", "http://b.example/x#here", "/x"),
        ("http://b.example:8080", "http://b.example:8080#here", "/"),
        ("?x=1", f"{URL}/dir/302?x=1#here", "/dir/302?x=1"),
        ("../x/./y", f"{URL}/x/y#here", "/x/y"),
        ("/x#there", f"{URL}/x#there", "/x"),
        ("#there", f"{URL}/dir/302#there", "/dir/302"),
        ("/a b", f"{URL}/a b#here", "/a%20b"),
        ("/%41", f"{URL}/%41#here", "/%41"),
        ("/ü", f"{URL}/ü#here", "/%C3%BC"),
        ("http://bücher.example/", "http://bücher.example/#here", "/"),
        ("HTTP://B.EXAMPLE/x", "HTTP://B.EXAMPLE/x#here", "/x"),
    ],
)
async def test_where_a_location_leads(
    location: str, url: str, asked: str, http1: bool, autojump_clock: MockClock
) -> None:
    paths: list[str] = []

    async def leads(stream: trio_h2.ServerStream) -> None:
        paths.append(stream.path)
        if len(paths) == 1:
            await stream.respond({":status": "302", "location": location.encode()})
        else:
            await stream.respond(200, body=(stream.authority or "").encode())

    async with (
        network(ours(leads, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        response = await client.get(f"{URL}/dir/302#here")
        assert (response.status, response.url, paths) == (200, url, ["/dir/302", asked])
        if "bücher" in location:
            assert response.text == "xn--bcher-kva.example"


@both
@pytest.mark.parametrize(
    "location",
    [
        "",
        "ftp://a.example/x",
        "javascript:alert(1)",
        "http://",
        "http://a b/",
        "http:x",
        "a.example:80/x",
        "http://[::1",
        "//[",
        "mailto:a@b",
    ],
)
async def test_what_leads_nowhere_is_returned(location: str, http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(ours(Site(location), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        response = await client.get(f"{URL}/301")
        assert (response.status, response.content, response.history) == (301, bytes(20), ())
        for status in 300, 305, 306:
            assert (await client.get(f"{URL}/{status}")).status == status


@both
async def test_credentials_stay_at_their_origin(http1: bool, autojump_clock: MockClock) -> None:
    site = Site()

    async def leads(stream: trio_h2.ServerStream) -> None:
        """From a.example to b.example, and back."""
        if stream.path == "/307":
            site.location = f"{URL}/end" if stream.authority == "b.example" else "http://b.example/307"
        else:
            site.location = {"/301": f"{URL}:81/end", "/302": f"{URL}:80/end"}.get(stream.path, "")
        await site(stream)

    secrets = {"authorization": "Basic x", "cookie": "a=b", "proxy-authorization": "y", "x-own": "z"}
    async with (
        network(ours(leads, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True, headers={"authorization": "k"}) as one,
    ):
        response = await one.get(f"{URL}/307", headers=secrets)
        assert [old.url for old in response.history] == [f"{URL}/307", "http://b.example/307"]
        assert [[fields.get(name) for name in secrets] for fields in site.fields] == [
            ["Basic x", "a=b", "y", "z"],
            [None, None, None, "z"],
            [None, None, None, "z"],
        ]
        # Another port is another origin, too; the default port is not. The client's own headers are as secret.
        for path, kept in ("/301", None), ("/302", "k"):
            site.fields.clear()
            assert (await one.get(f"{URL}{path}", headers={"x-own": "z"})).status == 200
            assert [fields.get("authorization") for fields in site.fields] == ["k", kept]


async def test_never_from_https_to_http(autojump_clock: MockClock) -> None:
    authority = ThrowawayAuthority()
    site = Site("http://localhost/end")

    async def serve(transport: trio.abc.Stream) -> None:
        context = authority.server_context()
        secure = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
        await trio_h2.serve_stream(site, secure)

    async with (
        network(serve) as made,
        Client(transport=made, ssl_context=authority.client_context(), follow_redirects=True) as client,
    ):
        response = await client.get("https://localhost/307")
        assert (response.status, response.history, len(site.seen)) == (307, (), 1)
        site.location = "https://localhost/end"
        assert (await client.get("https://localhost/307")).status == 200


@both
async def test_too_many(http1: bool, autojump_clock: MockClock) -> None:
    async def counts(stream: trio_h2.ServerStream) -> None:
        number = int(stream.path[1:])
        location = f"/{number - 1}" if number else None
        headers = {":status": "200"} if location is None else {":status": "302", "location": location}
        await stream.respond(headers)

    async with (
        network(ours(counts, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True, max_redirects=4) as client,
    ):
        response = await client.get(f"{URL}/4")
        assert [old.url for old in response.history] == [f"{URL}/{number}" for number in (4, 3, 2, 1)]
        assert [len(old.history) for old in response.history] == [0, 1, 2, 3]
        with pytest.raises(trio_h2.TooManyRedirectsError, match=f"GET {URL}/5 .* max_redirects=4 times, to {URL}/0"):
            await client.get(f"{URL}/5")
        assert client.statistics().requests == 0
        assert client.statistics().opened == 1


@both
@pytest.mark.parametrize(("size", "opened"), [(60_000, 1), (500_000, 2)])
async def test_what_redirects_say_is_dropped(size: int, opened: int, http1: bool, autojump_clock: MockClock) -> None:
    """A short body is read, and the connection kept; a long one costs a connection of HTTP/1.1, and no time."""
    async with (
        network(ours(Site(size=size), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        response = await client.get(f"{URL}/302")
        assert response.content == b"here"
        assert client.statistics().opened == (opened if http1 else 1)
        with pytest.raises(RuntimeError, match="read"):
            _ = response.history[0].content


@both
async def test_a_redirect_that_never_ends(http1: bool, autojump_clock: MockClock) -> None:
    async def endless(stream: trio_h2.ServerStream) -> None:
        if stream.path == "/end":
            await stream.respond(200)
            return
        await stream.respond({":status": 302, "location": "/end"}, end_stream=False)
        await trio.sleep_forever()

    async with (
        network(ours(endless, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):
        assert (await client.get(URL)).status == 200
        assert trio.current_time() < 1


@both
async def test_responses_before_a_repetition_keep_the_connection(http1: bool, autojump_clock: MockClock) -> None:
    answers = [503, 503, 200]

    async def later(stream: trio_h2.ServerStream) -> None:
        await stream.respond(answers.pop(0), body=b"not now")

    async with (
        network(ours(later, http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, retry=Retry(statuses={503})) as client,
    ):
        assert (await client.get(URL)).status == 200
        assert client.statistics().opened == 1


async def test_each_place_has_all_its_repetitions(autojump_clock: MockClock) -> None:
    asked: list[str] = []

    async def busy_at_first(stream: trio_h2.ServerStream) -> None:
        asked.append(stream.path)
        if asked.count(stream.path) == 1:
            await stream.respond(503)
        elif stream.path == "/begin":
            await stream.respond({":status": 307, "location": "/end"})
        else:
            await stream.respond(200)

    async with network(ours(busy_at_first)) as made:
        retry = Retry(attempts=1, statuses={503})
        async with Client(transport=made, prior_knowledge=True, retry=retry, max_redirects=5) as client:
            response = await client.get(f"{URL}/begin", follow_redirects=True)
            assert (response.status, asked) == (200, ["/begin", "/begin", "/end", "/end"])


@both
async def test_cancelled_at_every_checkpoint(http1: bool, autojump_clock: MockClock) -> None:
    async with (
        network(ours(Site(size=5000), http1=True)) as made,
        Client(transport=made, prior_knowledge=not http1, follow_redirects=True) as client,
    ):

        async def scenario() -> None:
            assert (await client.post(f"{URL}/307", body=b"x")).content == b"here"

        async def after() -> None:
            await trio.sleep(0.1)
            assert (client.statistics().requests, client.statistics().waiting) == (0, 0)
            await scenario()

        await client.get(URL)
        assert await sweep_cancellation(scenario, after=after) > 8


async def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="follow_redirects must be True or False"):
        Client(follow_redirects=1)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ValueError, match="max_redirects must be at least 1, not 0"):
        Client(max_redirects=0)
    async with Client() as client:
        with pytest.raises(TypeError, match="follow_redirects"):
            client.request("GET", URL, follow_redirects=5)  # type: ignore[arg-type]  # that is the test
