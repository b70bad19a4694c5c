"""The arguments of the command line, checked as far as they can be without doing anything."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from trio_h2 import __version__

from ._binds import Bind, tcp_bind
from ._kinds import APP, BIND, DESCRIPTOR, FILE, UNIX, seconds, whole
from ._layers import Layers
from ._parser import Parser
from ._text import print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_h2.access_log import Format

MAX_WORKERS = 512
MAX_PARALLEL = 1000
MAX_RETRIES = 1000
MAX_REQUESTS = 999_999_999
MAX_GRACE = 86_400.0
GRACE = 30.0
"""As `trio_h2.ServerConfig.drain_timeout`, which ``--help`` need not wait for."""
LOG_FORMATS = ("off", "text", "json", "common", "combined")
"""Those of `trio_h2.access_log`, which ``--help`` need not wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """Where to listen, and how to speak TLS there."""

    binds: tuple[Bind, ...] = ()
    """What to listen on; without any, a free port of localhost, unless systemd passes sockets."""
    cert: str | None = None
    key: str | None = None
    key_password: str | None = None
    """The file whose first line opens the key."""
    self_signed: bool = False
    write_ca: str | None = None
    trace: str | None = None
    """The file that shows what happens on the sessions."""
    graceful_timeout: float = GRACE
    """Seconds that running requests get at the end."""
    health_bind: Bind | None = None
    """Where to tell whether all is well; `None` for nowhere."""
    metrics_bind: Bind | None = None
    """Where to tell figures, and whether all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(ListenOptions):
    """`trio-h2 serve`."""

    directory: str | None = None
    """What to serve the files of; `None` with an app."""
    app: str | None = None
    """FILE.py:NAME or MODULE:NAME of the handler to serve with; `None` with a directory."""
    asgi: str | None = None
    """The same of an ASGI application, if that is to be served."""
    factory: bool = False
    """Whether it is a function that makes the application."""
    app_dir: str | None = None
    """Where modules are looked for first; `None` for the current directory."""
    root_path: str = ""
    """Where the application is mounted."""
    lifespan: Literal["auto", "on", "off"] = "auto"
    hidden: bool = False
    listing: bool = False
    fallback: str | None = None
    """The file below the directory that is sent for paths without a file."""
    workers: int | None = None
    """How many processes serve; `None` for this one alone."""
    max_requests: int | None = None
    """How many requests a worker serves before another one takes its place; `None` for any number."""
    max_requests_jitter: int = 0
    """Up to so many more, at random."""
    reload: bool = False
    """Whether the application is loaded again when its files change."""
    reload_dirs: tuple[str, ...] = ()
    """Where these are; without any, where the application is."""
    reload_include: tuple[str, ...] = ()
    """Patterns of files beside those of Python."""
    allow_http1: bool = False
    proxy_protocol: bool = False
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose proxies tell by `X-Forwarded-*` or `Forwarded` who their clients are."""
    access_log: Literal["off"] | Format = "off"
    gateway: bool = False
    """Whether requests go to other servers, as `trio-h2 gateway` says."""
    servers: tuple[str, ...] = ()
    """Their URLs; each in turn."""
    routes_file: str | None = None
    """The file that says which requests go where else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions(ListenOptions):
    """`trio-h2 proxy`."""

    allow: tuple[str, ...]
    """The rules of its allow-list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """`trio-h2 get`."""

    urls: tuple[str, ...]
    method: str | None = None
    headers: tuple[str, ...] = ()
    data: str | None = None
    output: str | None = None
    include: bool = False
    ca: str | None = None
    insecure: bool = False
    proxy: str | None = None
    fail: bool = False
    json: str | None = None
    """A body of JSON, or ``@FILE``."""
    form: tuple[str, ...] = ()
    """The fields of a form: ``NAME=VALUE`` or ``NAME=@FILE``."""
    user: str | None = None
    """User and password, for basic authentication."""
    remote_name: bool = False
    """Whether each body goes to a file that is named like the end of its URL."""
    resume: bool = False
    """Whether what has come of a file is kept, and gone on with."""
    parallel: int = 1
    """How many requests may be under way at the same time."""
    retry: int | None = None
    """How often a request that failed for the moment is sent again; `None` for what is the client's own."""
    http1: bool = False
    http2: bool = False
    location: bool = False
    """Whether redirects are followed."""
    compressed: bool = False
    """Whether bodies are asked for, and decoded, in content codings."""
    verbose: bool = False
    """Whether frames are shown on stderr."""
    trace: str | None = None
    """The file that shows what happens on the sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """`trio-h2 view`."""

    trace: str
    output: str | None = None
    """Where the page goes; `None` for beside the trace, ``-`` for stdout."""
    redact: bool = False
    open: bool = False
    """Whether to show the page in the browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """`trio-h2 demo`."""


