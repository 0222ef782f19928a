"""The Dockerfile keeps to rules, and each of the rules can be broken."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.images.dockerfile import ignored, parse
from tools.images.requirements import FILES, FOLDER, LEFT_OUT, pins, render
from tools.images.rules import RULES, File, check

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
IGNORE = (ROOT / ".dockerignore").read_text()
TARGETS = ("gateway", "primary", "fallback", "workers")

GOOD = """\
FROM debian:12.4.1 AS build
WORKDIR /w
COPY README.md .
RUN apt-get update && apt-get install --yes --no-install-recommends x && rm -rf /var/lib/apt/lists/*
FROM build AS end
USER 7:7
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s CMD ["x", "ok"]
CMD ["x"]
"""


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_ours_keeps_to_the_rules(variant: str) -> None:
    ours = File(DOCKERFILE.read_text(), TARGETS, {"VARIANT": variant, "PYTHON_IMAGE": _base()}, ROOT, IGNORE)
    assert check(ours) == []
    assert f"base-{variant}" in ours.by_name


def _base() -> str:
    return next(one.text.split("=")[1] for one in parse(DOCKERFILE.read_text()) if one.name == "ARG")


def test_the_base_is_the_python_that_we_support() -> None:
    assert _base().startswith("python:3.11.")


def test_the_version_is_ours() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in DOCKERFILE.read_text()
    assert f"VERSION={version}\n" in (ROOT / "deploy" / ".env.example").read_text()


def test_a_good_one_is_good() -> None:
    assert check(File(GOOD, context=ROOT)) == []


BROKEN = {
    "known_instructions": GOOD + "--yes more\n",
    "pinned_base": GOOD.replace("debian:12.4.1", "debian:latest"),
    "names_of_stages": GOOD.replace("COPY README.md", "COPY --from=later /x"),
    "no_add": GOOD.replace("COPY README.md", "ADD https://example.org/x"),
    "not_root": GOOD.replace("USER 7:7", "USER root"),
    "no_sudo": GOOD.replace("apt-get update", "sudo apt-get update"),
    "apt": GOOD.replace("--no-install-recommends ", ""),
    "pip": GOOD + "RUN pip install --no-cache-dir flask\n",
    "pipes": GOOD + "RUN cat /etc/passwd | sh\n",
    "exec_form": GOOD.replace('CMD ["x"]\n', "CMD x\n"),
    "healthcheck": GOOD.replace('["x", "ok"]', '["curl", "-f", "http://localhost"]'),
    "stop_signal": GOOD.replace("STOPSIGNAL SIGTERM\n", ""),
    "used_arguments": GOOD.replace("USER", "ARG VERSION=1\nUSER"),
    "absolute_workdir": GOOD.replace("/w", "w"),
    "no_secrets": GOOD.replace("USER", "ENV API_KEY=x\nUSER"),
    "copied_sources": GOOD.replace("README.md", "missing.md"),
}


def test_each_rule_has_one_that_breaks_it() -> None:
    assert set(BROKEN) == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_can_be_broken(rule: str) -> None:
    assert {problem.rule for problem in check(File(BROKEN[rule], context=ROOT))} == {rule}


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("pinned_base", "debian:12.4.1", "debian:12"),
        ("pinned_base", "debian:12.4.1", "debian"),
        ("not_root", "USER 7:7", "USER 0"),
        ("not_root", "USER 7:7", "USER nobody"),
        ("not_root", "USER 7:7\n", ""),
        ("apt", " && rm -rf /var/lib/apt/lists/*", ""),
        ("apt", "apt-get update && ", ""),
        ("apt", "--yes ", ""),
        ("pip", "USER", "RUN pip install x==1\nUSER"),
        ("exec_form", '["x", "ok"]', "x ok"),
        ("healthcheck", 'HEALTHCHECK --interval=10s CMD ["x", "ok"]\n', ""),
        ("names_of_stages", "AS end", "AS build"),
        ("no_secrets", "USER", "ARG TOKEN\nRUN echo $TOKEN\nUSER"),
    ],
)
def test_other_ways_to_break_one(rule: str, before: str, after: str) -> None:
    assert rule in {problem.rule for problem in check(File(GOOD.replace(before, after), context=ROOT))}


def test_what_the_ignore_file_keeps_out_cannot_be_copied() -> None:
    problems = check(File(GOOD, context=ROOT, dockerignore="*\n!LICENSE\n"))
    assert [problem.says for problem in problems] == ["README.md is kept out by .dockerignore"]


def test_a_target_that_is_missing_is_told() -> None:
    assert "there is no target gateway" in [p.says for p in check(File(GOOD, ("gateway",), context=ROOT))]


# ── Taken apart ────────────────────────────────────────────────────────────


def test_continuation_lines_with_comments_and_blanks_between_them() -> None:
    one, two = parse("# first\n\nRUN a \\\n  # a word\n\n  && b\nuser 7\n")
    assert (one.line, one.name, one.text) == (3, "RUN", "a && b")
    assert (two.line, two.name, two.text) == (7, "USER", "7")


def test_here_documents_are_no_instructions() -> None:
    text = "RUN <<EOF python\nUSER root\nEOF\nCOPY <<-'END' /x\n\tCMD y\n\tEND\nUSER 7\n"
    assert [(one.line, one.name) for one in parse(text)] == [(1, "RUN"), (4, "COPY"), (7, "USER")]
    assert parse(text)[0].text.endswith("USER root")


@given(st.text(alphabet=st.sampled_from("RUNFROMCPY \\\n#<\"'[]{}$ab:=-"), max_size=200))
def test_any_text_is_borne(text: str) -> None:
    check(File(text))


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("rtc_stt/health.py", False),
        ("rtc_stt/cli/__pycache__/x.cpython-311.pyc", True),
        ("rtc_stt/py.typed", False),
        ("deploy/docker/requirements.txt", False),
        ("deploy/secrets/keys", True),
        ("deploy/.env", True),
        (".git/config", True),
        ("tests/clips/manifest.json", True),
        (".venv/bin/python", True),
        ("README.md", False),
        ("docs/README.md", True),
    ],
)
def test_what_goes_into_a_build(path: str, out: bool) -> None:
    assert ignored(path, IGNORE) is out


# ── The list of packages ────────────────────────────────────────────────────


@pytest.mark.parametrize("name", FILES)
def test_the_lists_are_current(name: str) -> None:
    assert (FOLDER / name).read_text() == render(name), "python -m tools.images"


def test_they_hold_the_versions_of_the_constraints_and_nothing_that_is_left_out() -> None:
    versions = pins((ROOT / "constraints.txt").read_text())
    for name in FILES:
        told = pins((FOLDER / name).read_text())
        assert told.items() <= versions.items()
        assert not told.keys() & LEFT_OUT
        assert not told.keys() & {"pytest", "mypy", "ruff", "livekit-agents", "pipecat-ai"}
