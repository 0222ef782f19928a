"""Golden conversations: what is said to a user agent and when, and all that it does.

In a file, ``--- SECONDS from TRANSPORT ADDRESS:PORT`` is followed by a message (its ``Content-Length`` is
added), ``--- SECONDS accept|reject|hang_up|until …`` is what the shell does; ``{tag}`` is our tag,
``{branch}`` and ``{cseq}`` are of our last request, ``{digest}`` answers our last challenge; ``# Nobody is
listed.`` says that passwords are asked for. Lines with ``<`` (messages of ours) and ``!`` (other effects) are
written by ``python -m tests.signaling.telephony.sip.conversations``, and reviewed as a diff.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from signaling.telephony.settings import Sip
from signaling.telephony.sip.vocabulary import Effect, Flow, Invited, Send
from tests.signaling.telephony.sip.world import World

__all__ = ["FILES", "play", "replay"]

FILES = sorted((Path(__file__).parent / "golden").glob("*.txt"))
STEP = re.compile(r"^--- (?P<at>[0-9.]+) (?P<what>\w+) ?(?P<rest>.*)$")
PASSWORD = "open-sesame"
LISTED, PASSWORDS = Sip(sip_allow=("192.0.2.0/24",)), Sip(sip_users=(f"alice:{PASSWORD}",))


class Scene:
    """One conversation, as it goes."""

    def __init__(self, settings: Sip) -> None:
        self.world = World(settings)
        self.began = self.world.now
        self.tag = self.branch = self.cseq = self.nonce = ""
        self.lines: list[str] = []

    def note(self, effects: list[Effect]) -> None:
        """Write down what was done."""
        self.world.note(effects)
        at = f"{self.world.now - self.began:.3f}"
        for effect in effects:
            if isinstance(effect, Send):
                self._note_message(at, effect)
            else:
                if isinstance(effect, Invited):
                    self.tag = effect.dialog
                self.lines.append(f"! {at} {effect!r}".replace(self.tag or "\0", "{tag}"))

    def _note_message(self, at: str, effect: Send) -> None:
        flow, text = effect.flow, effect.data.decode()
        self.lines.append(f"< {at} {flow.transport} {flow.address}:{flow.port}")
        self.lines += [f"< {line}".rstrip() for line in text.rstrip().split("\r\n")]
        if not text.startswith(("SIP/", "ACK")):
            self.branch = re.search(r"branch=(\S+?);", text)[1]
            self.cseq = re.search(r"CSeq: (\d+)", text)[1]
        if found := re.search(r'nonce="([^"]+)"', text):
            self.nonce = found[1]

    def step(self, at: float, what: str, rest: str, text: str) -> None:
        """Something happens."""
        world = self.world
        while (due := world.agent.next_deadline()) is not None and due <= self.began + at:
            world.now = due
            self.note(world.agent.handle_timer(due))
        world.now = self.began + at
        text = self._filled(text)
        match what:
            case "from":
                transport, _, place = rest.partition(" ")
                address, _, port = place.rpartition(":")
                flow = Flow(transport, address, int(port), 1 if transport == "tcp" else 0)
                self.note(world.agent.receive(whole(text), flow, world.now))
            case "accept":
                body = text.replace("\n", "\r\n").encode()
                kind = rest or "application/sdp"
                self.note(world.agent.accept(self.tag, body, world.now, kind))
            case "reject":
                code, _, phrase = rest.partition(" ")
                self.note(world.agent.reject(self.tag, int(code), phrase, world.now))
            case "hang_up":
                self.note(world.agent.hang_up(self.tag, rest, world.now))

    def _filled(self, text: str) -> str:
        for name in ("tag", "branch", "cseq"):
            text = text.replace("{" + name + "}", getattr(self, name))
        return text.replace("{digest}", self._digest()) if "{digest}" in text else text

    def _digest(self) -> str:
        """By RFC 7616 §3.4.1, of SHA-256, for an INVITE."""

        def digest(value: str) -> str:
            return hashlib.sha256(value.encode()).hexdigest()

        uri = "sip:stt@192.0.2.1"
        first, second = digest(f"alice:rtc-stt:{PASSWORD}"), digest(f"INVITE:{uri}")
        response = digest(f"{first}:{self.nonce}:00000001:c0:auth:{second}")
        return (
            f'Digest username="alice", realm="rtc-stt", nonce="{self.nonce}", uri="{uri}", qop=auth, '
            f'nc=00000001, cnonce="c0", algorithm=SHA-256, response="{response}"'
        )


def whole(text: str) -> bytes:
    """A message of the file as bytes."""
    head, _, body = text.rstrip("\n").partition("\n\n")
    data = body.replace("\n", "\r\n").encode() + (b"\r\n" if body else b"")
    return f"{head}\nContent-Length: {len(data)}\n\n".replace("\n", "\r\n").encode() + data


def replay(text: str) -> str:
    """A conversation, with what is done in it today."""
    return play(text)[0]


def play(text: str) -> tuple[str, list[bytes]]:
    """The same, and the messages that were sent."""
    said = [line for line in text.splitlines() if not re.match(r"[<!]( |$)", line)]
    scene = Scene(PASSWORDS if "# Nobody is listed." in said else LISTED)
    blocks: list[list[str]] = [[]]
    for line in said:
        if STEP.match(line):
            blocks.append([])
        blocks[-1].append(line)
    parts = ["\n".join(blocks[0]).strip()]
    for first, *rest in blocks[1:]:
        text = "\n".join(rest).strip("\n")
        parts.append(f"{first}\n{text}".rstrip())
        step = STEP.match(first)
        scene.lines = []
        scene.step(float(step["at"]), step["what"], step["rest"], text + "\n" if text else "")
        if scene.lines:
            parts.append("\n".join(scene.lines))
    return "\n\n".join(parts) + "\n", scene.world.sent()


if __name__ == "__main__":
    for path in FILES:
        path.write_text(replay(path.read_text(encoding="utf-8")), encoding="utf-8")
