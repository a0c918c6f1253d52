"""Step 5 of the request path: decides, by stock Casbin files, with the deciding rule named. No I/O while deciding.

Load a folder to a `Bundle`, give it to a `PolicyDecider`, prepare a question, decide on facts.
"""

from gateway.policy.bundle import Bundle
from gateway.policy.cases import CaseFailure, run_cases
from gateway.policy.compare import (
    Effect,
    Effects,
    Moved,
    Recorded,
    askers_of,
    comes_out,
    decided,
    effects,
    gains,
    outermost,
    widened,
)
from gateway.policy.decider import COMPILED, Engine, PolicyDecider, PreparedQuestion, Refusal
from gateway.policy.finding import Finding, Severity
from gateway.policy.kept import KeptBundles, Mark, Standing
from gateway.policy.known import Catalogue
from gateway.policy.load import examine, load
from gateway.policy.review import Review, check, review
from gateway.policy.vocabulary import Vocabulary

__all__ = [
    "COMPILED",
    "Bundle",
    "CaseFailure",
    "Catalogue",
    "Effect",
    "Effects",
    "Engine",
    "Finding",
    "KeptBundles",
    "Mark",
    "Moved",
    "PolicyDecider",
    "PreparedQuestion",
    "Recorded",
    "Refusal",
    "Review",
    "Severity",
    "Standing",
    "Vocabulary",
    "askers_of",
    "check",
    "comes_out",
    "decided",
    "effects",
    "examine",
    "gains",
    "load",
    "outermost",
    "review",
    "run_cases",
    "widened",
]
