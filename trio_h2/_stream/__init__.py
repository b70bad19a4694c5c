"""One exchange: a request, its response, and the bytes of both."""
