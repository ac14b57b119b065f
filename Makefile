# Two commands: `make serve` and `make test`. On Debian or Ubuntu they need python3 (3.11 to 3.13, with venv)
# and make; everything else is installed, locked, into .venv.
.DEFAULT_GOAL := help
# Without the rules that make brings along, by which `make install` would copy install.sh to a file of that name.
MAKEFLAGS += --no-builtin-rules
.PHONY: help serve node cluster test test-slow test-cluster test-scaling test-image test-tools bench bench-guard bench-gpu soak check k8s ratchet inspect key status deploy add remove format lock proto

CONFIG ?= configs/app.yaml
VENV := .venv
BIN := $(VENV)/bin
LAUNCH := $(BIN)/python -m serve_app.launch

# A stamp says which set of dependencies is in the environment; it is older than what it was made from when a
# lock has changed. The test set holds the base set, so it satisfies both.
BASE := $(VENV)/.installed-base
TEST := $(VENV)/.installed-test
SOURCES := install.sh pyproject.toml
CLIENT := client/pyproject.toml

# Two processes take about half the time of one. Tests marked `alone` run afterwards, with nothing beside them.
JOBS ?= 2
# COVERAGE=yes measures coverage and keeps its floor; before Python 3.12 that takes half as long again as the tests.
COVERAGE ?=
MINUTES ?= 30
PYTEST := $(BIN)/python -m pytest -q

SCRIPTS := install.sh requirements/lock.sh .ci/run hpc/serve.sbatch tests/image/enter.sh

# What tests share belongs into a module that is no test. A ratchet: the number only goes down.
TEST_IMPORTS = $(shell grep -rhE '^(from|import) tests\.([a-z0-9_]+\.)*test_' tests --include='*.py' | wc -l)
MOST_TEST_IMPORTS := 0

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(BASE) ## run the system in the foreground (CONFIG=..., ARGS=--verbose); Ctrl-C stops it
	@exec $(LAUNCH) serve $(CONFIG) $(ARGS)

node: $(BASE) ## make this machine a node of a Ray cluster: make node ARGS=--head, or ARGS="--address HOST:6379"
	@exec $(LAUNCH) node $(ARGS)

cluster: $(TEST) ## a Ray cluster of three nodes on this machine, to look at (root; CONFIG=tests/cluster/system.yaml)
	@exec $(BIN)/python -m tests.cluster $(if $(filter file,$(origin CONFIG)),tests/cluster/system.yaml,$(CONFIG))

test: $(TEST) ## run the everyday tests (JOBS=2: processes beside each other; COVERAGE=yes)
	$(PYTEST) -m "not slow and not cluster and not image and not scaling and not tools and not alone" -n $(JOBS) --dist loadfile $(if $(COVERAGE),--cov --cov-report=)
	$(PYTEST) -m "not slow and not cluster and not scaling and alone"

SLOW := tests/system tests/redis_bridge/delivery
# In the order of their files: the longest come first then.
test-slow: $(TEST) ## run the tests that take minutes: processes killed one by one, hostile uploads
	$(PYTEST) -m "slow and not alone" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(SLOW)
	$(PYTEST) -m "slow and alone and not scaling" $(SLOW)

# In this order, as the script for SLURM wants a machine without Ray.
test-cluster: $(TEST) ## run the tests on three nodes in network namespaces (root): nodes killed and drained under load
	$(PYTEST) -m cluster tests/hpc tests/cluster

test-scaling: $(TEST) ## run the tests of 18 models on one GPU's shares, of growing under load, of two doors, cold starts, revisions and stalled clients
	$(PYTEST) -m scaling tests/system

test-tools: $(TEST) ## run the tests with the clients of other tools, each installed from PyPI (Triton, CVAT, ...)
	$(PYTEST) -m tools -n $(JOBS) --dist loadfile tests/tools

test-image: $(TEST) ## build the container's image without an engine and run it (as root; buildah, debootstrap)
	$(PYTEST) -m image tests/image

check: $(TEST) ## formatting, lint, types, import rules, sizes, dead code, Dockerfile, scripts, configuration files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/loq check
	$(BIN)/vulture
	@echo "imports of test files by test files: $(TEST_IMPORTS), at most $(MOST_TEST_IMPORTS)"
	@test $(TEST_IMPORTS) -le $(MOST_TEST_IMPORTS)
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck $(SCRIPTS)
	$(LAUNCH) check

ratchet: $(TEST) ## lower the limits of files that have become shorter
	$(BIN)/loq tighten

inspect: $(BASE) ## say what a file of weights is, and print a block that serves it: make inspect FILE=best.pt > best.yaml
	@$(LAUNCH) inspect $(or $(FILE),$(error FILE=best.pt is missing))

key: $(BASE) ## make an API key: make key NAME=laptop SCOPES=predict (ARGS="--expires 2027-01-31"); docs/security.md
	@$(BIN)/python -m serve_app.access $(or $(NAME),$(error NAME=... is missing)) --scopes $(or $(SCOPES),$(error SCOPES=predict is missing)) $(ARGS)

status: $(BASE) ## one line for each application of the running system
	@$(LAUNCH) status

deploy: $(BASE) ## apply a changed configuration to the running system (CONFIG=configs/app.yaml)
	@$(LAUNCH) deploy $(CONFIG)

add: $(BASE) ## add one model to the running system: make add MODEL=NAME (of configs/fathomnet.yaml) or FILE.yaml
	@$(LAUNCH) add $(or $(MODEL),$(error MODEL=NAME or MODEL=FILE.yaml is missing))

remove: $(BASE) ## remove one model from the running system: make remove MODEL=second-demo
	@$(LAUNCH) remove $(or $(MODEL),$(error MODEL=NAME is missing))

k8s: $(BASE) ## write those parts of the Kubernetes manifests that follow from configs/*.yaml
	@$(BIN)/python -m k8s.generate

bench: $(TEST) ## measure beside a hand-written server, plain Ray Serve and the legacy design (ARGS=--quick)
	$(BIN)/python -m benchmarks $(ARGS)

bench-guard: $(TEST) ## under 6 minutes of an idle machine: has anything become slower? ratios, each with a floor
	$(BIN)/python -m benchmarks.guard $(ARGS)

bench-gpu: $(TEST) ## images a second on a GPU, bare and over HTTP, by batch size and replicas (ARGS="--gpus 0": without)
	$(BIN)/python -m benchmarks.gpu $(ARGS)

soak: $(TEST) ## load for MINUTES=30 while processes are killed: is anything lost? (CLUSTER=yes: nodes, as root)
	$(BIN)/python -m $(if $(CLUSTER),tests.cluster.soak,benchmarks.soak) --minutes $(MINUTES) $(ARGS)

format: $(TEST) ## format the code and fix what lint can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

PROTO := serve_app/faces/open_inference/grpc
PROTO_INTO ?= $(PROTO)
proto: $(TEST) ## write the Python modules of the messages of gRPC anew, after a change of their .proto
	@$(BIN)/python -m grpc_tools.protoc -I $(PROTO) --python_out=$(PROTO_INTO) --pyi_out=$(PROTO_INTO) open_inference.proto

lock: ## write requirements/*.lock anew (needs uv: https://docs.astral.sh/uv)
	./requirements/lock.sh

$(BASE): $(SOURCES) requirements/base.lock
	@if [ -e $(TEST) ]; then ./install.sh $(VENV) test && touch $(TEST); else ./install.sh $(VENV) base; fi
	@touch $@

$(TEST): $(SOURCES) $(CLIENT) requirements/test.lock
	@./install.sh $(VENV) test
	@touch $(BASE) $@
