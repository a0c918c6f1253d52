"""`make mutants`: which small mistakes in the modules that must not be wrong would no test notice? Writes docs/mutants.md."""
