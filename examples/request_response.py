"""A small service with requests and responses: JSON, a form with a file, errors that are answers."""

from __future__ import annotations

import contextlib

import trio

import trio_h2
from trio_h2.compat import HTTPError, Request, Response, request_handler

NOTES: list[str] = []


async def app(request: Request, response: Response) -> None:
    match request.method, request.path:
        case "GET", "/notes":
            await response.send_json(NOTES)
        case "POST", "/notes":
            note = await request.json()
            if not isinstance(note, str):
                raise HTTPError(400, "a note is a string")
            NOTES.append(note)
            response.status_code = 201
            await response.end()
        case "POST", "/upload":
            form = await request.form(max_size=10_000_000)
            await response.send_text("".join(f"{file.filename}: {file.size} bytes\n" for file in form.files))
        case _:
            raise HTTPError(404, "nothing is here")


async def main() -> None:
    async with trio_h2.open_server(request_handler(app)) as server, trio_h2.connect(server.url) as session:
        await show(session, "POST", "/notes", b'"buy milk"')
        await show(session, "POST", "/notes", b'"unfinished')
        await show(session, "GET", "/notes")
        await show(session, "POST", "/upload", FORM, "multipart/form-data; boundary=cut")
        await show(session, "GET", "/elsewhere")


FORM = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--cut--\r\n'


async def show(session: trio_h2.ClientSession, method: str, path: str, body: bytes = b"", kind: str = "") -> None:
    headers = {"content-type": kind} if kind else {}
    async with session.request(method, path, headers=headers, body=body) as stream:
        response = await stream.receive_response()
        text = b"".join([bytes(chunk) async for chunk in stream]).decode().strip()
        print(method, path, response.status, text)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        trio.run(main)
