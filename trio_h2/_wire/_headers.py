"""Header fields: how a field is spelled, how user input becomes bytes, and the `Headers` mapping.

RFC 9110 §5 and RFC 9113 §8.2. What a whole message must look like is told by `_fields` (inbound) and
`_outbound`.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar, cast, final, overload

from .._checks import NOT_FOR_APPLICATIONS
from ._hpack import NeverIndexedHeaderTuple

RawField: TypeAlias = tuple[bytes, bytes]
HeaderValue: TypeAlias = str | int | Sequence[str | int]
# A plain Iterable instead of the last three would keep type checkers from seeing that a dict literal is a mapping, and
# `{":status": 200, "a": "b"}` would not type-check. `Headers` is a Mapping. Any iterable of pairs works.
_Pair: TypeAlias = tuple[str | bytes, HeaderValue | bytes]
HeadersInput: TypeAlias = Mapping[str, HeaderValue] | Sequence[_Pair] | Iterator[_Pair] | ItemsView[str, HeaderValue]
_T = TypeVar("_T")
_TEXT: Final = (str, bytes, bytearray, memoryview)

# RFC 9110 §5.6.2: a name is a token; RFC 9113 §8.2.1: and in lower case. A pseudo-header has a colon before it.
is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
is_field_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_is_name_to_send = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch

# RFC 9110 §5.5: visible characters, spaces, tabs and obs-text; RFC 9113 §8.2.1: "A field value MUST NOT start or end
# with an ASCII whitespace character". One greedy run and one step back: linear, however long the value.
is_field_value = re.compile(
    rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?",
).fullmatch
_find_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search

#: Names that nearly every message carries and that have no rules of their own: no need to look at their letters.
PLAIN_NAMES: Final = frozenset(
    b"""accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
    access-control-allow-headers access-control-allow-methods access-control-allow-origin
    access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc
    authorization cache-control content-disposition content-encoding content-language content-location
    content-range content-security-policy content-type cookie date dnt etag expect expires from
    grpc-accept-encoding grpc-encoding grpc-message grpc-status grpc-timeout if-match if-modified-since
    if-none-match if-range if-unmodified-since last-modified link location max-forwards origin pragma priority
    proxy-authenticate proxy-authorization range referer refresh retry-after sec-ch-ua sec-ch-ua-mobile
    sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user server server-timing
    set-cookie strict-transport-security traceparent tracestate trailer upgrade-insecure-requests user-agent
    vary via www-authenticate x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-proto
    x-frame-options x-powered-by x-request-id""".split(),
)
_KNOWN_NAMES: Final = {
    name.decode("ascii"): name
    for name in (*PLAIN_NAMES, b":status", b":path", b":authority", b"content-length", b"host")
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Fields of which the first one counts when they are repeated. Repeated content-lengths are the same or malformed.
_FIRST_WINS: Final = _words(
    """age authorization access-control-allow-credentials access-control-max-age
    access-control-request-method content-encoding content-language content-length content-location
    content-md5 content-range content-type date dnt etag expires from host if-match if-modified-since
    if-none-match if-range if-unmodified-since last-modified location max-forwards proxy-authorization
    range referer retry-after tk upgrade-insecure-requests user-agent x-content-type-options""",
)
_HIDDEN: Final = _words("authorization cookie proxy-authorization set-cookie")
_SECRET: Final = frozenset(name.encode("ascii") for name in _HIDDEN)

# The newest fields that were encoded, because a program sends the same ones again and again; none that may be secret.
_known_fields: Final[dict[tuple[str, str], RawField]] = {}
_MAX_KNOWN_FIELDS: Final = 1024
_LONG_FIELD: Final = 256


def encode_name(name: object) -> bytes:
    """Returns a field's name in lower case and bytes.

    Raises:
        TypeError: *name* is neither `str` nor `bytes`.
        ValueError: *name* has characters that no name may have.
    """
    if isinstance(name, str):
        known = _KNOWN_NAMES.get(name)
        if known is not None:
            return known
        # ASCII first: the Kelvin sign, for one, is an innocent "k" in lower case.
        encoded = name.lower().encode("ascii") if name.isascii() else b""
    elif isinstance(name, bytes):
        encoded = name.lower()
    else:
        raise TypeError(f"a header name must be str or bytes, not {type(name).__name__}")
    if not _is_name_to_send(encoded):
        raise ValueError(
            f"header name {name!r} is not allowed: a name is made of ASCII letters, digits and !#$%&'*+-.^_`|~",
        )
    return encoded


def encode_value(name: bytes, value: object) -> bytes:
    """Returns one value of the field *name* as bytes. Values are never quoted in errors: they may be secret.

    Raises:
        TypeError: *value* is not `str`, `int` or bytes-like.
        ValueError: *value* has characters that no value may have.
    """
    if isinstance(value, str):
        try:
            encoded = value.encode("latin-1")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"the value of header field {show_name(name)} has a character outside latin-1 at position "
                f"{error.start}: percent-encode it, or pass bytes",
            ) from None
    elif isinstance(value, bytes | bytearray | memoryview):
        encoded = bytes(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value
    else:
        raise TypeError(
            f"the value of header field {show_name(name)} must be str, int, bytes or a list of these, "
            f"not {type(value).__name__}",
        )
    if not is_field_value(encoded):
        control = _find_control(encoded)
        if control is None:
            problem = "starts or ends with white space, which is not allowed"
        else:
            problem = (
                f"has {control[0].decode('latin-1')!r} at position {control.start()}: "
                "line breaks, NUL and other control characters are not allowed"
            )
        raise ValueError(f"the value of header field {show_name(name)} {problem}")
    return encoded


def show_name(name: bytes) -> str:
    """Returns a field's name for a message: quoted, and shortened if someone made it huge."""
    text = name.decode("latin-1")
    return repr(text if len(text) <= 64 else text[:61] + "...")


