# Two commands are enough: `make demo` and `make test`. Both set up .venv themselves.
VENV := .venv
DOCS := .venv-docs
BIN := $(CURDIR)/$(VENV)/bin
HARDWARE := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU && echo gpu || echo cpu)
PYTHON ?= python3
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test fast lint docs setup system lock clean

demo: setup
	$(BIN)/build-dataset run demo

# Half of the tests wait for a limit or a process: three at a time keep two cores busy.
test: setup
	$(BIN)/python -m pytest -m "not gpu" -n 3 --no-loadscope-reorder

fast: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check src tests tools benchmarks
	$(BIN)/ruff format --check src tests tools benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in an environment of its own: it needs neither gristmill nor a model.
docs: $(DOCS)/.done
	$(DOCS)/bin/mkdocs build --strict --quiet

$(DOCS)/.done: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml requirements/$(HARDWARE).txt tools/setup.sh
	tools/setup.sh $(PYTHON) $(VENV) $(HARDWARE)
	touch $@

# Compiles what was tested into requirements/*.txt: hashes, and no index of any host.
lock:
	tools/lock.sh $(BIN)/uv

clean:
	rm -rf $(VENV) $(DOCS) site .pytest_cache .ruff_cache .mypy_cache .hypothesis
