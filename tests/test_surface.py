"""The public surface: every module says what it offers, in order, and offers it."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

import rtc_stt
import signaling
import web_demo

# The scripts of bench/peers run elsewhere, and import what stands beside them.
sys.path.append(str(Path(rtc_stt.__file__).parent / "bench" / "peers"))


def modules() -> list[str]:
    found = []
    for package in (rtc_stt, signaling, web_demo):
        found.append(package.__name__)
        inside = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
        found += [item.name for item in inside if not item.name.endswith("__main__")]
    return found


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", [n for n in modules() if n != "signaling"])
def test_all_is_sorted_and_true(name):
    module = load(name)
    told = list(module.__all__)
    constants = sorted(n for n in told if n.isupper())
    classes = sorted(n for n in told if not n.isupper() and n[0].isupper())
    rest = sorted(n for n in told if not n[0].isupper())
    assert told == constants + classes + rest  # as ruff sorts it
    assert len(set(told)) == len(told)
    for offered in told:
        assert hasattr(module, offered)


@pytest.mark.parametrize("name", modules())
def test_nothing_public_that_a_module_defines_is_left_out(name):
    module = load(name)
    defined = {
        n
        for n, value in vars(module).items()
        if not n.startswith("_") and isinstance(value, type) and value.__module__ == name
    }
    offered = set(getattr(module, "__all__", ()))
    helpers = {n for n in defined - offered if not (vars(module)[n].__doc__ or "").strip()}
    assert helpers == set(), "a class without an underscore is documented or offered"


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is_for(name):
    assert (load(name).__doc__ or "").strip()


def test_the_version_is_that_of_the_package():
    assert rtc_stt.__version__[0].isdigit()
