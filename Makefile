# Every command sets this machine up first; `python3.11 -m local.setup` says what that is and does only what has changed.
# `exec` replaces make's shell, so that signals and make's own death reach the program.

PYTHON ?= python3.11
PORT_OFFSET ?= 0
seeds ?= 20
n ?= 300
seed ?= 1
network ?= simulated
faults ?= 1000
scale ?= 0.15
folder ?= out/pair
workers ?= 2
VENV := .venv/bin
export PYTHONPATH := $(CURDIR):$(CURDIR)/functions

.DEFAULT_GOAL := help
.PHONY: help setup deploy demo pair test cost bench faults chaos fuzz drills check format proto bump lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name what; do printf '%-24s %s\n' "$$name" "$$what"; done
	@printf '%-24s %s\n' '  make demo once=1' 'leaves after the first conversation' '  make demo real=1' 'over the real engine and a local WhatsApp server' '  make ... PORT_OFFSET=100' 'shifts every port of the demo'

setup: ## everything that the other commands need
	@$(call set_up,demo)

demo: ## one conversation live, then stays up; Ctrl-C ends it
	@$(call set_up,$(if $(filter-out 0 no,$(real)),test,demo))
	@exec $(VENV)/python -m local.demo --port-offset "$(PORT_OFFSET)" $(if $(filter-out 0 no,$(once)),--once) $(if $(filter-out 0 no,$(real)),--real)

deploy: ## to Google Cloud (project=ID; dry=1 prints every command and runs none; docs/deploy.md has the other parameters)
	@test -n "$(project)" || { echo "Name the project: make deploy project=ID" >&2; exit 2; }
	@$(if $(filter-out 0 no,$(dry)),,$(call set_up,demo))
	@exec $(if $(filter-out 0 no,$(dry)),$(PYTHON),$(VENV)/python) -m deploy --project "$(project)" --region "$(region)" --database "$(database)" --shards "$(shards)" --store "$(store)" \
		--admin "$(admin)" --account "$(account)" --tag "$(tag)" --image "$(image)" $(if $(filter-out 0 no,$(dry)),--dry)

pair: ## links a phone over the real WhatsApp, with a QR code in the terminal (folder=out/pair)
	@$(call set_up,pair)
	@exec $(VENV)/python -m local.pair --folder "$(folder)"

test: ## all tests (args="-k name" is passed to pytest; workers=2 at a time, each with servers of its own)
	@$(call set_up,test)
	@exec $(VENV)/python -m pytest -n "$(workers)" --dist loadscope --no-loadscope-reorder $(args)

cost: ## what a message costs: documents read and written, functions invoked
	@$(call set_up,test)
	@exec $(VENV)/python -m local.cost

faults: ## the promises under faults (seeds=20 n=300 seed=1 network=simulated|real; kinds=late,killed: only these; merges=1: chats whose LIDs become known)
	@$(call set_up,test)
	@exec $(VENV)/python -m local.faults --seeds "$(seeds)" --n "$(n)" --seed "$(seed)" --network "$(network)" $(if $(kinds),--kinds "$(kinds)") $(if $(merges),--merges)

chaos: network = real
chaos: seed = 7
chaos: ## connectors and engines killed and frozen while people converse (faults=1000 seed=7 network=real|simulated; kinds=frozen: only these)
	@$(call set_up,test)
	@exec $(VENV)/python -m local.chaos --faults "$(faults)" --seed "$(seed)" --network "$(network)" $(if $(kinds),--kinds "$(kinds)")

fuzz: seconds = 60
fuzz: store = postgres
fuzz: ## random and mutated stanzas thrown at a real engine (seconds=60 seed=1 store=postgres|sqlite)
	@$(call set_up,test)
	@exec $(VENV)/python -m tests.fuzz --seconds "$(seconds)" --seed "$(seed)" --store "$(store)"

drills: ## each cause that an operator may meet, provoked for real, timed and mended (only=gap,deaf scale=0.15 screens=FOLDER)
	@$(call set_up,test)
	@exec $(VENV)/python -m local.drills --scale "$(scale)" $(if $(only),--only "$(only)") $(if $(screens),--screens "$(screens)")

bench: ## how fast it is, beside the floor of the same minute; writes out/bench.json
	@$(call set_up,test)
	@exec $(VENV)/python -m local.bench

check: ## format, lint and types, Python, JavaScript and Go; generated code is up to date
	@$(call set_up,check)
	@exec $(VENV)/python -m local.check

format: ## formats and sorts what can be put right by a program
	@$(call set_up,check)
	@$(VENV)/ruff format --quiet .
	@$(VENV)/ruff check --quiet --fix .
	@node_modules/.bin/biome check --write .
	@$(VENV)/python -m local.go fmt ./...

proto: ## connector/contract/*_pb2* from engine.proto
	@$(call set_up,check)
	@exec $(VENV)/python -m local.contract

bump: ## another whatsmeow (version=v0.0.0-DATE-COMMIT), and whether the engine still does what it must with it
	@$(call set_up,test)
	@test -n "$(version)" || { echo "Name it: make bump version=v0.0.0-DATE-COMMIT" >&2; exit 1; }
	@$(VENV)/python -m local.go get go.mau.fi/whatsmeow@$(version)
	@$(VENV)/python -m local.go mod tidy
	@$(VENV)/python -m tests.whatsapp.build
	@exec $(VENV)/python -m pytest tests/engine tests/whatsapp tests/connector/test_real_engine.py

lock: ## requirements*.txt from requirements*.in, package-lock.json from package.json
	@$(call set_up,check)
	$(call compile,requirements-dev)
	$(call compile,functions/requirements,--constraint=requirements-dev.txt)
	$(call compile,requirements-go)
	$(call compile,connector/requirements,--constraint=requirements-dev.txt)
	npm install --package-lock-only --ignore-scripts --no-audit --no-fund
	cd local/firebase_tools && npm install --package-lock-only --ignore-scripts --no-audit --no-fund

clean: ## removes what set-up and runs have made
	rm -rf .venv functions/venv node_modules local/firebase_tools/node_modules .cache out .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define set_up
command -v $(PYTHON) >/dev/null || { echo "Threadline needs Python 3.11 as \`$(PYTHON)\` on PATH. Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
exec $(PYTHON) -m local.setup $(1)
endef

define compile
$(VENV)/pip-compile --quiet --allow-unsafe --generate-hashes --no-emit-find-links --no-emit-index-url --no-emit-trusted-host \
	--strip-extras $(2) --output-file=$(1).txt $(1).in
endef
