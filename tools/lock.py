"""Makes the hashed locks under locks/ from pyproject.toml: names, versions and hashes only, no address of an index."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"
# lock name → what goes into it. `test` holds everything in `run` too, so that both agree on every version.
LOCKS = {
    "bootstrap": ["--group", "bootstrap"],
    "test": ["--extra", "postgres", "--extra", "otlp", "--group", "test"],
    "run": ["--extra", "postgres", "--extra", "otlp"],
    "roundup": ["--group", "roundup"],
    "bench": ["--group", "bench"],
    "release": ["--group", "release"],
}
BARE = {"bootstrap", "roundup", "bench", "release"}  # do not contain the product's own dependencies


def main() -> None:
    """Compiles each lock in turn; `run` is held to the versions of `test`."""
    for name, what in LOCKS.items():
        out = ROOT / "locks" / f"{name}.txt"
        source = ["pyproject.toml"]
        if name in BARE:
            source, what = [], ["--group", f"pyproject.toml:{name}"]
        constraint = ["--constraint", "locks/test.txt"] if name == "run" else []
        command = [str(UV), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-emit-index-url",
                   "--no-header", "--python-version", "3.11", *source, *what, *constraint, "-o", str(out)]  # fmt: skip
        subprocess.run([*command, *sys.argv[1:]], cwd=ROOT, check=True)
        if "://" in out.read_text():
            sys.exit(f"{out.name} contains an address; a lock holds plain package names only")
        print(f"locks/{name}.txt")


if __name__ == "__main__":
    main()
