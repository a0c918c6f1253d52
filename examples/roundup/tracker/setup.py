"""Run by Roundup's own Python: makes a tracker of the classic template on SQLite. Repeating it changes nothing.

Arguments: tracker home, port, mail file. Standard input: JSON with the passwords of `admin` and `gateway`.
"""

import json
import shutil
import sys
from pathlib import Path

import roundup.instance
from roundup import init
from roundup.password import Password

HERE = Path(__file__).resolve().parent
STAFF = (
    ("li.wei", "Li Wei", "li.wei@tracker.example"),
    ("zhang.min", "Zhang Min", "zhang.min@tracker.example"),
)


def main() -> None:
    home, port, mail = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    secrets = json.load(sys.stdin)
    template = Path(sys.prefix) / "share" / "roundup" / "templates" / "classic"
    settings = {
        "rdbms_backend": "sqlite",
        "tracker_name": "Example",
        "tracker_web": f"http://127.0.0.1:{port}/",
        "mail_domain": "tracker.example",
        "mail_host": "localhost",
        "mail_debug": str(mail),  # mail goes into this file and nowhere else
        # Each request proves the gateway's password anew; it is 256 random bits, which no stretching makes harder to guess.
        "password_pbkdf2_default_rounds": "1000",
    }
    init.install(str(home), str(template), settings=settings)
    schema = home / "schema.py"
    schema.write_text(schema.read_text() + "\n\n" + (HERE / "additions.py").read_text())
    shutil.copy(HERE / "author.py", home / "detectors" / "author.py")
    tracker = roundup.instance.open(str(home))
    tracker.init(Password(secrets["admin"], config=tracker.config))
    db = tracker.open("admin")
    try:
        db.user.create(
            username="gateway", password=Password(secrets["gateway"], config=db.config), roles="Gateway"
        )
        for (
            username,
            name,
            address,
        ) in STAFF:  # colleagues who get Roundup's mail about the issues that they are assigned
            db.user.create(username=username, realname=name, address=address, roles="User")
        db.commit()
    finally:
        db.close()


if __name__ == "__main__":
    main()
