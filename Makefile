# make study   the default study, end to end (config.yaml)
# make test    the fast tests;  make test-all  the slow ones too
# make check   what CI runs beside the tests: ruff, snakefmt, snakemake --lint
# make schema  renew what the docs hold of the code: the config's schema and tables
# make lock    renew envs/*.txt from pyproject.toml
# make environment  only install .venv
#
# CUDA=1                installs the CUDA environment instead of the CPU one
# TORCH_INDEX=URL       where pip finds torch's CPU build, if your platform's default build is another one
# CONFIG=studies/x.yaml overlays config.yaml with another study
# PROFILE=profiles/slurm runs it on a cluster
PYTHON ?= python3
VENV ?= .venv
CORES ?= all
CONFIG ?=
PROFILE ?=
LOCK := envs/$(if $(CUDA),cuda,cpu).txt
READY := $(VENV)/.ready-$(if $(CUDA),cuda,cpu)
BIN := $(abspath $(VENV))/bin
STUDY := --cores $(CORES) $(if $(PROFILE),--profile $(PROFILE)) $(if $(CONFIG),--configfile $(CONFIG))

.PHONY: study test test-all check schema lock environment clean-environment

# A killed Snakemake leaves its lock behind. flock tells a dead one from a running one: the system drops it with the process.
study: $(READY)
	@flock --nonblock --conflict-exit-code 75 .snakemake.lock sh -c '\
	  { ! ls .snakemake/locks/* >/dev/null 2>&1 || $(BIN)/snakemake --unlock $(STUDY) >/dev/null 2>&1 || true; } \
	  && exec $(BIN)/snakemake $(STUDY)' \
	  || { status=$$?; [ $$status -ne 75 ] || echo "another \`make study\` is running in this folder: wait for it" >&2; exit $$status; }

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow and not slurm and not gpu"

test-all: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

schema: $(READY)
	$(BIN)/python docs/generate.py

lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python envs/lock.py

$(READY): $(LOCK) envs/torch.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
ifeq ($(CUDA),)
	$(BIN)/python -m pip install --quiet --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -r envs/torch.txt
endif
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

environment: $(READY)

clean-environment:
	rm -rf $(VENV)
