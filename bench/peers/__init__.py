"""What stands beside Gatehouse in the table. Each is one file that runs in an environment of its own (locks/bench.txt)."""
