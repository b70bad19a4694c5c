"""Below a session: addresses, TCP, TLS and Unix sockets, connecting and serving."""
