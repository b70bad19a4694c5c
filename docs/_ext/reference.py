"""How the reference is made of the docstrings.

* Docstrings have the sections of Google's style; attributes and properties are plain prose.
* What stands in single backticks, and code in the text of pages, becomes a link if it names something of the
  reference, or of Python or Trio. A name in a class of ours that does not exist is a warning.
* A public name, or a member of a public class, without an entry is a warning. Warnings fail the build.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import re
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from docutils import nodes
from sphinx import addnodes
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import find_pending_xref_condition, make_refnode

import trio_h2

from . import command_line
from .elsewhere import address
from .public_names import public_modules, public_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.config import Config as SphinxConfig
    from sphinx.domains.python import PythonDomain
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)

# Napoleon takes its own class as well as Sphinx's, which says so in its documentation and not in its types.
_SECTIONS = cast("SphinxConfig", Config(napoleon_use_rtype=False))
_FIELDS_WITH_DOCS: set[tuple[str, str]] = set()
"""Classes and names of their fields, as far as a docstring follows the field."""
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_FUNCTION = re.compile(r"<function (\w+)>")
_CALL = re.compile(r"\((?:[\w\s,*=…\"'.]*)\)$")


def setup(app: Sphinx) -> dict[str, object]:
    """Registers everything with Sphinx."""
    app.connect("builder-inited", _attach_field_docs)
    app.connect("autodoc-process-docstring", _read_sections)
    app.connect("autodoc-process-signature", _tidy_signature)
    app.connect("autodoc-process-bases", _hide_private_bases)
    app.connect("doctree-read", _drop_bare_bases)
    app.connect("env-check-consistency", _check_coverage)
    app.connect("build-finished", _check_that_nothing_is_fetched)
    app.add_directive("command-line", CommandLine)
    app.add_directive("options", Options)
    app.add_post_transform(LinkTypes)
    app.add_post_transform(LinkCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# -- docstrings --------------------------------------------------------------------------------------------------------


def _attach_field_docs(app: Sphinx) -> None:
    """Tells autodoc where the fields of classes are described, which public modules only import."""
    root = Path(inspect.getfile(trio_h2)).parent
    public_things: dict[str, list[object]] = {}
    for module_name in public_modules():
        for thing in public_names(module_name):
            public_things.setdefault(thing, []).append(getattr(importlib.import_module(module_name), thing))
    sources: list[ModuleAnalyzer] = []
    for path in sorted(root.rglob("*.py")):
        source = ModuleAnalyzer.for_file(str(path), path.stem)
        source.analyze()
        here = sys.modules.get(".".join(path.relative_to(root.parent).with_suffix("").parts))
        for key in list(source.attr_docs):
            # A private class may have the name of a public one.
            owner = key[0].split(".")[0]
            found: object = getattr(here, owner, None)
            if found is not None and all(found is not thing for thing in public_things.get(owner, [found])):
                del source.attr_docs[key]
        sources.append(source)
        _FIELDS_WITH_DOCS.update(source.attr_docs)
    for name in public_modules():
        module = ModuleAnalyzer.for_module(name)
        module.analyze()
        if name == "trio_h2.constants":  # which speak for themselves
            module.attr_docs = {("", constant): [""] for constant in public_names(name)} | module.attr_docs
        public = set(public_names(name))
        for source in sources:
            if source is not module:
                docs = {key: doc for key, doc in source.attr_docs.items() if (key[0].split(".")[0] or key[1]) in public}
                module.attr_docs = {**docs, **module.attr_docs}
                module.tagorder = {**source.tagorder, **module.tagorder}


def _read_sections(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Rewrites Args, Returns, Raises … as Sphinx reads them; napoleon would take a colon in a property for a type."""
    if what in ("data", "attribute") and "\n".join(lines).strip() == (inspect.getdoc(obj) or "").strip():
        lines.clear()  # what the type of a value says of itself is not about the name
    kind: Literal["class", "function"] = "class" if what in ("class", "exception") else "function"
    read = GoogleDocstring(lines, _SECTIONS, app, kind, name, obj).lines()
    if what == "attribute" and (default := _default_of(name)) is not None:
        read += ["", f"Default: {default}.", ""]
    lines[:] = _without_repeated_fields(read, obj) if isinstance(obj, type) else read


def _default_of(name: str) -> str | None:
    """Returns the default of the field of a public dataclass, as the reference shows it, or ``None``."""
    owner, _, attribute = name.rpartition(".")
    module, _, cls = owner.rpartition(".")
    found: object = getattr(importlib.import_module(module), cls, None) if module else None
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        return None
    defaults = {field.name: field.default for field in dataclasses.fields(found)}
    default: object = defaults.get(attribute, dataclasses.MISSING)
    return None if default is dataclasses.MISSING else shown(default)


def shown(value: object) -> str:
    """Returns a value as code, with what a reader would work out beside it."""
    if isinstance(value, Enum):
        return f"``{type(value).__name__}.{value.name}``"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 4096 and value % 1024 == 0:
        size = f"{value // 1024**2} MiB" if value % 1024**2 == 0 else f"{value // 1024} KiB"
        return f"``{value}`` ({size})"
    return "``math.inf``" if value == math.inf else f"``{value!r}``"


