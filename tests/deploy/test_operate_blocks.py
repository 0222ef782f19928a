"""Every shell block of docs/operate runs, on a machine of its own, or says what it lacks here.

One machine, one page after the other, as an operator has it: one-box.md sets it up, the others look after it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.blocks import matches, read, script, split_output

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PAGES = {page.stem: read(page) for page in sorted((ROOT / "docs" / "operate").glob("*.md"))}
FIRST, LAST = "one-box", "rolling-update"
"""What sets the machine up, and what turns it into another; the others are read between, by name."""

RUNNABLE = sorted(
    (name for name, blocks in PAGES.items() if any(not block.needs for block in blocks)),
    key=lambda name: ((name != FIRST) + (name == LAST), name),
)
SECONDS_AT_MOST = 240
"""A quarter of it is enough where nothing else is going on."""

RUN = """
cd /run/pages
for page in {pages}; do
    status=0
    PATH=/opt/rtc-stt/.venv/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
        timeout 120 bash $page.sh >$page.out 2>$page.err </dev/null || status=$?
    echo $status >$page.status
    [ $page != one-box ] || [ $status = 0 ] || break
done
journalctl --no-pager --output cat --lines 60 >journal
"""


@dataclass(frozen=True)
class Ran:
    """A page that was run."""

    status: int
    out: dict[int, str]
    said: str
    """Its last words, and those of the machine."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Every page, by its name."""
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("a machine of its own needs root")
    folder = tmp_path_factory.mktemp("pages")
    for name in RUNNABLE:
        (folder / f"{name}.sh").write_text(script(PAGES[name]))
    (folder / "run.sh").write_text(RUN.format(pages=" ".join(RUNNABLE)))
    done = subprocess.run(
        [
            str(Path(__file__).with_name("sandbox.sh")),
            *(str(folder), str(ROOT), sys.base_prefix, sysconfig.get_path("purelib")),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "SECONDS_AT_MOST": str(SECONDS_AT_MOST)},
        check=False,
    )
    journal = folder / "journal"
    machine = done.stdout + done.stderr + (journal.read_text() if journal.is_file() else "")
    return {name: _ran(folder, name, machine) for name in RUNNABLE}


def _ran(folder: Path, name: str, machine: str) -> Ran:
    status = folder / f"{name}.status"
    if not status.is_file():
        return Ran(-1, {}, f"it was not run\n{machine}")
    out, err = ((folder / f"{name}.{kind}").read_text() for kind in ("out", "err"))
    return Ran(
        int(status.read_text()), split_output(out), "\n---\n".join((out[-3000:], err[-3000:], machine))
    )


@pytest.mark.parametrize("name", RUNNABLE)
def test_its_blocks_do_what_the_page_says(name: str, ran: dict[str, Ran]) -> None:
    page = ran[name]
    assert page.status == 0, page.said
    shown = {b.line: b.output for b in PAGES[name] if b.output is not None and not b.needs}
    other = {line: page.out[line] for line, wanted in shown.items() if not matches(wanted, page.out[line])}
    assert other == {}, page.said
