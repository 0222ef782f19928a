"""What a Dockerfile of ours keeps to: what linters of Dockerfiles have in common, and a few rules of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.images.dockerfile import Instruction, Stage, expand, flags, ignored, parse, stages

__all__ = ["RULES", "File", "Problem", "check"]

KNOWN = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$|:(?!latest\b)[\w.-]*\d+\.\d+\.\d+[\w.-]*$")
"""A digest, or a tag with a whole version."""

SECRET = re.compile(r"(KEY|SECRET|PASSWORD|TOKEN|CREDENTIALS?)$", re.I)
AUTOMATIC = {"TARGETPLATFORM", "TARGETOS", "TARGETARCH", "BUILDPLATFORM"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a rule found."""

    line: int
    rule: str
    says: str


@dataclass
class File:
    """A Dockerfile and where it is built."""

    text: str
    targets: tuple[str, ...] = ()
    """Stages that images are made of; empty: the last one."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """For the build."""
    context: Path | None = None
    """The folder whose files are copied; None: not looked at."""
    dockerignore: str = ""

    def __post_init__(self) -> None:
        self.instructions = parse(self.text)
        self.stages = stages(self.instructions, self.arguments)
        self.by_name = {stage.name: stage for stage in self.stages if stage.name}

    def ends(self) -> list[Stage]:
        """The stages of images."""
        return [self.by_name[name] for name in self.targets if name in self.by_name] or self.stages[-1:]

    def inherited(self, stage: Stage, name: str) -> Instruction | None:
        """The instruction of a name that holds for a stage: its own, or of what it is made from."""
        for one in reversed(stage.instructions):
            if one.name == name:
                return one
        base = self.by_name.get(stage.base)
        return self.inherited(base, name) if base is not None and base is not stage else None


Found = Iterator[tuple[int, str]]


def known_instructions(file: File) -> Found:
    """What is no instruction is a mistake, or a line that lost its backslash."""
    for one in file.instructions:
        if one.name not in KNOWN:
            yield one.line, f"{one.name} is no instruction"


def pinned_base(file: File) -> Found:
    """The same file makes the same image."""
    names = set[str]()
    for stage in file.stages:
        if stage.base not in names and stage.base != "scratch" and not PINNED.search(stage.base):
            yield stage.line, f"{stage.base or 'nothing'} is no image of one version"
        names |= {stage.name} if stage.name else set()


def names_of_stages(file: File) -> Found:
    """Each stage has a name of its own, and what is copied from a stage is copied from one before."""
    seen = set[str]()
    for stage in file.stages:
        for one in stage.instructions:
            source = flags(one).get("from") if one.name == "COPY" else None
            if source and source not in seen and not PINNED.search(source):
                yield one.line, f"there is no stage {source} before"
        if stage.name in seen:
            yield stage.line, f"there is a stage {stage.name} already"
        seen |= {stage.name} if stage.name else set()
    for target in file.targets:
        if target not in seen:
            yield 0, f"there is no target {target}"


def no_add(file: File) -> Found:
    """ADD fetches from anywhere, unchecked, and unpacks what it likes."""
    for one in file.instructions:
        if one.name == "ADD":
            yield one.line, "COPY copies"


def not_root(file: File) -> Found:
    """Images end as a user without rights, by number: an orchestrator checks that, and knows no names."""
    for stage in file.ends():
        user = file.inherited(stage, "USER")
        if user is None or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user.text):
            yield (user.line if user else stage.line), f"{stage.name} runs as {user.text if user else 'root'}"


def no_sudo(file: File) -> Found:
    """A build is root already, and a server never."""
    for one in _runs(file):
        if re.search(r"\bsudo\b", one.text):
            yield one.line, "sudo"


def apt(file: File) -> Found:
    """One layer fetches the lists, installs no more than is named, and removes the lists."""
    for one in _runs(file):
        if not re.search(r"\bapt(-get)?\s+(\S+\s+)*?install\b", one.text):
            continue
        wanted = {
            r"\bapt-get\s+(-\S+\s+)*update\b": "apt-get update in the same layer",
            r"--no-install-recommends\b": "--no-install-recommends",
            r"\s(-y|-qy|-qqy|--yes|--assume-yes)\b": "--yes",
            r"rm\s+-rf\s+/var/lib/apt/lists": "rm -rf /var/lib/apt/lists in the same layer",
        }
        for pattern, name in wanted.items():
            if not re.search(pattern, one.text):
                yield one.line, f"apt-get install without {name}"


def pip(file: File) -> Found:
    """No cache in a layer, and versions from a list."""
    for one in _runs(file):
        for command in re.split(r"&&|;|\|\|", one.text):
            if re.search(r"\bpip3?\b.*\binstall\b", command):
                if "--no-cache-dir" not in command:
                    yield one.line, "pip install without --no-cache-dir"
                if not re.search(r"--requirement|--constraint|(^|\s)-[rc]\s|--no-deps|==", command):
                    yield one.line, "pip install of any version"


def pipes(file: File) -> Found:
    """A shell tells only of the last command of a pipe."""
    for one in _runs(file):
        if re.search(r"[^|]\|[^|]", one.text) and "pipefail" not in one.text:
            yield one.line, "a pipe without set -o pipefail"


def exec_form(file: File) -> Found:
    """A shell in between takes the signals, and there may be none."""
    for one in file.instructions:
        told = one
        if one.name == "HEALTHCHECK":
            _, command, rest = one.text.partition("CMD ")
            if not command:
                continue
            told = Instruction(one.line, one.name, rest)
        if told.name in ("CMD", "ENTRYPOINT", "HEALTHCHECK") and not told.exec_form():
            yield one.line, f"{one.name} is run by a shell"


def healthcheck(file: File) -> Found:
    """Each image says how it is asked whether it is well, and has what asks."""
    for stage in file.ends():
        check = file.inherited(stage, "HEALTHCHECK")
        if check is None:
            yield stage.line, f"{stage.name} has no HEALTHCHECK"
        elif re.search(r"\b(curl|wget)\b", check.text):
            yield check.line, "curl and wget are not in it"


def stop_signal(file: File) -> Found:
    """It is told what ends it well."""
    for stage in file.ends():
        if file.inherited(stage, "STOPSIGNAL") is None:
            yield stage.line, f"{stage.name} has no STOPSIGNAL"


def used_arguments(file: File) -> Found:
    """Who passes an ARG that nothing uses believes that it did something."""
    for number, one in enumerate(file.instructions):
        name = one.text.partition("=")[0]
        rest = " ".join(later.text for later in file.instructions[number + 1 :])
        if one.name == "ARG" and name not in AUTOMATIC and not re.search(rf"\$\{{?{name}\b", rest):
            yield one.line, f"{name} is used by nothing"


def absolute_workdir(file: File) -> Found:
    """Relative to what is another stage's business."""
    for one in file.instructions:
        if one.name == "WORKDIR" and not one.text.startswith(("/", "$")):
            yield one.line, f"WORKDIR {one.text}"


