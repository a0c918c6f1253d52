"""Words: values and errors that rooms share. Standard library only, no I/O, no settings; imports nothing of Gatehouse."""
