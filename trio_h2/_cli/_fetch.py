"""One request of `trio-h2 get`, and what becomes of its response."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

import trio_h2

from ._body import open_body
from ._errors import STATUS, CommandError, RequestError, reason, report
from ._failures import FAILURES
from ._form import opened
from ._output import BinaryGuard, Output
from ._turns import TurnOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._args import GetOptions
    from ._failures import Failures
    from ._form import FormField
    from ._progress import Bar, Transfer
    from ._target import Target
    from ._turns import Turns


class Fetch:
    """Sends requests, each of which is reported if it fails.

    Args:
        client: sends them.
        options: say how.
        fields: of each request.
        data: what each carries, see `open_body`.
        form: the fields of a form that each carries.
        output: where bodies go that have no file of their own.
        turns: who may write, if several are under way at once.
        bar: shows how far they are.
        failures: puts errors into words.
    """

    def __init__(
        self,
        client: trio_h2.Client,
        options: GetOptions,
        fields: trio_h2.Headers,
        data: str | None,
        form: tuple[FormField, ...],
        output: Output,
        turns: Turns | None,
        bar: Bar,
        failures: Failures,
    ) -> None:
        self._client = client
        self._options = options
        self._fields = fields
        self._data = data
        self._form = form
        self._output = output
        self._turns = turns
        self._bar = bar
        self._failures = failures

    async def run(self, number: int, target: Target) -> int:
        """Sends one request, and writes its response.

        Args:
            number: its place among all.
            target: where it goes.

        Returns:
            The exit code.

        Raises:
            CommandError: no request can be sent, or no body read or written.
        """
        turn = None if self._turns is None else TurnOutput(self._output, self._turns, number)
        out = turn or self._output
        try:
            failed: RequestError | ExceptionGroup[RequestError] | None = None
            try:
                if self._options.resume:
                    await self._download(target, out)
                elif self._options.remote_name:
                    async with Output(target.file_name) as file:
                        await self._request(target, out, file)
                else:
                    await self._request(target, out, out)
            except RequestError as exc:
                failed = exc
            except ExceptionGroup as group:
                failed, others = group.split(RequestError)
                if failed is None or others is not None:
                    raise
            if turn is not None:
                await turn.finish()
        finally:
            if turn is not None:
                turn.close()
        if failed is None:
            return 0
        self._bar.clear()
        return report(failed)

    async def _download(self, target: Target, out: Output | TurnOutput) -> None:
        """Downloads to a file, and goes on with what has come of it before."""
        options = self._options
        path = options.output or target.file_name
        transfer: Transfer | None = None
        shown = 0

        def progress(received: int, expected: int | None) -> None:
            nonlocal transfer, shown
            now = trio.current_time()
            if transfer is None:
                transfer = self._bar.begin(None if expected is None else expected - received, now)
            else:
                transfer.advance(max(received - shown, 0), now)
            shown = received

        try:
            response = await self._client.download(
                target.whole, path, headers=self._fields, resume=True, retries=options.retry or 0, progress=progress
            )
        except trio_h2.StatusError as exc:
            if options.include and exc.response is not None:
                await out.say(_heads(exc.response))
            raise RequestError(f"{target.url}: the server answered with status {exc.status}", STATUS) from exc
        except trio_h2.DownloadError as exc:
            raise RequestError(f"{exc} (without {path}.part it would begin anew)") from exc
        except OSError as exc:
            if exc.filename is None:
                raise self._failures.told(exc, target.url, target.origin) from exc
            if isinstance(exc, BlockingIOError):
                raise CommandError(f"another download is writing {exc.filename}") from exc
            raise CommandError(f"cannot write to {exc.filename}: {reason(exc)}") from exc
        except FAILURES as exc:
            if transfer is None:
                raise self._failures.told(exc, target.url, target.origin) from exc
            kept = f"{path}.part is kept for the next --resume"
            if not os.path.exists(f"{path}.part"):  # noqa: ASYNC240  # as quick as the names that were just removed
                kept = "nothing is kept, because the server does not tell whether the file has changed"
            raise RequestError(
                f"{target.url}: the transfer failed after {shown} bytes, {kept}: "
                f"{self._failures.words(exc, target.origin)}"
            ) from exc
        finally:
            if transfer is not None:
                transfer.end()
        if options.include:
            await out.say(b"".join(_heads(one) for one in (*response.history, response)))

    async def _request(self, target: Target, out: Output | TurnOutput, body_out: Output | TurnOutput) -> None:
        options = self._options
        async with open_body(self._data) as body:
            with opened(self._form) as files:
                fields = self._fields
                if body.size is not None and "content-length" not in fields:
                    size = b"%d" % body.size
                    fields = trio_h2.Headers([*fields.raw, (b"content-length", size)], sensitive=fields.sensitive)
                method = options.method or ("GET" if self._data is None and not files else "POST")
                with self._told(target):
                    block = self._client.request(
                        method, target.whole, headers=fields, body=body.content(), files=files or None
                    )
                with self._told(target, block):
                    async with block as response:
                        await self._receive(response, target, out, body_out)
        if options.fail and response.status >= 400:
            raise RequestError(f"{target.url}: the server answered with status {response.status}", STATUS)

    async def _receive(
        self, response: trio_h2.Response, target: Target, out: Output | TurnOutput, body_out: Output | TurnOutput
    ) -> None:
        """Receives the response and writes it as it comes, no faster than it can be written."""
        if self._options.include:
            await out.say(b"".join(_heads(one) for one in (*response.history, response)))
        if self._options.fail and response.status >= 400:
            return
        length = response.headers.get("content-length")
        if self._options.method == "HEAD" or (self._options.compressed and "content-encoding" in response.headers):
            length = None  # nothing comes, or more than that
        guard = BinaryGuard(target.url) if body_out.is_unasked_terminal else None
        transfer = self._bar.begin(None if length is None else int(length), trio.current_time())
        try:
            while chunk := await self._next(response, target, body_out, transfer):
                if guard is not None:
                    guard.look_at(chunk)
                await body_out.write(chunk)
                transfer.advance(len(chunk), trio.current_time())
            await body_out.write(b"")  # an empty body makes an empty file
        finally:
            transfer.end()

    async def _next(
        self, response: trio_h2.Response, target: Target, output: Output | TurnOutput, transfer: Transfer
    ) -> bytes:
        try:
            return await response.receive_some()
        except FAILURES as exc:
            raise RequestError(
                f"{target.url}: the transfer failed after {transfer.received} bytes, {output.name} is incomplete: "
                f"{self._failures.words(exc, target.origin)}"
            ) from exc

    @contextmanager
    def _told(self, target: Target, block: trio_h2.RequestBlock | None = None) -> Iterator[None]:
        """Says which request failed."""
        try:
            yield
        except FAILURES as exc:
            if isinstance(exc, OSError) and exc.filename is not None:
                raise CommandError(f"cannot read {exc.filename}: {reason(exc)}") from exc  # of a form
            origin = target.origin if block is None or block.url == target.whole else _origin(block.url)
            raise self._failures.told(exc, target.url, origin) from exc


def _origin(url: str) -> str:
    """Returns scheme, host and port of a URL that a redirect led to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _heads(response: trio_h2.Response) -> bytes:
    """Returns the heads of a response, those of 1xx responses first."""
    version = b"2" if response.http_version == "2" else b"1.1"
    return b"".join(_head(version, headers) for headers in (*response.informational, response.headers))


def _head(version: bytes, headers: trio_h2.Headers) -> bytes:
    fields = b"".join(b"%b: %b\n" % field for field in headers.raw if not field[0].startswith(b":"))
    return b"HTTP/%b %d\n%b\n" % (version, headers.status, fields)
