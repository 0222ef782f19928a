"""The scripts and their requirements: pinned, and nothing of ours in them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from rtc_stt.bench.peers.environments import Environment
from rtc_stt.bench.peers.recipe import PEERS

peers = pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)


def canonical(name: str) -> str:
    """As packages are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@peers
def test_every_package_has_its_version_and_none_is_there_that_is_left_out(peer, tmp_path):
    lines = Environment(peer, tmp_path).requirements.read_text("utf-8").split()
    pinned = dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines)
    assert len(pinned) == len(lines)
    assert not {canonical(name) for name in pinned} & {canonical(name) for name in peer.left_out}


@peers
def test_a_script_needs_nothing_of_ours_but_the_link(peer, tmp_path):
    tree = ast.parse(Environment(peer, tmp_path).script.read_text("utf-8"))
    for_types = [
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    skipped = {id(inner) for block in for_types for part in block.body for inner in ast.walk(part)}
    imported = [
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and id(node) not in skipped
    ]
    assert not [name for name in imported if name.startswith("rtc_stt")]


def test_an_environment_is_ready_as_long_as_its_requirements_stand(tmp_path):
    place = Environment(PEERS["whisperlive"], tmp_path)
    assert not place.is_ready
    place.path.mkdir()
    stamp = place.path / "installed.txt"
    stamp.write_text(place.requirements.read_text("utf-8"), "utf-8")
    assert place.is_ready
    stamp.write_text("torch==1.0\n", "utf-8")
    assert not place.is_ready


def test_its_interpreter_is_named_from_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Environment(PEERS["whisperlive"], Path("peers"))
    assert place.python == tmp_path / "peers" / "whisperlive" / "bin" / "python"
