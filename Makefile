# handconv. Everything works on a machine with nothing but Python 3.11 or later and make.

VENV ?= .venv
VENV_BENCH ?= .venv-bench
ARGS ?=
TESTS ?=
PYTEST ?= pytest
PYTEST_ARGS ?= -n auto --maxprocesses 4

# The first Python that is new enough; the environment's own comes first, so that later runs need no other.
PYTHON ?= $(shell for python in '$(VENV)/bin/python' python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$python" && break; done)
FOUND = $(or $(PYTHON),$(error handconv needs Python 3.11 or later, and none was found. Name one: make PYTHON=/path/to/python3))
READY = $(FOUND) scripts/environment.py '$(VENV)'
RUN = $(VENV)/bin/python

# The sources are on the path even where the project could not be installed, or the folder was moved.
export PYTHONPATH := $(CURDIR)/src$(if $(PYTHONPATH),:$(PYTHONPATH))

# What must be proved in every branch.
PROVED = src/handconv/engine/*,src/handconv/augment/*,src/handconv/metrics.py,src/handconv/layers/*,src/handconv/losses/*,src/handconv/optimizers/*,src/handconv/network.py,src/handconv/layer_list.py,src/handconv/sequential.py

.PHONY: help run test check format lint types contracts coverage proved python parity mutants bench figures clean
.NOTPARALLEL:

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run:  ## The main job: data, training, then the quiz (ARGS="train --epochs 3" passes arguments)
	@$(READY) --extra cli
	@$(RUN) -m handconv $(ARGS)
	@cd '$(VENV)/bin' && printf '\nTo go on, "%s/handconv" --help lists all commands.\nTo have it as handconv in this shell: . "%s/activate"\n' "$$PWD" "$$PWD" >&2

test:  ## All tests and doctests (TESTS="tests/test_house.py" picks some)
	@$(READY) --extra cli --group test
	@$(RUN) -m $(PYTEST) $(PYTEST_ARGS) $(TESTS)

check: format lint types contracts coverage  ## Format, lint, strict types, import contracts, tests with coverage

format:  ## Is everything formatted? (.venv/bin/ruff format makes it so)
	@$(READY) --extra cli --group dev
	$(RUN) -m ruff format --check .

lint:  ## ruff
	@$(READY) --extra cli --group dev
	$(RUN) -m ruff check .

types:  ## mypy, strict
	@$(READY) --extra cli --group dev
	$(RUN) -m mypy

contracts:  ## Who may import whom
	@$(READY) --extra cli --group dev
	$(VENV)/bin/lint-imports

coverage:  ## The tests, measured, and then "proved"
	@$(READY) --extra cli --group dev
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory test PYTEST='coverage run -m pytest'
	@$(MAKE) --no-print-directory proved

proved:  ## Did the measured tests run every branch of what computes?
	@$(RUN) -m coverage combine --quiet
	@$(RUN) -m coverage report
	@$(RUN) -m coverage report --include='$(PROVED)' --fail-under=100

python:
	@echo $(FOUND)

parity:  ## All tests with PyTorch and ONNX Runtime installed, so that none of the comparisons with them is skipped
	@$(READY) --extra cli --group test --group parity
	@$(RUN) -m pytest $(PYTEST_ARGS)

mutants:  ## Are small mistakes in the code noticed? (ARGS="losses", "layers --part 1/8"; minutes to an hour each)
	@$(READY) --extra cli --group test
	@$(RUN) scripts/mutants.py $(or $(ARGS),losses optimizers layers kernels ops network sequential training augment metrics)

bench:  ## handconv and its peers side by side, one page (ARGS="--only train-128 --json bench.json"; "--against COMMIT": and its past)
	@$(FOUND) scripts/environment.py '$(VENV_BENCH)' --group bench --wish rivals
	@$(VENV_BENCH)/bin/python -m benchmarks $(ARGS)

figures:  ## The figures of docs/ from what make bench ARGS="--json bench.json" wrote
	@$(FOUND) scripts/environment.py '$(VENV_BENCH)' --group bench --wish rivals
	@$(VENV_BENCH)/bin/python -m benchmarks.figures $(or $(ARGS),bench.json docs/figures)

clean:  ## Remove the environment and everything made
	rm -rf $(VENV) $(VENV_BENCH) build dist .coverage .coverage.* .*_cache htmlcov
