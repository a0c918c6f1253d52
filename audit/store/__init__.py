"""Where a log lies: a SQLite file of one process, or a PostgreSQL schema shared by many."""
