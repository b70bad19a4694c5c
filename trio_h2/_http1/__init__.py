"""HTTP/1.1 for servers that serve it beside HTTP/2: connections, and exchanges that look like streams."""
