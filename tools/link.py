"""Makes the checkout importable in its own environment and writes the `gatehouse` command, without building a wheel."""

import shlex
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def launcher(python: str, program: str) -> str:
    """Gives a script that runs a program under an interpreter, wherever that lies.

    Not `#!` and the interpreter: the kernel cuts that at the first blank of a path, and where it is long. To a shell the second and the
    third line are one `exec`, to Python they are a text.
    """
    return f"#!/bin/sh\n'''exec' {shlex.quote(python)} \"$0\" \"$@\"\n' '''\n{program}"


def main() -> None:
    """Writes one .pth file and one script; both point at this checkout."""
    (Path(sysconfig.get_path("purelib")) / "gatehouse.pth").write_text(f"{ROOT}\n")
    command = Path(sys.executable).parent / "gatehouse"
    # What the interpreter compiles lies under var/ too, beside everything else that a run creates.
    cache = f"import sys\n\nsys.dont_write_bytecode = False\nsys.pycache_prefix = {str(ROOT / 'var' / 'pycache')!r}\n"
    command.write_text(launcher(sys.executable, f"{cache}from gateway.cli import main\n\nmain()\n"))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
