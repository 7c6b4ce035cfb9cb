# The recipes of the project, the same for developers and for CI. Each installs missing programs (scripts/setup.sh), as root or
# with sudo. Requires Debian 12 or later with Rust, git, make and gcc.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where rustup installs cargo, for shells that have not read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin

CARGO ?= cargo

# How long `make fuzz` runs each target, in seconds.
SECONDS = 60

# The documentation is for developers of the gateway: it includes private items, so that links to them work.
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
check: ## Check format, lints, documentation, links and dependencies
	scripts/setup.sh build lint docs
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	scripts/check-packages.sh
	$(DOC)
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources
	scripts/check-crates.sh
	tests/docs/check.sh

.PHONY: test
test: binaries ## Run all tests: unit tests, end-to-end tests with a real identity provider and clients, deployment files
	scripts/setup.sh test
	tests/clients/setup.sh
	tests/providers/setup.sh
	scripts/npm.sh tests/conformance tests/browser
	$(CARGO) test --locked --workspace --no-fail-fast
	tests/deploy/check.sh
	tests/bench/run.sh --check

.PHONY: unit
unit: ## Run only the unit tests: no binaries, no network, no Python or Node
	scripts/setup.sh build
	$(CARGO) test --locked --workspace --exclude e2e

# All packages together, so that their dependencies have the features with which `binaries` built them.
SUITES := --test e2e --test attacks --test clients --test browser --test corpus --test conformance --test reliability

.PHONY: e2e
e2e: binaries ## Run only the end-to-end tests (ARGS="--test NAME" for one suite)
	scripts/setup.sh test
	tests/clients/setup.sh
	tests/providers/setup.sh
	scripts/npm.sh tests/conformance tests/browser
	$(CARGO) test --locked --workspace $(if $(findstring --test,$(ARGS)),,$(SUITES)) $(ARGS)

.PHONY: conformance
conformance: ## Run the official MCP conformance suite against a server, directly and through the gateway, for each protocol version
	$(MAKE) e2e ARGS="--test conformance"

.PHONY: reliability
reliability: binaries ## Run the reliability tests at full length, with figures (ARGS=NAME for one scenario)
	RELIABILITY=full $(CARGO) test --locked --workspace --test reliability -- $(ARGS)

.PHONY: deploy-check
deploy-check: binaries ## Check the Kubernetes manifests and the Prometheus rules
	scripts/setup.sh test
	tests/deploy/check.sh

.PHONY: bench
bench: ## Measure the gateway against HAProxy, nginx, Envoy and no proxy, on one pinned core (ARGS=--scale: against sizes)
	scripts/setup.sh bench
	tests/bench/setup.sh
	tests/bench/run.sh $(ARGS)

.PHONY: fuzz
fuzz: ## Search for inputs that break a property, SECONDS=60 for each target (ARGS=target for one)
	scripts/setup.sh build fuzz
	gateway/core/fuzz/run.sh $(SECONDS) $(ARGS)

.PHONY: mutants
mutants: ## Run mutation tests of the core: list changes that no test detects (ARGS="--shard 0/40" for a part)
	scripts/setup.sh build mutants
	mkdir -p target
	$(CARGO) mutants --package mcp-gateway-core --output target $(ARGS)

.PHONY: advisories
advisories: ## Check the dependencies against the RustSec database (needs a network)
	scripts/setup.sh lint
	$(CARGO) deny --locked check advisories

##@ Documentation
.PHONY: docs
docs: ## Build the documentation site into target/site, and check every link
	scripts/setup.sh docs
	tests/docs/check.sh

.PHONY: reference
reference: ## Write docs/configuration.md and docs/why.md from the declared keys and the table of refusals
	UPDATE_DOCS=1 $(CARGO) test --locked --workspace --lib -- config::reference

##@ Ship
.PHONY: image
image: ## Build the container images from static binaries, with buildah
	scripts/setup.sh image
	scripts/image.sh

.PHONY: image-test
image-test: image ## Start the images in empty roots, and call the task server through the gateway
	$(CARGO) build --locked --workspace --example mint
	tests/deploy/image.py

.PHONY: acceptance
acceptance: ## What is too long for `make test`, with a summary at the end (ARGS="image-test fuzz" for a part)
	scripts/acceptance.sh $(ARGS)

##@ Housekeeping
.PHONY: clean
clean: ## Remove build results and the programs that the tests installed in this checkout
	$(CARGO) clean
	rm -rf .tools

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The end-to-end tests start these binaries. Binaries and tests are built together, so that they share one build of each dependency.
.PHONY: binaries
binaries:
	scripts/setup.sh build
	$(CARGO) build --locked --workspace --bins --tests
