# Needs make and Python 3.11 or newer; everything else goes into .venv.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
DOCS_STAMP := $(VENV)/.installed-docs
BENCH_STAMP := $(VENV)/.installed-bench
WARM_STAMP := $(VENV)/.warm
KERNEL_SOURCES := $(shell find midas_engine -name '*.py' -not -path '*/cli/*' 2>/dev/null)
WORKERS ?= 2
# Real processes, files and terminals are tested: a starved machine may miss one once, so people get two more tries.
# Continuous integration gets none: there a test that passes at the second try is a fault.
RERUNS ?= $(if $(CI),0,2)
ROUNDS ?= 3

.PHONY: help run demo test torture lint docs structure bench setup clean

help: ## What can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: $(WARM_STAMP) ## Open the terminal on bundled real data, in replay
	@if [ -t 0 ] && [ -t 1 ]; then \
	  exec $(BIN)/midas-tui --replay sample; \
	else \
	  echo "Midas is installed. It draws on a terminal, and this is none."; \
	  echo "In a terminal, run:   make run"; \
	  echo "or directly:          $(BIN)/midas-tui --replay sample"; \
	  echo "Without a terminal:   $(BIN)/midas --help"; \
	  exit 2; \
	fi

demo: $(WARM_STAMP) ## One discovery and one monitoring session; writes demo_artifacts/DEMO_REPORT.md
	$(BIN)/midas demo

test: $(DEV_STAMP) lint $(WARM_STAMP) ## Lint, types, import contracts, tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --reruns $(RERUNS)

torture: $(DEV_STAMP) $(WARM_STAMP) ## The fault drills, three rounds in a row
	$(BIN)/python benchmarks/torture/drills.py --rounds $(ROUNDS)

lint: $(DEV_STAMP) ## Lint, types and import contracts only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DOCS_STAMP) ## Write the generated references and build the pages into site/
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict

structure: $(DEV_STAMP) ## Print lines a file, import circles and the state of the import contracts
	$(BIN)/python benchmarks/structure.py

bench: $(BENCH_STAMP) $(WARM_STAMP) ## Print the budgets as measured
	$(BIN)/python benchmarks/speed/bench_budgets.py

setup: $(RUN_STAMP) ## Create .venv and install

$(BIN)/python:
	@found=; for p in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python3.14 python; do \
	  [ -n "$$p" ] && command -v "$$p" >/dev/null 2>&1 || continue; \
	  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found="$$p" && break; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Midas needs Python 3.11 or newer, and none is on the PATH." >&2; \
	  echo "  Debian, Ubuntu:  apt install python3 python3-venv" >&2; \
	  echo "  macOS:           brew install python" >&2; \
	  echo "  elsewhere:       make PYTHON=/path/to/python3.12 run" >&2; \
	  exit 2; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$found has no venv module (ensurepip is missing)." >&2; \
	  echo "  Debian, Ubuntu:  apt install python3-venv" >&2; \
	  exit 2; \
	fi; \
	echo "Creating $(VENV) with $$found"; \
	"$$found" -m venv "$(VENV)"

# The stamps follow pyproject.toml: a changed dependency is installed, an unchanged one costs nothing.
$(RUN_STAMP): pyproject.toml | $(BIN)/python
	@echo "Installing Midas into $(VENV) (a few minutes the first time)"
	@$(PIP) install -e .
	@touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/python
	@echo "Installing Midas and its tools into $(VENV) (a few minutes the first time)"
	@$(PIP) install -e '.[dev]'
	@touch $@ $(RUN_STAMP)

$(DOCS_STAMP): pyproject.toml | $(BIN)/python
	@$(PIP) install -e '.[docs]'
	@touch $@ $(RUN_STAMP)

$(BENCH_STAMP): pyproject.toml | $(BIN)/python
	@$(PIP) install -e '.[dev,bench]'
	@touch $@ $(RUN_STAMP)

$(WARM_STAMP): $(RUN_STAMP) $(KERNEL_SOURCES)
	@$(BIN)/midas warmup
	@touch $@

clean: ## Remove .venv and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist site *.egg-info
	find midas midas_engine midas_tui tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
