import hashlib

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    assert scope["type"] == "http"
    if scope["path"] == "/sum":
        digest = hashlib.sha256()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":  # the client has left
                return
            digest.update(message["body"])
            more = message["more_body"]
        text = digest.hexdigest()
    else:
        text = f"hello, {scope['path']}"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode(), "more_body": False})
