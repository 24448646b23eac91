# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
# VERSIONS=lowest or VERSIONS=newest: the dependencies at that end of their ranges, in an environment of its own
$(if $(filter-out lowest newest,$(VERSIONS)),$(error VERSIONS is lowest or newest))
VENV := .venv$(VERSIONS:%=-%)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP_lowest := --constraint $(VENV)/lowest.txt
PIP_newest := --upgrade --upgrade-strategy eager
PYTEST := $(BIN)/python -m pytest --numprocesses auto

.PHONY: always demo test quick test-systems test-buses clients functions serve-clients check proofs bench bench-engines conformance differential format docs clean

# --- environments ------------------------------------------------------------------------------------------------

$(VENV)/installed: pyproject.toml $(if $(filter newest,$(VERSIONS)),always)
	@$(PYTHON) -c 'import sys; sys.exit("evtool needs Python 3.11 or later; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@sed -n 's/^ *"\([a-z-]*\)>=\([0-9.]*\).*/\1==\2/p' pyproject.toml >$(VENV)/lowest.txt
	@echo "installing evtool and its dependencies"
	@$(PIP) $(PIP_$(VERSIONS)) --editable .
	@$(BIN)/python -m compileall -q evtool
	@touch $@

$(VENV)/developing: $(VENV)/installed requirements-dev.txt
	@echo "installing the tools for tests and checks"
	@$(PIP) --requirement requirements-dev.txt
	@touch $@

# --- what a user sees --------------------------------------------------------------------------------------------

demo: $(VENV)/installed
	@rm -rf .evtool/demo
	$(BIN)/evtool publish samples/events/order-created.json --store .evtool/demo/store.db
	$(BIN)/evtool replay --store .evtool/demo/store.db

# --- what a developer runs ---------------------------------------------------------------------------------------

test: $(VENV)/developing
	$(PYTEST)

# the folders without whole commands, and no test with the mark `slow`: less than a minute
quick: $(VENV)/developing
	$(PYTEST) -m "not slow and not systems and not buses" --ignore=tests/commands --ignore=tests/test_docs.py --ignore=tests/test_robustness.py

# the shop with real counterparts of Stripe, Klaviyo, SMTP and PostgreSQL, and moto, which the tests start and stop
test-systems: $(VENV)/developing
	$(BIN)/python -m pytest -m systems -v tests/systems

# Kafka brokers, which the tests start and stop; they need Java and, once, Maven
test-buses: $(VENV)/developing
	$(BIN)/python -m pytest -m buses -v

check: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layout.py

# the promises of the store and of delivery, attacked at full length: docs/reliability.md
proofs: $(VENV)/developing
	$(BIN)/python -m proofs $(OPTIONS)
	$(BIN)/python -m proofs --sabotage

bench: $(VENV)/developing
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/throughput.py
	$(BIN)/python bench/routing.py
	$(BIN)/python bench/delivery.py
	$(BIN)/python bench/functions.py
	$(BIN)/python bench/waits.py
	$(BIN)/python bench/buses.py
	$(BIN)/python bench/bus_delivery.py
	$(BIN)/python bench/million.py
	$(BIN)/python bench/serve.py
	$(BIN)/python bench/engines/compare.py

bench-engines: $(VENV)/developing
	$(BIN)/python bench/engines/compare.py $(OPTIONS)

# AWS's clients of the Lambda Runtime API for other languages than Python, for their tests: LANGUAGES="node go rust java emulator"
clients: $(VENV)/installed
	$(BIN)/python tools/lambda_clients.py $(LANGUAGES)

# the order function of samples/functions: its program in Go, its packages for Node.js
functions:
	cd samples/functions/order/go && GOFLAGS=-mod=mod go build -o bootstrap .
	@# with the headers of the installed Node.js npm does not download them
	cd samples/functions/order/node && prefix=$$(dirname $$(dirname $$(readlink -f $$(command -v node)))) && \
	    if [ -e $$prefix/include/node/node.h ]; then export npm_config_nodedir=$$prefix; fi && \
	    npm install --no-audit --no-fund

# real clients of `evtool serve` for its tests: CLIENTS="aws-cli javascript go-sdk"
serve-clients: $(VENV)/installed
	$(BIN)/python tools/serve_clients.py $(CLIENTS)

conformance: $(VENV)/developing
	$(BIN)/python bench/engines/conformance.py
	$(BIN)/python docs/generate.py

differential: $(VENV)/developing
	$(BIN)/python bench/engines/differential.py $(OPTIONS)

format: $(VENV)/developing
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/developing
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .venv-lowest .venv-newest .evtool build dist .mypy_cache .pytest_cache .ruff_cache bench/engines/*/target
