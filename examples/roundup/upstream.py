"""Roundup beside the gateway: installs it apart, sets a tracker up, serves it on the loopback address. Repeating any of it changes nothing.

Nothing of Roundup is ever imported here: it has its own Python environment, and its scripts (tracker/) run there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.text import place

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "locks" / "roundup.txt"
SCRIPTS = Path(__file__).resolve().parent / "tracker"

Say = Callable[[str], None]


class Failed(Exception):
    """Roundup could not be installed, set up or started; the text says what to do."""


def install(venv: Path, say: Say) -> Path:
    """Installs Roundup from its hashed lock into an environment of its own; gives that environment's Python."""
    python = venv / "bin" / "python"
    stamp = venv / ".lock-sha256"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    venv.parent.mkdir(parents=True, exist_ok=True)
    with _alone(venv.parent / "install.lock"):  # two test processes may want it at once
        if python.exists() and stamp.exists() and stamp.read_text() == wanted:
            return python
        say(f"installing Roundup into {place(venv, Path.cwd())} (half a minute, once)")
        uv = Path(sys.executable).parent / "uv"
        _run([str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)])
        _run(
            [
                str(uv),
                "pip",
                "install",
                "--quiet",
                "--python",
                str(python),
                "--require-hashes",
                "-r",
                str(LOCK),
            ]
        )
        stamp.write_text(wanted)
    return python


@dataclass(frozen=True)
class Tracker:
    """One tracker. home: its folder, with the tracker, the file its mail goes into, and the passwords (0600).

    port: where it listens. web_port: where it is told that the world finds it, if something stands in front of it.
    """

    home: Path
    python: Path
    port: int
    web_port: int | None = None

    @property
    def login(self) -> str:
        """`user:password` of the gateway's own account."""
        return f"gateway:{self._secrets()['gateway']}"

    @property
    def admin(self) -> str:
        """`user:password` of the tracker's administrator."""
        return f"admin:{self._secrets()['admin']}"

    @property
    def mail(self) -> Path:
        """Where Roundup writes its mail."""
        return self.home / "mail.txt"

    def set_up(self, say: Say) -> None:
        """Makes the tracker unless it is there whole."""
        ready = self.home / "ready"
        if ready.exists():
            return
        say("setting the tracker up")
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(self.home / "tracker", ignore_errors=True)  # of a run that was interrupted
        passwords = json.dumps({name: secrets.token_urlsafe(32) for name in ("admin", "gateway")})
        with os.fdopen(os.open(self._kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(passwords)
        arguments = [str(self.home / "tracker"), str(self.web_port or self.port), str(self.mail)]
        _run([str(self.python), str(SCRIPTS / "setup.py"), *arguments], passwords)
        ready.touch()

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serves it in a process of its own, which ends with this block, or with this process however that ends."""
        if answers(self.port):
            raise Failed(
                f"something listens on 127.0.0.1:{self.port} already; stop it, it would be taken for Roundup"
            )
        command = [str(self.python), str(SCRIPTS / "serve.py"), str(self.home / "tracker"), str(self.port)]
        with (self.home / "roundup.log").open("ab") as log:
            process = subprocess.Popen(  # in a session of its own: Ctrl-C is for the gateway, which then ends this one
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        with process:
            try:
                self._wait(process)
                yield
            finally:
                process.terminate()
                process.wait(20)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while not answers(self.port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"Roundup did not start; {self.home / 'roundup.log'} says why")
            time.sleep(0.05)

    @property
    def _kept(self) -> Path:
        return self.home / "passwords.json"

    def _secrets(self) -> dict[str, str]:
        kept: dict[str, str] = json.loads(self._kept.read_text())
        return kept


def _run(command: list[str], given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} {command[1]} failed:\n{done.stderr[-2000:]}")


def answers(port: int) -> bool:
    """Tells whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
