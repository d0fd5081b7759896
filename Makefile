# `make` alone lists the commands. Needs Python 3.11 or newer; everything is installed into .venv (docs: .venv-docs).
PYTHON ?= python3
READY := .venv/.ready
DOCS := .venv-docs/.ready
LOCKED := docs tidepool $(addprefix services/,storage gateway preprocess trainer inference autoscaler)
COMPILE := .venv/bin/python -m piptools compile --quiet --strip-extras --no-header --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
INSTALL := -m pip install --quiet --quiet --disable-pip-version-check
PIP := .venv/bin/python $(INSTALL)

# The program with which `make e2e` starts a Docker engine if none is running.
ENGINE ?= $(firstword $(wildcard ../shared/*/docker-engine))

# The program with which `make chaos-ha` starts a storage cluster.
CEPH ?= $(firstword $(wildcard ../shared/*/ceph))

.PHONY: help demo test test-fast e2e chaos chaos-ha soak fuzz bench-inference bench-scaling bench-sizing bench-preprocess bench-training bench-search bench-people bench-elastic bench-storage bench-sampling bench-console bench-reviewing dashboards gpu-check screenshots check secrets audit docs site up down status lock clean
.DEFAULT_GOAL := help

help: ## List the commands
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$(printf '\t') read -r name what; \
		do printf '  make %-16s %s\n' "$$name" "$$what"; done

demo: $(READY) ## Start a stack, upload, train, evaluate, export, predict, and stop it again
	@.venv/bin/tidepool demo

# In parallel, the slowest first; see tests/conftest.py.
test: $(READY) $(DOCS) postgresql wrk chromium promtool ## Run everything that must pass: check, site and all tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync check site
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# OMP_NUM_THREADS: each worker of pytest-xdist has one core. The two slowest files (18 s) are left to `make test`.
test-fast: $(READY) ## Run the unit and contract tests in parallel, without servers or the two slowest files
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest tests/unit tests/contract --numprocesses logical --maxprocesses 8 \
		--dist worksteal --ignore tests/unit/gateway/oip/test_onnx_nodes.py --ignore tests/unit/storage/jobs/test_job_machine.py

e2e: $(READY) wrk ## Run the slow tests, then build the images and test `docker compose up` on a Docker engine
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest -m slow tests/e2e tests/faults --numprocesses logical --maxprocesses 4 --dist loadfile
	@TIDEPOOL_ENGINE=$(ENGINE) .venv/bin/python -m pytest -m compose -rpPfE --showlocals tests/e2e/compose

chaos: $(READY) postgresql ## Inject faults for MINUTES=30 and check the guarantees; SEED=1 repeats a run
	@.venv/bin/python -m pytest -m chaos tests/faults
	@.venv/bin/python -m tests.faults --minutes $(or $(MINUTES),30) $(addprefix --seed=,$(SEED))

# As root; MINUTES=0 is one fault of each kind. CEPH names a program with the commands start, kill, revive and stop;
# without one, S3 is one server. OPTIONS=--keys only checks the services' keys to Ceph.
chaos-ha: $(READY) postgresql haproxy ## Kill, cut off and bring back machines for MINUTES=10, and check the guarantees
	@TIDEPOOL_CEPH=$(CEPH) .venv/bin/python -m tests.faults.ha --minutes $(or $(MINUTES),10) \
		$(addprefix --seed=,$(SEED)) $(OPTIONS)

soak: $(READY) ## Mixed load and hostile senders for MINUTES=120, and check that nothing grows; RATE=1 is about one core
	@.venv/bin/python -m tests.soak --minutes $(or $(MINUTES),120) $(addprefix --rate=,$(RATE))

fuzz: $(READY) ## Fuzz images, archives, tables, tensors and ONNX graphs; SECONDS=600 each, TARGETS="image graph"
	@.venv/bin/python -m tests.fuzz $(TARGETS) --seconds $(or $(SECONDS),600)

bench-inference: $(READY) wrk ## Compare predictions with other servers; OPTIONS="--models cnn --rounds 1"
	@.venv/bin/python -m benchmarks.inference.install
	@.venv/bin/python -m benchmarks.inference $(OPTIONS)

bench-scaling: $(READY) wrk ## Compare an autoscaled pool with fixed pools and with the simulator
	@.venv/bin/python -m benchmarks.scaling $(OPTIONS)

bench-sizing: $(READY) wrk ## Measure the CPU time of a prediction by process, and the replicas that follow; under five minutes
	@.venv/bin/python -m benchmarks.sizing $(OPTIONS)

bench-preprocess: $(READY) ## Prepare small images and photos, and compare with libjpeg-turbo; OPTIONS="--counts 1000"
	@.venv/bin/python -m benchmarks.preprocess $(OPTIONS)

bench-training: $(READY) ## Train many kinds of data sets, and compare with Keras and bare PyTorch; OPTIONS="--only small"
	@.venv/bin/python -m benchmarks.training $(OPTIONS)

bench-storage: $(READY) postgresql ## Measure claims, counts and lists with many jobs; OPTIONS="--rows 1000000 --workers 200"
	@.venv/bin/python -m benchmarks.storage $(OPTIONS)

bench-sampling: $(READY) wrk ## Measure what sampling for reviews costs predictions; OPTIONS="--pairs 12 --rate 200"
	@.venv/bin/python -m benchmarks.sampling $(OPTIONS)

bench-search: $(READY) ## Measure searches: two replicas against one, and the gain over the default; OPTIONS="--rounds 1"
	@.venv/bin/python -m benchmarks.search $(OPTIONS)

