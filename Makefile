# One command per intent. Everything is installed into .venv, from the locks, at the first use.

LOG ?= views
ARGS ?=
WORKERS ?= logical
BIN := .venv/bin
READY := .venv/.ready
CLOUD = $(BIN)/python -m templates.commands $@
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(ARGS)
# Trust whom the machine trusts, as pip does: a company's network may have an authority of its own.
export UV_SYSTEM_CERTS := true

.DEFAULT_GOAL := help
.PHONY: help setup run live test test-long coverage lint checkov format check bench lock clean
.PHONY: infrastructure image template deploy validate replace update drain replay destroy

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Install into .venv what the others need (they do it themselves)

run: $(READY) ## Process real shop events into an embedded Redis and print what came out (LOG=views)
	$(BIN)/python -m commands.cli demo --log $(LOG)

live: $(READY) ## Run the whole system on this machine until Ctrl-C (REPLAY=60: replay LOG 60 times as fast)
	@$(BIN)/python -m services.live $(if $(REPLAY),--replay $(REPLAY) --log $(LOG)) $(ARGS)

test: $(READY) ## Run the tests, without a network (ARGS="-k name" for some of them, WORKERS=0 for one process)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long" $(ARGS)

test-long: $(READY) ## Run the tests that take their time
	$(BIN)/python -m pytest -n $(WORKERS) -m long $(ARGS)

coverage: $(READY) ## Run the tests, and list the lines and branches that none of them reaches
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) -m "not long" $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(READY) ## Check style, types and the direction of imports; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

checkov: $(READY) ## Hold terraform/ against checkov's rules
	@if $(MAKE) --no-print-directory .venv-checkov/.ready; then \
		.venv-checkov/bin/checkov --directory terraform --framework terraform --skip-download --compact --quiet; \
	else \
		echo "SKIPPED: checkov could not be installed, so terraform/ was not held against its rules." >&2; \
		test -z "$$CI"; \
	fi

format: $(READY) ## Mend what can be mended without thinking
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

check: lint checkov test ## Check all that can be checked without Google Cloud: style, tests, image, template, Terraform

bench: $(READY) ## Measure throughput, with a fixed seed
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(READY) ## Lock the dependencies anew after a change in pyproject.toml (ARGS=--upgrade for newer ones)
	$(LOCK) --group setup --output-file requirements-setup.lock
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) --group collector --constraint requirements.lock --output-file requirements-collector.lock
	$(LOCK) pyproject.toml --all-extras --group setup --group collector --constraint requirements.lock \
		--output-file requirements-dev.lock
	$(LOCK) --group checkov --output-file requirements-checkov.lock

# On Google Cloud: docs/deployment.md. Each says what it will do, and which variables it lacks.

infrastructure: $(READY) ## Make or change what the job needs, with Terraform (STATE_BUCKET=...)
	@$(CLOUD)

image: $(READY) ## Build the image of the job and push it
	@$(CLOUD)

template: $(READY) ## Write the template of the image
	@$(CLOUD)

deploy: $(READY) ## Launch the job for the first time, with image and template
	@$(CLOUD)

validate: $(READY) ## Ask Dataflow whether the running job could be replaced by this version
	@$(CLOUD)

replace: $(READY) ## Replace the running job, which keeps its state; what was built and validated only
	@$(CLOUD)

update: $(READY) ## Build, validate and replace: all that a new version takes (VERSION=... rolls back)
	@$(CLOUD)

drain: $(READY) ## End the running job when it has finished what it took in (CONFIRM=job's name)
	@$(CLOUD)

replay: $(READY) ## Publish dead letters to the events topic again (REASON=... for some of them)
	@$(CLOUD)

destroy: $(READY) ## Take the installation down, with all that it holds (STATE_BUCKET=... CONFIRM=job's name)
	@$(CLOUD)

clean: ## Remove .venv, caches and build results
	rm -rf .venv .venv-checkov build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each file is checked against the hash in its lock. Two dependencies come as source; they are built with the locked
# setuptools, not with whatever is the newest today.
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
		echo "Python 3.11 is needed: neither python3.11 nor python3 on the PATH is one." >&2; \
		exit 1; \
	fi
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes --no-build-isolation requirements-dev.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv-checkov/.ready: requirements-checkov.lock | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-checkov
	$(BIN)/uv pip sync --quiet --python .venv-checkov/bin/python --require-hashes requirements-checkov.lock
	@touch $@
