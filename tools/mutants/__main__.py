"""`python -m tools.mutants [part of a module's path …]`: tries mutants in a seeded order, resumable, and writes docs/mutants.md.

--sample N     at most N of each module        --minutes M   ends after that, with what it has
--seconds S    how long the tests of one mutant may be, as they are   --page   only writes the page   --list   only counts
--by FILE      asks that file's tests alone, of the mistakes that were tried and not noticed yet; what it does not notice stays as it was
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter

from tools.mutants import kept, page
from tools.mutants.kept import Kept, Module
from tools.mutants.operators import Source
from tools.mutants.running import ROOT, Bench
from tools.mutants.trying import SURVIVED, UNREACHED, attempt, attempt_by

SEED = os.environ.get("GATEHOUSE_TEST_SEED", "20261121")


def main() -> int:
    """Tries what is not known yet and gives 0: a survivor is read about, not failed on."""
    asked = _arguments()
    modules = [m for m in kept.listed() if not asked.of or any(part in m.source for part in asked.of)]
    ends = time.monotonic() + 60 * asked.minutes
    for module in () if asked.page else modules:
        if asked.list:
            print(f"{len(Source((ROOT / module.source).read_text(), '').mutants):6} {module.source}")
        elif (code := _apart(module, asked, ends)) != 0:
            return code
    if not asked.list:
        page.write(asked.seconds, SEED)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("of", nargs="*")
    parser.add_argument("--sample", type=int, default=sys.maxsize)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--by")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def _apart(module: Module, asked: argparse.Namespace, ends: float) -> int:
    """Each module has a process of its own: what it imports beforehand is what the others mutate."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        _try_all(module, asked, ends)
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if code and sys.exc_info()[1] is not None:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]  # there is one
        os._exit(code)


def _try_all(module: Module, asked: argparse.Namespace, ends: float) -> None:
    path = str(ROOT / module.source)
    source = Source((ROOT / module.source).read_text(), path)
    if asked.by:
        _ask_again(module, source, asked)
        return
    known = kept.load(module)
    order = list(source.mutants)
    random.Random(f"{SEED}:{module.source}").shuffle(order)
    left = [mutant for mutant in order[: asked.sample] if mutant.name not in known]
    print(
        f"{module.source}: {len(source.mutants)} mutants, {len(known)} known, {len(left)} to try", flush=True
    )
    if not left:
        return
    bench = Bench(module.source, module.tests)
    bench.warm()
    found = kept.baseline(module)
    if found is None:
        alike = {other.source: other for other in kept.listed() if other.tests == module.tests}
        every = bench.baselines(source.code(None), list(alike))
        for name, one in every.items():
            kept.keep_baseline(alike[name], one)
        found = every[module.source]
    noticing = Counter(one.by for one in known.values() if one.by)
    for at, mutant in enumerate(left, 1):
        if time.monotonic() > ends:
            return
        came = attempt(bench, source, mutant, found, noticing, asked.seconds)
        of = kept.file_digest(came.by) if came.by else module.tests_digest()
        one = Kept(mutant.name, came.outcome, came.by, module.digest(), of, came.seconds)
        kept.keep(module, one)
        if one.outcome in (SURVIVED, UNREACHED):
            print(f"  {at}/{len(left)} {one.outcome} {module.source}:{mutant.line} {mutant.name}", flush=True)


def _ask_again(module: Module, source: Source, asked: argparse.Namespace) -> None:
    missed = {one.name for one in kept.every(module).values() if one.outcome in (SURVIVED, UNREACHED)}
    bench = Bench(module.source, [asked.by])
    bench.warm()
    for mutant in source.mutants:
        if mutant.name not in missed:
            continue
        came = attempt_by(bench, source, mutant, Counter(), asked.seconds)
        outcome, by, of = SURVIVED, "", module.tests_digest()
        if came.outcome != SURVIVED:
            outcome, by = came.outcome, came.by
            of = kept.file_digest(by) if by else of
        kept.keep(module, Kept(mutant.name, outcome, by, module.digest(), of, came.seconds))
        print(f"  {outcome} {module.source}:{mutant.line} {mutant.name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
