"""Brings the three stores on PostgreSQL to this program's revision, as the role that owns them, and ends. As `gatehouse stores prepare`.

The role that serves owns no table (tools/roles.sql), so that a start of its own cannot migrate: this comes before it.
"""

import asyncio
import os
import sys

from gateway.observe import configure
from gateway.settings import read
from gateway.stores import prepare_stores
from gateway.words.errors import GatehouseError, Misconfigured


def main() -> int:
    """Gives 0, or 2 with what to do on stderr."""
    configure()
    try:
        fresh = asyncio.run(prepare_stores(read(os.environ)))
    except Misconfigured as error:
        for problem in error.problems:
            print(f"prepare: {problem}", file=sys.stderr)
        return 2
    except GatehouseError as error:
        print(f"prepare: the database does not answer this login ({error.code.value})", file=sys.stderr)
        return 2
    print("prepare: three new stores" if fresh else "prepare: the stores are at this program's revision")
    return 0


if __name__ == "__main__":
    sys.exit(main())
