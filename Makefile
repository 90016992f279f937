# Every command; CI runs only these.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help setup demo test soak check fix docs bench lock

help: ## Show the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## Install what is missing: system packages, the locked environment, Kafka's jars
	@PYTHON=$(PYTHON) sh deploy/setup.sh

demo: setup ## Start everything, play the story, show the portal; ARGS=--exit stops at the end
	@$(BIN)/nplusx demo $(ARGS)

test: setup ## Run the whole suite; says what it skipped and why
	@sh deploy/test.sh $(ARGS)

soak: setup ## Run the long tests: landers and maintainers killed hundreds of times under load
	@$(BIN)/python -m pytest -m soak --durations=0 $(ARGS)

check: setup ## Format, lint, types, layers, generated pages: every step, failures counted
	@sh deploy/check.sh

fix: setup ## Mend what tools can mend
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format -q .

docs: setup ## Write docs/reference from contracts, tables, clauses and settings
	@$(BIN)/nplusx docs write

bench: setup ## Measure beside peers; ONLY=<id>, SIZE=small|full
	@$(BIN)/python -m bench --size $(or $(SIZE),small) $(if $(ONLY),--only $(ONLY))

lock: setup ## Resolve the dependencies anew into the two lock files
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet -o requirements.lock $(ARGS)
	@$(BIN)/uv pip compile pyproject.toml --extra edge --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet -c requirements.lock -o requirements-edge.lock
