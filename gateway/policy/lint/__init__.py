"""Beside the request path: what is said about a policy before it may decide anything.

At load: rows (each row, and what is refused between rows), links. For `policy check` besides: dead (rules that never decide),
broad (too much for too many), secrets, coverage. terms is the truth of conditions that they share.
"""

from gateway.policy.lint.rows import Lint, refused

__all__ = ["Lint", "refused"]
