"""Content codings (RFC 9110 §8.4.1), undone in bounded steps: whatever the input is, one step makes only so much."""

from __future__ import annotations

import importlib
import zlib
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_MAX_ZSTD_WINDOW: Final = 23
"""RFC 9659 §3: "a Zstandard content coding […] MUST NOT use a Window_Size of more than 8 MB"."""

BROTLI_OUTPUT: Final = 32 * 1024


class WrongData(ValueError):  # noqa: N818 – never seen outside: `Decoded` makes a BodyDecodeError of it
    """What came is not in the coding that was announced."""


class Decoder(Protocol):
    """Undoes one coding."""

    @property
    def pending(self) -> bool:
        """Whether `step` may have something without further input."""

    @property
    def whole(self) -> bool:
        """Whether the data may end here."""

    def feed(self, data: bytes) -> None:
        """Takes more input; only when nothing is pending."""

    def step(self, limit: int) -> bytes:
        """Returns at most so many bytes, perhaps none.

        Raises:
            WrongData: the input is not in this coding.
        """


class Zlib:
    """``gzip`` (RFC 1952), of one member or more, and ``deflate`` (RFC 1950).

    RFC 9110 §8.4.1.2: "Some non-conformant implementations send the "deflate" compressed data without the zlib
    wrapper."
    """

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._begun = False
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16 if gzip else zlib.MAX_WBITS)
        self._input = b""
        self._more = False

    @property
    def pending(self) -> bool:
        """See `Decoder`."""
        return bool(self._input) or self._more

    @property
    def whole(self) -> bool:
        """See `Decoder`."""
        return self._zlib.eof or not self._begun

    def feed(self, data: bytes) -> None:
        """See `Decoder`."""
        self._input = data

    def step(self, limit: int) -> bytes:
        """See `Decoder`."""
        if self._zlib.eof:
            if not self._gzip:
                raise WrongData("there is something behind its end")
            # RFC 1952 §2.2: "A gzip file consists of a series of "members"".
            self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)
        if not self._begun:
            self._begun = True
            # RFC 1950 §2.2: the low four bits are CM, 8 for deflate.
            if not self._gzip and self._input[0] & 0x0F != 8:
                self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = self._zlib.decompress(self._input, limit)
        except zlib.error as exc:
            raise WrongData(str(exc)) from None
        # At the end of the input, zlib may hold what had no room in the output.
        self._more = len(data) == limit and not self._zlib.eof
        self._input = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        return data


class _BrotliDecompressor(Protocol):
    def process(self, string: bytes, output_buffer_limit: int = ...) -> bytes: ...
    def can_accept_more_data(self) -> bool: ...
    def is_finished(self) -> bool: ...


class Brotli:
    """``br`` (RFC 7932)."""

    def __init__(self, make: Callable[[], _BrotliDecompressor], error: type[Exception]) -> None:
        self._brotli = make()
        self._error = error
        self._input = b""
        self._begun = False
        self._more = False
        self._made = b""
        """The library's limit is where it stops to make more, so it makes a little more than that."""

    @property
    def pending(self) -> bool:
        """See `Decoder`."""
        return bool(self._made or self._input) or self._more

    @property
    def whole(self) -> bool:
        """See `Decoder`."""
        return self._brotli.is_finished() or not self._begun

    def feed(self, data: bytes) -> None:
        """See `Decoder`."""
        self._begun = True
        self._input = data

    def step(self, limit: int) -> bytes:
        """See `Decoder`."""
        if not self._made:
            data = b""
            if not self._more:
                data, self._input = self._input, b""
            try:
                self._made = self._brotli.process(data, output_buffer_limit=BROTLI_OUTPUT)
            except self._error as exc:
                raise WrongData(str(exc)) from None
            self._more = len(self._made) >= BROTLI_OUTPUT or not self._brotli.can_accept_more_data()
        data, self._made = self._made[:limit], self._made[limit:]
        return data


class _ZstdDecompressor(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class Zstd:
    """``zstd`` (RFC 8878), of one frame or more."""

    def __init__(self, make: Callable[[], _ZstdDecompressor], error: type[Exception]) -> None:
        self._make = make
        self._zstd = make()
        self._error = error
        self._input = b""
        self._begun = False

    @property
    def pending(self) -> bool:
        """See `Decoder`."""
        return bool(self._input) or not (self._zstd.needs_input or self._zstd.eof)

    @property
    def whole(self) -> bool:
        """See `Decoder`."""
        return self._zstd.eof or not self._begun

    def feed(self, data: bytes) -> None:
        """See `Decoder`."""
        self._begun = True
        self._input = data

    def step(self, limit: int) -> bytes:
        """See `Decoder`."""
        if self._zstd.eof:  # RFC 8878 §3: "Zstandard compressed data is made up of one or more frames"
            self._zstd = self._make()
        data, self._input = self._input, b""
        try:
            made = self._zstd.decompress(data, limit)
        except self._error as exc:
            raise WrongData(str(exc)) from None
        if self._zstd.eof:
            self._input = self._zstd.unused_data
        return made


def _gzip() -> Decoder:
    return Zlib(gzip=True)


def _deflate() -> Decoder:
    return Zlib(gzip=False)


def _find_brotli() -> Callable[[], Decoder] | None:
    for name in "brotli", "brotlicffi":
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        make: Callable[[], _BrotliDecompressor] = module.Decompressor
        error: type[Exception] = module.error
        try:
            make().process(b"", output_buffer_limit=1)
        except TypeError:
            continue  # before 1.2 there is no limit, and a few bytes may become millions
        return lambda: Brotli(make, error)
    return None


def _find_zstd() -> Callable[[], Decoder] | None:
    for name in "compression.zstd", "backports.zstd":  # the first one from Python 3.14 on
        try:
            return _zstd(importlib.import_module(name))
        except ImportError:
            continue
    return None


def _zstd(module: ModuleType) -> Callable[[], Decoder]:
    make: Callable[..., _ZstdDecompressor] = module.ZstdDecompressor  # type: ignore[explicit-any]  # its options
    error: type[Exception] = module.ZstdError
    options = {module.DecompressionParameter.window_log_max: _MAX_ZSTD_WINDOW}
    return lambda: Zstd(lambda: make(options=options), error)


class Codings:
    """The codings that can be undone; their libraries are looked for when the first client needs them."""

    def __init__(self) -> None:
        found = {"gzip": _gzip, "deflate": _deflate, "br": _find_brotli(), "zstd": _find_zstd()}
        self.makers = {name: maker for name, maker in found.items() if maker is not None}
        self.missing = found.keys() - self.makers.keys()
        """Those that want a library which is not installed."""
        self.accepted = ", ".join(self.makers)
        """For ``accept-encoding``."""
