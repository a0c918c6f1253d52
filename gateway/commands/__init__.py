"""The groups of the command line: each translates what it is asked for and says what came of it."""
