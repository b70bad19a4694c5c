"""Files as responses: one file, an open descriptor, or a whole directory.

* `respond_with_file` answers with a file, given its path; `respond_with_fd` with one that is open already.
* `DirectoryHandler` is a handler for all files below a directory: validators and conditional requests, ranges,
  precompressed siblings, and nothing from outside of it.

Files are read in worker threads, one chunk of at most 128 KiB ahead of the client's window. What this package opens, it
closes, however the exchange ends.
"""

from __future__ import annotations

from .._public import publish as _publish
from ._directory import DirectoryHandler as DirectoryHandler
from ._exchange import FileExchange as FileExchange
from ._exchange import HeaderFields as HeaderFields
from ._reading import TruncatedFileError as TruncatedFileError
from ._respond import HasFileno as HasFileno
from ._respond import OnError as OnError
from ._respond import StatCheck as StatCheck
from ._respond import respond_with_fd as respond_with_fd
from ._respond import respond_with_file as respond_with_file

_publish(globals())
