"""Which ``content-type`` a file has, by its name alone, and the same on every machine.

The table is our own: that of Python's `mimetypes` differs from version to version, reads what the machine's
administrator has written somewhere, and lacks much of what the web serves. The types are IANA's where it has one, else
those that browsers and other servers use.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trio_h2 import Headers

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN: Final = "application/octet-stream"

_SUFFIXES: Final = {
    # Pages and what they are made of
    "text/html": "html htm shtml",
    "application/xhtml+xml": "xhtml xht",
    "text/css": "css",
    "text/javascript": "js mjs cjs",
    "application/json": "json map",
    "application/json5": "json5",
    "application/ld+json": "jsonld",
    "application/geo+json": "geojson",
    "application/topo+json": "topojson",
    "application/manifest+json": "webmanifest",
    "application/schema+json": "schema",
    "application/jsonl": "jsonl ndjson",
    "application/wasm": "wasm",
    "application/xml": "xml xsl xsd rng",
    "application/xslt+xml": "xslt",
    "application/xml-dtd": "dtd",
    "application/mathml+xml": "mathml mml",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/rdf+xml": "rdf owl",
    "application/gpx+xml": "gpx",
    "application/vnd.google-earth.kml+xml": "kml",
    "application/vnd.google-earth.kmz": "kmz",
    "application/opensearchdescription+xml": "osdx",
    "text/turtle": "ttl",
    "application/n-triples": "nt",
    "application/n-quads": "nq",
    "application/trig": "trig",
    "text/n3": "n3",
    "application/wsdl+xml": "wsdl",
    # Text
    "text/plain": "txt text log conf cfg ini diff patch c h cc cpp hpp cs go java rs kt swift pl rb lua bat ps1 ksh",
    "text/markdown": "md markdown",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/calendar": "ics ifb",
    "text/vcard": "vcf vcard",
    "text/vtt": "vtt",
    "text/richtext": "rtx",
    "text/troff": "t tr roff man me ms",
    "text/x-python": "py",
    "text/x-rst": "rst",
    "text/x-setext": "etx",
    "text/x-sgml": "sgm sgml",
    "application/x-sh": "sh",
    "application/x-csh": "csh",
    "application/x-subrip": "srt",
    "application/yaml": "yaml yml",
    "application/toml": "toml",
    "application/sql": "sql",
    "application/graphql": "graphql gql",
    "message/rfc822": "eml mht mhtml nws",
    # Images
    "image/png": "png",
    "image/apng": "apng",
    "image/jpeg": "jpg jpeg jpe jfif",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/jxl": "jxl",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/svg+xml": "svg svgz",
    "image/vnd.microsoft.icon": "ico cur",
    "image/bmp": "bmp dib",
    "image/tiff": "tif tiff",
    "image/jp2": "jp2 jpg2",
    "image/ktx2": "ktx2",
    "image/vnd.adobe.photoshop": "psd",
    "image/ief": "ief",
    "image/x-cmu-raster": "ras",
    "image/x-portable-anymap": "pnm",
    "image/x-portable-bitmap": "pbm",
    "image/x-portable-graymap": "pgm",
    "image/x-portable-pixmap": "ppm",
    "image/x-rgb": "rgb",
    "image/x-xbitmap": "xbm",
    "image/x-xpixmap": "xpm",
    "image/x-xwindowdump": "xwd",
    # Sound
    "audio/mpeg": "mp3 mp2 mpga",
    "audio/mp4": "m4a m4b f4a",
    "audio/aac": "aac adts",
    "audio/ac3": "ac3",
    "audio/ogg": "ogg oga spx",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "audio/matroska": "mka",
    "audio/midi": "mid midi kar",
    "audio/aiff": "aif aiff aifc",
    "audio/basic": "au snd ulaw",
    "audio/x-pn-realaudio": "ra ram",
    # Moving pictures, and the lists of their pieces
    "video/mp4": "mp4 m4v mp4v f4v",
    "video/iso.segment": "m4s",
    "video/mp2t": "ts m2ts mts",
    "video/mpeg": "mpeg mpg mpe m1v m2v mpa",
    "video/ogg": "ogv",
    "video/webm": "webm",
    "video/matroska": "mkv",
    "video/quicktime": "mov qt",
    "video/3gpp": "3gp 3gpp",
    "video/3gpp2": "3g2 3gpp2",
    "video/x-msvideo": "avi",
    "video/x-ms-wmv": "wmv",
    "video/x-flv": "flv",
    "video/x-sgi-movie": "movie",
    "application/ogg": "ogx",
    "application/vnd.apple.mpegurl": "m3u8",
    "audio/mpegurl": "m3u",
    "application/dash+xml": "mpd",
    # Fonts
    "font/woff": "woff",
    "font/woff2": "woff2",
    "font/ttf": "ttf",
    "font/otf": "otf",
    "font/collection": "ttc",
    "application/vnd.ms-fontobject": "eot",
    # Models
    "model/gltf-binary": "glb",
    "model/gltf+json": "gltf",
    "model/stl": "stl",
    "model/obj": "obj",
    "model/mtl": "mtl",
    "model/step": "step stp",
    "model/vnd.usdz+zip": "usdz",
    "model/3mf": "3mf",
    "model/vrml": "wrl vrml",
    # Documents
    "application/pdf": "pdf",
    "application/epub+zip": "epub",
    "application/x-mobipocket-ebook": "mobi",
    "application/vnd.amazon.ebook": "azw",
    "application/rtf": "rtf",
    "application/postscript": "ps eps ai",
    "application/msword": "doc dot wiz",
    "application/vnd.ms-excel": "xls xlb xlt",
    "application/vnd.ms-powerpoint": "ppt pot pps ppa pwz",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template": "dotx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.template": "xltx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.presentationml.slideshow": "ppsx",
    "application/vnd.openxmlformats-officedocument.presentationml.template": "potx",
    "application/vnd.ms-word.document.macroenabled.12": "docm",
    "application/vnd.ms-excel.sheet.macroenabled.12": "xlsm",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": "xlsb",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": "pptm",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.oasis.opendocument.graphics": "odg",
    "application/vnd.visio": "vsd",
    "application/x-tex": "tex",
    "application/x-latex": "latex",
    "application/x-texinfo": "texi texinfo",
    "application/x-dvi": "dvi",
    "application/oda": "oda",
    "application/x-bibtex": "bib",
    # Archives and programs
    "application/zip": "zip",
    "application/gzip": "gz tgz taz",
    "application/zstd": "zst tzst",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "rar",
    "application/x-tar": "tar",
    "application/x-gtar": "gtar",
    "application/x-bzip2": "bz2 tbz2 tbz",
    "application/x-xz": "xz txz",
    "application/x-compress": "z",
    "application/x-lzip": "lz",
    "application/x-cpio": "cpio",
    "application/x-bcpio": "bcpio",
    "application/x-sv4cpio": "sv4cpio",
    "application/x-sv4crc": "sv4crc",
    "application/x-shar": "shar",
    "application/x-ustar": "ustar",
    "application/x-iso9660-image": "iso",
    "application/x-apple-diskimage": "dmg",
    "application/vnd.debian.binary-package": "deb",
    "application/x-rpm": "rpm",
    "application/vnd.android.package-archive": "apk",
    "application/java-archive": "jar war ear",
    "application/x-chrome-extension": "crx",
    "application/x-xpinstall": "xpi",
    "application/x-msi": "msi",
    "application/x-bittorrent": "torrent",
    "application/vnd.sqlite3": "sqlite sqlite3",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/x-hdf5": "h5 hdf5",
    "application/x-hdf": "hdf",
    "application/x-netcdf": "nc cdf",
    "application/x-python-code": "pyc pyo",
    "application/x-shockwave-flash": "swf",
    "application/x-ipynb+json": "ipynb",
    "application/x-tcl": "tcl",
    # Certificates and signatures
    "application/x-x509-ca-cert": "crt der",
    "application/pkix-cert": "cer",
    "application/pkix-crl": "crl",
    "application/x-pem-file": "pem",
    "application/pkcs7-mime": "p7c p7m",
    "application/pkcs10": "p10 csr",
    "application/x-pkcs12": "p12 pfx",
    "application/pgp-signature": "asc sig",
    # Bytes that nobody should open
    UNKNOWN: "bin exe dll so a o obj3 br dat img",
}
_TABLE: Final = {f".{suffix}": kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
# What has no suffix, by decree of those who ask for it below /.well-known/.
_NAMES: Final = {
    "apple-app-site-association": "application/json",
    "oauth-authorization-server": "application/json",
    "openid-configuration": "application/json",
}
# A file that is compressed stays what it is: its name, not a content-encoding, tells what is in it. Not so for these,
# which programs only know unpacked.
_CODINGS: Final = {".svgz": "gzip"}


class ContentTypes:
    """A table of types by suffix.

    Args:
        additions: more of them, with their dot, in lower case: ``{".foo": "text/x-foo"}``. They come first.
        charset: added to types of text; ``None``: nothing is.

    Raises:
        TypeError, ValueError: a suffix or a type is not allowed.
    """

    def __init__(self, additions: Mapping[str, str] | None = None, *, charset: str | None = "utf-8") -> None:
        self._own: dict[str, str] = {}
        for suffix, content_type in (additions or {}).items():
            if not suffix.startswith(".") or suffix != suffix.lower():
                raise ValueError(f"a suffix begins with a dot and is in lower case, unlike {suffix!r}")
            self._own[suffix] = content_type
        self._charset = charset
        Headers(
            {"content-type": [*self._own.values(), f"text/plain; charset={charset}"]}
        )  # refuses what cannot be sent

    def of(self, name: str) -> str:
        """Returns the type of a file with this name."""
        own = self._of_own(name)
        if own is not None:
            return own
        known = _NAMES.get(name) or _TABLE.get(_suffix(name), UNKNOWN)
        return f"{known}; charset={self._charset}" if self._charset and known.startswith("text/") else known

    def coding_of(self, name: str) -> str:
        """Returns the ``content-encoding`` that a file with this name has by its kind, ``""`` for most."""
        return "" if self._of_own(name) is not None else _CODINGS.get(_suffix(name), "")

    def _of_own(self, name: str) -> str | None:
        return next((kind for suffix, kind in self._own.items() if name.lower().endswith(suffix)), None)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
