# Everything runs in .venv, which is built from pyproject.toml and constraints.txt when one of them has changed.
# PYTHON=python3.12 with any target builds .venv anew, if it is of another Python version.
PYTHON ?= python3
ARGS ?=
# Warnings of pip are about the caller's configuration; errors still show.
QUIET ?= -qq

# What the caller's shell says about another Python must not reach ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

VENV := .venv/bin
STAMP := .venv/.setup-done
PIP_INSTALL := $(VENV)/python -m pip install $(QUIET) --disable-pip-version-check --constraint constraints.txt

ifneq ($(origin PYTHON),file)
  ifneq ($(shell $(PYTHON) --version 2>&1),$(shell $(VENV)/python --version 2>&1))
    OTHER_PYTHON := yes
.PHONY: $(STAMP)
  endif
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz torture lint bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## build .venv with all that the other targets need (PYTHON=python3.12 picks an interpreter)
	@echo "Ready: . .venv/bin/activate"

demo: $(STAMP) ## train on real handwritten digits, as sequences and as images, and show the result
	$(VENV)/hyperseq fit --config configs/images/digits.yaml
	$(VENV)/hyperseq fit --config configs/images/digits2d.yaml
	$(VENV)/hyperseq results runs/digits runs/digits2d
	@echo "To type hyperseq yourself: . .venv/bin/activate"

# One process a core, and no more than 8: each of them imports torch.
test: $(STAMP) ## run the tests (ARGS="-k conv" picks some, PYTHON=python3.12 the interpreter)
	@$(VENV)/python -m pytest -q --numprocesses auto --maxprocesses 8 --dist worksteal $(ARGS)

fuzz: $(STAMP) ## try many more generated inputs than the tests do: four minutes of one core
	@$(VENV)/python -m pytest -q --numprocesses auto --maxprocesses 8 --dist worksteal -m fuzz $(ARGS)

# In one process: tests that time a kill need the machine for themselves.
torture: $(STAMP) ## kill trainings, fill disks, train in every precision: eleven minutes (ARGS="-k disk" picks some)
	@$(VENV)/python -m pytest -q -m torture tests/tasks/test_torture.py tests/tasks/test_configs.py $(ARGS)

lint: $(STAMP) ## check style, formatting and types
	@$(VENV)/ruff check --quiet .
	@$(VENV)/ruff format --check --quiet .
	@$(VENV)/mypy --no-error-summary

bench: $(STAMP) ## measure speed on this machine
	@$(VENV)/python -m benchmarks

clean: ## remove .venv, build products and caches (runs/ stays)
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is made last, so an interrupted set-up starts over; an environment left half made is made anew.
$(STAMP): pyproject.toml constraints.txt
	@rm -f $@
	@[ -z "$(OTHER_PYTHON)" ] && $(VENV)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	    echo "hyperseq needs Python 3.10 or newer, got $$($(PYTHON) --version 2>&1) from $(PYTHON);" \
	         "name another one: make setup PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments;" \
	         "install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear .venv; }
	@echo "Installing into .venv (minutes the first time: torch is large; QUIET= shows what pip does)"
	@$(PIP_INSTALL) pip setuptools
	@$(PIP_INSTALL) --no-build-isolation --editable '.[train,audio,dev]'
	@touch $@
