# `make` alone prints what there is. `make check` and `make test` are exactly what CI runs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# What the tests of a module share is made once: they go to one worker, and the long ones begin.
SPREAD := --numprocesses auto --dist loadfile --no-loadscope-reorder

# Where bytecode may not be written, each command that a test starts compiles the project anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup lock demo test coverage soak check docs pin format bench release clean

help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Set up

setup: $(READY) ## Make .venv with the locked dependencies and both distributions, editable

$(READY): requirements/dev.lock pyproject.toml sdk/pyproject.toml
	@echo "Installing into $(VENV): a minute or two, the first time."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e sdk
	@touch $@

lock: ## Resolve the dependencies anew and write the lock files
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --no-strip-extras --python-version 3.11 \
		pyproject.toml -o requirements/server.lock
	$(VENV)/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --no-strip-extras --python-version 3.11 --extra dev \
		-c requirements/server.lock pyproject.toml -o requirements/dev.lock
	printf 'build\nhatchling\n' | $(VENV)/lock/bin/uv pip compile --quiet --universal --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 \
		-c requirements/dev.lock - -o requirements/build.lock

##@ Look

demo: setup ## Make 90 days of invented usage and serve them, with links to sign in
	$(BIN)/meterline demo

##@ Work

test: setup ## Run all tests; install missing servers where that is allowed
	tests/servers/install
	$(BIN)/python -m pytest $(SPREAD)

coverage: setup ## Run all tests and tell which branches none of them takes
	tests/servers/install
	$(BIN)/python -m pytest $(SPREAD) --cov --cov-report=term:skip-covered

soak: setup ## Run the long versions of the proofs
	METERLINE_SOAK=1 $(BIN)/python -m pytest -m soak
	METERLINE_SOAK=1 $(BIN)/python -m pytest tests/property -m "not soak"

check: setup docs ## Lint, types, import contracts, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every page is in the navigation, every link and anchor leads somewhere, or it fails.
docs: setup ## Build the documentation's pages, in .venv/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(VENV)/site

pin: setup ## Write the pinned files anew, after a change on purpose
	METERLINE_PIN=1 $(BIN)/python -m pytest --quiet -k committed_one

format: setup ## Let ruff write the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Measure speed, as ratios within one run
	$(BIN)/python -m bench

##@ Release

release: setup ## Build both distributions, wheels and sources, in dist
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m build --no-isolation --outdir dist sdk

clean: ## Remove everything that was made here
	rm -rf $(VENV) dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
