import trio

import trio_h2
from trio_h2.files import DirectoryHandler

if __name__ == "__main__":
    trio.run(trio_h2.serve_tcp, DirectoryHandler("public"), 8080)
