# Two commands for a newcomer, on Linux with Python 3.10-3.12 (and a compiler for the second):
#
#   make demo    environment without any compiling, then DenseCL-D on generated scenes, to a report
#   make test    complete environment (mmcv's ops compiled, mmdet, mmseg), then the tests
#
# VENV= moves the environment, PYTHON= chooses the interpreter; tools/setup_env.sh names the rest.
# The environment is made once: later calls find its stamp and cost nothing, and a changed
# setup.cfg or constraints.txt updates it. FORCE=1 looks again after somebody used pip in it.

VENV ?= .venv
PYTHON ?=
ARGS ?=
OPS_CFLAGS ?=
FORCE ?=
GPU_PYTHON ?=
# Processes of the tests: one a core, at most 8 (each holds torch and what it tests, about 2 GB).
JOBS ?= logical

PY := '$(VENV)/bin/python'
SETUP := VENV='$(VENV)' PYTHON='$(PYTHON)' OPS_CFLAGS='$(OPS_CFLAGS)' FORCE='$(FORCE)' \
    bash tools/setup_env.sh

# Contiguous parts of the list, of which a worker that is done takes some from the slowest one.
PYTEST := $(PY) -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-slow gpu lint format check-env env env-dev env-full clean

help:
	@echo 'make demo        environment (about 4 min, once), then the demo (at most 6 min on 2 cores)'
	@echo 'make test        complete environment (10 to 25 min, once), then the tests'
	@echo 'make test-slow   the tests that take longer than 20 s each'
	@echo 'make gpu         proof on a GPU in 10 min: tests, speeds, two runs with O-KNN curves'
	@echo 'make lint        ruff check, ruff format --check, mypy, order of the floors'
	@echo 'make docs        the site, into work_dirs/site'
	@echo 'make format      ruff repairs and formats in place'
	@echo 'make check-env   what is installed, what is missing for what; installs nothing'
	@echo 'make env         environment for pre-training: nothing is compiled'
	@echo 'make env-dev     the same with pytest, ruff, mypy'
	@echo 'make env-full    the same with mmdet, mmseg and compiled mmcv ops'
	@echo 'make clean       remove caches and build folders (keeps VENV and work_dirs)'
	@echo
	@echo 'VENV=$(VENV)  PYTHON=$(PYTHON)  ARGS= goes to pytest or the demo'
	@echo 'JOBS=$(JOBS)  processes of the tests; JOBS=0: this one, for a debugger'

env:
	@$(SETUP) pretrain

env-dev:
	@$(SETUP) dev

env-full:
	@$(SETUP) full

demo: env
	$(PY) tools/demo.py --work-dir work_dirs/demo $(ARGS)

test: env-full
	$(PYTEST) $(ARGS)

# Also on a machine with nothing but torch and the wheels of pre-training: GPU_PYTHON=python3.
gpu:
	@[ -n '$(GPU_PYTHON)' ] || $(SETUP) dev
	$(or $(GPU_PYTHON),$(PY)) tools/benchmark_gpu.py $(ARGS)

test-slow: env-full
	$(PYTEST) -m slow $(ARGS)

# -W: a warning is an error; -E: what other files say is read anew.
docs: env-dev
	$(PY) -m sphinx -W --keep-going -q -E -b html docs work_dirs/site
	@echo 'work_dirs/site/index.html'

lint: env-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	'$(VENV)/bin/lint-imports' --no-cache

format: env-dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# Installs nothing: where there is no environment yet, any Python tells what is missing.
check-env:
	@if [ -x $(PY) ]; then $(PY) tools/check_env.py; else \
	    $(or $(PYTHON),python3) tools/check_env.py; fi

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
