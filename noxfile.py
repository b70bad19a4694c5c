"""The checks of the project, each in an environment of its own: `python3 -m nox -s SESSION`."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "types", "examples"]
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False  # `pythons` says which ones it leaves out

# Peers of the interop tests: Python libraries, and programs with the Debian package that has them.
PEER_LIBRARIES = [
    *["anycorn>=0.20", "grpcio>=1.80", "httpx[http2]>=0.28", "httpx2[http2]>=2.16", "hypercorn[trio]>=0.17"],
    *["fastapi>=0.116", "litestar>=2.16", "quart-trio>=0.12", "starlette>=0.47"],
    *["opentelemetry-instrumentation-asgi>=0.50b0", "uvicorn>=0.54"],
]
PEER_PROGRAMS = {
    "chromium": "chromium",
    "curl": "curl",
    "h2load": "nghttp2",
    "haproxy": "haproxy",
    "nghttp": "nghttp2",
    "nghttpd": "nghttp2",
    "nghttpx": "nghttp2-proxy",
    "nginx": "nginx",
    "node": "nodejs",
    "openssl": "openssl",
    "squid": "squid",
    "tinyproxy": "tinyproxy",
}
# What the tests need: the package with the extras that they use, and their own tools.
EXTRAS = ".[cli,httpx,httpx2,opentelemetry,prometheus,testing]"
TEST_TOOLS = ["hypothesis", "opentelemetry-sdk", "pytest", "pytest-timeout"]
# How many of the types that users can get hold of pyright must know, without inferring them.
MIN_COMPLETENESS = 0.99
# The extras for users.
EVERY_PART = "cli,client,httpx,httpx2,opentelemetry,prometheus,testing"
# What the benchmarks compare with, and measure with. A missing one is left out.
BENCH_LIBRARIES = [*PEER_LIBRARIES, "granian>=2.5", "uvicorn[standard]>=0.35"]
BENCH_PROGRAMS = {"h2load": "nghttp2", "nghttpd": "nghttp2", "node": "nodejs", "valgrind": "valgrind"}
# Debian keeps nginx and haproxy in /usr/sbin, which only root has on its path.
PEER_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def tools(*names: str) -> list[str]:
    """Returns the requirements of the extra `dev` for these tools, so that versions are written down once."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    requirements = project["optional-dependencies"]["dev"]
    by_name = {re.split(r"[^\w-]", requirement)[0]: requirement for requirement in requirements}
    return [by_name[name] for name in names]


def named_pythons() -> list[str]:
    """Returns the versions of Python that the project names in its classifiers."""
    classifiers = nox.project.load_toml("pyproject.toml")["project"]["classifiers"]
    matches = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier) for classifier in classifiers]
    return [match[1] for match in matches if match]


def oldest_requirements() -> list[str]:
    """Returns what an installation and the extras for users need, in the oldest releases that pyproject.toml allows."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = [needed for extra, needed in project["optional-dependencies"].items() if extra not in ("dev", "docs")]
    needed = [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]
    matches = [re.match(r"([\w.-]+(?:\[[\w,-]+\])?)>=([\w.]+)[^;]*(;.*)?", requirement) for requirement in needed]
    return sorted(
        {f"{match[1]}=={match[2]}{match[3] or ''}" for match in matches if match}
    )  # not the extras within extras


def install_for_tests(session: nox.Session, *more: str) -> None:
    """Installs the project with all that its tests need, but for foreign programs."""
    test_tools = tools("hypothesis", "opentelemetry-sdk", "pytest", "pytest-timeout")
    session.install("-e", f".[{EVERY_PART}]", *test_tools, *more)


@nox.session
def demo(session: nox.Session) -> None:
    """Runs the tour of the command line, from an installed package."""
    session.install(".[cli]", "starlette>=0.47")
    session.run("trio-h2", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Runs all tests that need no foreign programs."""
    install_for_tests(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=named_pythons())
