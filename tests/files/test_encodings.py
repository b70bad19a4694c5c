"""`accept-encoding`: which coding a client gets (RFC 9110 §12.5.3)."""

from __future__ import annotations

import pytest

from trio_h2.files._encodings import acceptable


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip", "gzip identity"),
        ("br", "br identity"),
        ("zstd", "zstd identity"),
        ("deflate, compress", "identity"),
        ("gzip, deflate, br, zstd", "br zstd gzip identity"),
        ("gzip;q=1.0, br;q=0.5", "gzip br identity"),
        ("GZip;Q=0.8, BR ; q=0.9", "br gzip identity"),
        ("x-gzip", "gzip identity"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000, br", "br identity"),
        ("*", "br zstd gzip identity"),
        ("*;q=0.1, gzip", "gzip br zstd identity"),
        ("br;q=0, *", "zstd gzip identity"),
        # identity, which is acceptable unless it is said not to be
        ("identity", "identity"),
        ("identity;q=0", ""),
        ("*;q=0", ""),
        ("gzip, identity;q=0", "gzip"),
        ("gzip, *;q=0", "gzip"),
        ("*;q=0, identity", "identity"),
        ("*;q=0, identity;q=0.1", "identity"),
        ("gzip;q=0.5, identity", "identity gzip"),
        ("gzip;q=0.5, identity;q=0.5", "gzip identity"),
        ("gzip;q=0.001", "gzip identity"),
        # what is not understood is passed over
        ("gzip;q=2, br", "br identity"),
        ("gzip;q=-1, br;q=0.5", "br identity"),
        ("gzip;q=0.1234, br;q=0.5", "br identity"),
        ("gzip;level=9", "identity"),
        (",, gzip ,", "gzip identity"),
        ("g zip, br", "br identity"),
        ("gzip;q=0.2, gzip;q=0.9, br;q=0.5", "br gzip identity"),
    ],
)
def test_the_ranking(field: str | None, expected: str) -> None:
    assert acceptable(field) == expected.split()
