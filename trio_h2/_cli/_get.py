"""`trio-h2 get`: requests from the command line."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote

import trio

import trio_h2

from ._errors import UsageError
from ._failures import Failures
from ._fetch import Fetch
from ._form import parse_form, reads_stdin
from ._output import Output
from ._progress import Bar, terminal_for
from ._target import parse_headers, parse_proxy, parse_target, parse_user, trusting
from ._turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._args import GetOptions
    from ._target import Proxy, Target

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that `--retry` takes for failures that may pass; the same as curl's."""


async def get(options: GetOptions) -> int:
    """Sends a request to each URL, in order, or some of them at the same time.

    A request that fails is reported, and the others are sent. Cancelled: the requests under way are reset, the sessions
    are closed.

    Returns:
        The exit code: 0, or that of the first of those requests that failed.

    Raises:
        CommandError: no request can be sent, or no body read or written; what was received until then is written.
    """
    targets = [parse_target(url) for url in options.urls]
    fields = _fields(options)
    proxy = None if options.proxy is None else parse_proxy(options.proxy)
    data = options.json if options.json is not None else options.data
    if data == "@-" and len(targets) > 1:
        raise UsageError(f"{'-d' if options.json is None else '--json'} @- can be read once only, for one URL")
    form = parse_form(options.form)
    if reads_stdin(form) and len(targets) > 1:
        raise UsageError("-F NAME=@- can be read once only, for one URL")
    if form and "content-type" in fields:
        raise UsageError("-F and -H 'content-type: …' exclude each other: a form says by itself where its fields end")
    if options.remote_name:
        _check_names(targets)
    parallel = min(options.parallel, len(targets))
    failures = Failures(ca=options.ca, proxy=proxy)
    async with AsyncExitStack() as stack:
        output = await stack.enter_async_context(Output(options.output))
        config = trio_h2.ClientConfig(instruments=_instruments(options, stack))
        the_proxy = None if proxy is None else await _found(proxy, options, failures)
        client = await stack.enter_async_context(_client(options, targets, config, the_proxy, parallel))
        bodies_on_terminal = output.is_terminal and not options.remote_name
        terminal = terminal_for(body_on_terminal=bodies_on_terminal)
        turns = Turns(len(targets)) if parallel > 1 else None
        bar = Bar(len(targets) if parallel > 1 else 1, trio.current_time(), terminal)
        fetch = Fetch(client, options, fields, data, form, output, turns, bar, failures)
        codes = [0] * len(targets)
        numbered = iter(enumerate(targets))
        if parallel == 1:
            await _work(fetch, numbered, codes)
        else:
            async with trio.open_nursery() as nursery:
                for _ in range(parallel):
                    nursery.start_soon(_work, fetch, numbered, codes)
        bar.clear()
    return next((code for code in codes if code), 0)


async def _work(fetch: Fetch, targets: Iterator[tuple[int, Target]], codes: list[int]) -> None:
    """Sends one request after the other, until there are no more; others may do the same."""
    for number, target in targets:
        codes[number] = await fetch.run(number, target)


def _fields(options: GetOptions) -> trio_h2.Headers:
    """Returns the fields of each request.

    Raises:
        UsageError: one is not right.
    """
    fields = parse_headers(options.headers)
    given = {name.lower() for name, _ in fields}
    if options.json is not None:
        defaults = {"content-type": "application/json", "accept": "application/json"}
        fields += [(name, value.encode()) for name, value in defaults.items() if name not in given]
    if options.user is None:
        return trio_h2.Headers(fields)
    if "authorization" in given:
        raise UsageError("-u and -H 'authorization: …' exclude each other")
    return trio_h2.Headers([*fields, ("authorization", parse_user(options.user))], sensitive=["authorization"])


def _check_names(targets: list[Target]) -> None:
    """Looks at the names of the files that `-O` makes.

    Raises:
        UsageError: one cannot be made, or two have the same.
    """
    found: dict[str, str] = {}
    for target in targets:
        name = target.file_name
        if name in found:
            raise UsageError(f"-O: {found[name]} and {target.url} would both be saved as {name}")
        found[name] = target.url


def _client(
    options: GetOptions,
    targets: list[Target],
    config: trio_h2.ClientConfig,
    proxy: trio_h2.Proxy | None,
    parallel: int,
) -> trio_h2.Client:
    """Makes the client.

    Raises:
        CommandError: the file of authorities is no good.
    """
    context = None
    if (options.ca is not None or options.insecure) and (options.location or any(target.is_tls for target in targets)):
        context = trusting(options.ca, insecure=options.insecure, allow_http1=not options.http2)
        if options.http1:
            context.set_alpn_protocols(["http/1.1"])
    retry = trio_h2.Retry(attempts=1)
    if options.retry is not None:
        retry = trio_h2.Retry(attempts=options.retry, idempotent=True, statuses=_PASSING)
    return trio_h2.Client(
        ssl_context=context,
        config=config,
        # Somebody is there to press Ctrl-C; until then, servers that are slow get the time that they take.
        timeouts=trio_h2.Timeouts(slot=math.inf, response=math.inf, idle=math.inf),
        retry=retry,
        follow_redirects=options.location,
        decode=options.compressed,
        proxy=proxy,
        http1=not options.http2,
        http2=not options.http1,
        prior_knowledge=not options.http1,
        max_sessions=max(parallel, 100),
        max_http1_per_origin=parallel,
    )


async def _found(proxy: Proxy, options: GetOptions, failures: Failures) -> trio_h2.Proxy:
    """Returns the proxy for the client. One without TLS is asked whether it speaks HTTP/2: ALPN cannot tell.

    Raises:
        CommandError: it cannot be reached.
    """
    context = None
    if proxy.target.is_tls and (options.ca is not None or options.insecure):
        context = trusting(options.ca, insecure=options.insecure)
    http2 = None if proxy.target.is_tls else await _speaks_http2(proxy.target, failures)
    scheme, _, host = proxy.target.origin.partition("://")
    user_info = ""
    if proxy.credentials is not None:
        user, password = proxy.credentials
        user_info = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return trio_h2.Proxy(f"{scheme}://{user_info}{host}", ssl_context=context, http2=http2)


async def _speaks_http2(target: Target, failures: Failures) -> bool:
    try:
        async with trio_h2.connect(target.origin) as session:
            await session.ping()
    except OSError as exc:
        raise failures.told(exc, target.url, target.origin) from exc
    except trio_h2.SessionError:
        return False
    return True


def _instruments(options: GetOptions, stack: AsyncExitStack) -> list[trio_h2.Instrument]:
    """Makes what `-v` and `--trace` ask for.

    Raises:
        CommandError: the trace cannot be written.
    """
    from trio_h2.instruments import FrameDump

    from ._trace import open_trace

    made: list[trio_h2.Instrument] = []
    if options.verbose:
        made.append(FrameDump())
    if options.trace is not None:
        made.append(stack.enter_context(open_trace(options.trace, f"trio-h2 get {options.urls[0]}")))
    return made
