# make run     the main job: the quickstart recipe, from raw text to a released model (two to four minutes)
# make test    lint, types, layer rules and all tests
# make test-slow  the tests that take half a minute or more each: faults under torchrun, a full disk at other sizes, … (five minutes)
# make contract  every layout against one process in float64, float32 and bfloat16: a table (ten minutes)
# make soak    one training run with every kind of fault in it, compared with an undisturbed one; and one under random kills,
#              whose goodput is compared with the planner's formula (six minutes)
# make benchmark  reading, training and layouts beside their peers, on a machine with nothing else to do (a quarter of an hour)
# make rehearse  one step of the source recipe as ranks of 2,048 would take it, beside the plan (two minutes)
# make slurm   the rendered job under a real SLURM on this machine alone: needs root, slurm-wlm and munge (four minutes)
# make lint    ruff, mypy, import-linter
# make clean   remove the virtual environment and all runs
PYTHON ?= python3
BIN := .venv/bin
# What a run needs, and what development needs beside it.
READY := .venv/ready
DEV := .venv/ready-for-development
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test test-slow contract soak benchmark rehearse slurm lint clean

run: $(READY)
	$(BIN)/altiplano run recipes/quickstart.toml

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

test-slow: $(DEV)
	$(BIN)/pytest -n 2 --dist worksteal -m slow

soak: $(DEV)
	PYTHONPATH=tests $(BIN)/python tests/faults/soak.py
	PYTHONPATH=tests $(BIN)/python tests/faults/goodput_soak.py

contract: $(DEV)
	cd tests && ../$(BIN)/python -m distributed.contract

benchmark: $(DEV)
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/layouts.py
	$(BIN)/python benchmarks/planner.py

rehearse: $(READY)
	$(BIN)/altiplano rehearse llama-3.1-405b --cluster h100-2048

slurm: $(DEV)
	PYTHONPATH=tests $(BIN)/python tests/launch/real_slurm.py --limit

lint: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -e ".[corpus]"
	touch $(READY)

$(DEV): $(READY)
	$(INSTALL) -e ".[dev]"
	touch $(DEV)

clean:
	rm -rf .venv runs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
