"""Beside the request path: from a folder to a bundle, or to findings. A folder that is refused leaves the active bundle where it is.

Read once into bytes → the same bytes are digested, checked, given to pycasbin and compiled: nothing is looked at twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.plainfile import read_plain
from gateway.policy.budgets import FILE as BUDGETS_FILE
from gateway.policy.budgets import Reading
from gateway.policy.bundle import Bundle, Line, Rules, joined, read_line
from gateway.policy.cases import Watch, run_cases
from gateway.policy.condition import Condition
from gateway.policy.decoys import FILE as DECOYS_FILE
from gateway.policy.decoys import DecoyReading
from gateway.policy.finding import Finding, Severity, error
from gateway.policy.known import Catalogue, Known, known
from gateway.policy.links import hold_links
from gateway.policy.lint import Lint, refused
from gateway.policy.model import parse_model
from gateway.policy.reference import enforcer, same_model, same_rows
from gateway.policy.roles import RoleGraph
from gateway.policy.source import MODEL_FILE, POLICY_FILE, Row, rows, text_of
from gateway.policy.vocabulary import FILE as VOCABULARY_FILE
from gateway.policy.vocabulary import parse_vocabulary
from gateway.words.errors import Misconfigured

REQUIRED = (MODEL_FILE, POLICY_FILE, VOCABULARY_FILE)
OPTIONAL = (BUDGETS_FILE, DECOYS_FILE)
CASES = "cases"
MAX_FILE_BYTES = 64 * 1024 * 1024
_LABEL = b"gatehouse policy bundle 1\0"


def load(folder: Path, catalogue: Catalogue) -> Bundle:
    """Gives the bundle of that folder. Raises Misconfigured with every error found; whoever holds a good bundle keeps it."""
    bundle, findings = examine(folder, catalogue)
    if bundle is None:
        errors = [finding for finding in findings if finding.severity is Severity.ERROR]
        raise Misconfigured(*map(str, errors), rules=tuple(finding.rule for finding in errors))
    return bundle


def examine(folder: Path, catalogue: Catalogue) -> tuple[Bundle | None, list[Finding]]:
    """Gives the bundle (None when refused) and all findings: files, lint, what pycasbin reads, then the cases."""
    bundle, findings = judge(folder, catalogue)
    return (None if refused(findings) else bundle), findings


def judge(
    folder: Path, catalogue: Catalogue, watch: Watch | None = None
) -> tuple[Bundle | None, list[Finding]]:
    """Gives the same, and the bundle also where nothing but its cases fails. It is for looking at: only `examine` says what may decide."""
    files, findings = read_folder(folder)
    bundle: Bundle | None = None
    if not refused(findings):
        ground = known(catalogue)
        bundle, more = build(files, ground)
        findings += more
        if bundle is not None:
            failures = run_cases(bundle, catalogue, watch=watch)
            findings += [
                error(
                    f.file,
                    f.line,
                    f.what,
                    "The policy does not do what its cases say",
                    "Mend one of both",
                    rule="case-fails",
                )
                for f in failures
            ]
    findings.sort()
    return bundle, findings


def read_folder(folder: Path) -> tuple[dict[str, bytes], list[Finding]]:
    """Gives the policy's files by name relative to the folder."""
    files: dict[str, bytes] = {}
    findings: list[Finding] = []
    cases = sorted((folder / CASES).glob("*.yaml")) if (folder / CASES).is_dir() else []
    # What may be absent and is there in whatever form is read, or refused: a link to nothing is no folder without budgets.
    there = [path for name in OPTIONAL if (path := folder / name).exists() or path.is_symlink()]
    for path in [*(folder / name for name in REQUIRED), *there, *cases]:
        name = path.relative_to(folder).as_posix()
        try:
            files[name] = read_plain(path, MAX_FILE_BYTES)
        except OSError:
            findings.append(
                error(
                    name,
                    1,
                    "the file cannot be read",
                    "Nothing could be decided",
                    "Restore it",
                    rule="file-unreadable",
                )
            )
    for path in sorted((folder / CASES).glob("*")):
        if path not in cases:
            name = path.relative_to(folder).as_posix()
            findings.append(
                error(
                    name,
                    1,
                    "this is not read",
                    "Its cases would hold nothing",
                    "Name it .yaml",
                    rule="case-file-unread",
                )
            )
    if not cases:
        findings.append(
            error(
                f"{CASES}/",
                1,
                "there is no case",
                "Nobody would notice what the policy does",
                "Write one",
                rule="no-case",
            )
        )
    return files, findings


