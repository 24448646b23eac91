# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check proofs bench bench-engines conformance differential format docs clean

# --- environments ------------------------------------------------------------------------------------------------

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("evtool needs Python 3.11 or later; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	$(BIN)/python -m compileall -q evtool
	@touch $@

.venv/developing: .venv/installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

# --- what a user sees --------------------------------------------------------------------------------------------

demo: .venv/installed
	@rm -rf .evtool/demo
	$(BIN)/evtool publish samples/events/order-created.json --store .evtool/demo/store.db
	$(BIN)/evtool replay --store .evtool/demo/store.db

# --- what a developer runs ---------------------------------------------------------------------------------------

test: .venv/developing
	$(BIN)/python -m pytest

check: .venv/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layout.py

# the promises of the store and of delivery, attacked at full length: docs/reliability.md
proofs: .venv/developing
	$(BIN)/python -m proofs $(OPTIONS)
	$(BIN)/python -m proofs --sabotage

bench: .venv/developing
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/throughput.py
	$(BIN)/python bench/routing.py
	$(BIN)/python bench/delivery.py
	$(BIN)/python bench/million.py
	$(BIN)/python bench/engines/compare.py

bench-engines: .venv/developing
	$(BIN)/python bench/engines/compare.py $(OPTIONS)

conformance: .venv/developing
	$(BIN)/python bench/engines/conformance.py
	$(BIN)/python docs/generate.py

differential: .venv/developing
	$(BIN)/python bench/engines/differential.py $(OPTIONS)

format: .venv/developing
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/developing
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .evtool build dist .mypy_cache .pytest_cache .ruff_cache bench/engines/*/target
