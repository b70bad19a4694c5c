"""The page about the command line, made of what its parsers say."""

from __future__ import annotations

import re
from argparse import SUPPRESS
from typing import TYPE_CHECKING

from trio_h2._cli._args import command_parsers
from trio_h2._cli._setting import key_of, variable

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser

_CODE = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*|https?://|\btrio_h2\.[\w.]*\w|\btrio-h2 [a-z]+|\*\.NAME|'client'")
"""What is code in the text of a help: options, and what reStructuredText would take for something else."""
_MARKUP = re.compile(r"[\\*`|_]")


def page() -> str:
    """Returns, in reStructuredText, a section for each command, with an entry for each argument and option."""
    return "\n".join(line for name, parser in command_parsers().items() for line in _section(name, parser))


def _section(name: str, parser: ArgumentParser) -> list[str]:
    arguments = [action for action in parser._actions if action.help != SUPPRESS and action.dest != "help"]
    positional = [_synopsis(action) for action in arguments if not action.option_strings]
    options = [action for action in arguments if action.option_strings]
    title = f"trio-h2 {name}"
    usage = " ".join([title, *(["[OPTION …]"] if options else []), *positional])
    lines = [title, "-" * len(title), "", f".. program:: {title}", "", f"``{usage}``", ""]
    lines += [prose(parser.description or ""), ""]
    for action in arguments:
        lines += [f".. option:: {_signature(action)}", "", f"   {_about(action, parser)}", ""]
    return lines


def _synopsis(action: Action) -> str:
    match action.nargs:
        case "?":
            return f"[{action.metavar}]"
        case "+":
            return f"{action.metavar} [{action.metavar} …]"
        case _:
            return f"{action.metavar}"


def _signature(action: Action) -> str:
    value = ""
    if action.choices is not None:
        value = f" {{{','.join(map(str, action.choices))}}}"
    elif action.metavar is not None and action.option_strings:
        value = f" {action.metavar}"
    return f"{', '.join(action.option_strings)}{value}" if action.option_strings else f"{action.metavar}"


def _about(action: Action, parser: ArgumentParser) -> str:
    """Returns the help of an argument, and what else the parser knows of it."""
    text = (action.help or "") % {"default": action.default, "prog": parser.prog}
    sentences = [f"{prose(text[:1].upper() + text[1:])}."] if text else []
    if action.default not in (None, False, [], "") and "default" not in text:
        sentences.append(f"Default: ``{action.default}``.")
    if action.required and action.option_strings:
        sentences.append("Must be given.")
    rivals = [
        f"``{other.option_strings[-1]}``"
        for group in parser._mutually_exclusive_groups
        if action in group._group_actions
        for other in group._group_actions
        if other is not action
    ]
    if rivals:
        sentences.append(f"Excludes {' and '.join(rivals)}.")
    if any(other.dest == "config" for other in parser._actions) and action.dest != "print_config":
        sentences.append(f"Variable: ``{variable(key_of(action))}``.")
    return " ".join(sentences)


def prose(text: str) -> str:
    """Marks code in a sentence up, and takes all else as it stands."""
    pieces: list[str] = []
    end = 0
    for match in _CODE.finditer(text):
        pieces += [_MARKUP.sub(r"\\\g<0>", text[end : match.start()]), f"``{match[0]}``"]
        end = match.end()
        # reStructuredText wants something between code and a letter.
        if text[end : end + 1].isalnum():
            pieces.append("\\ ")
    return "".join([*pieces, _MARKUP.sub(r"\\\g<0>", text[end:])])
