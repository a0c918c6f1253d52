"""The embedded upstream: customers, threads and messages behind a plain JSON service that knows nothing of the rest of Gatehouse.

It keeps strings and compares them; what is sealed stays sealed. The gateway reaches it over HTTP in-process, like any upstream.
"""

from gateway.records.app import create_records
from gateway.records.filter import render
from gateway.records.kinds import CUSTOMER, KINDS, MESSAGE, THREAD, Kind
from gateway.records.sample import Sample, sample
from gateway.records.seed import seed

__all__ = [
    "CUSTOMER",
    "KINDS",
    "MESSAGE",
    "THREAD",
    "Kind",
    "Sample",
    "create_records",
    "render",
    "sample",
    "seed",
]
