"""Beside the request path: everything there is to say about a policy folder, for whoever edits it. A load asks for less (load.examine)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.policy.bundle import Bundle
from gateway.policy.decider import COMPILED
from gateway.policy.finding import Finding, Severity, note
from gateway.policy.known import Catalogue, known
from gateway.policy.lint.broad import broad, unheld
from gateway.policy.lint.coverage import Coverage
from gateway.policy.lint.dead import Dead
from gateway.policy.lint.secrets import secrets
from gateway.policy.load import judge
from gateway.policy.reference import ENGINE as PYCASBIN
from gateway.policy.source import MODEL_FILE


@dataclass(frozen=True, slots=True)
class Review:
    """A folder that was looked at.

    engine: what it would run on, None where it cannot run. rules: how many it has; decided: how many of them decide in a case.
    """

    findings: tuple[Finding, ...]
    engine: str | None = None
    rules: int = 0
    decided: int = 0

    @property
    def covered(self) -> float:
        """How many of a hundred rules decide in a case, to a tenth below: 100.0 says every one."""
        return 100.0 if not self.rules else self.decided * 1000 // self.rules / 10

    def count(self, severity: Severity) -> int:
        """Gives how many findings are of that severity."""
        return sum(finding.severity is severity for finding in self.findings)


def review(folder: Path, catalogue: Catalogue) -> Review:
    """Looks at the folder as a load would, then at what a load has no need of: dead and broad rules, secrets, coverage, the engine."""
    coverage = Coverage()
    bundle, findings = judge(folder, catalogue, coverage.watch)
    findings += secrets(folder)
    if bundle is None:
        return Review(tuple(sorted(findings)))
    ground = known(catalogue)
    findings += Dead(bundle, ground).findings()
    findings += broad(bundle, ground)
    findings += unheld(bundle, coverage.roles)
    findings += coverage.uncovered(bundle)
    findings += _on_pycasbin(bundle)
    rules = bundle.rules.lines
    decided = sum(line.rule.line in coverage.lines for line in rules)
    engine = COMPILED if bundle.model.compiled else PYCASBIN
    return Review(tuple(sorted(findings)), engine, len(rules), decided)


def check(folder: Path, catalogue: Catalogue) -> list[Finding]:
    """Gives everything there is to say about that folder, by file and line."""
    return list(review(folder, catalogue).findings)


def _on_pycasbin(bundle: Bundle) -> list[Finding]:
    if bundle.model.compiled:
        return []
    return [
        note(
            MODEL_FILE,
            bundle.model.line,
            f"a part of the matcher does not compile: the bundle runs on {PYCASBIN}",
            "Decisions cost more with every rule, nothing is searchable, and dead rules are not looked for in pairs",
            "Write the part as a condition over r.rec, r.sub, r.env if it can be one",
            rule="runs-on-pycasbin",
        )
    ]
