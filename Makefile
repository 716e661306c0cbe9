# Clearway. `make demo` shows the main job; `make test` is everything that can be tested here. Both install what they need.
PYTHON := .venv/bin/python
# What runs as root leaves no files of root's in the checkout.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo) env PYTHONDONTWRITEBYTECODE=1
PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider
# What came of each stage of `make test`. NOTED: pytest, and what fails is noted there.
export STAGES := build/stages
STAGE := tools/stage.sh
NOTED = $(PYTEST) -v -p tests.failures --failed-to=$(STAGES)

help:
	@echo "make demo     the main job, end to end in the lab (KEEP=1 leaves it up, with the page)"
	@echo "make test     check, the adapters, the page, the lab, in two streams; test-work, test-lives, test-waits, test-lab: a part"
	@echo "make check    ruff, types, unit, golden, floors: seconds"
	@echo "make bench    speed, memory and apply times, side by side"
	@echo "make bench-kinds  TCP through each kind of transport, beside its bare engine: half an hour or more"
	@echo "make soak     switches that nobody needed, on bad lines and a busy box: MINUTES=10 of each"
	@echo "make frugal   bytes on the wire while nobody uses the house: a quarter of an hour"
	@echo "make fuzz     everything that reads links, against bytes that a fuzzer makes up: RUNS=1000000 for each form"
	@echo "make bench-links  seconds and megabytes for 100,000 share links"
	@echo "make bench-desync  what splitting hellos costs, beside plain forwarding and NFQWS=/path/to/zapret's/nfqws"
	@echo "make matrix   every censor of the lab and the cause that diagnose names; RUNS=200 repeats it under loss"
	@echo "make matrix-desync  every censor of the lab that reads packets, and how long it holds up a box without a server: minutes"
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

# Two streams beside each other, both to their end: what works hard, first; then the faults, where seconds count, beside the
# rest of the lab. Labs mostly wait. What failed is then run once more, alone, unless it is a leak: docs/decisions/0020-two-streams.md.
# Stages print their time. A skipped test fails its stage: nothing is left out in silence (ALLOW_SKIPS=1 lists them).
test: setup
	@rm -rf $(STAGES)
	-@GO_ON=1 $(MAKE) --no-print-directory -j2 test-one test-two
	@$(PYTHON) -m tests.again $(STAGES) check install host web waits lives lab -- $(ROOT) $(PYTEST)
	@echo "LEFT OUT: the virtual machine's tests, emulated, 2 to 12 minutes: make vm-test"

test-one:
	@$(MAKE) --no-print-directory test-work
	@$(MAKE) --no-print-directory test-waits

test-two:
	@$(MAKE) --no-print-directory test-lives
	@$(MAKE) --no-print-directory test-lab

# `nice`: what may take longer, beside what counts seconds.
test-work:
	@$(STAGE) check nice make --no-print-directory check
	@$(STAGE) install nice tools/test-install.sh
	@$(STAGE) host $(ROOT) $(NOTED)/host.failed tests/host --durations=5
	@$(STAGE) web $(ROOT) $(NOTED)/web.failed tests/web --durations=3

test-lives:
	@$(STAGE) lives env EXAMPLES=100000 $(PYTEST) tests/unit/test_watchdog.py -k thousands_of_lives --durations=1

test-waits:
	@$(STAGE) waits $(ROOT) $(NOTED)/waits.failed tests/lab/test_faults_*.py --durations=10

test-lab:
	@$(STAGE) lab $(ROOT) $(NOTED)/lab.failed tests/lab --ignore-glob='*/test_faults_*' --durations=10

bench: setup
	$(ROOT) $(PYTHON) -m bench

bench-kinds: setup
	$(ROOT) $(PYTHON) -m bench.kinds $(foreach kind,$(KINDS),--only $(kind))

bench-failover: setup
	$(ROOT) $(PYTHON) -m bench.failover

soak: setup
	$(ROOT) $(PYTHON) -m bench.soak $(if $(MINUTES),--minutes $(MINUTES))

frugal: setup
	$(ROOT) $(PYTHON) -m bench.frugal

matrix: setup
	$(ROOT) $(PYTHON) -m tests.lab.matrix $(if $(RUNS),--runs $(RUNS))

matrix-desync: setup
	$(ROOT) $(PYTHON) -m tests.lab.bent

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

.PHONY: help setup demo check test test-one test-two test-work test-lives test-waits test-lab bench bench-kinds bench-failover soak frugal matrix matrix-desync fuzz bench-links bench-desync lab golden vm-test lock install uninstall clean
