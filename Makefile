# Two commands are enough: `make demo` and `make test`. Both set up .venv themselves.
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
HARDWARE := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU && echo gpu || echo cpu)
PYTHON ?= python3
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.PHONY: demo test fast lint setup system lock clean

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

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml requirements/$(HARDWARE).txt tools/setup.sh
	tools/setup.sh $(PYTHON) $(VENV) $(HARDWARE)
	touch $@

# Compiles what was tested into requirements/*.txt: hashes, and no index of any host.
lock:
	tools/lock.sh $(BIN)/uv

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
