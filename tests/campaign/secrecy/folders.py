"""Policy folders made from the shipped one: with more upstreams, more rules."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[3] / "policies"


def folder(
    at: Path,
    *,
    catalogues: dict[str, str] | None = None,
    rules: Sequence[str] = (),
    roles: Sequence[str] = (),
) -> Path:
    """Gives a copy of the shipped policies at `at`, with these catalogue files, policy rows and roles in addition."""
    shutil.copytree(SHIPPED, at)
    for name, text in (catalogues or {}).items():
        (at / "catalogue" / f"{name}.yaml").write_text(text, encoding="utf-8")
    with (at / "policy.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{rule}\n" for rule in rules)
    vocabulary = at / "vocabulary.yaml"
    added = "".join(f"  {role}: {{zh: 测试, en: of a test}}\n" for role in roles)
    text = vocabulary.read_text(encoding="utf-8").replace("roles:\n", f"roles:\n{added}", 1)
    vocabulary.write_text(text, encoding="utf-8")
    return at


def everything(role: str, resource: str, purpose: str, *classes: str) -> list[str]:
    """Gives rows by which a role may do all with a resource and see and set these classes in clear."""
    kind = resource.rpartition("/")[2]
    verbs = [
        f"p, {role}, *, {resource}, {kind}:{verb}, -, {purpose}, True, allow"
        for verb in ("read", "create", "update", "delete")
    ]
    shows = [f"p, {role}, *, {resource}, show:clear, {cls}, {purpose}, True, allow" for cls in classes]
    sets = [
        f"p, {role}, *, {resource}, set, {cls}, {purpose}, True, allow" for cls in classes if cls != "public"
    ]
    return [*verbs, *shows, *sets]
