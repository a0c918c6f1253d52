"""Which modules of ours can be imported before a mutated one is: all that do not come to it by their own imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def beside(root: Path, target: str) -> list[str]:
    """Gives the modules of the product that neither are `target` nor import it, by whatever way."""
    files = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for part in ("audit", "gateway")
        for path in (root / part).rglob("*.py")
    }
    needs = {name: set(_needs(path, name, files)) for name, path in files.items()}
    tainted = {target}
    while more := {name for name, needed in needs.items() if name not in tainted and needed & tainted}:
        tainted |= more
    # Migrations run when they are asked to; `__main__` would run at once.
    return sorted(n for n in files if n not in tainted and "migrations" not in n and "__main__" not in n)


def _needs(path: Path, name: str, files: dict[str, Path]) -> Iterator[str]:
    yield from _above(name)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for one in names:
            if one in files:
                yield one
                yield from _above(one)


def _above(name: str) -> Iterator[str]:
    """The packages that a module lies in: they are imported before it."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name
