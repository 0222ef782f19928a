"""How the pages of docs/operate are read, and how much of them runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.blocks import NEEDS, Block, matches, read, script, split_output

PAGES = sorted((Path(__file__).parents[2] / "docs" / "operate").glob("*.md"))
BLOCKS = [block for page in PAGES for block in read(page)]
SHARE = 0.65
"""Of all blocks so many run at least."""


def test_most_blocks_run() -> None:
    assert sum(not block.needs for block in BLOCKS) / len(BLOCKS) >= SHARE


def test_nothing_is_said_to_lack_that_no_block_lacks() -> None:
    assert {need for block in BLOCKS for need in block.needs} == set(NEEDS)


def test_what_a_block_prints_is_compared() -> None:
    assert matches("a … c\n…\nend", "a b c\n1\n2\nend\n")
    assert matches("…\nend", "end")
    assert not matches("a … c", "a b d")
    assert not matches("end", "1\nend")


def test_a_page_is_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n```sh\necho 1\n```\n\n```text output\n1\n```\n\n"
        "- item\n\n  ```sh needs=gpu,network\n  echo 2\n  ```\n"
    )
    assert read(page) == [Block(4, "echo 1\n", (), "1\n"), Block(14, "echo 2\n", ("gpu", "network"))]
    done = subprocess.run(["bash", "-c", script(read(page))], capture_output=True, text=True, check=True)
    assert split_output(done.stdout) == {4: "1\n"}


@pytest.mark.parametrize(
    "text",
    [
        "```sh needs=luck\n```\n",
        "```sh root\n```\n",
        "```text output\n```\n",
        "```sh\n```\nno\n```text output\n```\n",
    ],
)
def test_a_page_that_says_it_wrongly_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=re.escape("page.md:")):
        read(page)
