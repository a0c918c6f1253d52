"""A detector in the tracker: a message that came without an author is written by whoever posted it, here the gateway's account.

Roundup adds a message's author to those who hear of its issue, and fails where there is none.
"""


def whoever_posted_it(db, cl, nodeid, newvalues):  # noqa: ARG001 - Roundup calls it with all four
    if not newvalues.get("author"):
        newvalues["author"] = db.getuid()


def init(db):
    db.msg.audit("create", whoever_posted_it)