Options = ServeOptions | ProxyOptions | GetOptions | ViewOptions | DemoOptions


def parse(argv: Sequence[str]) -> Options:
    """Reads the arguments.

    Raises:
        SystemExit: they are wrong, which was said on stderr in one line; or `--help`, `--version` or `--print-config`
            is done.
    """
    parser = _parser()
    commands = parsers_of(parser)
    layers = {
        "serve": Layers(commands["serve"], alternatives=("directory", "app", "asgi")),
        "gateway": Layers(commands["gateway"], tables=("route",)),
        "proxy": Layers(commands["proxy"]),
    }
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command == "get" and not any(word.startswith("-") for word in rest):
        # argparse takes positional arguments in one piece only: `get URL -i URL` leaves the second one over.
        arguments.urls += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if arguments.command in layers:
        layers[arguments.command].complete(arguments)
        arguments.config = layers[arguments.command].path
    options = _options(parser, arguments)
    if arguments.command in layers and arguments.print_config:
        print_text(layers[arguments.command].text())
        raise SystemExit(0)
    return options


def _options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Options:
    match arguments.command:
        case "serve":
            return _serve_options(parser, arguments)
        case "gateway":
            return _gateway_options(parser, arguments)
        case "proxy":
            return ProxyOptions(allow=tuple(arguments.allow), **_listen_options(parser, arguments))
        case "get":
            return _get_options(parser, arguments)
        case "view":
            return _view_options(parser, arguments)
        case _:
            return DemoOptions()


def _serve_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> ServeOptions:
    served = [name for name in ("app", "asgi") if getattr(arguments, name) is not None]
    if len(served) > 1:
        parser.error("serve either --app or --asgi, not both")
    if served and arguments.directory is not None:
        parser.error(f"serve either DIRECTORY or --{served[0]}, not both")
    for name in ("hidden", "listing", "fallback"):
        if served and getattr(arguments, name):
            parser.error(f"--{name} is for a DIRECTORY, not for --{served[0]}")
    for name, given in (
        ("factory", arguments.factory),
        ("root-path", arguments.root_path != ""),
        ("lifespan", arguments.lifespan != "auto"),
    ):
        if given and arguments.asgi is None:
            parser.error(f"--{name} needs --asgi")
    if arguments.app_dir is not None and not served:
        parser.error("--app-dir needs --app or --asgi")
    if arguments.reload and not served:
        parser.error("--reload needs --app or --asgi")
    for name, given in (("reload-dir", arguments.reload_dirs), ("reload-include", arguments.reload_include)):
        if given and not arguments.reload:
            parser.error(f"--{name} needs --reload")
    directory = "." if not served and arguments.directory is None else arguments.directory
    return ServeOptions(
        directory=directory,
        app=arguments.app,
        asgi=arguments.asgi,
        factory=arguments.factory,
        app_dir=arguments.app_dir,
        root_path=arguments.root_path,
        lifespan=arguments.lifespan,
        hidden=arguments.hidden,
        listing=arguments.listing,
        fallback=arguments.fallback,
        reload=arguments.reload,
        reload_dirs=tuple(arguments.reload_dirs),
        reload_include=tuple(arguments.reload_include),
        allow_http1=arguments.allow_http1 or arguments.asgi is not None,
        **_serving_options(parser, arguments),
    )


def _gateway_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> ServeOptions:
    return ServeOptions(
        gateway=True,
        servers=tuple(arguments.servers or ()),
        routes_file=arguments.config,
        app_dir=arguments.app_dir,
        allow_http1=True,
        **_serving_options(parser, arguments),
    )


def _get_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> GetOptions:
    # What -u is given stands in no message.
    if arguments.user is not None and not arguments.user.partition(":")[0]:
        parser.error("-u must look like USER:PASSWORD")
    if arguments.user is not None and ":" not in arguments.user:
        parser.error("-u must look like USER:PASSWORD; USER: is an empty password")
    if arguments.resume:
        _check_resume(parser, arguments)
    return GetOptions(
        urls=tuple(arguments.urls),
        method=arguments.method,
        headers=tuple(arguments.headers),
        data=arguments.data,
        output=arguments.output,
        include=arguments.include,
        ca=arguments.ca,
        insecure=arguments.insecure,
        proxy=arguments.proxy,
        fail=arguments.fail,
        json=arguments.json,
        form=tuple(arguments.form),
        user=arguments.user,
        remote_name=arguments.remote_name,
        resume=arguments.resume,
        parallel=arguments.parallel,
        retry=arguments.retry,
        http1=arguments.http1,
        http2=arguments.http2,
        location=arguments.location,
        compressed=arguments.compressed,
        verbose=arguments.verbose,
        trace=arguments.trace,
    )


