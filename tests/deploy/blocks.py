"""The shell blocks of docs/operate: what they are, why some do not run here, and what they should print.

A block is a fence ``sh``. It runs, or its info string says what this machine lacks: ``sh needs=docker``. A
fence ``text output`` that follows is what it prints, where ``…`` stands for anything in a line, and for any
lines where it stands alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NEEDS", "Block", "matches", "read", "script", "split_output"]

NEEDS = {
    "cluster": "a Kubernetes cluster with Helm",
    "docker": "an engine that builds and runs images",
    "gpu": "a GPU",
    "machines": "more than one machine",
    "minutes": "more time than a test has",
    "name": "a name in the public DNS",
    "network": "something from outside: packages, models of true size",
}
"""All that a block may lack, and why it then does not run here."""

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
MARK = "@@ block at line "
"""Printed before each block, on both outputs, so that what follows can be told from what came before."""


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    line: int
    """Where its text begins in the page."""
    text: str
    needs: tuple[str, ...] = ()
    """What it lacks here; none: it runs."""
    output: str | None = None
    """What it prints; None: the page does not say."""


def read(page: Path) -> list[Block]:
    """The shell blocks of a page, in order.

    Raises:
        ValueError: a fence says something else than is told above.
    """
    text = page.read_text(encoding="utf-8")
    blocks: list[Block] = []
    end = -1
    for fence in FENCE.finditer(text):
        indent, info = fence["indent"], fence["info"].split()
        body = re.sub(rf"^{indent}", "", fence["text"], flags=re.M)
        line = text.count("\n", 0, fence.start()) + 2
        if info[:1] == ["sh"]:
            blocks.append(Block(line, body, _needs(info[1:], f"{page.name}:{line - 1}")))
        elif info == ["text", "output"]:
            if end < 0 or text[end : fence.start()].strip():
                raise ValueError(f"{page.name}:{line - 1}: output of no block")
            before = blocks.pop()
            blocks.append(Block(before.line, before.text, before.needs, body))
        end = fence.end() if info[:1] == ["sh"] else -1
    return blocks


def _needs(words: list[str], where: str) -> tuple[str, ...]:
    needs: list[str] = []
    for word in words:
        name, _, value = word.partition("=")
        if name != "needs":
            raise ValueError(f"{where}: {word!r} is not needs=…")
        needs += value.split(",")
    if unknown := set(needs) - NEEDS.keys():
        raise ValueError(f"{where}: nobody knows what {min(unknown)!r} is")
    return tuple(needs)


def script(blocks: list[Block]) -> str:
    """The blocks of one page that run here, for one bash, which stops at the first that fails.

    It begins in the checkout, where there is one yet.
    """
    parts = ["set -eu\ncd /opt/rtc-stt 2>/dev/null || cd\n"]
    for block in blocks:
        if not block.needs:
            mark = f"{MARK}{block.line}"
            parts.append(f"printf '\\n%s\\n' '{mark}' | tee /dev/stderr\n{block.text}")
    return "".join(parts)


def split_output(text: str) -> dict[int, str]:
    """What each block printed, by the line where it stands."""
    found = {}
    for part in f"\n{text}".split(f"\n{MARK}")[1:]:
        line, _, printed = part.partition("\n")
        found[int(line)] = printed
    return found


def matches(wanted: str, printed: str) -> bool:
    """Whether it is what the page says that it would be."""
    lines = []
    for line in wanted.strip().splitlines():
        exact = ".*".join(map(re.escape, line.strip().split("…")))
        lines.append(r"(?:.*\n)*?" if line.strip() == "…" else rf"[ \t]*{exact}[ \t]*\n")
    return re.fullmatch("".join(lines), f"{printed.strip()}\n") is not None
