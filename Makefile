# Every habit of this project is one word; `make help` lists them.
.DEFAULT_GOAL := all
.PHONY: all setup demo run test test-fast crashtest fuzz bench check lint format types floors lock lock-check clean help

VENV    := .venv
BIN     := $(VENV)/bin
# The first Python that is new enough; override with `make PYTHON=/path/to/python3.12 …`
PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
             $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
ARGS    ?=

all: check test ## everything a change must pass

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
	  while IFS='|' read -r word text; do printf '  make %-11s %s\n' "$$word" "$$text"; done

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "callwright needs Python 3.11 or newer and found none: install it, or run make PYTHON=/path/to/python3"; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is incomplete: on Debian or Ubuntu install the package python3-venv"; exit 1; }
	@touch $@

# The media worker's C helper is compiled on the way where there is a compiler (docs/reference/media.md).
$(VENV)/.run: $(VENV)/.created requirements/run.txt pyproject.toml $(wildcard src/callwright/media/c/*.c)
	@echo "Installing what the platform needs (hash-checked wheels, about 90 MB the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev ## the environment for working on callwright

demo: $(VENV)/.run ## one real call from service_start to its costs, live on this terminal
	@$(BIN)/callwright demo $(ARGS)

run: $(VENV)/.run ## a node with the simulated phone network, until Ctrl-C
	@$(BIN)/callwright serve --sandbox --allow-private-pages $(ARGS)

test: $(VENV)/.dev ## every test but the load measurements
	@$(BIN)/python -m pytest -m "not load" $(ARGS)

test-fast: $(VENV)/.dev ## unit and property tests only
	@$(BIN)/python -m pytest -q tests/unit tests/property $(ARGS)

crashtest: $(VENV)/.dev ## kill -9 a node a hundred times under 1,000 calls, audit what the telephones saw; audit pacing
	@$(BIN)/python -m pytest -s -m load tests/acceptance --ignore=tests/acceptance/test_fuzz_campaign.py $(ARGS)

fuzz: $(VENV)/.dev ## a million broken messages: nothing raised, nothing slow, memory flat
	@nice -n 19 $(BIN)/python -m pytest -s -m load tests/acceptance/test_fuzz_campaign.py $(ARGS)

bench: $(VENV)/.dev ## speed figures beside the machine's own ceiling
	@$(BIN)/python -m bench $(ARGS)

check: lint types floors ## style, types and import floors

lint: $(VENV)/.dev ## style, without changing anything
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

format: $(VENV)/.dev ## format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

types: $(VENV)/.dev ## strict type checking
	@$(BIN)/mypy

floors: $(VENV)/.dev ## imports only go down the floors
	@$(BIN)/lint-imports --no-cache

lock: $(VENV)/.dev ## rewrite the hash-pinned requirement files from pyproject.toml
	@$(BIN)/python requirements/compile.py

lock-check: $(VENV)/.dev ## fail when the requirement files are not what pyproject.toml asks for
	@$(BIN)/python requirements/compile.py --check



clean: ## remove the environment and every cache
	rm -f src/callwright/media/_helper*.so
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist src/*.egg-info
