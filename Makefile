# make quickstart   makes .venv, installs, then builds, trains and measures in the sandbox
# make test         makes or reuses .venv, then runs the whole test suite
# make lint         ruff and mypy
# make clean        removes .venv and the caches; runs/ stays
#
# PYTHON=/path/to/python3 chooses the Python (3.11 or newer) that makes .venv.
# On Linux the package index's torch brings CUDA libraries, several GB. For the small CPU build:
#     make quickstart TORCH_INDEX=https://download.pytorch.org/whl/cpu
# RUN="--out runs/other --seed 1" hands options to metaalign quickstart.

VENV := .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=
RUN ?=
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$p; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt

.PHONY: quickstart test lint clean
.DEFAULT_GOAL := quickstart

quickstart: $(VENV)/.installed
	@$(BIN)/metaalign quickstart $(RUN)

# One thread each: two workers share the machine. A group of tests that shares a fixture stays together.
test: $(VENV)/.installed-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --durations 10

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what it was installed from, so an install that is up to date costs nothing.
$(VENV)/.installed: pyproject.toml constraints.txt $(VENV)/.torch
	@echo "installing metaalign and what it runs on (about a minute)"
	@$(PIP) --quiet -e ".[all]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(VENV)/.torch
	@echo "installing metaalign and the tools that test it (about a minute)"
	@$(PIP) --quiet -e ".[dev]"
	@touch $(VENV)/.installed $@

# torch alone and first: it is most of the download, and pip's bar shows how far that is.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	@echo "installing $(TORCH) (the largest part: some minutes)"
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(TORCH)
	@touch $@

# A half-made .venv is taken away again, so that the next run does not trip over it.
$(BIN)/python:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "error: metaalign needs Python 3.11 or newer: install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: $(PYTHON) cannot make a virtual environment: install its venv module (Debian, Ubuntu: python3-venv)" >&2; exit 2; }
