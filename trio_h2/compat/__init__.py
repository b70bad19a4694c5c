"""Handlers that take a request and a response, the same over HTTP/2 and HTTP/1.1.

`request_handler` makes a handler for the ``serve_*`` functions of one::

    async def app(request: compat.Request, response: compat.Response) -> None:
        await response.send_text("hello")

    await trio_h2.serve_tcp(compat.request_handler(app), 8080)
"""

from __future__ import annotations

from trio_h2 import JSONValue as JSONValue

from .._public import publish as _publish
from ._errors import HTTPError as HTTPError
from ._fields import HeaderValue as HeaderValue
from ._form import Form as Form
from ._handler import StreamHandler as StreamHandler
from ._handler import request_handler as request_handler
from ._request import Request as Request
from ._response import Response as Response
from ._upload import UploadedFile as UploadedFile

_publish(globals())