def encode_fields(headers: HeadersInput, sensitive: frozenset[bytes] = frozenset()) -> list[RawField]:
    """Returns user input as fields whose spelling is right, in order, a list of values as several fields.

    Fields marked as sensitive, and those whose names are in *sensitive*, come out as `NeverIndexedHeaderTuple`.

    Raises:
        TypeError: Something has a type that no header can have.
        ValueError: A name or a value has characters that it may not have.
    """
    given: object = headers
    items: Iterable[object]
    if isinstance(given, Headers):
        items = given.raw
        sensitive |= frozenset(name.encode("latin-1") for name in given.sensitive)
    elif isinstance(given, Mapping):
        items = given.items()
    elif isinstance(given, Iterable) and not isinstance(given, _TEXT):
        items = given
    else:
        raise TypeError(f"headers must be a mapping or (name, value) pairs, not {type(given).__name__}")
    fields: list[RawField] = []
    for item in items:
        plain = type(item) is tuple and len(item) == 2 and type(item[0]) is str and type(item[1]) is str
        if plain and not sensitive and (known := _known_fields.get(cast("tuple[str, str]", item))) is not None:
            fields.append(known)
            continue
        # A string of two characters would unpack as well, hence no duck typing.
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise TypeError("headers must be a mapping or (name, value) pairs: something in them is no pair")
        name = encode_name(item[0])
        secret = name in sensitive or isinstance(item, NeverIndexedHeaderTuple)
        value: object = item[1]
        # The usual types first: asking whether something is a Sequence costs more than all the rest.
        several = (
            not isinstance(value, (str, int, bytes)) and isinstance(value, Sequence) and not isinstance(value, _TEXT)
        )
        for single in cast("Sequence[object]", value) if several else (value,):
            encoded = encode_value(name, single)
            fields.append(NeverIndexedHeaderTuple(name, encoded) if secret else (name, encoded))
        if plain and not sensitive and name not in _SECRET and len(name) + len(fields[-1][1]) <= _LONG_FIELD:
            if len(_known_fields) >= _MAX_KNOWN_FIELDS:
                _known_fields.clear()
            _known_fields[cast("tuple[str, str]", item)] = fields[-1]
    return fields


