# Everything here is one line that calls a script or a Go command; each can be used
# without make. Settings are given as variables: make upgrade KEEP=on-failure
# (make hands them on through the environment).

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Options for ginkgo run: make upgrade ARGS='--label-filter=glance'
ARGS ?=
AS_ROOT := go run -exec hack/as-root
CLOUD := $(AS_ROOT) ./hack/cloud

##@ Run

.PHONY: upgrade
upgrade: ## the whole upgrade: build the base cloud, upgrade it, prove it (ARGS= options for ginkgo)
	@hack/upgrade $(ARGS)

.PHONY: base
base: ## build and verify the base cloud, fill it, and keep it
	@KEEP=always hack/upgrade --label-filter=base $(ARGS)

.PHONY: target
target: ## upgrade the cloud that make base kept, and prove it
	@hack/upgrade --label-filter=target $(ARGS)

.PHONY: resource
resource: ## one phase of one project on the cloud that is there: P=glance PHASE=verify
	@: "$${P:?which project? make resource P=glance PHASE=verify}" \
	   "$${PHASE:?which phase? make resource P=glance PHASE=verify}"
	@hack/upgrade --label-filter="$$P && $$PHASE" $(ARGS)

.PHONY: dry-run
dry-run: ## the plan: every row of a run; touches nothing
	@hack/upgrade --dry-run -v $(ARGS)

.PHONY: shell
shell: ## a shell in the kept cloud
	@$(CLOUD) shell

.PHONY: clean
clean: ## remove the cloud and whatever a killed run left
	@$(CLOUD) clean

.PHONY: clean-cache
clean-cache: ## remove the cached package roots
	@$(CLOUD) clean-cache

##@ Work on this project

.PHONY: test
test: ## go vet and all tests, with the race detector
	@hack/test

.PHONY: test-checks
test-checks: ## the native checks on a real cloud: each thing they compare is broken once (long)
	@hack/as-root hack/test-checks $(ARGS)

.PHONY: test-openstack-cli
test-openstack-cli: ## the openstack that a node keeps loaded against the installed one, on a real cloud (long)
	@hack/as-root hack/test-openstack-cli $(ARGS)

.PHONY: lint
lint: ## every hack/verify-*: Go, shell, modules, layout
	@hack/lint

.PHONY: ci
ci: ## what CI does: lint, upgrade, test
	@.ci/run

.PHONY: kill
kill: ## kill -9 in every phase, and nothing is left (resumable, long; ARGS=-h)
	@$(AS_ROOT) ./hack/kill $(ARGS)

.PHONY: sabotage
sabotage: ## break the cloud from outside, and the right row turns red (resumable, long; ARGS=-h)
	@$(AS_ROOT) ./hack/sabotage $(ARGS)

.PHONY: clouds
clouds: ## a cloud through its owner's commands; upstream's plugins and grenade.sh (resumable, long; ARGS='-grenade DIR')
	@$(AS_ROOT) ./hack/clouds $(ARGS)

.PHONY: bench
bench: ## what this project costs a run: plugins that do nothing, and the store (ARGS='-thousand -tree DIR -grenade DIR')
	@go run ./hack/bench $(ARGS)

.PHONY: compare
compare: ## public plugins under upstream's shell and under ours, side by side (ARGS='-grenade DIR -devstack DIR -tools DIR CHECKOUT...')
	@go run ./hack/compare $(ARGS)

##@ Write a plugin

.PHONY: plugin-check
plugin-check: ## what is wrong with a plugin, from its text alone (DIR='DIR...', ARGS='-tree DIR -brief', ARGS=-rules)
	@hack/plugin-check $(ARGS) $(DIR)

##@ Help

.PHONY: help
help: ## this text
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
