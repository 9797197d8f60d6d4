# Everything a person or a CI job runs by hand; each target installs what it needs from the lock.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Bytecode is compiled once at install; a process that may not write it would compile 800 modules at every start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo dev test test-all chaos bench lint lock clean

define install
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q --require-hashes -r requirements/installer.txt; }
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/$(1).txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/loopctl prepare
	@touch $@
endef

$(VENV)/installed-run: requirements/run.txt requirements/installer.txt pyproject.toml
	$(call install,run)

$(VENV)/installed-test: requirements/test.txt requirements/installer.txt pyproject.toml
	$(call install,test)

demo: $(VENV)/installed-run  ## install, then two days of the generated company through the whole loop
	$(BIN)/loopctl demo

dev: $(VENV)/installed-run  ## the sandbox, the console and `dagster dev` together
	$(BIN)/loopctl dev

lint: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Two workers; tests that share what they play through stay together, and the longest begin first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

test: lint  ## everything under 20 minutes on two cores
	$(PYTEST) -m "not long"

test-all: lint  ## also what takes longer
	$(PYTEST)

SEEDS := 20
chaos: $(VENV)/installed-test  ## kills at random moments while five days play, once for each of SEEDS=n seeds
	$(BIN)/python tests/crash/chaos.py --seeds $(SEEDS) --write docs/chaos.md

CASES :=
SIZES :=
bench: $(VENV)/installed-test  ## all benchmarks, or CASES="delivery batch"; SIZES="delivery.actions=2000"; writes docs/benchmarks.md
	$(BIN)/python benchmarks/run_all.py $(CASES) $(foreach size,$(SIZES),--size $(size))

COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

lock: $(VENV)/installed-run  ## resolve what the files ask for anew into requirements/
	$(COMPILE) --extra fit -o requirements/run.txt pyproject.toml
	$(COMPILE) --extra test -o requirements/test.txt pyproject.toml
	for server in tryton snowflake drt; do $(COMPILE) -o requirements/$$server.txt requirements/$$server.in; done

clean:
	rm -rf $(VENV) .loop dbt_signals/target dbt_signals/logs
