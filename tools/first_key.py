"""Issues an API key as `system:operator`: a new installation has no key yet to ask for one with. Prints it once, on stdout.

Whoever may read the key file and reach the stores may do this; the policy decides (role:operator), and intent and outcome stand in
the log like any other. On PostgreSQL beside a running gateway; on SQLite while it is stopped, since one process owns the files.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta

from gateway.app import open_house, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Issued, Wish
from gateway.demo import PURPOSE, AsSystem
from gateway.observe import configure, keep_memory_private
from gateway.settings import Settings, read
from gateway.words.errors import Denied, GatehouseError, Misconfigured
from gateway.words.ids import new_id
from gateway.words.principal import RoleHeld


async def issue(settings: Settings, wish: Wish) -> Issued:
    """Gives the new key. Raises what the service raises: Refused for a name that the policy does not know, Denied, Misconfigured."""
    operator = AsSystem("operator", {PURPOSE})
    async with open_house(settings) as house:
        return await house.keys.issue(Asker(new_id("req"), operator.give, PURPOSE), lambda: wish)


def read_wish(words: Sequence[str]) -> Wish:
    """Gives what the command line asks for; ends the process on what it cannot read."""
    parser = argparse.ArgumentParser(prog="python -m tools.first_key", description=__doc__)
    parser.add_argument("application", help="app:NAME")
    parser.add_argument(
        "--role", action="append", default=[], help="role:NAME, or role:NAME@UNIT; may be repeated"
    )
    parser.add_argument("--purpose", action="append", required=True, help="may be repeated")
    parser.add_argument("--days", type=int, default=1, help="how long the key holds (1)")
    given = parser.parse_args(words)
    roles = frozenset(RoleHeld(*role.split("@", 1)) for role in given.role)
    return Wish(given.application, roles, frozenset(given.purpose), utc_now() + timedelta(days=given.days))


def main() -> int:
    """Gives 0, or 2 with what went wrong on stderr."""
    wish = read_wish(sys.argv[1:])
    configure()
    keep_memory_private()
    try:
        issued = asyncio.run(issue(read(os.environ), wish))
    except Misconfigured as error:
        for problem in error.problems:
            print(f"first_key: {problem}", file=sys.stderr)
        return 2
    except Denied as error:
        print(
            f"first_key: the policy does not let system:operator issue it ({error.decision.reason.value})",
            file=sys.stderr,
        )
        return 2
    except GatehouseError as error:
        said = ", ".join(f"{name} {value}" for name, value in error.params.items())
        print(f"first_key: {error.code.value} {said}".rstrip(), file=sys.stderr)
        return 2
    print(issued.text)
    print(f"first_key: {issued.key.id}, entry {issued.receipt.ref}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
