"""What the gate needs beside its rooms: how entries, replies and lists are made, and how open intents are settled."""
