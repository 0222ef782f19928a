"""The hot modules, compiled by mypyc, do what they do in Python (docs/guides/compiled.md)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.compiled import ROOT, build

FIRST = ["signaling/rtp.py", "signaling/jitter.py"]
THEIR_TESTS = ["tests/signaling/test_rtp.py", "tests/signaling/test_jitter.py"]

ALL_TESTS = [
    *THEIR_TESTS,
    "tests/signaling/test_receiver.py",
    "tests/signaling/workers/test_remote_pool.py",
    "tests/test_decode_pool.py",
    "tests/test_endpointer.py",
    "tests/test_fallback.py",
    "tests/test_session.py",
    "tests/test_session_resume.py",
    # It puts a method of its own in the place of one that is compiled.
    "--deselect=tests/test_session_resume.py::test_minutes_of_silence_are_heard_in_small_pieces",
]
"""Not all that there are: tests that subclass or patch what is compiled cannot run."""


def check(folder: Path, *arguments: str) -> None:
    """Run tests there, on what is compiled there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4_000:]


def where(folder: Path, module: str) -> str:
    """The file that is imported."""
    asked = f"import {module}; print({module}.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def listed() -> list[str]:
    """What ``setup.py`` compiles."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (names,) = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
    ]
    found: list[str] = ast.literal_eval(names)
    return found


def test_what_is_listed_is_there() -> None:
    names = listed()
    assert len(names) > 20
    assert names == sorted(set(names))
    assert set(FIRST) <= set(names)
    assert [name for name in names if not (ROOT / name).is_file()] == []


@pytest.mark.e2e
@pytest.mark.slow
def test_some_of_them(tmp_path: Path) -> None:
    build(tmp_path / "tree", ",".join(FIRST))
    for module in ("signaling.rtp", "signaling.jitter"):
        assert where(tmp_path / "tree", module).endswith(".so")
    assert where(tmp_path / "tree", "signaling.receiver").endswith(".py")
    check(tmp_path / "tree", *THEIR_TESTS)


@pytest.mark.e2e
@pytest.mark.slow
def test_as_the_guide_says(tmp_path: Path) -> None:
    """pip builds it in an environment of its own, in which mypy is only because ``setup.py`` asks for it."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
        env=os.environ | {"RTC_STT_COMPILE": FIRST[0]},
    )
    (wheel,) = tmp_path.glob("rtc_stt-*.whl")
    with zipfile.ZipFile(wheel) as made:
        names = [Path(name).name for name in made.namelist() if name.endswith(".so")]
    assert sum(name.startswith("rtp.") for name in names) == 1


@pytest.mark.e2e
@pytest.mark.long
def test_all_of_them(tmp_path: Path) -> None:
    build(tmp_path / "tree")
    for name in listed():
        assert where(tmp_path / "tree", name.removesuffix(".py").replace("/", ".")).endswith(".so")
    check(tmp_path / "tree", "-m", "not e2e and not alone and not long", "-n", "2", *ALL_TESTS)
