# Clearway. `make demo` shows the main job; `make test` is everything that can be tested here. Both install what they need.
PYTHON := .venv/bin/python
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider

help:
	@echo "make demo     the main job, end to end in the lab (KEEP=1 leaves it up, with the page)"
	@echo "make test     everything: check, then the adapters, the page and the lab"
	@echo "make check    ruff, types, unit, golden, floors: seconds"
	@echo "make bench    speed, memory and apply times, side by side"
	@echo "make lab      the lab by hand: a shell in any host, censors on and off"
	@echo "make setup    install what all of these need (they do it themselves)"
	@echo "make golden   write the golden files anew; read the diff"

setup:
	@tools/setup.sh

demo: setup
	$(ROOT) $(PYTHON) -m tests.demo $(if $(KEEP),--keep)

check: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check routerd
	$(PYTHON) -m mypy --strict routerd webui
	$(PYTEST) tests/unit --durations=3

test: check
	$(ROOT) $(PYTEST) tests/host --durations=5
	$(ROOT) $(PYTEST) tests/web --durations=3
	$(ROOT) $(PYTEST) tests/lab --durations=10

bench: setup
	$(ROOT) $(PYTHON) -m bench

lab: setup
	$(ROOT) $(PYTHON) -m tests.lab up

golden: setup
	REGOLD=1 $(PYTEST) tests/unit

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis *.egg-info

.PHONY: help setup demo check test bench lab golden clean
