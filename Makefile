# Firewatch. `make` builds, `make help` lists the targets.
#
# Each target sets up what it needs on a Debian machine that has only Rust. Build output and the
# compiled RocksDB live outside the checkout, below CACHE.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

export CACHE ?= $(HOME)/.cache/firewatch
export CARGO_TARGET_DIR ?= $(CACHE)/target
# Programs that are installed come first, those that set-up unpacked last.
export PATH := $(PATH):$(HOME)/.cargo/bin:$(CACHE)/tools/bin

# Of `make fuzz`: seconds for each target, targets (all, if none), a file of texts to start from
TIME ?= 60
FUZZ ?=
SEEDS ?=

# Options of `cargo xtask bench all`
BENCH ?= --percent=5

# Flags for the server: make run ARGS='--web.listen-address=:9091'
ARGS ?=

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
STAGE := .ci/stage
XTASK := $(CARGO_TARGET_DIR)/release/xtask

.PHONY: run build test lint lint-style bench fuzz help env clean setup-build setup-test setup-bench rocksdb

run: build ## Build and start the server; it scrapes itself and keeps its data in ./data
	@echo "Firewatch serves on http://localhost:9090 unless the log below names another address."
	@echo "Try: curl -s 'localhost:9090/api/v1/query?query=up'"
	@exec bin/firewatch $(ARGS)

build: rocksdb ## Build bin/firewatch
	@$(STAGE) "build firewatch" cargo build --release --bin firewatch
	@install -D -m 755 "$(CARGO_TARGET_DIR)/release/firewatch" bin/firewatch

test: setup-test build ## Run every test, also against Debian's Prometheus
	@$(STAGE) "build xtask" cargo build --release --bin xtask
	@FIREWATCH_BIN="$(CURDIR)/bin/firewatch" $(STAGE) "cargo test" cargo test --workspace
	@$(STAGE) "promqltest" "$(XTASK)" promqltest compat-tests/promql
	@$(STAGE) "promqltest restart" "$(XTASK)" promqltest --restart compat-tests/promql
	@XTASK="$(XTASK)" $(STAGE) "conformance" .ci/conformance

# What needs no RocksDB comes first, so that it fails first.
lint: lint-style rocksdb $(CARGO_DENY) ## Check format, lints, house rules and licences
	@$(STAGE) "deny" "$(CARGO_DENY)" --config .ci/deny.toml check --hide-inclusion-graph licenses bans sources
	@$(STAGE) "clippy" cargo clippy --workspace --all-targets -- -D warnings

lint-style: setup-build
	@$(STAGE) "fmt" cargo fmt --all -- --check
	@$(STAGE) "tidy" cargo run --quiet -p tidy

bench: setup-bench build ## Measure the server beside its peers, a twentieth of docs/benchmarks.md; BENCH=--percent=100 for all
	@$(STAGE) "bench codecs" cargo bench --quiet -p chunkenc -p remote
	@$(STAGE) "bench servers" cargo xtask bench all $(BENCH)

fuzz: setup-build ## Fuzz for TIME=60 seconds each; FUZZ='promql query' chooses, SEEDS=FILE starts from lines
	@TIME="$(TIME)" SEEDS="$(SEEDS)" .ci/fuzz $(FUZZ)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: ## Print shell settings that share the compiled RocksDB with another checkout
	@.ci/rocksdb env

clean: ## Remove build output; the compiled RocksDB stays
	@rm -rf bin "$(CARGO_TARGET_DIR)"

setup-build:
	@.ci/setup build

setup-test:
	@.ci/setup test

setup-bench:
	@.ci/setup bench

rocksdb: setup-build
	@.ci/rocksdb

# Not optimised: it runs for a second and compiles in a third of the time.
$(CARGO_DENY): | setup-build
	@CARGO_TARGET_DIR="$(CACHE)/cargo-deny-build" CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_DEV_OPT_LEVEL=0 \
		$(STAGE) "install cargo-deny" cargo install --quiet --locked --debug \
		--root "$(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)" cargo-deny --version =$(CARGO_DENY_VERSION)
	@rm -rf "$(CACHE)/cargo-deny-build"