@final
class Headers(Mapping[str, str | list[str]]):
    """The header fields of one message: an immutable mapping of `str`, in any case, to `str`.

    A repeated field is joined as its kind demands: the first one counts where only one makes sense
    (``content-type``, ``date``, …), ``cookie`` is joined with ``; ``, the rest with ``, ``. ``set-cookie``
    cannot be joined and is always a list. `raw` has every field as it was, `get_all` every value of a name.

    Nothing is parsed before it is asked for, so a message that is only passed on costs nothing here.
    """

    __slots__ = ("_flags", "_index", "_raw", "_sensitive")

    _flags: int
    _raw: list[RawField]
    _index: dict[str, list[str]] | None
    _sensitive: frozenset[str] | None

    def __init__(self, raw: HeadersInput = (), *, sensitive: Iterable[str] = ()) -> None:
        """Checks and copies the given fields; names become lower case.

        Args:
            raw: A mapping, or (name, value) pairs. A value is `str` (latin-1), `int`, `bytes`, or a list of
                these, which stands for several fields.
            sensitive: Names of the fields that header compression must never remember (RFC 7541 §7.1).

        Raises:
            TypeError: A name or a value has the wrong type.
            ValueError: A name or a value has characters that it may not have.
        """
        if isinstance(sensitive, str | bytes):
            raise TypeError("sensitive must be an iterable of header names, not one string")
        names = frozenset(encode_name(name) for name in sensitive)
        self._raw = encode_fields(raw, names)
        self._flags = 0
        self._index = None
        self._sensitive = frozenset(name.decode("ascii") for name in names)
        if isinstance(raw, Headers):
            self._sensitive |= raw.sensitive
        self._sensitive |= _never_indexed(self._raw)

    @classmethod
    def from_raw(cls, raw: list[tuple[bytes, bytes]], *, flags: int = 0) -> Headers:
        """Wraps a list of fields without checking or copying it; whoever calls this gives the list away."""
        self = cls.__new__(cls)
        self._raw = raw
        self._flags = flags
        self._index = None
        self._sensitive = None
        return self

    @property
    def flags(self) -> int:
        """The flags of the HEADERS frame that they came in (RFC 9113 §6.2), as a number; 0 if they were made here."""
        return self._flags

    def first(self, name: bytes) -> str | None:
        """Returns the value of the first field called *name*, in lower case, without reading the others.

        Faster than ``get`` for what stands at the beginning, and for what is looked up once.
        """
        for field in self._raw:
            if field[0] == name:
                return field[1].decode("latin-1")
        return None

    def with_flags(self, flags: int) -> Headers:
        """Returns the same fields as they came in a frame with these *flags*."""
        if flags == self._flags:
            return self
        other = Headers.from_raw(self._raw, flags=flags)
        other._index = self._index
        other._sensitive = self._sensitive
        return other

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """Every field as a pair of bytes, in order, with duplicates and pseudo-headers. A new list each time."""
        return self._raw.copy()

    @property
    def status(self) -> int:
        """The status code of a response, 100 … 999. More than 599 is to be treated like 5xx (RFC 9110 §15).

        Raises:
            LookupError: There is none: these are not the headers of a response.
            ValueError: It is not a number; that cannot be in a message that was received.
        """
        for name, value in self._raw:
            if name == b":status":
                return int(value)
        raise LookupError("these headers have no ':status': they are not those of a response")

    @property
    def sensitive(self) -> frozenset[str]:
        """Names of the fields that must never be indexed: those the caller named, or the sender marked."""
        if self._sensitive is None:
            self._sensitive = _never_indexed(self._raw)
        return self._sensitive

    def forwarded(self, *, drop: Iterable[str] = (), add: HeadersInput = ()) -> Headers:
        """Returns what a gateway or proxy passes on of these headers, or trailers.

        What is about one connection is left out (RFC 9110 §7.6.1): ``connection`` and the fields that it names,
        ``keep-alive``, ``proxy-connection``, ``transfer-encoding``, ``upgrade``, ``http2-settings``, and ``te`` but for
        ``trailers``. Everything else stays in its order, with duplicates, and what must never be indexed stays marked
        (RFC 7541 §7.1.3). So do pseudo-headers: the next server is told the authority of the request that came, unless
        *drop* or *add* names ``:authority``. ``proxy-authorization`` and ``via`` are yours to drop and add.

        Example::

            async def gateway(stream: trio_h2.ServerStream) -> None:
                headers = stream.headers.forwarded(drop=["proxy-authorization"], add={"via": "2 gateway"})
                async with session.request(stream.method, headers=headers) as upstream:
                    response = await upstream.receive_response()
                    await stream.respond(response.forwarded(), body=await upstream.read())

        Args:
            drop: Names of further fields to leave out, in any case, pseudo-headers among them.
            add: Fields to put behind the others; what is there under the same name stays. A pseudo-header takes the
                place of the one that is there, or goes before the fields.

        Raises:
            TypeError: *drop* is one string, or a name or a value has the wrong type.
            ValueError: A name or a value has characters that it may not have.
        """
        if isinstance(drop, str | bytes):
            raise TypeError("drop must be an iterable of header names, not one string")
        dropped = NOT_FOR_APPLICATIONS | {encode_name(name) for name in drop}
        added = encode_fields(add)
        pseudo = {field[0]: field for field in added if field[0][:1] == b":"}
        for name, value in self._raw:
            if name.lower() == b"connection":
                # "Intermediaries MUST parse a received Connection header field before a message is forwarded and, for
                # each connection-option in this field, remove any header or trailer field(s) from the message with the
                # same name".
                dropped |= {option.strip(b" \t") for option in value.lower().split(b",")}
        passed: list[RawField] = []
        for field in self._raw:
            name = field[0].lower()
            if name in dropped:
                continue
            if name == b"te":
                # RFC 9113 §8.2.2: "it MUST NOT contain any value other than 'trailers'".
                if b"trailers" in (coding.strip(b" \t") for coding in field[1].lower().split(b",")):
                    passed.append((b"te", b"trailers"))
                continue
            passed.append(pseudo.pop(name, field))
        fields = [field for field in added if field[0][:1] != b":"]
        return Headers.from_raw([*pseudo.values(), *passed, *fields])

    def get_all(self, name: str) -> list[str]:
        """Returns the values of all fields called *name*, in order; none give an empty list."""
        return list(self._values().get(name.lower(), ()))

    @overload
    def __getitem__(  # type: ignore[overload-overlap]  # a literal is a str, but this one has a type of its own
        self, name: Literal["set-cookie"], /
    ) -> list[str]: ...
    @overload
    def __getitem__(self, name: str, /) -> str: ...
    def __getitem__(self, name: str, /) -> str | list[str]:
        key: object = name
        if not isinstance(key, str):
            raise TypeError(f"header names are str here, not {type(key).__name__}; `raw` has bytes")
        lower = key.lower()
        values = self._values()[lower]
        if lower == "set-cookie":
            return values.copy()
        # A repeated pseudo-header is malformed and never gets here from a peer.
        if len(values) == 1 or lower in _FIRST_WINS or lower[:1] == ":":
            return values[0]
        return ("; " if lower == "cookie" else ", ").join(values)

    @overload  # type: ignore[override]  # as above: narrower than Mapping by the name, not by the type
    def get(  # type: ignore[overload-overlap]  # as above
        self, name: Literal["set-cookie"], /
    ) -> list[str] | None: ...
    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: Literal["set-cookie"], default: _T, /) -> list[str] | _T: ...
    @overload
    def get(self, name: str, default: _T, /) -> str | _T: ...
    def get(self, name: str, default: object = None, /) -> object:
        """Returns what ``headers[name]`` would, or *default*."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    # No hash comes with it: mutable mappings compare equal to this as well.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        theirs = {name.lower() if isinstance(name, str) else name: value for name, value in other.items()}
        return dict(self.items()) == theirs

    def __repr__(self) -> str:
        secret = _HIDDEN | self.sensitive
        shown = []
        for raw_name, value in self._raw:
            name = raw_name.decode("latin-1")
            shown.append(f"({name!r}, {'<hidden>' if name.lower() in secret else repr(value.decode('latin-1'))})")
        return f"Headers([{', '.join(shown)}])"

    # hpack's tuples come out of pickle and deepcopy as something else.
    def __reduce__(self) -> tuple[object, ...]:
        return Headers._restore, ([(name, value) for name, value in self._raw], self.sensitive)

    @classmethod
    def _restore(cls, raw: list[RawField], sensitive: frozenset[str]) -> Headers:
        names = {name.encode("latin-1") for name in sensitive}
        headers = cls.from_raw([NeverIndexedHeaderTuple(*field) if field[0] in names else field for field in raw])
        headers._sensitive = sensitive
        return headers

    def _values(self) -> dict[str, list[str]]:
        index = self._index
        if index is None:
            index = {}
            for name, value in self._raw:
                index.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
            self._index = index
        return index


def _never_indexed(raw: Iterable[RawField]) -> frozenset[str]:
    return frozenset(field[0].decode("latin-1").lower() for field in raw if isinstance(field, NeverIndexedHeaderTuple))
