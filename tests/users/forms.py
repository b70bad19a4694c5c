"""An application of requests and responses, with a class of its own, errors, and a middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio_h2
from trio_h2 import compat
from trio_h2.compat import HTTPError, Response


class Request(compat.Request):
    """A request that knows its user."""

    @property
    def user(self) -> str:
        user = self.headers.get("x-user")
        if user is None:
            raise HTTPError(401, "who are you?")
        return user


App = Callable[[Request, Response], Awaitable[None]]


def with_server_name(app: App) -> App:
    """A middleware."""

    async def named(request: Request, response: Response) -> None:
        response.set_header("server", "forms")
        await app(request, response)

    return named


async def app(request: Request, response: Response) -> None:
    """Greets."""
    match request.method, request.path:
        case "GET", "/":
            await response.send_text(f"hello {request.user}")
        case "POST", "/":
            form = await request.form()
            await response.send_json({"user": request.user, "colour": form.get("colour")})
        case _:
            raise HTTPError(404)


@compat.request_handler
async def plain(request: compat.Request, response: Response) -> None:
    """As a decorator."""
    await response.send_text(request.path)


async def main(answers: list[tuple[int, str]]) -> None:
    """Serves both, and asks."""
    handler = compat.request_handler(with_server_name(app), request_class=Request)
    form = {"x-user": "ann", "content-type": "application/x-www-form-urlencoded"}
    async with (
        trio_h2.open_server(handler) as server,
        trio_h2.open_server(plain) as other,
        trio_h2.connect(server.url) as session,
        trio_h2.connect(other.url) as second,
    ):
        for request in (
            session.request(headers={"x-user": "ann"}),
            session.request("POST", headers=form, body=b"colour=green"),
            session.request(),
            second.request(path="/there"),
        ):
            async with request as stream:
                response = await stream.receive_response()
                answers.append((response.status, await stream.text()))
