# Two commands: `make run` and `make test`. Needs Python 3.11 or later (with venv) and make; nothing else.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
VENV := var/venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test proof mutants bench bench-compare lock release format example-roundup clean

help: ## what can be made here
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 20

# An environment is made from the hashed lock alone, and again whenever the lock changes.
$(BIN)/.uv: locks/bootstrap.txt
	@test -n "$(PYTHON)" || { echo "Gatehouse needs Python 3.11 or later on the PATH (set PYTHON=...)." >&2; exit 1; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "This Python has no venv: on Debian, 'apt-get install python3-venv'." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/bootstrap.txt
	@touch $@

$(BIN)/.run: $(BIN)/.uv locks/run.txt
	@echo "installing the locked packages"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r locks/run.txt
	@$(BIN)/python tools/link.py
	@touch $@

$(BIN)/.test: $(BIN)/.run locks/test.txt
	@echo "installing the locked packages for tests"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r locks/test.txt
	@touch $@

run: $(BIN)/.run ## set up everything and serve the demo on 127.0.0.1:8080 (GATEHOUSE_PORT)
	@exec $(BIN)/gatehouse demo

test: $(BIN)/.test ## set up and run the gate: format, lint, types, import contracts, tests, docs
	@$(BIN)/python -m tools.gate

proof: $(BIN)/.test ## the full counts, resumable; writes docs/proof.md (ONLY=part of a name, JOBS=n)
	@$(BIN)/python tools/proof.py $(JOBS)

mutants: $(BIN)/.test ## plant small mistakes where none may be, see which no test notices; resumable; writes docs/mutants.md (OF="gate.py …")
	@$(BIN)/python -m tools.mutants $(OF)

bench: $(BIN)/.test ## measure; prints a table and writes var/bench/*.json
	@$(BIN)/python -m bench

bench-compare: $(BIN)/.test ## two results of `make bench` beside each other (A=var/bench/….json B=…)
	@$(BIN)/python -m bench compare $(A) $(B)

example-roundup: $(BIN)/.run ## install Roundup apart, seed it, start it on loopback with the gateway in front
	@exec $(BIN)/python -m examples.roundup.start

# Two environments of its own: the tools that look, and the lock alone, which is what they look at.
var/release/.made: $(BIN)/.uv locks/release.txt locks/run.txt
	@echo "installing what a release is checked with"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python var/release/tools
	@$(BIN)/uv pip install --quiet --python var/release/tools/bin/python --require-hashes -r locks/release.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python var/release/run
	@$(BIN)/uv pip install --quiet --python var/release/run/bin/python --require-hashes -r locks/run.txt
	@touch $@

release: var/release/.made ## build and check the wheel into dist/, dry; uploads nothing, ever (FOR_REAL=1 leaves nothing unchecked)
	@var/release/tools/bin/python -m tools.release $(if $(FOR_REAL),--for-real)

format: $(BIN)/.test ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only .

lock: $(BIN)/.uv ## make the hashed locks anew from pyproject.toml
	@$(BIN)/python tools/lock.py

clean: ## remove everything that a run or a test created
	rm -rf var dist
