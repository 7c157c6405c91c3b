# Each target sets up what it needs: a virtual environment, torch and the compiled extension. Needs python3 and a
# C++ compiler.
#   make bench   the main job: W32 pose 256x192 against what else one could use
#   make test    the tests, in as many processes as there are cores, at most eight; WORKERS=0 is one after another
#   make gpu-report   tests, checks and measures this machine's GPU, in parts that resume (benchmarks/gpu)
#   make lint    ruff: the rules, and the layout of every Python file; clang-format: that of every C++ file
#   make docs    writes the tables of README.md and docs/speed.md from the results in benchmarks/results
#   make clean   removes what was built, but not .venv
# PYTHON=python3.12 chooses the interpreter, TORCH="torch==2.11.0" the torch, HRNET_FAST_BUILD the extension (setup.py).

PYTHON ?= python3
TORCH ?= torch
VENV := .venv
PY := $(VENV)/bin/python
BUILT = $(VENV)/.built-$(HRNET_FAST_BUILD)
SOURCES := setup.py pyproject.toml $(shell find csrc -type f)

# make's own default is g++; c++ is what setup.py asks for
ifeq ($(origin CXX),default)
CXX := c++
endif

export HRNET_FAST_BUILD ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: bench test gpu-report lint docs clean

bench: $(VENV)/.with-bench
	$(PY) -m pytest benchmarks -q -s --profile=short

# A process takes 2 GB. Threads that wait sleep, since those of another process want the core.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores : 8)))
test: $(VENV)/.with-test
	OMP_WAIT_POLICY=passive $(PY) -m pytest tests -q -n $(WORKERS) --dist worksteal

# PARTS=micro,ours and BUDGET=540 (seconds) choose; run it again to go on. make gpu-report PY=python3 is for a Python that
# has torch but cannot install anything: the extension is compiled in place, and what is lacking is skipped, and said so.
# On a machine that keeps nothing, ARGS="--mirror FOLDER" names a folder that outlives it; to go on on another machine,
# first copy that folder's gpu-* files into benchmarks/results.
PARTS ?=
BUDGET ?= 540
GPU_REPORT = $(PY) -m benchmarks.gpu $(if $(PARTS),--parts $(PARTS)) --budget $(BUDGET) $(ARGS)

ifeq ($(origin PY),command line)
gpu-report:
	$(GPU_REPORT) --build
else
gpu-report: $(VENV)/.with-bench $(VENV)/.with-test
	$(GPU_REPORT)
endif

lint: $(VENV)/.with-ruff
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	find csrc -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' | xargs $(VENV)/bin/clang-format --dry-run --Werror

docs: $(VENV)/.with-bench
	$(PY) -m benchmarks.report --write

clean:
	rm -rf build dist *.egg-info kernels/_C*.so kernels/_build.json .pytest_cache .ruff_cache .mypy_cache .benchmarks
	rm -f $(VENV)/.built-*

OLD_PYTHON := hrnet_fast needs Python 3.10 or newer; '$(PYTHON)' is not: name another with make PYTHON=...
NO_VENV := '$(PYTHON)' lacks venv or ensurepip: install python3-venv, or name another with make PYTHON=...
NO_COMPILER := there is no C++ compiler '$(CXX)', so the ops will run on plain torch: install g++, then make clean

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { echo "$(OLD_PYTHON)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(NO_VENV)"; exit 1; }
	@test -x $(PY) || { echo "== creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@touch $@

$(VENV)/.torch: | $(VENV)/.created
	@echo "== installing $(TORCH) and the build tools (a few GB, once)"
	$(PY) -m pip install --quiet "setuptools>=70" wheel ninja numpy "$(TORCH)"
	@touch $@

$(BUILT): $(SOURCES) | $(VENV)/.torch
	@command -v $(firstword $(CXX)) >/dev/null || echo "== $(NO_COMPILER)"
	@echo "== building the extension (HRNET_FAST_BUILD=$(HRNET_FAST_BUILD); a minute or two)"
	@rm -f $(VENV)/.built-*
	$(PY) -m pip install --quiet --no-build-isolation -e .
	@touch $@

$(VENV)/.with-ruff: | $(VENV)/.created
	@echo "== installing ruff and clang-format"
	$(PY) -m pip install --quiet ruff clang-format==23.1.5
	@touch $@

# The extra's packages alone, since -e .[extra] would compile the extension again; and the torch that it was compiled for.
$(VENV)/.with-%: pyproject.toml $(BUILT)
	@echo "== installing the packages of the extra '$*'"
	@$(PY) -c 'from importlib.metadata import requires, version; print("torch==" + version("torch").partition("+")[0], \
	  *(r.partition(";")[0] for r in requires("hrnet_fast") if r.endswith("extra == \"$*\"")), sep="\n")' > $@.txt
	$(PY) -m pip install --quiet -r $@.txt
	@touch $@
