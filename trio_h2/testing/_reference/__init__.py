"""The other implementation: both ends of HTTP/2 on h2's public API.

`_ending` says why something is over; `_inbox` holds what a stream has received; `_link` is the connection, and the only
user of h2; `_stream` is what both roles do on a stream, `_client_stream` and `_server_stream` what each does; `_peer`,
`_client` and `_server` are the same for the session.
"""
