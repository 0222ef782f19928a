"""A Dockerfile taken apart, as its reference describes it: instructions with continuation lines, comments
between them, and here-documents; and stages, which inherit from each other."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

__all__ = ["Instruction", "Stage", "expand", "flags", "ignored", "parse", "stages"]

HEREDOC = re.compile(r"<<(-?)([\"']?)(\w+)\2")
"""In RUN, COPY and ADD: lines follow, up to one with this word alone."""

WITH_HEREDOC = ("RUN", "COPY", "ADD")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of them."""

    line: int
    """Where it begins, from 1."""
    name: str
    """In capitals."""
    text: str
    """What follows, continuation lines joined by a blank; lines of here-documents by a line feed."""

    def words(self) -> list[str]:
        """As a shell reads them; a JSON form is its elements."""
        if (form := self.exec_form()) is not None:
            return form
        try:
            return shlex.split(self.text)
        except ValueError:
            return self.text.split()

    def exec_form(self) -> list[str] | None:
        """The elements of a JSON array of strings; None where it is none, and a shell would run it."""
        try:
            told = json.loads(self.text)
        except ValueError:
            return None
        is_form = isinstance(told, list) and all(isinstance(word, str) for word in told)
        return told if is_form else None


@dataclass
class Stage:
    """From one FROM to the next."""

    line: int
    base: str
    """An image or a stage, its arguments expanded."""
    name: str | None
    instructions: list[Instruction] = field(default_factory=list)


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, in order; any text is borne."""
    lines = text.splitlines()
    found, number = list[Instruction](), 0
    while number < len(lines):
        line, begin = lines[number].strip(), number + 1
        number += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\"):
            line = line[:-1].rstrip()
            while number < len(lines) and _is_nothing(lines[number]):
                number += 1
            if number == len(lines):
                break
            line, number = f"{line} {lines[number].strip()}", number + 1
        name, _, rest = line.partition(" ")
        if name.upper() in WITH_HEREDOC:
            for indented, _, word in HEREDOC.findall(rest):
                body, number = _heredoc(lines, number, word, indented=bool(indented))
                rest += "\n" + body
        found.append(Instruction(begin, name.upper(), rest.strip()))
    return found


def _is_nothing(line: str) -> bool:
    """Blank lines and comments are skipped between continuation lines."""
    return not line.strip() or line.strip().startswith("#")


def _heredoc(lines: list[str], number: int, word: str, *, indented: bool) -> tuple[str, int]:
    body = list[str]()
    while number < len(lines):
        line = lines[number].lstrip("\t") if indented else lines[number]
        number += 1
        if line == word:
            break
        body.append(line)
    return "\n".join(body), number


def expand(text: str, values: Mapping[str, str]) -> str:
    """``$NAME``, ``${NAME}`` and ``${NAME:-else}`` replaced; what is not known becomes nothing."""

    def value(found: re.Match[str]) -> str:
        return values.get(found[1] or found[3], found[2] or "")

    return re.sub(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))", value, text)


def stages(instructions: list[Instruction], arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """The stages, their bases expanded by the ARGs before the first FROM, or by ``arguments`` instead."""
    values, found = dict[str, str](), list[Stage]()
    for instruction in instructions:
        if instruction.name == "FROM":
            words = [word for word in instruction.text.split() if not word.startswith("--")]
            name = words[2] if len(words) == 3 and words[1].upper() == "AS" else None
            found.append(Stage(instruction.line, expand(words[0], values) if words else "", name))
        elif found:
            found[-1].instructions.append(instruction)
        elif instruction.name == "ARG":
            name, _, default = instruction.text.partition("=")
            values[name] = (arguments or {}).get(name, default)
    return found


def flags(instruction: Instruction) -> dict[str, str]:
    """``--from=x`` and the like of COPY, ADD, RUN and HEALTHCHECK."""
    return dict(re.findall(r"(?:^|\s)--([\w-]+)=?(\S*)", instruction.text.split("\n")[0]))


def ignored(path: str, patterns: str) -> bool:
    """Whether ``.dockerignore`` keeps a path out: the last line that fits it or a folder above decides."""
    out = False
    for raw in patterns.splitlines():
        pattern = raw.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        if any(_fits(part, pattern.removeprefix("!").strip("/")) for part in _with_parents(path)):
            out = not keeps
    return out


def _with_parents(path: str) -> Iterator[str]:
    pure = PurePosixPath(path)
    yield str(pure)
    yield from (str(parent) for parent in pure.parents if str(parent) != ".")


def _fits(path: str, pattern: str) -> bool:
    """By Go's filepath.Match, and ``**`` for any number of folders."""
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern)
    told = "".join(wild.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(told, path) is not None
