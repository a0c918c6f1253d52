"""Campaigns of faults: real causes, SIGKILL, SIGTERM and revocations, against gateways that are processes of their own."""
