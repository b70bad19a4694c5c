"""A certificate with which a client says who it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib
    import ssl


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A throw-away certificate of a client, for mutual TLS; made by `ThrowawayAuthority` and `LocalTlsServer`.

    Attributes:
        name: Whose it is: the common name of the certificate's subject.
        ssl_context: A context for clients in Python that shows the certificate, and trusts its authority alone.
        cert_file: The certificate on disk, in PEM, for ``curl --cert`` and the like.
        key_file: Its private key on disk, in PEM, for ``curl --key`` and the like.
    """

    name: str
    ssl_context: ssl.SSLContext
    cert_file: pathlib.Path
    key_file: pathlib.Path
