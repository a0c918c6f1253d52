"""Beside the request path: what of a stock model and its rules Go's Casbin or node-casbin would read otherwise, or not at all.

files reads the two files, expression a matcher or a rule's condition, patterns what the functions are given. docs/policy-engine.md
says of each kind how it was found out. It is told where it is asked for; nothing here decides or refuses anything.
"""

from gateway.policy.portable.files import remarks
from gateway.policy.portable.remark import SPOKEN, Remark

__all__ = ["SPOKEN", "Remark", "remarks"]