def no_secrets(file: File) -> Found:
    """What ARG and ENV hold is in the image for everyone to read."""
    for one in file.instructions:
        for name in re.findall(r"(?:^|\s)(\w+)(?==|\s*$)", one.text) if one.name in ("ARG", "ENV") else ():
            if SECRET.search(name):
                yield one.line, f"{name} stays in the image"


def copied_sources(file: File) -> Found:
    """What is copied is there, and .dockerignore lets it through."""
    for one in file.instructions:
        if file.context is None or one.name != "COPY" or "from" in flags(one) or "<<" in one.text:
            continue
        for source in [word for word in one.words() if not word.startswith("--")][:-1]:
            path = expand(source, file.arguments).removeprefix("./")
            if not (file.context / path).exists():
                yield one.line, f"{path} is not there"
            elif ignored(path, file.dockerignore):
                yield one.line, f"{path} is kept out by .dockerignore"


def _runs(file: File) -> Iterator[Instruction]:
    return (one for one in file.instructions if one.name == "RUN")


RULES: tuple[Callable[[File], Found], ...] = (
    known_instructions, pinned_base, names_of_stages, no_add, not_root, no_sudo, apt, pip, pipes, exec_form,
    healthcheck, stop_signal, used_arguments, absolute_workdir, no_secrets, copied_sources,
)  # fmt: skip


def check(file: File) -> list[Problem]:
    """All that is wrong with it, by line."""
    found = [Problem(line, rule.__name__, says) for rule in RULES for line, says in rule(file)]
    return sorted(found, key=lambda problem: (problem.line, problem.rule))
