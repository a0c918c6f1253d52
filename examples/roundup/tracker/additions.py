# What the example adds to the tracker's own schema.py, at its end. Roundup runs that file with `db`, `String` and the classes in reach.
# ruff: noqa: F821 - these names are Roundup's, given when it runs this

# A policy decides by a branch, and a sealing key belongs to a customer: both are plain text here, since Roundup answers a link as an
# object and reads it by name. A customer's e-mail is no `address`: Roundup wants to read one, and would send mail there.
user.addprop(email=String())
issue.addprop(customer=String(), unit=String())
msg.addprop(customer=String(), unit=String())

# The gateway's own account: what the catalogue lists and nothing else. It sees no password and gives no roles.
db.security.addRole(name="Gateway", description="Gatehouse")
for permission in ("Web Access", "Rest Access"):
    db.security.addPermissionToRole("Gateway", permission)
for klass, properties in (
    ("user", ("id", "username", "realname", "phone", "email", "organisation")),
    ("issue", None),
    ("msg", None),
):
    for name in ("View", "Search", "Create", "Edit"):
        allowed = db.security.addPermission(name=name, klass=klass, properties=properties)
        db.security.addPermissionToRole("Gateway", allowed)
    db.security.addPermissionToRole("Gateway", "Retire", klass)
db.security.addPermissionToRole("Gateway", "View", "status")
