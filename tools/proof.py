"""`make proof`: every campaign at its full count, one after the other, resumable; writes docs/proof.md with commit, seed and result.

A piece that passed is not run again while the sources that it depends on stay: its result lies in var/proof/, keyed by their digest.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STATE = ROOT / "var" / "proof"
ONLY = os.environ.get("ONLY", "")  # the pieces with this in their names; all without it
SEED = os.environ.get("GATEHOUSE_TEST_SEED", "20261121")
# What a piece of the proof needs beyond PyPI → how to get it. A piece whose need is absent is named, never passed over.
NEEDS = {"strace": "apt-get install strace", "npm": "apt-get install nodejs npm"}
# What every piece depends on: the environment, and what all tests share.
COMMON = ("locks/", "pyproject.toml", "tests/conftest.py", "tests/__init__.py", "tests/postgres")
# What the pieces of one folder depend on; import contracts hold it. Elsewhere the whole program is run.
ROOM = {
    "tests/audit": ("audit/", "tests/audit/"),
    "tests/fields": ("gateway/words/", "gateway/keys/", "gateway/store/", "gateway/fields/", "tests/fields/"),
    "tests/policy": (
        "gateway/words/",
        "gateway/wire/",
        "gateway/policy/",
        "gateway/catalogue/",
        "policies/",
        "tests/policy/",
    ),
}
WHOLE = (
    "gateway/",
    "audit/",
    "policies/",
    "migrations/",
    "examples/",
    "tests/campaign/",
    "tests/roundup/",
    "tests/wire/",
)


def main() -> int:
    """Runs what has not passed yet and gives 1 if anything failed."""
    STATE.mkdir(parents=True, exist_ok=True)
    every = collect()
    pieces = [piece for piece in every if ONLY in piece]
    print(f"{len(pieces)} pieces of {len(every)}, seed {SEED}", flush=True)
    # Side by side only where it is asked for: a law about the clock wants the machine to itself.
    with ThreadPoolExecutor(int(sys.argv[1]) if len(sys.argv) > 1 else 1) as jobs:
        under_way = {jobs.submit(resumed, piece): piece for piece in pieces}
        results = {piece: kept(piece, digest(piece)) or not_run(piece) for piece in every}
        for done in as_completed(under_way):
            results[under_way[done]] = done.result()
            write(list(results.values()))  # after each: what was shown stands, whatever ends the run
    return 1 if any(r["outcome"] == "failed" for r in results.values()) else 0


def not_run(piece: str) -> dict[str, object]:
    """Gives the line of a piece that nobody ran on these sources."""
    return {"piece": piece, "outcome": "not yet run", "seconds": 0.0, "said": []}


def place(piece: str, code: str) -> Path:
    """Gives where the result of a piece on sources of that digest lies."""
    return STATE / f"{hashlib.sha256(f'{code}:{SEED}:{piece}'.encode()).hexdigest()[:32]}.json"


def kept(piece: str, code: str) -> dict[str, object] | None:
    """Gives the result of a piece that passed on these sources, None where none did."""
    there = place(piece, code)
    return json.loads(there.read_text()) if there.exists() else None


def resumed(piece: str) -> dict[str, object]:
    """Gives the result of one piece, that of an earlier run where it passed on the same sources."""
    code = digest(piece)
    result = kept(piece, code)
    if result is None:
        print(f"... {piece}", flush=True)
        result = {**run(piece), "commit": commit(), "sources": code}
        if result["outcome"] == "passed":
            place(piece, code).write_text(json.dumps(result))
    print(f"{result['outcome']} in {result['seconds']:.0f} s: {piece}", flush=True)
    return result


def digest(piece: str) -> str:
    """Gives a digest of the tracked files that a piece depends on."""
    own = piece.partition("::")[0]
    wanted = COMMON + ROOM.get(str(Path(own).parent), WHOLE)
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    total = hashlib.sha256()
    for name in sorted(listed.split("\0")):
        others = name != own and Path(name).name.startswith("test_")  # another campaign's laws
        if name.startswith(wanted) and not others:
            total.update(name.encode() + b"\0" + hashlib.sha256((ROOT / name).read_bytes()).digest())
    return total.hexdigest()


def environment() -> dict[str, str]:
    """Gives the environment that makes tests run their full counts."""
    return {**os.environ, "GATEHOUSE_PROOF": "1", "GATEHOUSE_TEST_SEED": SEED, "PYTHONPATH": str(ROOT)}


def collect() -> list[str]:
    """Gives the test functions marked as campaigns, parametrised ones once a parameter."""
    found = subprocess.run(
        [BIN / "pytest", "-o", "addopts=", "-m", "campaign", "--collect-only", "-q", "-p", "no:randomly", "-p", "no:xdist",
         "-p", "no:schemathesis"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        sys.exit(found.stdout + found.stderr)
    return [line for line in found.stdout.splitlines() if "::" in line]


def run(piece: str) -> dict[str, object]:
    """Runs one piece to its end, without the gate's time limit, and gives what came of it."""
    started = time.monotonic()
    done = subprocess.run(
        [BIN / "pytest", piece, "-o", "addopts=", "-q", "-rA", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:schemathesis",
         "-o", "timeout=0"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line.removeprefix("proof: ") for line in done.stdout.splitlines() if line.startswith("proof: ")]
    outcome = "passed" if done.returncode == 0 else "failed"
    if outcome == "passed" and "1 skipped" in done.stdout:
        outcome = "absent"
    if outcome == "failed":
        name = hashlib.sha256(piece.encode()).hexdigest()[:8]
        (STATE / f"failed-{name}.txt").write_text(f"{piece}\n{done.stdout}{done.stderr}")
    return {"piece": piece, "outcome": outcome, "seconds": time.monotonic() - started, "said": said}


def commit() -> str:
    """Gives the commit that is checked out."""
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def write(results: list[dict[str, object]]) -> None:
    """Writes docs/proof.md."""
    lines = [
        "# Proof",
        "",
        "The campaigns at their full counts, written by `make proof`. Each line is a test; `make test` runs the same with small counts.",
        "",
        "Each result is that of the commit in its row; `make proof` runs again whatever depends on sources that have changed since.",
        "",
        f"Written at commit `{commit()}`, seed {SEED}, Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d', time.gmtime())}.",
        "",
        "| campaign | result | commit | sources | seconds | what it counted |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        said = "; ".join(str(s) for s in r["said"])  # type: ignore[attr-defined]
        name = str(r["piece"]).removeprefix("tests/")
        where = f"`{str(r.get('commit', ''))[:10]}` | `{str(r.get('sources', ''))[:12]}`"
        lines.append(f"| `{name}` | {r['outcome']} | {where} | {r['seconds']:.0f} | {said} |")
    lines += ["", "Needed beyond PyPI:", ""]
    lines += [
        f"- `{name}`: {'there' if shutil.which(name) else f'absent here; {how}'}"
        for name, how in NEEDS.items()
    ]
    (ROOT / "docs" / "proof.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
