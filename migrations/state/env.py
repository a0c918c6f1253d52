"""Alembic's entry to the state tree; everything happens in gateway.store.upgrade."""

from gateway.store.upgrade import run_environment

run_environment()
