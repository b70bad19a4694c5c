"""Sans-IO HTTP/2: bytes in, events out; commands in, bytes out. No Trio, no clock, no I/O."""
