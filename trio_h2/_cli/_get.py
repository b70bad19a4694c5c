"""`trio-h2 get`: requests from the command line."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import trio

import trio_h2

from ._body import open_body
from ._errors import STATUS, RequestError, UsageError, report
from ._output import BinaryGuard, Output
from ._progress import Progress, terminal_for
from ._sessions import Sessions
from ._target import parse_headers, parse_proxy, parse_target, trusting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from ._args import GetOptions
    from ._body import Body
    from ._target import Target


async def get(options: GetOptions) -> int:
    """Sends a request to each URL, in order, over one session for each origin.

    A request that fails is reported, and the next one is sent. Cancelled: the request under way is reset, the sessions
    are closed.

    Returns:
        The exit code: 0, or that of the first request that failed.

    Raises:
        CommandError: no request can be sent, or no body read or written; what was received until then is written.
    """
    targets = [parse_target(url) for url in options.urls]
    fields = parse_headers(options.headers)
    proxy = None if options.proxy is None else parse_proxy(options.proxy)
    context = None
    if any(target.is_tls for target in targets) or (proxy is not None and proxy.target.is_tls):
        context = trusting(options.ca, insecure=options.insecure)
    if options.data == "@-" and len(targets) > 1:
        raise UsageError("-d @- can be read once only, for one URL")
    code = 0
    async with AsyncExitStack() as stack:
        output = await stack.enter_async_context(Output(options.output))
        config = trio_h2.ClientConfig(instruments=_instruments(options, stack))
        sessions = Sessions(stack, context, proxy, options.ca, config)
        for target in targets:
            with _going_on() as failed:
                async with open_body(options.data) as body:
                    request = _request(await sessions.get(target), target, options, fields, body)
                    status = await _exchange(request, target, options, body, output)
                if options.fail and status >= 400:
                    raise RequestError(f"{target.url}: the server answered with status {status}", STATUS)
            code = code or failed.code
    return code


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


class _Failure:
    """Of a request that may have failed."""

    code = 0


@contextmanager
def _going_on() -> Iterator[_Failure]:
    """Reports the failure of one request, and nothing else: whatever would fail with each of them ends the command."""
    failure = _Failure()
    try:
        yield failure
    except RequestError as exc:
        failure.code = report(exc)
    except ExceptionGroup as group:
        failed, others = group.split(RequestError)
        if failed is None or others is not None:
            raise
        failure.code = report(failed)


def _request(
    session: trio_h2.ClientSession, target: Target, options: GetOptions, fields: list[tuple[str, bytes]], body: Body
) -> AbstractAsyncContextManager[trio_h2.ClientStream]:
    """Prepares a request; nothing is sent yet."""
    given = {name.lower() for name, _ in fields}
    defaults = {"user-agent": f"trio-h2/{trio_h2.__version__}", "accept": "*/*"}
    if body.size is not None:
        defaults["content-length"] = str(body.size)
    headers = [*fields, *((name, value.encode()) for name, value in defaults.items() if name not in given)]
    method = options.method or ("GET" if options.data is None else "POST")
    try:
        return session.request(method, target.path, headers=headers, body=body.octets, end_stream=body.file is None)
    except ValueError as exc:
        raise UsageError(str(exc)) from exc


async def _exchange(
    request: AbstractAsyncContextManager[trio_h2.ClientStream],
    target: Target,
    options: GetOptions,
    body: Body,
    output: Output,
) -> int:
    """Sends the request and its body, and receives the response at the same time.

    Returns:
        The status.
    """
    with _failures(target):
        async with request as stream, trio.open_nursery() as nursery:
            if body.file is not None:
                nursery.start_soon(body.send, stream)
            status = await _receive(stream, target, options, output)
            nursery.cancel_scope.cancel()  # nobody wants the rest of the body
    return status


async def _receive(stream: trio_h2.ClientStream, target: Target, options: GetOptions, output: Output) -> int:
    """Receives the response and writes it as it comes, no faster than it can be written."""
    with _failures(target):
        response = await stream.receive_response()
    if options.include:
        await output.say(b"".join(_head(headers) for headers in (*stream.informational, response)))
    if options.fail and response.status >= 400:
        return response.status
    length = response.get("content-length") if options.method != "HEAD" else None
    terminal = terminal_for(body_on_terminal=output.is_terminal)
    guard = BinaryGuard(target.url) if output.is_unasked_terminal else None
    progress = Progress(None if length is None else int(length), trio.current_time(), terminal)
    try:
        with _failures(target, output, progress):
            while chunk := await stream.receive_some():
                if guard is not None:
                    guard.look_at(chunk)
                await output.write(chunk)
                progress.advance(len(chunk), trio.current_time())
            await output.write(b"")  # an empty body makes an empty file
    finally:
        progress.clear()
    return response.status


def _head(headers: trio_h2.Headers) -> bytes:
    fields = b"".join(b"%b: %b\n" % field for field in headers.raw if not field[0].startswith(b":"))
    return b"HTTP/2 %d\n%b\n" % (headers.status, fields)


@contextmanager
def _failures(target: Target, output: Output | None = None, progress: Progress | None = None) -> Iterator[None]:
    """Says which request failed, and what became of its response."""
    try:
        yield
    except (trio_h2.H2Error, trio.BrokenResourceError, trio.ClosedResourceError) as exc:
        what = f"{target.url}: "
        if output is not None and progress is not None:
            what += f"the transfer failed after {progress.received} octets, {output.name} is incomplete: "
        if isinstance(exc, trio_h2.HandshakeError) and not isinstance(exc.__cause__, ssl.SSLError):
            # Its first bytes were no HTTP/2, nor an alert of TLS.
            what += "the server does not speak HTTP/2: "
        raise RequestError(f"{what}{exc}") from exc
