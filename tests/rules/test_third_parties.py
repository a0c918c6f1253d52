"""Each library has its rooms: a database, a web framework or a cipher is not reached from anywhere else (docs/architecture.md)."""

import ast
import sys
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# library → where it may be imported, as path prefixes
ROOMS = {
    "litestar": ("gateway/control/",),
    "casbin": ("gateway/policy/reference.py", "gateway/policy/engine/stock.py"),
    "simpleeval": (),
    "sqlalchemy": (
        "gateway/store/",
        "gateway/records/",
        "gateway/identity/",
        "gateway/fields/",
        "gateway/idempotency/",
        "gateway/policy/kept/",
        "gateway/approvals/",
    ),
    "alembic": ("gateway/store/upgrade.py",),
    "cryptography": ("gateway/keys/", "gateway/fields/", "gateway/identity/", "audit/"),
    "joserfc": ("gateway/identity/",),
    "argon2": ("gateway/identity/proofs.py",),
    "opentelemetry": ("gateway/observe/otlp.py",),
    "requests": ("gateway/observe/otlp.py",),
    "asyncpg": ("audit/", "gateway/store/"),
    "aiosqlite": ("gateway/store/",),
    "sqlite3": ("audit/", "gateway/store/", "gateway/doctor.py"),
    "uvicorn": ("gateway/edge/",),
    "httptools": ("gateway/edge/", "gateway/upstream/"),
    "yaml": ("gateway/wire/yaml.py",),
    "click": (
        "gateway/cli.py",
        "gateway/commands/",
        "gateway/pipes.py",
    ),
}


def imported(path: Path) -> set[str]:
    """The top-level names of everything that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@cache
def files() -> dict[str, set[str]]:
    """Each file of ours → what it imports."""
    return {
        str(p.relative_to(ROOT)): imported(p)
        for part in ("gateway", "audit")
        for p in (ROOT / part).rglob("*.py")
    }


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_is_imported_in_its_rooms_alone(library: str) -> None:
    importers = {name for name, libraries in files().items() if library in libraries}
    assert {name for name in importers if not name.startswith(ROOMS[library] or ("nowhere",))} == set()


def test_words_know_the_standard_library_and_each_other() -> None:
    known = sys.stdlib_module_names | {"gateway"}
    assert {
        n: libs - known for n, libs in files().items() if n.startswith("gateway/words/") and libs - known
    } == {}


def test_exactly_one_casbin_is_installed() -> None:
    names = {d.metadata["Name"].lower() for d in distributions()}
    assert names & {"casbin", "pycasbin"} == {"pycasbin"}


def test_settings_stop_at_the_root() -> None:
    # keys/material reads the one variable that its caller names
    allowed = {
        "material",
        "app",
        "beside",
        "stores",
        "serving",
        "supervising",
        "demo",
        "doctor",
        "exposure",
        "issuing",
        "cli",
        "saying",
        "settings",
        "fetching",
        "local",
    }
    for name in files():
        if "settings" in Path(name).parts[-1] or Path(name).parts[0] == "audit":
            continue
        text = (ROOT / name).read_text()
        uses = "gateway.settings" in text or "os.environ" in text
        assert not uses or Path(name).stem in allowed, name