class Options(SphinxDirective):
    """``.. options::``: every option of both roles, with its defaults, in a table."""

    def run(self) -> list[nodes.Node]:
        """Makes the table."""
        client, server = (
            {field.name: shown(getattr(config, field.name)) for field in dataclasses.fields(config) if field.init}
            for config in (trio_h2.ClientConfig(), trio_h2.ServerConfig())
        )
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", "", "   * - option"]
        lines += ["     - client", "     - server"]
        for name in sorted({*client, *server}):
            config = trio_h2.ClientConfig if name in client else trio_h2.ServerConfig
            owner = next(cls.__name__ for cls in config.__mro__ if (cls.__name__, name) in _FIELDS_WITH_DOCS)
            lines += [f"   * - :py:attr:`{name} <trio_h2.{owner}.{name}>`"]
            lines += [f"     - {values.get(name, '–')}" for values in (client, server)]
        return self.parse_text_to_nodes("\n".join(lines))


class CommandLine(SphinxDirective):
    """``.. command-line::``: a section for each command, with every option."""

    def run(self) -> list[nodes.Node]:
        """Makes the sections."""
        return self.parse_text_to_nodes(command_line.page(), allow_section_headings=True)


def _without_repeated_fields(lines: list[str], cls: type) -> list[str]:
    """Drops the fields under "Attributes" that have an entry of their own, there or at a base."""
    names = [base.__name__ for base in cls.__mro__]
    kept: list[str] = []
    dropping = False
    for line in lines:
        if line.startswith(".. attribute:: "):
            field = line.removeprefix(".. attribute:: ")
            dropping = any((name, field) in _FIELDS_WITH_DOCS for name in names)
        elif line and not line[0].isspace():
            dropping = False
        if not dropping:
            kept.append(line)
    return kept


