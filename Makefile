# Every job of this project is a target here; continuous integration runs these and nothing else.
# A fresh clone needs make and a Python from 3.11 to 3.13. `make demo` and `make test` bring what else they need, into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PYTEST := $(BIN)/pytest
UV ?= uv

# The first of these that is a Python 3.11, 3.12 or 3.13; name another with `make PYTHON=... demo`.
PYTHON ?= python3 python3.13 python3.12 python3.11
# Test processes, of the fast tiers and of the long one, where some wait while others compute. Each brings its own servers, and starts what
# a folder of tests shares: more is not always faster.
JOBS ?= 4
LONG_JOBS ?= 5
# A file stays with one process, and the files in their order: what a folder's tests share ends with the last of them.
SIDE_BY_SIDE := --dist=loadfile --no-loadscope-reorder
# The tests start hundreds of processes: without bytecode each of them would compile all of our modules anew.
export PYTHONDONTWRITEBYTECODE :=
# More arguments for pytest: make unit ARGS="-k inbox -x"
ARGS ?=

# What is installed is told by a stamp per requirement set. `dev` holds all of `demo`, at the same versions.
DEV := $(VENV)/.installed-dev
DEMO := $(if $(wildcard $(DEV)),$(DEV),$(VENV)/.installed-demo)

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##### Use it

.PHONY: demo up
demo: $(DEMO) ## A spoken conversation through every room, with no key and nothing installed
	@exec $(BIN)/ringback demo

up: $(DEMO) ## The same stack, kept running for you to use; Ctrl-C stops it
	@exec $(BIN)/ringback up

##### Work on it

.PHONY: install check format lint types laws
install: $(DEV) ## The development environment, in .venv

check: $(DEV) ## Before each commit: format, lint, types, then laws and unit tests with fewer random examples
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory lint types
	@$(PYTEST) tests/architecture tests/unit -m "not long" --hypothesis-profile=sample -q $(ARGS)

format: $(DEV) ## Rewrite the code in the one format, and repair what ruff can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: $(DEV) ## Ruff's rules
	@$(BIN)/ruff check .

types: $(DEV) ## mypy, strict
	@$(BIN)/mypy

laws: $(DEV) ## The architecture as tests: imports, sizes, names, what the docs promise
	@$(PYTEST) tests/architecture -m "not long" -q $(ARGS)

##### Test it

.PHONY: test unit integration guarantees attacks chaos conformance browser mutants fuzz pictures
test: $(DEV) ## The whole suite, side by side: the fast tiers, then the long tier
	@time $(PYTEST) -m "not long" -n $(JOBS) $(SIDE_BY_SIDE) --durations=15 $(ARGS)
	@time $(PYTEST) -m "long" --ignore=tests/unit -n $(LONG_JOBS) $(SIDE_BY_SIDE) --durations=15 $(ARGS)

unit: $(DEV) ## Decisions and single modules; no servers
	@$(PYTEST) tests/unit -q $(ARGS)

integration: $(DEV) ## Real Postgres and Redis: DATABASE_URL and REDIS_URL, or embedded ones
	@$(PYTEST) tests/integration $(ARGS)

mutants: $(DEV) ## Each guard taken away in turn: which test notices (ten minutes; docs/mutants.md)
	@$(BIN)/python -m tests.mutation.run $(ARGS)

guarantees: $(DEV) ## Real processes, killed and paused, against docs/guarantees.md
	@$(PYTEST) tests/guarantees $(ARGS)

attacks: $(DEV) ## What strangers try, against real processes (docs/security.md)
	@$(PYTEST) tests/attacks $(ARGS)

chaos: $(DEV) ## Random faults and a checker, at any length: make chaos SECONDS=120 SEED=7
	@$(BIN)/python -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(DEV) ## A million mutated frames over both decoders and the brain: make fuzz FRAMES=10000 SEED=7
	@$(BIN)/python -m tests.fuzz $(if $(FRAMES),--frames $(FRAMES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

conformance: $(DEV) ## The simulator against recordings, the official SDKs against the gateway
	@$(PYTEST) tests/conformance tests/clients $(ARGS)

browser: $(DEV) ## The pages, in a real browser where one is found
	@$(PYTEST) tests/browser $(ARGS)

pictures: $(DEV) ## The README's pictures and recording, of the page as it runs; into docs/pictures
	@$(BIN)/python -m tests.browser.pictures

##### Ship it

.PHONY: bench locks wheel audit clean
bench: $(DEV) ## Each benchmark in turn, almost two hours; lines and plots go to benchmarks/raw
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

wheel: $(DEV) ## Build the wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel -d dist

# By the locks alone: nothing is resolved or installed. --strict: a package that could not be looked up fails it as well.
audit: $(DEV) ## Known vulnerabilities of what is locked (asks the advisory service of the package index)
	@for set in run demo simulator dev build; do \
		echo "== requirements/$$set.txt"; \
		$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements/$$set.txt; \
	done

# No index is named: the locks hold hashes, and pip takes the files from wherever it is configured to look.
# The smaller sets are constrained by dev.txt: one version of each package, in whichever set it appears.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make locks"
locks: ## Lock requirements/*.txt anew (needs uv)
	@$(COMPILE) --upgrade pyproject.toml requirements/build.in --extra dev -o requirements/dev.txt
	@$(COMPILE) -c requirements/dev.txt pyproject.toml requirements/build.in --extra demo -o requirements/demo.txt
	@$(COMPILE) -c requirements/dev.txt pyproject.toml --extra fast --extra mcp --extra otel -o requirements/run.txt
	@$(COMPILE) -c requirements/dev.txt pyproject.toml --extra voice --extra ears --extra webrtc -o requirements/simulator.txt
	@$(COMPILE) -c requirements/dev.txt requirements/build.in -o requirements/build.txt

clean: ## Remove what was built, cached and installed
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

##### The environment

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

$(VENV)/.made:
	@for candidate in $(PYTHON); do \
		if "$$candidate" -c "$(SUITABLE)" 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$candidate" --version)"; \
			"$$candidate" -m venv $(VENV); touch $@; exit 0; \
		fi; \
	done; \
	echo "No Python from 3.11 to 3.13 with its venv module among: $(PYTHON)." >&2; \
	echo "Install one (on Debian or Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1

$(VENV)/.installed-%: requirements/%.txt pyproject.toml $(VENV)/.made
	@echo "Installing requirements/$*.txt (once; the download takes a while)"
	@$(PIP) install --quiet --require-hashes -r requirements/$*.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
