"""What docker-compose.yml, Dockerfile, .dockerignore and docs/deploy.md say, as values. There is no Docker here: text is what is held."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]


def compose() -> dict[str, Any]:
    """Gives docker-compose.yml with its anchors merged, as Docker reads it."""
    found: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "docker-compose.yml").read_text())
    return found


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the Dockerfile: its word in capitals, and the rest on one line."""

    word: str
    rest: str


def stages() -> list[list[Instruction]]:
    """Gives the instructions of each stage, FROM first."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append(Instruction(word, " ".join(rest.split())))
    return found


def one(stage: list[Instruction], word: str) -> str:
    """Gives the rest of the one instruction of that word."""
    (rest,) = (step.rest for step in stage if step.word == word)
    return rest


def copies(stage: list[Instruction]) -> Iterator[tuple[list[str], str]]:
    """Gives the sources and the target of each COPY from the build's context."""
    for step in stage:
        if step.word == "COPY" and "--from=" not in step.rest:
            *sources, target = step.rest.split()
            yield sources, target


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the checkout out: the last pattern that fits it, or a folder above it, decides."""
    parts = path.rstrip("/").split("/")
    whole = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, part) for part in whole):
            out = not line.startswith("!")
    return out


def assemble(place: Path) -> Path:
    """Makes the folder that the image has as its working directory, from what the Dockerfile copies, and gives it."""
    for sources, target in copies(stages()[0]):
        for source in sources:
            here = ROOT / source
            if here.is_file():
                there = place / target / here.name if target.endswith("/") else place / target
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(here, there)
                continue
            for file in (f for f in here.rglob("*") if f.is_file()):
                if not ignored(str(file.relative_to(ROOT))):
                    there = place / target / file.relative_to(here)
                    there.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, there)
    return place


def page() -> str:
    """Gives docs/deploy.md."""
    return (ROOT / "docs" / "deploy.md").read_text()


def scripts() -> list[str]:
    """Gives the shell blocks of docs/deploy.md, unindented."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", page(), re.M | re.S)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, block in found]


def shell_lines() -> list[list[str]]:
    """Gives each line of those blocks as words."""
    return [shlex.split(line) for block in scripts() for line in block.splitlines()]
