# `make` alone says what there is. Needs Python 3.11 or newer; everything it installs goes into .venv.
PYTHON ?= python3
READY := .venv/.ready
LOCKED := tidepool $(addprefix services/,storage gateway preprocess trainer inference autoscaler)
COMPILE := .venv/bin/python -m piptools compile --quiet --strip-extras --no-header --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
PIP := .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check

# What `make e2e` starts an engine with where none runs.
ENGINE ?= $(firstword $(wildcard ../shared/*/docker-engine))

.PHONY: help demo test e2e chaos bench-inference bench-scaling check up down status lock clean
.DEFAULT_GOAL := help

help: ## Say what there is
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$(printf '\t') read -r name what; \
		do printf '  make %-16s %s\n' "$$name" "$$what"; done

demo: $(READY) ## Upload, train, evaluate, export and predict on a stack of its own; leaves nothing running
	@.venv/bin/tidepool demo

test: check postgresql wrk ## Lint, types, import rules and all tests
	@.venv/bin/python -m pytest

e2e: $(READY) ## Build the images, and try `docker compose up` with everything on a real engine
	@TIDEPOOL_ENGINE=$(ENGINE) .venv/bin/python -m pytest -m compose -rpPfE --showlocals tests/e2e/compose

chaos: $(READY) postgresql ## Break everything that can break for MINUTES=30 and judge what came of it
	@.venv/bin/python -m tests.faults --minutes $(or $(MINUTES),30) $(addprefix --seed=,$(SEED))

bench-inference: $(READY) wrk ## Compare predictions with those of other servers; OPTIONS="--models cnn --rounds 1"
	@.venv/bin/python -m benchmarks.inference.install
	@.venv/bin/python -m benchmarks.inference $(OPTIONS)

bench-scaling: $(READY) wrk ## Measure a pool that follows its load beside pools of fixed sizes and the simulator
	@.venv/bin/python -m benchmarks.scaling $(OPTIONS)

check: $(READY) ## Lint, types and import rules
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/mypy
	@.venv/bin/lint-imports

up: $(READY) ## Start the stack; TIDEPOOL_PORT, TIDEPOOL_HOME, SCALE="inference=2 preprocess=2"
	@.venv/bin/tidepool up $(addprefix --scale=,$(SCALE))

down: $(READY) ## Stop the stack
	@.venv/bin/tidepool down

status: $(READY) ## Show the stack's processes
	@.venv/bin/tidepool status

lock: $(READY) ## Pin the newest versions that the requirements.in files allow
	@$(COMPILE) --output-file requirements.lock tests/requirements.in
	@sed -i 's/^\(torch==[^+]*\)+cpu/\1/' requirements.lock
	@for part in $(LOCKED); do \
		$(COMPILE) --constraint requirements.lock --output-file $$part/requirements.lock $$part/requirements.in && \
		sed -i 's/^\(torch==[^+]*\)+cpu/\1/' $$part/requirements.lock || exit; done

clean: ## Stop the stack and remove what was installed and caches; the stack's data stays
	@if [ -x .venv/bin/tidepool ]; then .venv/bin/tidepool down; fi
	@rm -rf .venv benchmarks/.venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Tidepool needs Python 3.11 or newer. If it has another name here: make PYTHON=python3.12 demo'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call apt,python3-venv)
	@echo 'Setting up .venv; the first time takes a minute or two'
	@$(PYTHON) -m venv .venv
	@$(PIP) --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: postgresql
postgresql:
	@[ -n "$(wildcard /usr/lib/postgresql/*/bin/initdb)" ] || $(call apt,postgresql)

.PHONY: wrk
wrk:
	@command -v wrk >/dev/null || $(call apt,wrk)

# What apt has to bring: as root at once, else by telling the command.
apt = { if [ "$$(id -u)" = 0 ]; then echo 'Installing $(1) with apt' && apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	else echo 'Missing. Please run: sudo apt-get install $(1)'; exit 1; fi; }
