"""One HTTP/2 connection: its streams, its tasks, and what ends it."""
