"""Forms: ``application/x-www-form-urlencoded`` and ``multipart/form-data`` (RFC 7578), in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, final
from urllib.parse import parse_qsl

from .._content import content_type
from .._util import NoPublicConstructor
from ._errors import HTTPError

if TYPE_CHECKING:
    import email.message

    from trio_h2 import Headers

    from ._upload import UploadedFile

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"


@final
class Form(Mapping[str, str], metaclass=NoPublicConstructor):
    """The fields of a form, and its files. Made by `Request.form`.

    A mapping of names to text: the first value of a name that is repeated. `get_all` has every value.
    """

    _made_by = "Request.form() makes it"

    def __init__(self, fields: Iterable[tuple[str, str]], files: Iterable[UploadedFile] = ()) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name, []).append(value)
        self._files = list(files)

    def __repr__(self) -> str:
        return f"<Form with {', '.join(map(ascii, self._fields)) or 'no fields'}; {len(self._files)} files>"

    @property
    def files(self) -> list[UploadedFile]:
        """The files, in order; `UploadedFile.name` tells the field."""
        return self._files.copy()

    def file(self, name: str) -> UploadedFile | None:
        """Returns the first file of the field *name*, ``None`` if there is none."""
        return next((file for file in self._files if file.name == name), None)

    def get_all(self, name: str) -> list[str]:
        """Returns every value of the field *name*, in order."""
        return list(self._fields.get(name, ()))

    def __getitem__(self, name: str) -> str:
        return self._fields[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def decode_urlencoded(body: bytes, max_fields: int) -> list[tuple[str, str]]:
    """Returns the names and values in *body*.

    Raises:
        HTTPError: 400, it is not UTF-8; 413, there are too many.
    """
    if body.count(b"&") >= max_fields:
        raise HTTPError(413, f"the form has more than {max_fields} fields\n")
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as exc:
        raise HTTPError(400, "the form is not in UTF-8\n") from exc


def kind_of(headers: Headers) -> email.message.Message:
    """Returns the ``content-type`` of a form, taken apart.

    Raises:
        HTTPError: 415, it has far too many parameters.
    """
    message = content_type(headers)
    if message is None:
        raise HTTPError(415, "the content-type of the body has too many parameters\n")
    return message


def boundary_of(kind: email.message.Message) -> bytes:
    """Returns what separates the parts of a multipart body.

    Raises:
        HTTPError: 400, the ``content-type`` does not say it.
    """
    try:
        boundary = kind.get_boundary()
    except (LookupError, ValueError):  # in a charset (RFC 2231) that is none
        boundary = None
    # RFC 2046 §5.1.1: "Boundary delimiters must not appear within the encapsulated material", and have 1 to 70
    # characters.
    if not boundary or len(boundary) > 70 or not boundary.isascii():
        raise HTTPError(400, "the content-type of the form has no good boundary\n")
    return boundary.encode("ascii")
