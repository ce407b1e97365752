# Every target makes .venv and installs what it needs.
# On Linux PyPI's torch is the CUDA build, gigabytes of it. The CPU's is much smaller:
#   make sweep TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
# Another version than the pinned one: make sweep CONSTRAINTS= TORCH="torch --index-url https://..."

PYTHON      ?= python3
VENV        ?= .venv
TORCH       ?= torch==2.13.0
CONSTRAINTS ?= -c constraints.txt
BIN         := $(VENV)/bin
SWIFT_VENV  ?= .venv-swift
TEST_JOBS   ?= 3

# What is compiled is kept: Python's own, and the kernels' machine code.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help sweep test test-faults test-long bench bench-training bench-sweep bench-durability bench-search bench-pages bench-tracking bench-large bench-nodes bench-clients bench-start bench-control-plane bench-gpu bench-equivalence record chaos damage outages soak check format clean

help:  ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

# The program. torch comes first and alone, so that nothing pulls in another build of it.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) --editable .
	touch $@

# What tests, checks and benchmarks need beside it; a sweep needs none of it.
$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) --editable '.[dev]'
	touch $@

# OpenStack Swift, the object store of the tests, and its dependencies stay out of our environment.
$(SWIFT_VENV)/.installed: constraints-swift.txt
	$(PYTHON) -m venv $(SWIFT_VENV)
	$(SWIFT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $< swift
	touch $@

sweep: $(VENV)/.installed  ## run the packaged quick start to its verdict (again: resume it, or show the verdict)
	@if $(BIN)/monosweep status quickstart >/dev/null 2>&1; \
	then $(BIN)/monosweep resume quickstart; \
	else $(BIN)/monosweep run quickstart; fi

PYTEST := MONOSWEEP_SWIFT_VENV=$(SWIFT_VENV) $(BIN)/python -m pytest
# In the order of their folders: those of whole sweeps come first, so that none is left alone at the end.
SIDE_BY_SIDE := -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev $(SWIFT_VENV)/.installed  ## all tests but the long ones
	$(PYTEST) $(SIDE_BY_SIDE)

test-faults: $(VENV)/.dev $(SWIFT_VENV)/.installed  ## long ones that every change must pass: kills, damage, outages, a host that is cut off, a server in a browser
	$(PYTEST) $(SIDE_BY_SIDE) -m long

test-long: test-faults  ## these and all other long ones: benchmarks at tiny sizes, a full disk, calls that nobody has seen before
	$(PYTEST) -m alone
	$(PYTEST) $(SIDE_BY_SIDE) -m 'occasional and not alone'

bench: bench-training bench-sweep bench-durability bench-search bench-tracking bench-large bench-control-plane bench-start  ## the benchmarks that need two cores and nothing else

bench-training: $(VENV)/.dev  ## training speed beside a plain PyTorch loop and the machine's limit
	$(BIN)/python tests/benchmarks/bench_training.py

bench-sweep: $(VENV)/.dev  ## whole sweeps beside one written from the libraries' own pages; 40 minutes
	$(BIN)/python tests/benchmarks/bench_sweep.py

bench-durability: $(VENV)/.dev  ## what it costs that nothing can be lost; runs the quick start twice
	$(BIN)/python tests/benchmarks/bench_durability.py

bench-search: $(VENV)/.dev  ## training steps until a good setting is found, replayed on recorded trainings
	$(BIN)/python tests/benchmarks/bench_search.py

record: $(VENV)/.dev  ## train what is missing of the recorded trainings (five hours of a core for all)
	$(BIN)/python tests/benchmarks/record.py

bench-pages: $(VENV)/.dev  ## how long pages of 5,000 trials take to open; needs Chromium
	$(BIN)/python tests/benchmarks/bench_pages.py

bench-tracking: $(VENV)/.dev  ## how many trials a second MLflow is told, and what its lag costs the driver
	$(BIN)/python tests/benchmarks/bench_tracking.py

bench-large: $(VENV)/.dev  ## how long commands take that read a sweep of 10,000 trials
	$(BIN)/python tests/benchmarks/bench_large.py

bench-nodes: $(VENV)/.dev  ## what a second node brings, and how many workers one driver serves
	$(BIN)/python tests/benchmarks/bench_nodes.py

bench-clients: $(VENV)/.dev  ## how a server answers 50 clients at once for two minutes
	$(BIN)/python tests/benchmarks/bench_clients.py

bench-control-plane: $(VENV)/.dev  ## what the machinery costs a trial, among up to 10,000
	$(BIN)/python tests/benchmarks/bench_control_plane.py

bench-start: $(VENV)/.dev  ## how soon commands answer, and a sweep's first step is trained
	$(BIN)/python tests/benchmarks/bench_start.py

bench-gpu: $(VENV)/.dev  ## training speed on a GPU, and the paper's batches at full size; needs one
	$(BIN)/python tests/benchmarks/bench_gpu.py

bench-equivalence: $(VENV)/.dev  ## whether bfloat16 finds what float32 finds; an hour on one core
	$(BIN)/python tests/benchmarks/bench_equivalence.py

chaos: $(VENV)/.dev  ## kill sweeps 100 times, in every phase and inside writes, and a cluster's nodes (30 minutes)
	$(BIN)/python tests/chaos/chaos.py

outages: $(VENV)/.dev $(SWIFT_VENV)/.installed  ## take MLflow away for a minute and restart PostgreSQL, and compare
	MONOSWEEP_SWIFT_VENV=$(SWIFT_VENV) $(BIN)/python tests/chaos/outages.py

soak: $(VENV)/.dev  ## have a server work off small sweeps for 20 minutes, and see that nothing grows
	$(BIN)/python tests/chaos/soak.py

damage: $(VENV)/.dev  ## damage 240 files of sweeps and see that nothing wrong succeeds (15 minutes)
	$(BIN)/python tests/chaos/damage.py

# ruff's rules S are bandit's, which itself finds nothing more here.
check: $(VENV)/.dev  ## format, lint, security, types, import rule, known vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tests/audit/dependencies.py

format: $(VENV)/.dev  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what the targets made (never a sweep's home)
	rm -rf $(VENV) $(SWIFT_VENV) build
