"""Where migrations and default policies are: the one place that knows a checkout from an installed program.

A wheel carries both folders inside the package (pyproject.toml, force-include); in a checkout they stand beside it. The log finds its
own migrations by the same rule (`audit/store/base.py`), since it stands alone.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CARRIED = _PACKAGE / "carried"
ROOT = _PACKAGE.parent
"""The checkout; where installed, the folder that holds the packages, which is nobody's to write into."""


def installed() -> bool:
    """Whether this program came from a wheel."""
    return _CARRIED.is_dir()


def shipped(name: str) -> Path:
    """Gives the folder of that name, `migrations` or `policies`."""
    return (_CARRIED if installed() else ROOT) / name
