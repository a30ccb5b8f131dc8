# What people and CI run, nothing else. `make` alone lists it.
#
#   make demo        bring everything up on the local cluster and send real mail
#   make demo-down   remove the demo and the local cluster
#   make test        every test: unit, the failover model, a real S3 server, a real OpenLDAP, a real restic, a real API server, end to end on the local cluster
#   make model       search the failover model with three faults: hours, and much memory (MINUTES=n ends it earlier)
#   make test-failover  every fault of stores, nodes and the control plane, under load: half an hour (make test has the main ones)
#   make chaos       faults by chance under load, round by round, on the local cluster (CHAOS_ROUNDS=n, CHAOS_SEED=n)
#   make lint        formatting, clippy, shellcheck
#   make generate    write the generated files: crds/ and the chart's copy
#   make bench       measure; docs/benchmarks.md has the figures
#   make deny        licences, sources and advisories of the dependencies
#
# CLUSTER=current uses the cluster of the current kubeconfig instead, with IMAGE_PREFIX=registry/path to push images to.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

CACHE := $(or $(MAIL_OPERATOR_CACHE),$(HOME)/.cache/mail-operator)
# Kept outside the checkout, so that a fresh clone compiles only what is its own; cargo itself keys each unit by a hash
# of its inputs.
export CARGO_TARGET_DIR ?= $(CACHE)/target
export CARGO_TERM_COLOR ?= never
CLUSTER ?= local
export CLUSTER PROFILE
# What follows works on the cluster that cluster/install prepared.
ON_CLUSTER = $(if $(filter current,$(CLUSTER)),,KUBECONFIG=$$(cluster/cluster kubeconfig))

.PHONY: help demo demo-down test test-unit test-model test-journal test-ldap test-backup test-apiserver test-e2e test-failover model chaos lint generate bench deny
help:
	@sed -n 's/^#   //p' Makefile

demo:
	@cluster/install
	@cluster/demo

demo-down:
	@cluster/demo down

# In order of cost, so that what is wrong shows early. The e2e suite needs the local cluster with the operator on it.
test: test-unit test-model test-journal test-ldap test-backup test-apiserver test-e2e

test-unit:
	cargo test --locked --lib --bins --test crds

# Every state that two faults lead to, and a violation for each rule taken away: two minutes on one core.
test-model:
	cargo test --locked --release --manifest-path tests/model/Cargo.toml --test two_faults --test mutants

model:
	cargo run --locked --release --manifest-path tests/model/Cargo.toml -- 3 $(MINUTES)

# The journal's writer on a real S3 server.
test-journal:
	cluster/cluster deps
	cluster/cluster s3 >/dev/null
	cargo test --locked --test journal

# Log-ins with passwords that a real OpenLDAP knows.
test-ldap:
	cluster/cluster deps
	cargo test --locked --test ldap

# Backups with the stock restic, on folders and on a real S3 server.
test-backup:
	cluster/cluster deps
	cluster/cluster restic >/dev/null
	cluster/cluster s3 >/dev/null
	cargo test --locked --test backup

test-apiserver:
	cluster/cluster build
	cargo test --locked --test apiserver --test examples

test-e2e:
	cluster/install
	cluster/cluster s3 >/dev/null
	$(ON_CLUSTER) cargo test --locked --test e2e

# All of what `make test` has the main ones of.
test-failover:
	cluster/install
	cluster/cluster s3 >/dev/null
	$(ON_CLUSTER) cargo test --locked --test e2e failover:: -- --include-ignored --skip chaos::whatever

# The seed that it prints repeats a run.
chaos:
	cluster/install
	cluster/cluster s3 >/dev/null
	$(ON_CLUSTER) cargo test --locked --test e2e failover::chaos -- --ignored

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo fmt --check --manifest-path tests/model/Cargo.toml
	cargo clippy --locked --all-targets --manifest-path tests/model/Cargo.toml -- -D warnings
	! command -v cargo-deny >/dev/null || cargo deny --locked --offline check licenses bans sources
	! command -v shellcheck >/dev/null || shellcheck -S warning -x -P cluster -P images cluster/cluster cluster/install cluster/demo images/build images/base .ci/run

generate:
	@rm -rf crds charts/mail-operator/files/crds && mkdir -p crds charts/mail-operator/files
	cargo run --locked --quiet --bin mail-operator -- crds --output crds
	cp -r crds charts/mail-operator/files/crds

bench:
	PROFILE=release cluster/install
	cluster/cluster s3 >/dev/null
	cluster/cluster restic >/dev/null
	$(ON_CLUSTER) cargo bench --locked --bench mail --bench backup

deny:
	cargo deny check
