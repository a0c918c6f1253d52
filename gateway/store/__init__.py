"""Ground: engines, pragmas, transactions, migrations. The public face of the stores; rooms declare tables, services open none."""

from sqlalchemy import Connection

from gateway.store.conflict import Conflict, conflict_of
from gateway.store.damage import Damaged, Rows, each, raw
from gateway.store.inspect import inspect_file, inspect_schema, look_at_file, look_at_schema, try_folder
from gateway.store.location import Dialect, Location
from gateway.store.owner import OwnerLock
from gateway.store.schema import Tree, migrate, version_of
from gateway.store.store import Store, open_store, touch
from gateway.store.tables import NAMING, Exact, Instant, insert_unless_there, metadata, moment_of

__all__ = [
    "NAMING",
    "Conflict",
    "Connection",
    "Damaged",
    "Dialect",
    "Exact",
    "Instant",
    "Location",
    "OwnerLock",
    "Rows",
    "Store",
    "Tree",
    "conflict_of",
    "each",
    "insert_unless_there",
    "inspect_file",
    "inspect_schema",
    "look_at_file",
    "look_at_schema",
    "metadata",
    "migrate",
    "moment_of",
    "open_store",
    "raw",
    "touch",
    "try_folder",
    "version_of",
]
