# Clearway. `make demo` shows the main job; `make test` is everything that can be tested here. Both install what they need.
PYTHON := .venv/bin/python
# What runs as root leaves no files of root's in the checkout.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo) env PYTHONDONTWRITEBYTECODE=1
PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider
STAGE := tools/stage.sh

help:
	@echo "make demo     the main job, end to end in the lab (KEEP=1 leaves it up, with the page)"
	@echo "make test     check, then the adapters, the page, the lab"
	@echo "make check    ruff, types, unit, golden, floors: seconds"
	@echo "make bench    speed, memory and apply times, side by side"
	@echo "make soak     switches that nobody needed, on bad lines and a busy box: MINUTES=10 of each"
	@echo "make frugal   bytes on the wire while nobody uses the house: a quarter of an hour"
	@echo "make fuzz     everything that reads links, against bytes that a fuzzer makes up: RUNS=1000000 for each form"
	@echo "make bench-links  seconds and megabytes for 100,000 share links"
	@echo "make bench-desync  what splitting hellos costs, beside plain forwarding and NFQWS=/path/to/zapret's/nfqws"
	@echo "make matrix   every censor of the lab and the cause that diagnose names; RUNS=200 repeats it under loss"
	@echo "make bench-failover  seconds without service when a transport is blocked, beside the peers: hours"
	@echo "make lab      the lab by hand: a shell in any host, censors on and off"
	@echo "make setup    install what all of these need (they do it themselves)"
	@echo "make golden   write the golden files anew; read the diff"
	@echo "make vm-test  what this machine's kernel lacks, on each Debian kernel in a small virtual machine"
	@echo "make lock     resolve requirements*.in again (wants uv)"
	@echo "make install  put Clearway on this box; make uninstall removes it, but for /etc/clearway"

setup:
	@tools/setup.sh

demo: setup
	$(ROOT) $(PYTHON) -m tests.demo $(if $(KEEP),--keep)

check: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check routerd
	$(PYTHON) -m mypy --strict routerd webui
	$(PYTEST) tests/unit tests/golden --durations=3

# Stages print their time. A skipped test fails its stage: nothing is left out in silence (ALLOW_SKIPS=1 lists them).
test: setup
	@$(STAGE) check $(MAKE) --no-print-directory check
	@$(STAGE) lives env EXAMPLES=100000 $(PYTEST) tests/unit/test_watchdog.py -k thousands_of_lives --durations=1
	@$(STAGE) install tools/test-install.sh
	@$(STAGE) host $(ROOT) $(PYTEST) tests/host --durations=5
	@$(STAGE) web $(ROOT) $(PYTEST) tests/web --durations=3
	@$(STAGE) lab $(ROOT) $(PYTEST) tests/lab --durations=10
	@echo "LEFT OUT: the virtual machine's tests, emulated, 2 to 12 minutes: make vm-test"

bench: setup
	$(ROOT) $(PYTHON) -m bench

bench-failover: setup
	$(ROOT) $(PYTHON) -m bench.failover

soak: setup
	$(ROOT) $(PYTHON) -m bench.soak $(if $(MINUTES),--minutes $(MINUTES))

frugal: setup
	$(ROOT) $(PYTHON) -m bench.frugal

matrix: setup
	$(ROOT) $(PYTHON) -m tests.lab.matrix $(if $(RUNS),--runs $(RUNS))

fuzz: setup
	$(PYTHON) -m tests.fuzz --runs $(or $(RUNS),1000000) $(TARGETS)

bench-links: setup
	$(PYTHON) -m bench.links

bench-desync: setup
	$(ROOT) $(PYTHON) -m bench.desync $(if $(NFQWS),--nfqws $(NFQWS)) $(if $(TURNS),--turns $(TURNS))

lab: setup
	$(ROOT) $(PYTHON) -m tests.lab up

golden: setup
	REGOLD=1 $(PYTEST) tests/unit tests/golden

vm-test: setup
	@tests/vm/run.sh

lock:
	tools/lock.sh

install uninstall:
	@tools/install.sh $@

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

.PHONY: help setup demo check test bench bench-failover soak frugal matrix fuzz bench-links bench-desync lab golden vm-test lock install uninstall clean
