"""What both sides of the gateway share about bytes on the wire: JSON, targets, headers and their limits. Pure; no I/O."""
