"""Gatehouse: a role-based access and message-permission gateway with an audit trail. See docs/architecture.md."""

__version__ = "0.1.0"
