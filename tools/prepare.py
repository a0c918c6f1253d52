"""Brings the three stores on PostgreSQL to this program's revision, as the role that owns them, and ends.

The role that serves owns no table (tools/roles.sql), so that a start of its own cannot migrate: this comes before it.
"""

import asyncio
import os
import sys

from gateway.observe import configure
from gateway.settings import Settings, read
from gateway.stores import open_stores
from gateway.words.errors import GatehouseError, Misconfigured


async def prepare(settings: Settings) -> bool:
    """Makes or migrates the stores; True where they were made just now. Repeating it does nothing more. Raises Misconfigured."""
    if not settings.database_url:
        raise Misconfigured(
            "GATEHOUSE_DATABASE_URL is not set; stores in files are made by `gatehouse run` itself"
        )
    async with open_stores(settings) as stores:
        return stores.fresh


def main() -> int:
    """Gives 0, or 2 with what to do on stderr."""
    configure()
    try:
        fresh = asyncio.run(prepare(read(os.environ)))
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
