# Everything a developer or CI needs, by name. `make` alone lists it.
#
#   ONCE=1      make demo ends by itself, with a status that says whether all went as shown
#   RELEASE=1   make demo builds with optimisation (slower to build, faster to run)
#   ARGS='…'    further arguments for `argosy demo`

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
ENVOY := .cache/envoy/envoy
PROFILE := $(if $(RELEASE),--release,)
BINARY := $(or $(CARGO_TARGET_DIR),target)/$(if $(RELEASE),release,debug)/argosy

.PHONY: help demo test check envoy bench fmt clean needs

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	echo
	echo "  make demo ONCE=1      the demo ends by itself and says by its status whether all went as shown"
	echo "  make demo RELEASE=1   the demo with an optimised binary"

demo: needs envoy ## the whole data path on this machine: two real Envoys, requests, a live edit, a bad edit
	@echo "building argosy (the first time takes some minutes)"
	$(CARGO) build $(PROFILE) --locked --bin argosy
	exec $(BINARY) demo --envoy $(ENVOY) $(if $(ONCE),--once,) $(ARGS)

test: needs envoy ## all tests, with real Envoys
	@$(CARGO) test --locked

check: needs ## the quick loop: format, clippy with warnings as errors, house rules, unit tests
	@$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --test tidy
	$(CARGO) test --locked --lib --bins

envoy: ## fetches the real Envoy into .cache/envoy, pinned by hash
	@hack/envoy.sh

bench: needs ## all benchmarks (release build)
	@$(CARGO) bench --locked

fmt: ## formats the code
	@$(CARGO) fmt

clean: ## removes what was built; the fetched Envoy stays in .cache
	@$(CARGO) clean

needs:
	@hack/needs.sh
