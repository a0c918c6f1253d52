"""Step 3 of the request path: what upstreams there are, and what a request asks of them.

`load` reads the files that security administrators edit (docs/catalogue.md); `Catalogue.address` is step 3; `of_record` and
`of_draft` take facts from non-personal fields for step 4.
"""

from gateway.catalogue.addressing import PURPOSE_HEADER, Catalogue
from gateway.catalogue.change import Change, changes
from gateway.catalogue.facts import of_draft, of_record
from gateway.catalogue.loader import EMBEDDED, RESERVED, load

__all__ = [
    "EMBEDDED",
    "PURPOSE_HEADER",
    "RESERVED",
    "Catalogue",
    "Change",
    "changes",
    "load",
    "of_draft",
    "of_record",
]