def digest(files: Mapping[str, bytes], catalogue_digest: str) -> str:
    """Gives `sha256:…` over the names and bytes of all files, and the catalogue's digest. Length-prefixed: nothing runs together."""
    whole = hashlib.sha256(_LABEL)
    parts = [catalogue_digest.encode()]
    for name in sorted(files):
        parts += [name.encode(), files[name]]
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return f"sha256:{whole.hexdigest()}"


def build(files: Mapping[str, bytes], ground: Known) -> tuple[Bundle | None, list[Finding]]:
    """Gives the bundle of these files, its cases not yet run, or None and what is wrong."""
    texts: dict[str, str] = {}
    findings: list[Finding] = []
    for name, data in sorted(files.items()):
        text, wrong = text_of(name, data)
        findings += wrong
        if text is not None:
            texts[name] = text
    if findings:
        return None, findings
    model, findings = parse_model(texts[MODEL_FILE])
    vocabulary, wrong = parse_vocabulary(texts[VOCABULARY_FILE])
    found, broken = rows(texts[POLICY_FILE])
    findings += wrong + broken
    if vocabulary is None:
        return None, findings
    lint = Lint(vocabulary, ground)
    lint.hold(found)
    if model is not None:
        lint.hold_extra(model.extra, model.line)
    findings += lint.findings + hold_links(found, vocabulary)
    reading = Reading(vocabulary, ground)
    budgets = reading.budgets(texts[BUDGETS_FILE]) if BUDGETS_FILE in texts else ()
    baits = DecoyReading(ground)
    decoys = baits.decoys(texts[DECOYS_FILE]) if DECOYS_FILE in texts else frozenset()
    findings += reading.findings + baits.findings
    if model is None or refused(findings):
        return None, findings
    # pycasbin's own reading is the last word on what a row says; whatever it raises here is a refusal, not a crash
    try:
        stock = enforcer(model.text, texts[POLICY_FILE].split("\n"))
        agrees, file = same_rows(stock, found), POLICY_FILE
        if not same_model(stock):
            agrees, file = False, MODEL_FILE
    except Exception:  # noqa: BLE001 - the file is refused whatever stock Casbin stumbled over
        agrees, file = False, POLICY_FILE
    if not agrees:
        what = "rows" if file == POLICY_FILE else "columns, another effect or other names in the matcher"
        findings.append(
            error(
                file,
                1,
                f"stock Casbin reads other {what}",
                "It would decide otherwise",
                "See its reading",
                rule="casbin-reads-otherwise",
            )
        )
        return None, findings
    lines = _lines(found, lint, model.extra)
    bundle = Bundle(
        digest=digest(files, ground.digest),
        model=model,
        vocabulary=vocabulary,
        rows=tuple(found),
        rules=Rules(lines),
        roles=RoleGraph((r.columns[0], r.columns[1], r.columns[2]) for r in found if r.kind == "g"),
        facts=ground.facts,
        sets=frozenset().union(*(line.condition.sets for line in lines)),
        budgets=budgets,
        decoys=decoys,
        files=dict(files),
    )
    return bundle, findings


def _lines(found: Sequence[Row], lint: Lint, extra: tuple[Condition, ...]) -> list[Line]:
    rules = [row for row in found if row.kind == "p"]
    return [
        read_line(row, number, joined(extra, lint.conditions[row.line])) for number, row in enumerate(rules)
    ]
