from trio_h2.compat import Request, Response, request_handler


class MyRequest(Request):
    @property
    def user(self) -> str:
        return self.headers.get("x-user", "nobody")


async def greet(request: MyRequest, response: Response) -> None:
    await response.send_text(request.user)


handler = request_handler(greet, request_class=MyRequest)
