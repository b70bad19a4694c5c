"""A JSON API over TLS, with a limit for uploads. It needs a cert.pem and a key.pem."""

import itertools
from pathlib import Path

import trio

import trio_h2
from trio_h2.compat import HTTPError, JSONValue, Request, Response, request_handler

PORT = 8443
MAX_JSON = 64 * 1024
MAX_PICTURE = 5 * 1024 * 1024
PICTURES = Path("pictures")

notes: dict[str, JSONValue] = {}
new_id = itertools.count(1)


async def app(request: Request, response: Response) -> None:
    match request.method, request.path.strip("/").split("/"):
        case "GET" | "HEAD", ["notes"]:
            await response.send_json(notes)
        case "POST", ["notes"]:
            key = str(next(new_id))
            notes[key] = checked(await request.json())
            response.status_code = 201
            response.set_header("location", f"/notes/{key}")
            await response.send_json(notes[key])
        case "GET" | "HEAD", ["notes", key] if key in notes:
            await response.send_json(notes[key])
        case "DELETE", ["notes", key] if key in notes:
            del notes[key]
            (PICTURES / key).unlink(missing_ok=True)
            response.status_code = 204
            await response.end()
        case "PUT", ["notes", key, "picture"] if key in notes:
            await save(request, PICTURES / key)
            response.status_code = 204
            await response.end()
        case _:
            raise HTTPError(404, "nothing is here\n")


def checked(note: JSONValue) -> JSONValue:
    if not isinstance(note, dict) or not isinstance(note.get("text"), str):
        raise HTTPError(400, 'a note is an object with a "text"\n')
    return note


async def save(request: Request, path: Path) -> None:
    """Writes the body to a file while it comes, and gives up as soon as it is too long."""
    length = request.headers.get("content-length", "0")
    if int(length) > MAX_PICTURE:  # refused before a byte of it was read
        raise HTTPError(413, f"a picture has at most {MAX_PICTURE} bytes\n")
    part, size = path.with_name(f".{path.name}.{id(request)}"), 0  # a name that no other upload has
    try:
        async with await trio.open_file(part, "wb") as file:
            async for chunk in request:
                size += len(chunk)
                if size > MAX_PICTURE:
                    raise HTTPError(413, f"a picture has at most {MAX_PICTURE} bytes\n")
                await file.write(chunk)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


async def main() -> None:
    await trio.Path(PICTURES).mkdir(exist_ok=True)
    async with trio_h2.open_server(
        request_handler(app, max_body_size=MAX_JSON),
        PORT,
        ssl_context=trio_h2.server_ssl_context("cert.pem", "key.pem", allow_http1=True),
        allow_http1=True,  # for clients that know HTTP/1.1 only
    ) as server:
        print(f"Listening on {server.url}", flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
