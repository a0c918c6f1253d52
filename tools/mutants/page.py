"""docs/mutants.md: how many mistakes were tried and noticed, and each that was not, with what is to be said of it."""

from __future__ import annotations

import subprocess
import time
from collections import Counter

from tools.mutants.kept import Kept, Module, history, listed, load
from tools.mutants.operators import Mutant, Source
from tools.mutants.running import LATE, ROOT
from tools.mutants.trying import KILLED, SURVIVED, UNREACHED

PAGE = ROOT / "docs" / "mutants.md"
HEAD = """# Mutants

Small mistakes, planted one at a time by `make mutants` in the modules that must not be wrong, and what the tests said: a comparison or a
condition turned round, a statement, an `await`, a `raise`, an argument or a lock left out, a constant changed, `and` for `or`, an answer of
nothing. A mistake that no test notices **survives**: it changes nothing that matters, and its line here says why, or a test is missing.

- Each mistake is tried against the tests that run its line, in one process, up to {budget} seconds of them; those that need PostgreSQL or
  start a gateway of their own are not among them. So a survivor here may still be noticed by a campaign of [proof.md](proof.md).
- Where not all of a module's mistakes were tried, those that were are a sample drawn by seed {seed}.
- “Late” is a program that did not end; that is noticed too. “Not reached” is a line that none of these tests runs; it counts as survived.
- A test that noticed is asked again when its file changes, the module when its text changes (`var/mutants/`).

Written at commit `{commit}`, {day}. Which modules and tests, and what is said of survivors: `tools/mutants/modules.toml`.

| part | module | mistakes | tried | noticed | late | survived | not reached | judged | open |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


GAPS = """## Gaps that were found so, and the test that closed each

| module | in | mistake | noticed now by |
| --- | --- | --- | --- |
"""


def write(budget: float, seed: str) -> None:
    """Writes the page from what is known now."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    text = HEAD.format(budget=f"{budget:.0f}", seed=seed, commit=commit, day=day)
    sections = []
    gaps: list[str] = []
    for module in listed():
        source = Source((ROOT / module.source).read_text(), module.source)
        known = load(module)
        tried = [(m, known[m.name]) for m in source.mutants if m.name in known]
        left = [(m, one) for m, one in tried if one.outcome in (SURVIVED, UNREACHED)]
        text += row(module, len(source.mutants), tried)
        if left:
            sections.append(section(module, left))
        missed = {one.name for one in history(module) if one.outcome in (SURVIVED, UNREACHED)}
        gaps += [closed(module, mutant, one.by) for mutant, one in tried if one.by and mutant.name in missed]
    found = [GAPS + "".join(gaps)] if gaps else []
    PAGE.write_text(text + "\n" + "\n".join(sections + found))


def closed(module: Module, mutant: Mutant, by: str) -> str:
    """Gives the line of a mistake that survived once."""
    test = by.partition("::")[2].partition("[")[0]
    return f"| `{module.source}` | `{mutant.where}` | `{code(mutant.what)}` | `{test}` |\n"


def code(what: str) -> str:
    """Gives a mistake as it may stand in a table: code that indexes and calls is no link."""
    return what.replace("`", "").replace("|", "\\|").replace("](", "] (")


def row(module: Module, mutants: int, tried: list[tuple[Mutant, Kept]]) -> str:
    """Gives a module's line of the table."""
    found = Counter(one.outcome for _, one in tried)
    left = [m for m, one in tried if one.outcome in (SURVIVED, UNREACHED)]
    equal = sum(m.name in module.judged for m in left)
    counts = (mutants, len(tried), found[KILLED], found[LATE], found[SURVIVED], found[UNREACHED])
    cells = " | ".join(map(str, (*counts, equal, len(left) - equal)))
    return f"| {module.part} | `{module.source}` | {cells} |\n"


def section(module: Module, left: list[tuple[Mutant, Kept]]) -> str:
    """Gives the survivors of a module, each with its judgement."""
    lines = [
        f"## {module.source}",
        "",
        "| line | in | mistake | what is to be said |",
        "| --- | --- | --- | --- |",
    ]
    for mutant, one in sorted(left, key=lambda pair: (pair[0].line, pair[0].name)):
        why = module.judged.get(mutant.name, "open")
        reached = "" if one.outcome == SURVIVED else " (not reached)"
        number = f" ({mutant.nth})" if mutant.nth > 1 else ""
        lines.append(f"| {mutant.line} | `{mutant.where}` | `{code(mutant.what)}`{number}{reached} | {why} |")
    return "\n".join(lines) + "\n"
