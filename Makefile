# One command per intent. Everything is installed into .venv, from the locks, at the first use.

LOG ?= views
ARGS ?=
WORKERS ?= auto
BIN := .venv/bin
READY := .venv/.ready
CLOUD = $(BIN)/python -m templates.commands $@
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(ARGS)
# Trust the machine's certificate authorities, as pip does: a company's network may have one of its own.
export UV_SYSTEM_CERTS := true
# Compiled Python is kept in .venv, also where images turn that off: a program that imports Beam starts in 2 s, not 5 s.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache

.DEFAULT_GOAL := help
.PHONY: help setup run live test test-long coverage mutants lint checkov format check bench lock clean
.PHONY: infrastructure image template deploy validate replace update drain replay destroy

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Install the dependencies into .venv (every other target does it too)

run: $(READY) ## Process real shop events into an embedded Redis and print what came out (LOG=views)
	$(BIN)/python -m commands.cli demo --log $(LOG)

live: export LIVE_CALLED_BY_MAKE := 1
live: $(READY) ## Run the whole system on this machine until Ctrl-C (REPLAY=60: replay LOG 60 times as fast)
	@exec $(BIN)/python -m services.live $(if $(REPLAY),--replay $(REPLAY) --log $(LOG)) $(ARGS)

test: $(READY) ## Run the tests, without a network (ARGS="-k name" for some of them, WORKERS=0 for one process)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long" $(ARGS)

test-long: $(READY) ## Run the slow tests
	$(BIN)/python -m pytest -n $(WORKERS) -m long $(ARGS)

coverage: $(READY) ## Run the tests, and list the lines and branches that no test runs
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) -m "not long" $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

mutants: $(READY) ## Change the code in one place at a time, and list the changes that no test notices (ARGS=FOLDER)
	$(BIN)/python -m tests.mutants $(ARGS)

lint: $(READY) ## Check style, types and the direction of imports; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

checkov: $(READY) ## Check terraform/ with checkov
	@if $(MAKE) --no-print-directory .venv-checkov/.ready; then \
		.venv-checkov/bin/checkov --directory terraform --framework terraform --skip-download --compact --quiet; \
	else \
		echo "SKIPPED: checkov could not be installed, so terraform/ was not checked." >&2; \
		test -z "$$CI"; \
	fi

format: $(READY) ## Format the code, and fix mistakes that ruff can fix
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

check: lint checkov test ## Check all that can be checked without Google Cloud: style, tests, image, template, Terraform

bench: $(READY) ## Measure throughput, with a fixed seed
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(READY) ## Update the locks after a change in pyproject.toml (ARGS=--upgrade for newer versions)
	$(LOCK) --group setup --output-file requirements-setup.lock
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) --group collector --constraint requirements.lock --output-file requirements-collector.lock
	$(LOCK) pyproject.toml --all-extras --group setup --group collector --constraint requirements.lock \
		--output-file requirements-dev.lock
	$(LOCK) --group checkov --output-file requirements-checkov.lock

# On Google Cloud: docs/deployment.md. Each command prints its steps, and the variables that are missing.

infrastructure: $(READY) ## Create or change the infrastructure with Terraform (STATE_BUCKET=...)
	@$(CLOUD)

image: $(READY) ## Build the image of the job and push it
	@$(CLOUD)

template: $(READY) ## Write the template of the image
	@$(CLOUD)

deploy: $(READY) ## Launch the job for the first time, with image and template
	@$(CLOUD)

validate: $(READY) ## Let Dataflow check whether this version can replace the running job
	@$(CLOUD)

replace: $(READY) ## Replace the running job by a version that is built and validated; its state is kept
	@$(CLOUD)

update: $(READY) ## Build, validate and replace: the whole update to a new version (VERSION=... rolls back)
	@$(CLOUD)

drain: $(READY) ## Drain the running job: it processes all messages that it has read (CONFIRM=job's name)
	@$(CLOUD)

replay: $(READY) ## Publish dead letters to the events topic again (REASON=... for some of them)
	@$(CLOUD)

destroy: $(READY) ## Destroy the installation and its data (STATE_BUCKET=... CONFIRM=job's name)
	@$(CLOUD)

clean: ## Remove .venv, caches and build results
	rm -rf .venv .venv-checkov build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each file is checked against the hash in its lock. Two dependencies are source distributions; they are built with the
# locked setuptools, not with the newest one.
$(READY): pyproject.toml setup.py requirements-setup.lock requirements-dev.lock
	@if ! $(BIN)/uv --version >/dev/null 2>&1 || ! $(BIN)/python --version 2>&1 | grep -q '^Python 3\.11\.'; then \
		for python in python3.11 python3; do \
			if $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
				$$python -m venv --clear .venv && \
				$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
					--requirement requirements-setup.lock; \
				exit; \
			fi; \
		done; \
		echo "Python 3.11 is required: neither python3.11 nor python3 on the PATH is Python 3.11." >&2; \
		exit 1; \
	fi
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes --no-build-isolation requirements-dev.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv-checkov/.ready: requirements-checkov.lock | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-checkov
	$(BIN)/uv pip sync --quiet --python .venv-checkov/bin/python --require-hashes requirements-checkov.lock
	@touch $@
