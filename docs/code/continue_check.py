from request_response import app

from trio_h2.compat import HTTPError, Request, Response, request_handler


async def check(request: Request, response: Response) -> None:
    if request.method != "PUT":
        raise HTTPError(417, "PUT it")
    await response.write_continue()
    await app(request, response)


handler = request_handler(app, check_continue=check)
