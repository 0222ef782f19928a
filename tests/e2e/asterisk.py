"""A real Asterisk of one test run: its configuration, its console, recordings that it plays into calls."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.e2e.support import ROOT

UNPACKED = ROOT / "build" / "asterisk" / "files"

MODULES = """
    pbx_config res_clioriginate res_timing_timerfd res_sorcery_config res_sorcery_memory res_sorcery_astdb
    app_dial app_playback app_senddtmf app_chanspy app_originate app_stack bridge_simple bridge_softmix
    func_shell func_callerid func_channel func_global func_logic func_strings
    codec_ulaw codec_alaw codec_g722 codec_resample format_wav
    res_pjproject res_rtp_asterisk res_srtp res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_sdp_rtp
    res_pjsip_outbound_authenticator_digest res_pjsip_caller_id chan_pjsip
    res_audiosocket app_audiosocket chan_audiosocket res_http_websocket res_websocket_client chan_websocket
"""

EMPTY = ("chan_websocket", "pjproject", "pjsip", "websocket_client")
"""Files without which modules do not load."""


def find() -> list[str] | None:
    """How it is started: what ``$ASTERISK`` names, else what tools/ensure_asterisk.sh has unpacked."""
    if named := os.environ.get("ASTERISK"):
        return [named]
    loader = next(UNPACKED.glob("usr/lib*/ld-linux-*.so.*"), None)
    if loader is None:
        return None
    libraries = ":".join(str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu*"))
    return [str(loader), "--library-path", libraries, str(UNPACKED / "usr/sbin/asterisk")]


class Asterisk:
    """One process. What it needs lies in a folder of its own.

    Args:
        home: an empty folder.
        files: what stands in its configuration, by the name of the file.
    """

    def __init__(self, home: Path, **files: str) -> None:
        program = find()
        assert program
        self._program = program
        self._config = home / "etc" / "asterisk.conf"
        usr = Path("/usr") if os.environ.get("ASTERISK") else UNPACKED / "usr"
        modules = next(usr.glob("lib*/**/asterisk/modules"))
        folders = {
            "astetcdir": home / "etc", "astmoddir": modules, "astvarlibdir": home / "lib",
            "astdbdir": home / "lib", "astkeydir": home / "lib", "astdatadir": usr / "share/asterisk",
            "astagidir": home / "lib", "astspooldir": home / "spool", "astrundir": home / "run",
            "astlogdir": home / "log", "astsbindir": home / "run",
        }  # fmt: skip
        for name in ("etc", "lib", "spool", "run", "log"):
            (home / name).mkdir(parents=True)
        written = (
            {
                "asterisk": "[directories]\n"
                + "".join(f"{key} => {path}\n" for key, path in folders.items()),
                "modules": "[modules]\nautoload=no\n"
                + "".join(f"load = {name}.so\n" for name in MODULES.split()),
                "logger": "[logfiles]\nconsole => notice,warning,error\n",
            }
            | dict.fromkeys(EMPTY, "")
            | files
        )
        for name, text in written.items():
            (home / "etc" / f"{name}.conf").write_text(text, encoding="utf-8")
        self._log = home / "console.log"
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [*program, "-f", "-n", "-C", str(self._config)],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def ready(self, seconds: float = 20.0) -> None:
        """Until it has started."""
        deadline = time.monotonic() + seconds
        while "fully booted" not in self.cli("core waitfullybooted", check=False):
            assert time.monotonic() < deadline, self.log()
            assert self.process.poll() is None, self.log()
            time.sleep(0.1)

    def cli(self, command: str, *, check: bool = True) -> str:
        """What its console says to a command."""
        done = subprocess.run(
            [*self._program, "-C", str(self._config), "-rx", command],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        is_done = done.returncode == 0 and "No such command" not in done.stdout
        assert is_done or not check, done.stdout + done.stderr
        return done.stdout

    def originate(self, channel: str, extension: str) -> None:
        """Let one extension call another: ``play@stt`` and what it hears it."""
        self.cli(f"channel originate Local/{channel}/n extension {extension}")

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """At once."""
        self.process.kill()
        self.process.wait(10)


def is_there() -> bool:
    """Whether there is one."""
    program = find()
    return bool(program and (shutil.which(program[0]) or Path(program[0]).exists()))
