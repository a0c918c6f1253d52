"""Makes the checkout importable in its own environment and writes the `gatehouse` command, without building a wheel."""

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Writes one .pth file and one script; both point at this checkout."""
    (Path(sysconfig.get_path("purelib")) / "gatehouse.pth").write_text(f"{ROOT}\n")
    command = Path(sys.executable).parent / "gatehouse"
    # What the interpreter compiles lies under var/ too, beside everything else that a run creates.
    cache = f"import sys\n\nsys.dont_write_bytecode = False\nsys.pycache_prefix = {str(ROOT / 'var' / 'pycache')!r}\n"
    command.write_text(f"#!{sys.executable}\n{cache}from gateway.cli import main\n\nmain()\n")
    command.chmod(0o755)


if __name__ == "__main__":
    main()