def _check_resume(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if not arguments.remote_name and arguments.output in (None, "-"):
        parser.error("--resume needs a file: -o FILE, or -O")
    if arguments.output is not None and len(arguments.urls) > 1:
        parser.error("--resume with -o FILE takes one URL; -O gives each URL a file of its own")
    if arguments.method not in (None, "GET") or arguments.form or (arguments.data, arguments.json) != (None, None):
        parser.error("--resume is for GET, which has no body: leave -X, -d, --json and -F out")
    if arguments.compressed:
        parser.error("--resume and --compressed exclude each other: part of a compressed body is of no use")


def _view_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> ViewOptions:
    if arguments.open and arguments.output == "-":
        parser.error("--open needs a file: a browser cannot open stdout")
    return ViewOptions(trace=arguments.trace, output=arguments.output, redact=arguments.redact, open=arguments.open)


class _Listen(TypedDict):
    binds: tuple[Bind, ...]
    cert: str | None
    key: str | None
    key_password: str | None
    self_signed: bool
    write_ca: str | None
    trace: str | None
    graceful_timeout: float
    health_bind: Bind | None
    metrics_bind: Bind | None


class _Serving(_Listen):
    workers: int | None
    max_requests: int | None
    max_requests_jitter: int
    proxy_protocol: bool
    trusted_proxies: tuple[str, ...]
    access_log: Literal["off"] | Format


def _serving_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> _Serving:
    if arguments.max_requests is not None and arguments.workers is None:
        parser.error("--max-requests needs --workers")
    if arguments.max_requests_jitter and arguments.max_requests is None:
        parser.error("--max-requests-jitter needs --max-requests")
    return _Serving(
        workers=arguments.workers,
        max_requests=arguments.max_requests,
        max_requests_jitter=arguments.max_requests_jitter,
        proxy_protocol=arguments.proxy_protocol,
        trusted_proxies=tuple(arguments.trusted_proxies),
        access_log=arguments.access_log,
        **_listen_options(parser, arguments),
    )


def _listen_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> _Listen:
    if arguments.key is not None and arguments.cert is None:
        parser.error("--key needs --cert")
    if arguments.key_password is not None and arguments.cert is None:
        parser.error("--key-password needs --cert")
    if arguments.write_ca is not None and not arguments.self_signed:
        parser.error("--write-ca needs --self-signed")
    if arguments.host == "":
        parser.error("--host must not be empty; :: listens on all addresses")
    binds: list[Bind] = arguments.binds
    if arguments.host is not None or arguments.port is not None:
        binds = [tcp_bind(arguments.host or "localhost", arguments.port or 0), *binds]
    return _Listen(
        binds=tuple(binds),
        cert=arguments.cert,
        key=arguments.key,
        key_password=arguments.key_password,
        self_signed=arguments.self_signed,
        write_ca=arguments.write_ca,
        trace=arguments.trace,
        graceful_timeout=arguments.graceful_timeout,
        health_bind=arguments.health_bind,
        metrics_bind=arguments.metrics_bind,
    )


def _parser() -> Parser:
    parser = Parser(prog="trio-h2", description="HTTP/2 servers and requests.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"trio-h2 {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_gateway(commands)
    _add_get(commands)
    _add_proxy(commands)
    _add_view(commands)
    about = "run a tour: a server and a client that show and check what there is"
    commands.add_parser("demo", help=about, description=f"{about[0].upper()}{about[1:]}.", allow_abbrev=False)
    return parser


def command_parsers() -> dict[str, Parser]:
    """Returns the parser of each command, by its name: the reference is made of them."""
    return parsers_of(_parser())


def parsers_of(parser: Parser) -> dict[str, Parser]:
    """Returns the parsers below a parser, by the names of their commands."""
    [commands] = [action for action in parser.arguments() if isinstance(action, argparse._SubParsersAction)]
    return dict(commands.choices)


def _add_serve(commands: argparse._SubParsersAction[Parser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve files, a handler of your own, or an ASGI application",
        description="Serves the files of DIRECTORY, a stream handler, or an ASGI application. Without TLS, clients "
        "need prior knowledge of HTTP/2. Prints 'Listening on URL' when it accepts connections. SIGINT and SIGTERM let "
        "running requests finish; a second one ends at once.",
        allow_abbrev=False,
    )
    serve.add_argument("directory", metavar="DIRECTORY", nargs="?", type=FILE, help="default: the current directory")
    serve.add_argument(
        "--app",
        metavar="FILE.py:NAME",
        type=APP,
        help="serve with the async function NAME(stream), or NAME(request, response), of FILE.py; or of a module: "
        "MODULE:NAME",
    )
    serve.add_argument(
        "--asgi",
        metavar="MODULE:NAME",
        type=APP,
        help="serve the ASGI application NAME of a module, or of FILE.py, over HTTP/2 and HTTP/1.1; it must run on "
        "Trio",
    )
    serve.add_argument("--factory", action="store_true", help="NAME of --asgi is a function that makes the application")
    serve.add_argument(
        "--app-dir", metavar="DIR", type=FILE, help="look for MODULE in DIR first; default: the current directory"
    )
    serve.add_argument(
        "--root-path", metavar="PATH", default="", help="the prefix that a proxy takes away from paths, for --asgi"
    )
    serve.add_argument(
        "--lifespan",
        choices=("auto", "on", "off"),
        default="auto",
        help="whether the application of --asgi has a lifespan; default: auto, which asks it",
    )
    serve.add_argument(
        "--hidden", action="store_true", help="serve names that begin with a dot, too, not only those below .well-known"
    )
    serve.add_argument("--listing", action="store_true", help="list the files of directories without an index.html")
    serve.add_argument(
        "--fallback",
        metavar="FILE",
        help="send FILE of the directory for paths without a dot that do not exist: for single-page applications",
    )
    _add_serving(serve)
    serve.add_argument(
        "--reload",
        action="store_true",
        help="load the application again when its Python files change; for development",
    )
    serve.add_argument(
        "--reload-dir",
        dest="reload_dirs",
        metavar="DIR",
        type=FILE,
        action="append",
        default=[],
        help="look at the files in DIR and below instead of those where the application is. May be given several times",
    )
    serve.add_argument(
        "--reload-include",
        metavar="PATTERN",
        action="append",
        default=[],
        help="look at files like this, too, e.g. '*.html'. May be given several times",
    )
    serve.add_argument("--allow-http1", action="store_true", help="serve HTTP/1.1 clients, too, on the same port")


def _add_gateway(commands: argparse._SubParsersAction[Parser]) -> None:
    gateway = commands.add_parser(
        "gateway",
        help="put HTTP/2 and TLS in front of other servers",
        description="Passes requests on to the server at URL, or each in turn to several, and their responses back: "
        "HTTP/2, HTTP/1.1 and WebSockets outside, HTTP/1.1 to http://, and what the server chooses to https://. With "
        "[[route]] tables in the file of --config, it gives requests to several servers, directories and applications, "
        "by host and path. Prints 'Listening on URL' when it accepts connections. SIGINT and SIGTERM let running "
        "requests finish; a second one ends at once.",
        allow_abbrev=False,
    )
    gateway.add_argument(
        "servers",
        metavar="URL",
        nargs="*",
        default=[],
        help="where requests go that no [[route]] takes: http://…, https://… or unix:PATH",
    )
    gateway.add_argument(
        "--app-dir",
        metavar="DIR",
        type=FILE,
        help="look for modules of applications in DIR first; default: the current directory",
    )
    _add_serving(gateway)


def _add_serving(serve: Parser) -> None:
    """Adds what both have that answer requests."""
    _add_listening(serve)
    serve.add_argument(
        "--workers",
        metavar="N",
        type=whole(1, MAX_WORKERS),
        help="serve with N processes on the same port; one that dies is replaced, SIGUSR1 replaces all, one by one",
    )
    serve.add_argument(
        "--max-requests",
        metavar="N",
        type=whole(1, MAX_REQUESTS),
        help="replace each of the --workers after it has got N requests; it finishes them when its successor serves",
    )
    serve.add_argument(
        "--max-requests-jitter",
        metavar="N",
        type=whole(0, MAX_REQUESTS),
        default=0,
        help="add up to N to --max-requests, at random, so that not all are replaced together (default: 0)",
    )
    serve.add_argument(
        "--proxy-protocol",
        action="store_true",
        help="expect the PROXY protocol on every connection, from a load balancer that nobody can bypass",
    )
    serve.add_argument(
        "--trusted-proxy",
        dest="trusted_proxies",
        metavar="NETWORK",
        action="append",
        default=[],
        help="believe X-Forwarded-For, X-Forwarded-Proto and Forwarded of proxies there, e.g. 10.0.0.0/8; unix is "
        "whoever connects to --unix. May be given several times",
    )
    serve.add_argument(
        "--access-log",
        choices=LOG_FORMATS,
        default="off",
        help="a line on stderr for each request (default: off)",
    )


def _add_proxy(commands: argparse._SubParsersAction[Parser]) -> None:
    proxy = commands.add_parser(
        "proxy",
        help="carry TCP connections for clients",
        description="A forward proxy for the CONNECT method: it opens TCP connections to those targets that --allow "
        "names, and logs each to stderr. Clients may speak HTTP/2 or HTTP/1.1 to it. Prints 'Listening on URL' when it "
        "accepts connections. SIGINT and SIGTERM let open tunnels finish; a second one ends at once.",
        allow_abbrev=False,
    )
    proxy.add_argument(
        "--allow",
        metavar="HOST:PORT",
        action="append",
        default=[],
        required=True,
        help="a target: a name, *.NAME, an address, a network like 10.0.0.0/8, or *, which is every public address; "
        "with a port, a range of ports or *. This machine is 127.0.0.1 or [::1], not localhost. May be given several "
        "times",
    )
    _add_listening(proxy)


def _add_listening(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--host",
        metavar="H",
        help="name or address; 0.0.0.0 is every address of IPv4, :: every one of IPv4 and IPv6 (default: localhost)",
    )
    command.add_argument("--port", metavar="N", type=whole(0, 65535), help="default: a free one")
    for option, metavar, kind, about in (
        ("--bind", "HOST:PORT", BIND, "listen there; :PORT is every address"),
        ("--unix", "PATH[:MODE]", UNIX, "listen on a Unix socket that is made there; MODE is octal"),
        ("--fd", "N", DESCRIPTOR, "listen on this open descriptor"),
    ):
        command.add_argument(
            option,
            dest="binds",
            metavar=metavar,
            type=kind,
            action="append",
            default=[],
            help=f"{about}. May be given several times",
        )
    tls = command.add_mutually_exclusive_group()
    tls.add_argument("--cert", metavar="F", type=FILE, help="TLS with this PEM certificate; SIGHUP reads it again")
    tls.add_argument("--self-signed", action="store_true", help="TLS with a throw-away certificate")
    command.add_argument("--key", metavar="F", type=FILE, help="the private key, unless --cert holds it too")
    command.add_argument(
        "--key-password", metavar="FILE", type=FILE, help="the first line of FILE opens the private key"
    )
    command.add_argument(
        "--write-ca", metavar="FILE", type=FILE, help="write what clients must trust for --self-signed to FILE"
    )
    command.add_argument(
        "--graceful-timeout",
        metavar="SECONDS",
        type=seconds(MAX_GRACE),
        default=GRACE,
        help="how long running requests may take at the end, before they are cut (default: 30)",
    )
    command.add_argument(
        "--health-bind",
        metavar="HOST:PORT",
        type=BIND,
        help="answer there at /healthz: 200 when all is served, 503 before that and while running requests finish",
    )
    command.add_argument(
        "--metrics-bind",
        metavar="HOST:PORT",
        type=BIND,
        help="answer there at /metrics, for Prometheus, and at /healthz; needs the extra 'prometheus'",
    )
    command.add_argument(
        "--trace",
        metavar="FILE",
        type=FILE,
        help="write what happens on all sessions to FILE, for trio-h2 view; each of several workers has a file of its "
        "own: for t.sqlog, t.PID.sqlog",
    )
    command.add_argument(
        "--print-config",
        action="store_true",
        help="print all options, as a file for --config that says where each value comes from, and do nothing else",
    )
    command.add_argument(
        "--config",
        metavar="FILE.toml",
        help="read options from FILE.toml, where keys are their names, and paths begin at its directory; those "
        "given on the command line, or in variables TRIO_H2_OPTION, count more",
    )


def _add_get(commands: argparse._SubParsersAction[Parser]) -> None:
    get = commands.add_parser(
        "get",
        help="send requests",
        description="Sends a request to each URL, in order; those of one origin share a session. https:// servers "
        "choose between HTTP/2 and HTTP/1.1; http:// means HTTP/2 with prior knowledge, or HTTP/1.1 with --http1. "
        "After a failure the next one is sent. Exits with 0 when all is done, 1 after a failure, 2 after wrong usage, "
        "22 with --fail.",
        allow_abbrev=False,
    )
    get.add_argument("urls", metavar="URL", nargs="+", help="where to: https://… or http://…")
    get.add_argument("-X", dest="method", metavar="METHOD", help="default: GET; POST with a body")
    get.add_argument("-H", dest="headers", metavar="'NAME: VALUE'", action="append", default=[], help="a header field")
    body = get.add_mutually_exclusive_group()
    body.add_argument("-d", dest="data", metavar="DATA|@FILE", help="the request's body, or the file that holds it")
    body.add_argument("--json", metavar="JSON|@FILE", help="like -d, and says that it is JSON and wants JSON")
    body.add_argument(
        "-F",
        "--form",
        dest="form",
        metavar="NAME=VALUE|NAME=@FILE[;type=TYPE][;filename=NAME]",
        action="append",
        default=[],
        help="a field, or a file, of a form that is the request's body (multipart/form-data); may be repeated",
    )
    get.add_argument(
        "-u", dest="user", metavar="USER:PASSWORD", help="who you are to the servers (basic authentication)"
    )
    output = get.add_mutually_exclusive_group()
    output.add_argument("-o", dest="output", metavar="FILE", help="where the bodies go (default, and -: stdout)")
    output.add_argument(
        "-O",
        "--remote-name",
        action="store_true",
        help="save each body to a file that is named like the end of its URL",
    )
    get.add_argument(
        "--resume",
        action="store_true",
        help="with -o FILE or -O: keep what has come of a file that broke off as FILE.part, and get only the rest the "
        "next time, if it has not changed; with --retry N, at once",
    )
    get.add_argument(
        "-L", "--location", action="store_true", help="follow redirects, up to 10; -u is for no other origin"
    )
    get.add_argument(
        "--compressed",
        action="store_true",
        help="ask for compressed bodies, and decode them: gzip, deflate, and with the extra 'client' br and zstd",
    )
    get.add_argument("-i", dest="include", action="store_true", help="print status and headers, too")
    get.add_argument(
        "--parallel",
        metavar="N",
        type=whole(1, MAX_PARALLEL),
        default=1,
        help="send up to N requests at the same time; what is printed keeps the order of the URLs (default: 1)",
    )
    get.add_argument(
        "--retry",
        metavar="N",
        type=whole(0, MAX_RETRIES),
        help="send a request up to N times more after a failure that may pass: no connection, a lost session, status "
        "408, 429, 500, 502, 503 or 504; POST and PATCH only if no server can have acted on them",
    )
    version = get.add_mutually_exclusive_group()
    version.add_argument("--http1", action="store_true", help="speak HTTP/1.1, also to http://")
    version.add_argument("--http2", action="store_true", help="speak HTTP/2, or fail")
    trust = get.add_mutually_exclusive_group()
    trust.add_argument("--ca", metavar="FILE", help="trust the certificate authorities in FILE and no others")
    trust.add_argument("--insecure", action="store_true", help="accept every certificate: no protection at all")
    get.add_argument(
        "--proxy",
        metavar="URL",
        help="go through this proxy, of HTTP/2 or HTTP/1.1; URL may have USER:PASSWORD@",
    )
    get.add_argument("--fail", action="store_true", help="exit with 22 and no body if the status is 400 or more")
    get.add_argument("-v", dest="verbose", action="store_true", help="show every frame on stderr, as nghttp does")
    get.add_argument("--trace", metavar="FILE", help="write what happens to FILE, for trio-h2 view")


def _add_view(commands: argparse._SubParsersAction[Parser]) -> None:
    view = commands.add_parser(
        "view",
        help="make a web page of a trace",
        description="Makes one web page, which needs no network, of a trace that --trace, or "
        "trio_h2.instruments.QlogTrace, has written: streams over time, their headers, DATA, windows and stalls.",
        allow_abbrev=False,
    )
    view.add_argument("trace", metavar="FILE", help="the trace")
    view.add_argument("-o", "--output", metavar="FILE.html", help="the page; - is stdout (default: FILE.html)")
    view.add_argument(
        "--redact",
        action="store_true",
        help="leave out values of header fields, queries, hosts, addresses and debug data, as for a bug report",
    )
    view.add_argument("--open", action="store_true", help="open the page in the browser")
