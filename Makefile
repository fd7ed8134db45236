# Everything a newcomer, a maintainer and CI type. Needs GNU make and Python 3.11 or newer; the rest comes by itself.
# `make` alone lists the targets. What is installed is pinned with hashes in requirements/ and lives in .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
LOWEST := build/lowest
ENGINES := build/engines
ASIDE := build/aside
# Two test processes: one per core of the smallest machine CI offers; more gain little, because stories wait on real disks.
TEST_PROCESSES ?= 2
TEST_ARGS ?=
# The demo's lake, made anew each time; a DATLAKE_HOME of your own is used as it is and never emptied.
DEMO_HOME := $(CURDIR)/.datlake/demo
DATLAKE_HOME ?= $(DEMO_HOME)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# pyright's wrapper would look for newer versions on the network; the pinned one is the one we want.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# The first interpreter that is new enough and can make a virtual environment (some systems split ensurepip off).
find_python = for python in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then break; fi; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'datlake: no Python 3.11 or newer with venv was found (looked for python3, python3.14 … python3.11).' >&2; \
	  echo 'Install one, with its venv module, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python' >&2; \
	  exit 1; \
	fi

# $(1) a requirements file. Build isolation is off because isolated builds fetch an unpinned backend.
define install
	@echo "datlake: installing $(1) into $(VENV) (once; later runs skip this)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r $(1)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
endef

.PHONY: help setup demo test test-lowest test-engines faults check format bench dist lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@set -e; $(find_python); echo "datlake: making $(VENV) with $$($$python --version)"; "$$python" -m venv $(VENV)

$(VENV)/demo.stamp: requirements/demo.txt pyproject.toml | $(BIN)/python
	$(call install,requirements/demo.txt)

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(call install,requirements/dev.txt)
	@touch $(VENV)/demo.stamp

$(LOWEST)/lowest.stamp: requirements/dev.txt requirements/lowest.txt pyproject.toml | $(BIN)/python
	@$(BIN)/python -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(LOWEST)/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/lowest.txt
	@$(LOWEST)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Clients whose wheels would get in the way of our own files: on the path of child processes of tests alone.
$(ASIDE)/aside.stamp: requirements/aside.txt | $(BIN)/python
	@rm -rf $(ASIDE)
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --target $(ASIDE) -r $<
	@touch $@

# Each engine has an environment of its own, as its users have it: their requirements and ours never have to agree.
$(ENGINES)/%.stamp: requirements/engines-%.txt | $(BIN)/python
	@echo "datlake: installing $< into $(ENGINES)/$* (once; later runs skip this)"
	@$(BIN)/python -m venv --clear $(ENGINES)/$*
	@$(ENGINES)/$*/bin/python -m pip install --quiet --require-hashes --no-deps -r $<
	@touch $@

setup: $(VENV)/dev.stamp ## Make .venv with everything pinned, and the package in it, editable

demo: $(VENV)/demo.stamp ## Run the New York weather jobs on an embedded lake and show their lineage
	@if [ "$(DATLAKE_HOME)" = "$(DEMO_HOME)" ]; then rm -rf "$(DEMO_HOME)"; fi
	@set -e; unset DATLAKE_API_URL DATLAKE_API_KEY; export DATLAKE_HOME="$(DATLAKE_HOME)"; \
	$(BIN)/python examples/nyc_weather.py --out "$$DATLAKE_HOME/weather"; \
	echo; echo '$$ datlake lineage weather_daily'; $(BIN)/datlake lineage weather_daily; \
	echo; echo "The lake is $$DATLAKE_HOME. Go on from here:"; \
	echo "  export DATLAKE_HOME='$$DATLAKE_HOME' PATH='$(CURDIR)/$(BIN)':\$$PATH"; \
	echo "  datlake runs"

test: $(VENV)/dev.stamp $(ASIDE)/aside.stamp ## Run all tests (TEST_ARGS='-k word' narrows them, TEST_PROCESSES=0 runs them in one process)
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(TEST_ARGS)

test-lowest: $(LOWEST)/lowest.stamp $(ASIDE)/aside.stamp ## Run all tests against the oldest base and server dependencies allowed
	@$(LOWEST)/bin/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(TEST_ARGS)

test-engines: $(VENV)/dev.stamp $(ENGINES)/dbt.stamp $(ENGINES)/airflow.stamp ## Let real dbt and Airflow tell a lake what they do, and keep what was seen
	@DATLAKE_ENGINES="$(CURDIR)/$(ENGINES)" $(BIN)/python -m pytest tests/engines -s --timeout 900 $(TEST_ARGS)

faults: $(VENV)/dev.stamp ## Run the long round of the fault suite and keep its figures (an hour and more; root for all of it)
	@DATLAKE_FAULTS=long $(BIN)/python -m pytest tests/faults tests/properties/test_any_order.py \
	  tests/properties/test_openlineage_any_order.py tests/properties/test_outbox_machine.py \
	  tests/behaviour/test_endings_table.py -s --timeout 3600 $(TEST_ARGS)

check: $(VENV)/dev.stamp ## Lint, format, types, layers, documents: all that CI asks beside the tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/check_docs.py
	@echo 'datlake: all checks passed'

format: $(VENV)/dev.stamp ## Format the code and mend what ruff can mend by itself
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(VENV)/dev.stamp ## Measure and print each figure beside its target
	@$(BIN)/python -m benchmarks

dist: $(VENV)/dev.stamp ## Build wheel and sdist, check them, install the wheel alone and run `datlake demo` there
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation
	@$(BIN)/twine check --strict dist/*
	@$(BIN)/check-wheel-contents dist
	@$(BIN)/python tools/check_dist.py dist $(if $(TAG),--tag "$(TAG)")

# Universal: one file resolves for every platform and for Python 3.11 to 3.14. No index, folder or host is written down, so
# the files install from wherever the reader's pip looks; the hashes say what they must find there.
LOCK = UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links $(LOCK_ARGS)
lock: $(BIN)/python ## Resolve requirements/*.in again (LOCK_ARGS=--upgrade for newer versions)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/lock.txt
	@$(LOCK) --extra server --extra openlineage --extra examples pyproject.toml requirements/dev.in -o requirements/dev.txt
	@$(LOCK) --extra examples pyproject.toml requirements/demo.in -c requirements/dev.txt -o requirements/demo.txt
	@$(LOCK) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
	@$(LOCK) --extra server --extra openlineage --resolution lowest-direct pyproject.toml -o requirements/lowest.txt
	@$(LOCK) requirements/lock.in -o requirements/lock.txt
	@$(LOCK) requirements/aside.in -o requirements/aside.txt
	@$(LOCK) requirements/engines-dbt.in -o requirements/engines-dbt.txt
	@$(LOCK) requirements/engines-airflow.in -o requirements/engines-airflow.txt

clean: ## Remove what was built and the demo's lake; keeps .venv
	@rm -rf dist build $(DEMO_HOME) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .coverage.*
