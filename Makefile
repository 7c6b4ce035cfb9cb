# The recipes of the project, the same for people and for CI. Each installs what it needs and is missing (scripts/setup.sh),
# from a bare Debian 12 with Rust, git, make and gcc on, as root or with sudo.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# rustup's place, for shells that have not read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin

CARGO ?= cargo

# How long `make fuzz` stays with each target.
SECONDS = 60

# The documentation is for those who work on the gateway: private items are in it, so links to them lead somewhere.
DOC = RUSTDOCFLAGS="-Dwarnings -Arustdoc::private_intra_doc_links" $(CARGO) doc --locked --no-deps --workspace --document-private-items

##@ Use
.PHONY: demo
demo: ## Start the example: a task server, the gateway in front of it, and a token to try it with (ARGS=--tls for https)
	scripts/setup.sh build
	$(CARGO) build --locked --profile demo -p mcp-gateway --bin mcp-gateway --no-default-features --features demo
	@exec "$${CARGO_TARGET_DIR:-target}/demo/mcp-gateway" demo $(ARGS)

##@ Work
.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: check
check: ## What must hold before a test is worth running: format, lints, docs, dependencies
	scripts/setup.sh build lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(DOC)
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources
	scripts/check-crates.sh

.PHONY: test
test: binaries ## All tests: unit tests, end to end with the real identity provider and clients, deployment files
	scripts/setup.sh test
	tests/clients/setup.sh
	tests/conformance/setup.sh
	$(CARGO) test --locked --workspace --no-fail-fast
	tests/deploy/check.sh

.PHONY: unit
unit: ## The unit tests alone: no binaries, no network, no Python or Node
	scripts/setup.sh build
	$(CARGO) test --locked --workspace --exclude e2e

.PHONY: e2e
e2e: binaries ## The end-to-end tests alone (ARGS="--test NAME" for one suite)
	scripts/setup.sh test
	tests/clients/setup.sh
	tests/conformance/setup.sh
	$(CARGO) test --locked -p e2e $(ARGS)

.PHONY: conformance
conformance: ## The official MCP conformance suite, straight at a server and through the gateway, version by version
	$(MAKE) e2e ARGS="--test conformance"

.PHONY: reliability
reliability: binaries ## What must hold while something fails, at full length, with figures (ARGS=NAME for one scenario)
	RELIABILITY=full $(CARGO) test --locked -p e2e --test reliability -- $(ARGS)

.PHONY: deploy-check
deploy-check: binaries ## The manifests, the image's recipe and the Prometheus rules
	scripts/setup.sh test
	tests/deploy/check.sh

.PHONY: bench
bench: ## Measure the gateway against HAProxy, nginx and no proxy at all, on one pinned core
	scripts/setup.sh bench
	tests/bench/run.sh $(ARGS)

.PHONY: fuzz
fuzz: ## Look for inputs that break a property, SECONDS=60 for each target (ARGS=target for one)
	scripts/setup.sh build fuzz
	gateway/core/fuzz/run.sh $(SECONDS) $(ARGS)

.PHONY: mutants
mutants: ## Change the core bit by bit, and tell which change no test notices (ARGS="--shard 0/40" for a part)
	scripts/setup.sh build mutants
	mkdir -p target
	$(CARGO) mutants --package mcp-gateway-core --output target $(ARGS)

.PHONY: advisories
advisories: ## Look our dependencies up in the RustSec database (needs a network)
	scripts/setup.sh lint
	$(CARGO) deny --locked check advisories

##@ Ship
.PHONY: image
image: ## Build the container images from static musl binaries, with buildah
	scripts/setup.sh image
	scripts/image.sh

##@ Housekeeping
.PHONY: clean
clean: ## Remove what was built and what the tests installed for themselves
	$(CARGO) clean
	rm -rf .tools

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The end-to-end tests start these. Building them together with the tests lets both share one build of every dependency.
.PHONY: binaries
binaries:
	scripts/setup.sh build
	$(CARGO) build --locked --workspace --bins --tests