def _tidy_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Shows no parameters for classes whose objects are made by the library only, and functions by their names."""
    if isinstance(obj, type) and _is_made_by_the_library(obj):
        return "", ""
    return (_FUNCTION.sub(r"\1", signature), returns) if signature and "<function " in signature else None


def _is_made_by_the_library(cls: type) -> bool:
    private = type(cls).__name__ == "NoPublicConstructor" or _is_block(cls)
    # The errors of a session and its streams are caught, not raised, by users; what handlers raise has no such base.
    return private or (issubclass(cls, trio_h2.H2Error) and cls is not trio_h2.H2Error)


def _is_block(obj: object) -> bool:
    """Whether a class only is what a function returns for ``async with``."""
    return (inspect.getdoc(obj) or "").startswith("The block of")


def _hide_private_bases(app: Sphinx, name: str, obj: object, options: object, bases: list[object]) -> None:
    """Leaves out bases that no reader can look up."""
    public = [base for base in bases if not _is_private(base)]
    bases[:] = public or [object]


def _drop_bare_bases(app: Sphinx, doctree: nodes.document) -> None:
    """Takes away "Bases: object", which says nothing."""
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if paragraph.astext() == "Bases: object":
            paragraph.parent.remove(paragraph)


def _is_private(base: object) -> bool:
    module = getattr(base, "__module__", "")
    if not isinstance(base, type) or module.split(".")[0] != "trio_h2":
        return False
    return not any(getattr(importlib.import_module(name), base.__name__, None) is base for name in public_modules())


# -- links -------------------------------------------------------------------------------------------------------------


class LinkTypes(SphinxPostTransform):
    """Makes links of the types in signatures and of the errors under "Raises".

    They are something of ours under its public name, or of Python or Trio. A private type of ours, or a name nobody
    documents, stays plain text; a public one is left to Sphinx, which complains if it is not there.
    """

    default_priority = 5

    def run(self, **kwargs: object) -> None:
        """Looks at all references to names of Python."""
        domain = self.env.domains.python_domain
        names = Names(domain)
        for node in list(self.document.findall(addnodes.pending_xref)):
            target: str = node["reftarget"]
            if node.get("refdomain") != "py" or "py:module" not in node:
                continue
            where = address(target)
            found = names.find(target.rpartition(".")[2] if "._" in target else target) if where is None else None
            shown = find_pending_xref_condition(node, "resolved") or node
            contents = cast("nodes.Element", shown[0].deepcopy())
            if where is not None:
                node.replace_self(nodes.reference("", "", contents, internal=False, refuri=where))
            elif found is not None:
                node.replace_self(_link(self.app, found, self.env.docname, domain, contents))
            elif "._" in target or not target.startswith("trio_h2."):
                node.replace_self(contents)


class Names:
    """The objects of the reference, looked up as people write them."""

    def __init__(self, domain: PythonDomain) -> None:
        self._objects = domain.objects

    def find(self, name: str, scopes: tuple[str, ...] = ()) -> str | None:
        """Returns the full name of what *name* means in one of *scopes* (modules and classes), or else anywhere."""
        for scope in (*scopes, "", "trio_h2"):
            full = f"{scope}.{name}" if scope else name
            if full in self._objects:
                return full
        owner, _, member = name.rpartition(".")
        inherited = self._inherited(owner, member)
        if inherited is not None:
            return inherited
        if name[0].isupper() or "." in name:
            found = [full for full in self._objects if full.endswith(f".{name}")]
            if len(found) == 1:
                return found[0]
        return None

    def _inherited(self, owner: str, member: str) -> str | None:
        """Returns where a member of a class is described if that is not there, but at one of its bases."""
        cls: object = getattr(trio_h2, owner, None)
        for base in inspect.getmro(cls) if isinstance(cls, type) else ():
            if f"trio_h2.{base.__name__}.{member}" in self._objects:
                return f"trio_h2.{base.__name__}.{member}"
        return None

    def is_class_of_ours(self, name: str) -> bool:
        """Whether there is a public class of this name."""
        full = self.find(name)
        return full is not None and self._objects[full].objtype in ("class", "exception")


def _link(app: Sphinx, full: str, page: str, domain: PythonDomain, contents: nodes.Element) -> nodes.reference:
    entry = domain.objects[full]
    return make_refnode(app.builder, page, entry.docname, entry.node_id, contents, full)


class LinkCode(SphinxPostTransform):
    """Makes links of the names in docstrings and in the text of pages."""

    default_priority = 12
    _skipped: ClassVar = (nodes.reference, nodes.title, nodes.caption, addnodes.desc_signature, nodes.rubric)

    def run(self, **kwargs: object) -> None:
        """Looks at all code that stands in text."""
        domain = self.env.domains.python_domain
        names = Names(domain)
        for literal in list(self.document.findall(nodes.literal)):
            if "plain" in literal["classes"] or any(isinstance(parent, self._skipped) for parent in _parents(literal)):
                continue
            text = _CALL.sub("", literal.astext())
            if _NAME.fullmatch(text) is None:
                continue
            found = names.find(text, _scopes(literal))
            if found is not None:
                if found != _described(literal):
                    link = _link(self.app, found, self.env.docname, domain, literal.deepcopy())
                    literal.replace_self(link)
            elif (where := address(text)) is not None and ("." in text or text[0].isupper()):
                literal.replace_self(nodes.reference("", "", literal.deepcopy(), internal=False, refuri=where))
            elif "." in text and names.is_class_of_ours(text.split(".")[0]):
                logger.warning("there is no %s", text, location=literal, type="reference", subtype="unknown")


def _parents(node: nodes.Node) -> Iterator[nodes.Node]:
    while (parent := node.parent) is not None:
        yield parent
        node = parent


def _signatures(node: nodes.Node) -> Iterator[addnodes.desc_signature]:
    """Yields the signatures of what the node describes, the innermost first."""
    for parent in _parents(node):
        if isinstance(parent, addnodes.desc) and isinstance(parent[0], addnodes.desc_signature):
            yield parent[0]


def _described(node: nodes.Node) -> str | None:
    for signature in _signatures(node):
        return f"{signature.get('module')}.{signature.get('fullname')}"
    return None


def _scopes(node: nodes.Node) -> tuple[str, ...]:
    """Returns where names in a docstring are looked for: its class, the bases of that, its module."""
    scopes: list[str] = []
    for signature in _signatures(node):
        module, name = signature.get("module"), signature.get("class") or signature.get("fullname")
        if module is None:
            continue
        cls: object = getattr(importlib.import_module(module), name, None)
        for base in inspect.getmro(cls) if isinstance(cls, type) else ():
            scopes += [f"{module}.{base.__name__}", f"trio_h2.{base.__name__}"]
        scopes.append(module)
    return tuple(dict.fromkeys(scopes))


# -- checks ----------------------------------------------------------------------------------------------------------


def _check_coverage(app: Sphinx, env: BuildEnvironment) -> None:
    objects = env.domains.python_domain.objects
    for module in public_modules():
        for name in public_names(module):
            for full in _entries(module, name):
                if full not in objects:
                    logger.warning("%s has no entry in the reference", full, type="reference", subtype="missing")


def _entries(module: str, name: str) -> Iterator[str]:
    """Yields a name, and for a class its public members, those of private bases included."""
    yield f"{module}.{name}"
    thing: object = getattr(importlib.import_module(module), name)
    if not isinstance(thing, type):
        return
    for cls in thing.__mro__:
        if cls is thing or _is_private(cls):
            for member, value in vars(cls).items():
                if not member.startswith("_") and not isinstance(value, type):
                    yield f"{module}.{name}.{member}"
    # Fields that a class with slots has from its base, with another default and a description of its own.
    yield from (f"{module}.{name}.{field}" for owner, field in _FIELDS_WITH_DOCS if owner == name and field[0] != "_")


_FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"((?:https?:)?//[^\"]+)\"")


def _check_that_nothing_is_fetched(app: Sphinx, failed: Exception | None) -> None:
    """A site that is read without a network must not load scripts, styles or pictures from elsewhere."""
    for page in sorted(Path(app.outdir).rglob("*.html")) if failed is None else []:
        for where in _FETCHED.findall(page.read_text(encoding="utf-8")):
            logger.warning("%s loads %s", page.relative_to(app.outdir), where, type="reference", subtype="fetched")
