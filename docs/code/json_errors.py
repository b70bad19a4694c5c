"""Errors as JSON, those of the library included."""

import json
from collections.abc import Awaitable, Callable

from trio_h2.compat import HTTPError, Request, Response

App = Callable[[Request, Response], Awaitable[None]]


def with_json_errors(app: App) -> App:
    async def wrapped(request: Request, response: Response) -> None:
        try:
            await app(request, response)
        except HTTPError as error:
            body = json.dumps({"error": error.body.decode().strip()}, separators=(",", ":"))
            raise HTTPError(error.status, body, headers={"content-type": "application/json"}) from None

    return wrapped
