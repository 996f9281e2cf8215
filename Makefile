# Every target is safe to repeat and does its own set-up; the scripts say what they do.

.DEFAULT_GOAL := help
.PHONY: help build demo model test check-model mutants test-agents sim faults chaos sweep bench-hooks bench-restart lint fmt

AGENT ?=
DEMO_KEEP ?=
ARGS ?=
DEPTH ?= 4
ALL ?=
SEEDS ?=
FROM ?=
SEED ?=
STEPS ?=
JOBS ?=
SAME ?=
LINES ?=
ONLY ?=
REPORT ?=
MINUTES ?=
ACTS ?=
FAULTS ?=
STRIDE ?=
LAST ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the ao binary (target/debug/ao)
	cargo build --locked --package ao

demo: ## Sessions with different fates on a scratch repository (AGENT=claude-code or codex, DEMO_KEEP=1 keeps it for a look)
	@DEMO_KEEP='$(DEMO_KEEP)' scripts/demo$(if $(AGENT),-agent '$(AGENT)')

model: ## A stand-in model server for real agents, without an account (ARGS='--port 8390')
	@cargo run --locked --quiet --package ao-world --bin ao-model -- $(ARGS)

test: ## Run every test; installs tmux where that is possible (ARGS goes to the test runner)
	@scripts/test $(ARGS)

check-model: ## Walk through the rules and all that waits for them, deeper than the tests do (DEPTH=n)
	@MODEL_DEPTH='$(DEPTH)' cargo test --locked --release --package ao-core --test main model_check -- --nocapture

mutants: ## Mutation testing of the core: every survivor is explained (ARGS='--file crates/ao-core/src/react.rs', JOBS=n)
	@JOBS='$(JOBS)' scripts/mutants $(ARGS)

test-agents: ## Drive the real Claude Code and Codex against a stand-in model server (ALL=1: the long scenarios, too)
	@ALL='$(ALL)' scripts/test-agents $(ARGS)

sim: ## The simulated world: SEEDS=300 [FROM=k] histories, SEED=k one of them with its story, SAME=n again and again
	@cargo run --locked --quiet --profile sim --package ao-world --no-default-features --bin ao-sim -- \
	  SEEDS=$(SEEDS) FROM=$(FROM) SEED=$(SEED) STEPS=$(STEPS) JOBS=$(JOBS) SAME=$(SAME) LINES=$(LINES)

faults: ## Plant faults, one at a time, and see each noticed by its test (ONLY=07 or 07.2 picks some)
	@scripts/faults ONLY='$(ONLY)' REPORT='$(REPORT)'

chaos: ## Clients and disasters on the real daemon for MINUTES=10, then a look from outside (SEED=n, REPORT=1)
	@scripts/chaos MINUTES='$(MINUTES)' SEED='$(SEED)' REPORT='$(REPORT)'

sweep: ## Cut the real daemon short at its n-th write (ACTS=spawn,kill FAULTS=kill,nospace,io FROM=n STRIDE=n LAST=n REPORT=1)
	@scripts/sweep ACTS='$(ACTS)' FAULTS='$(FAULTS)' FROM='$(FROM)' STRIDE='$(STRIDE)' LAST='$(LAST)' REPORT='$(REPORT)'

outside: ## Faults outside of us at full length: a database held for a minute, 200 agents that die at once (LOCKED_S=n, VICTIMS=n)
	@LOCKED_S='$(LOCKED_S)' VICTIMS='$(VICTIMS)' scripts/outside

bench-hooks: ## How long an agent stands still for one of its hooks
	cargo bench --locked --package ao-world --bench hooks

bench-restart: ## How long a daemon needs after its start to know the truth about 500 sessions
	cargo bench --locked --package ao-world --bench restart

lint: ## Formatting, clippy, rustdoc and dependency rules, all without a warning
	@scripts/lint

fmt: ## Format the code
	cargo fmt --all
