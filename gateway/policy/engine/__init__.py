"""Any stock Casbin model and policy, compiled: the general engine behind `gatehouse policy decide`.

`open_engine` gives an engine over two files, or says what is wrong with them; `Engine.decide` gives a verdict on one request.
The bundle that a gateway serves by is decided by `gateway.policy.decider`, whose one model and vocabulary it knows: docs/adr/0018.
"""

from gateway.policy.engine.faults import Beyond, Fault, Undecidable, Unfit
from gateway.policy.engine.opening import COMPILED, PYCASBIN, Policy, open_engine
from gateway.policy.engine.stock import StockEngine
from gateway.policy.engine.verdict import Engine, Verdict

__all__ = [
    "COMPILED",
    "PYCASBIN",
    "Beyond",
    "Engine",
    "Fault",
    "Policy",
    "StockEngine",
    "Undecidable",
    "Unfit",
    "Verdict",
    "open_engine",
]