bench-people: $(READY) ## Measure what the answers of people gain, and who passes the gate; OPTIONS="--only gate"
	@OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.people $(OPTIONS)

bench-elastic: $(READY) ## Train on one and two replicas, and on a number that changes; OPTIONS="--images 1024"
	@OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.elastic $(OPTIONS)

bench-console: $(READY) ## Measure the console's pages with 100,000 images, 1,000 models and 100,000 jobs; OPTIONS="--rounds 100"
	@.venv/bin/python -m benchmarks.console $(OPTIONS)

bench-reviewing: $(READY) chromium ## Measure how many images a minute the review screen takes from a keyboard; OPTIONS="--images 100 --think 0.4"
	@.venv/bin/python -m benchmarks.console.reviewing $(OPTIONS)

gpu-check: $(READY) ## Measure serving and training on a GPU, in under eight minutes; OPTIONS="--data cifar10.zip --require"
	@.venv/bin/python -m benchmarks.gpu $(OPTIONS)

dashboards: $(READY) promtool ## Draw the dashboards under a load of four minutes for docs/images/dashboards
	@.venv/bin/python -m benchmarks.dashboards

screenshots: $(READY) chromium ## Take pictures of the console's screens for docs/console
	@.venv/bin/python -m tests.console

check: $(READY) ## Lint, types and import rules; under a minute
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/mypy
	@.venv/bin/lint-imports

# Offline; 20 s of CPU, so not in `check`. Entropy finds the hashes in tests, so only secrets with a form of their own are
# looked for. Examples are excluded by their text; a new false alarm gets the comment `pragma: allowlist secret`.
secrets: $(READY) ## Look for passwords and keys in the files that git tracks
	@git rev-parse --git-dir >/dev/null
	@git ls-files -z -- ':!*.lock' ':!*.svg' ':!*.zip' ':!*.png' | xargs -0 -n 300 -P 4 \
		.venv/bin/detect-secrets-hook --no-verify --plugin tests/support/key_detector.py \
		--disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString --disable-plugin IPPublicDetector \
		--exclude-secrets '^(secret|password|unused|TIDEPOOL_S3_(ACCESS|SECRET)_KEY|tp_0123abcd_A*)$$'

audit: $(READY) secrets ## Compare the lock files with known vulnerabilities; needs the network
	@.venv/bin/pip-audit --strict --disable-pip --no-deps $(addprefix --requirement ,requirements.lock docs/requirements.lock)

docs: $(READY) $(DOCS) ## Regenerate the tables in docs/ and the dashboards, and build the site
	@.venv/bin/python docs/generate.py
	@.venv/bin/python -m deploy.observability.dashboards
	@$(MAKE) --no-print-directory site

# `make test` does not regenerate: its tests notice what is stale.
site: $(DOCS) ## Build the site of docs/ strictly into build/docs
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

up: $(READY) ## Start the embedded stack; TIDEPOOL_PORT, TIDEPOOL_HOME, SCALE="inference=2 preprocess=2"
	@.venv/bin/tidepool up $(addprefix --scale=,$(SCALE))

down: $(READY) ## Stop the embedded stack
	@.venv/bin/tidepool down

status: $(READY) ## Show the embedded stack's processes
	@.venv/bin/tidepool status

lock: $(READY) ## Pin the newest versions that the requirements.in files allow
	@$(COMPILE) --output-file requirements.lock tests/requirements.in
	@sed -i 's/^\(torch==[^+]*\)+cpu/\1/' requirements.lock
	@for part in $(LOCKED); do \
		$(COMPILE) --constraint requirements.lock --output-file $$part/requirements.lock $$part/requirements.in && \
		sed -i 's/^\(torch==[^+]*\)+cpu/\1/' $$part/requirements.lock || exit; done

clean: ## Stop the stack, remove installed packages and caches; keep the stack's data
	@if [ -x .venv/bin/tidepool ]; then .venv/bin/tidepool down; fi
	@rm -rf .venv .venv-docs benchmarks/.venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info \
		clients/python/build clients/python/*.egg-info

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Tidepool needs Python 3.11 or newer. If it has another name here: make PYTHON=python3.12 demo'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call apt,python3-venv)
	@echo 'Setting up .venv; the first time takes a minute or two'
	@$(PYTHON) -m venv .venv
	@$(PIP) --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DOCS): docs/requirements.lock
	@echo 'Setting up .venv-docs'
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python $(INSTALL) --requirement docs/requirements.lock
	@touch $@

.PHONY: postgresql
postgresql:
	@[ -n "$(wildcard /usr/lib/postgresql/*/bin/initdb)" ] || $(call apt,postgresql)

.PHONY: haproxy
haproxy:
	@[ -x /usr/sbin/haproxy ] || $(call apt,haproxy)

.PHONY: wrk
wrk:
	@command -v wrk >/dev/null || $(call apt,wrk)

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || $(call apt,chromium)

# Of the package prometheus, whose service is not needed.
.PHONY: promtool
promtool:
	@command -v promtool >/dev/null || { $(call apt,prometheus); ! command -v systemctl >/dev/null || \
		systemctl disable --quiet --now prometheus 2>/dev/null || true; }

# Install a Debian package: directly as root, otherwise print the command.
apt = { if [ "$$(id -u)" = 0 ]; then echo 'Installing $(1) with apt' && apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	else echo 'Missing. Please run: sudo apt-get install $(1)'; exit 1; fi; }
