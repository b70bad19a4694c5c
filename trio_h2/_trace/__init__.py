"""What can be seen of a session: the interface of instruments, and the books that are kept for them."""