def pythons(session: nox.Session) -> None:
    """Runs the tests with every version of Python that the project names and this machine has."""
    install_for_tests(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def oldest(session: nox.Session) -> None:
    """Runs the tests with the oldest dependencies that pyproject.toml allows."""
    pins = oldest_requirements()
    install_for_tests(session, *pins)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Builds wheel and sdist, and looks whether they are complete and fit for an index."""
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.install(*tools("build", "twine"))
    session.run("python", "-m", "build", "--outdir", str(folder))
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    files = session.run("git", "ls-files", "trio_h2", "_trio_h2_pytest.py", external=True, silent=True)
    package = set(str(files).split())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    missing = package - set(zipfile.ZipFile(wheel).namelist()), package - in_sdist
    if any(missing):
        session.error(f"not in the wheel: {sorted(missing[0])}; not in the sdist: {sorted(missing[1])}")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[cli]")
    session.run("trio-h2", "--version")


@nox.session
def lint(session: nox.Session) -> None:
    """Checks style and formatting."""
    session.install(*tools("ruff"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Checks the types of the package, its tests, its examples and the programs of its pages, as users' checkers do."""
    checkers = tools("hypothesis", "mypy", "opentelemetry-sdk", "pyright", "pytest", "pytest-timeout", "types-docutils")
    session.install("-e", f".[{EVERY_PART},docs]", *checkers, *PEER_LIBRARIES)
    session.run("mypy", *(session.posargs or ["trio_h2", "_trio_h2_pytest.py", "tests", "examples", "docs"]))
    if not session.posargs:
        idioms = session.create_tmp()
        session.run("python", "-m", "tests.house.idioms", idioms)
        session.run("mypy", idioms)
        session.run("pyright")  # strict
        session.run("pyright", "--project", "tests/users/pyright-basic.json")
        check_completeness(session)


def check_completeness(session: nox.Session) -> None:
    """Fails if pyright does not know the types of 99 % of what users can get hold of."""
    report = session.run(
        *("pyright", "--verifytypes", "trio_h2", "--ignoreexternal", "--outputjson"),
        success_codes=[0, 1],  # 1 is what less than everything gives
        silent=True,
    )
    completeness = json.loads(str(report))["typeCompleteness"]
    score = completeness["completenessScore"]
    session.log(f"pyright knows {score:.1%} of the types")
    if score < MIN_COMPLETENESS:
        for symbol in completeness["symbols"]:
            for diagnostic in symbol["diagnostics"]:
                session.log(f"{symbol['name']}: {diagnostic['message']}")
        session.error(f"the types of less than {MIN_COMPLETENESS:.0%} are known: annotate what is named above")


@nox.session
def examples(session: nox.Session) -> None:
    """Runs the examples."""
    session.install("-e", ".[cli,testing]", *tools("pytest", "pytest-timeout"))
    session.run("python", "-m", "pytest", "tests/examples", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Builds the site, with warnings as errors: `docs/_build/html/index.html`."""
    session.install("-e", f".[{EVERY_PART},docs]")
    where = ["docs", "docs/_build/html"]
    session.run("python", "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-E", "-q", *where, *session.posargs)
    session.log("the site is in docs/_build/html/index.html")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzzes the protocol engine and whole sessions for long: `-- --seconds N --seed S`, `--only NAME`."""
    install_for_tests(session)
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Sends 200000 mixed requests, and looks whether anything has grown: `-- --requests N --seed S`."""
    install_for_tests(session)
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Lets everything go wrong at random, `-- --seconds N --seed S`; then descriptors, disks and workers, for real."""
    install_for_tests(session)
    session.run("python", "-m", "tests.fuzz", "--only", "chaos", *session.posargs)
    session.run("python", "-m", "pytest", "tests/chaos/test_faults.py", "tests/cli/test_workers_trouble.py")


@nox.session
def interop(session: nox.Session) -> None:
    """Talks to foreign clients and servers. A missing one is a failure, without `-- --allow-missing`."""
    missing = install_programs(session, PEER_PROGRAMS)
    if missing and "--allow-missing" not in session.posargs:
        session.error(f"missing peers: {', '.join(missing)} (`-- --allow-missing` leaves their tests out)")
    test_tools = tools("opentelemetry-sdk", "pytest", "pytest-timeout")
    session.install("-e", ".[cli,testing]", *test_tools, *PEER_LIBRARIES)
    path = os.pathsep.join([session.bin, PEER_PATH])
    # A gigabyte each way and twenty thousand requests take longer than any other test may.
    session.run("python", "-m", "pytest", "--timeout=600", "tests/interop", *session.posargs, env={"PATH": path})


@nox.session
def bench(session: nox.Session) -> None:
    """Measures speed and size, beside other servers and clients: `nox -s bench -- --help`."""
    missing = install_programs(session, BENCH_PROGRAMS)
    if missing:
        session.warn(f"left out, because they are missing: {', '.join(missing)}")
    session.install("-e", ".[cli,testing]", *BENCH_LIBRARIES)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


def missing_programs(programs: dict[str, str]) -> list[str]:
    """Returns the programs that this machine lacks."""
    return [program for program in programs if shutil.which(program, path=PEER_PATH) is None]


def install_programs(session: nox.Session, programs: dict[str, str]) -> list[str]:
    """Installs missing programs where we may; returns those that still are missing."""
    missing = missing_programs(programs)
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        packages = sorted({programs[program] for program in missing})
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run("apt-get", "update", "-q", external=True, env=quiet)
        session.run("apt-get", "install", "-qy", "--no-install-recommends", *packages, external=True, env=quiet)
        missing = missing_programs(programs)
    return missing
