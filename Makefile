# Everything runs as root on Debian 12 or 13, in namespaces and folders of its own, and leaves nothing behind.

.PHONY: help demo test lint unit contract e2e lab lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ROUTER ?= fw3

demo:  ## the field case on a terminal, every line measured as it runs; ROUTER=fw4 for firewall4
	@tests/lab/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec .venv/py$$version/bin/python -m tests.demo $(ROUTER)

test:  ## all tests: lint, types, unit, contract, end to end, chaos
	@tests/run

lint:  ## ruff, mypy, import contracts, shellcheck
	@tests/lint

unit:  ## the quick tests, on one Python
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. .venv/py$$version/bin/python -m pytest -q tests/unit

contract:  ## the fake and the real kernel, in namespaces, on one Python
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. tests/contract/run .venv/py$$version/bin/python -m pytest -q tests/contract

e2e:  ## a real Docker Engine, real iptables, real connections
	@tests/lab/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. .venv/py$$version/bin/python -m pytest -q -n 2 --dist loadfile tests/e2e

lab:  ## a shell in the lab: the field case's router with Docker, until you leave it
	@tests/lab/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec .venv/py$$version/bin/python -m tests.lab

lock:  ## write requirements.txt anew from pyproject.toml
	@version=$$(tests/environments --first) && .venv/py$$version/bin/pip install -q uv && .venv/py$$version/bin/uv pip compile -q \
		--universal --generate-hashes --no-emit-index-url --no-header --python-version 3.10 --group dev pyproject.toml -o requirements.txt

clean:  ## remove environments, downloads and caches
	rm -rf .venv .cache .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.PHONY: abi

abi:  ## the contract tests with the libraries of iptables 1.8.7, 1.8.9 and 1.8.11 (Debian 11, 12, 13)
	@tests/lab/bootstrap
	@tests/abi

.PHONY: ipk install-openwrt

ipk:  ## dist/dmsfw_VERSION_all.ipk, the package for OpenWrt and iStoreOS
	@version=$$(tests/environments --first) && PYTHON=.venv/py$$version/bin/python init.d/package/build

install-openwrt:  ## copy the package to HOST=root@192.168.1.1 and install it there; shows first what it does
	@init.d/package/install "$(HOST)" "$$(ls dist/dmsfw_*_all.ipk 2>/dev/null | sort -V | tail -n 1)"

.PHONY: rulesets

COUNT ?= 100000

rulesets:  ## explain's model against the kernel on COUNT=100000 generated rulesets; ROUTER=fw4 for nftables
	@tests/lab/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec tests/contract/run .venv/py$$version/bin/python \
		-m tests.contract.trace_long --rulesets $(COUNT) --seed $(SEED) --router $(ROUTER)

.PHONY: bench

bench:  ## all figures of docs/performance.md, measured anew; ARGS="--quick events" for a part
	@tests/lab/bootstrap
	@python=$$(tests/bench/environment) && unset PYTHONDONTWRITEBYTECODE && \
		PYTHONPYCACHEPREFIX=$$PWD/.venv/bench/bytecode PYTHONPATH=daemon:. exec $$python -m tests.bench $(ARGS)

.PHONY: kill kills chaos writers machine

SECONDS ?= 600
SEED ?= 7

kill:  ## kill dmsfw at every call that changes the outside, and start it again: about ten minutes
	@tests/lab/bootstrap && tests/chaos/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec .venv/py$$version/bin/python -m tests.chaos.deaths

chaos:  ## a random walk of faults; SECONDS=600 SEED=7 ROUTER=fw4
	@tests/lab/bootstrap && tests/chaos/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec .venv/py$$version/bin/python -m tests.chaos \
		--router $(ROUTER) --seconds $(SECONDS) --seed $(SEED) $(ARGS)

kills:  ## kill dmsfw a thousand times at random, under load: about 20 minutes
	@tests/lab/bootstrap && tests/chaos/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec .venv/py$$version/bin/python -m tests.chaos.kills

machine:  ## the reconciler's state machine on fake tables, for 100,000 steps
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec .venv/py$$version/bin/python -m tests.chaos.machine

writers:  ## 100,000 foreign edits beside a busy dmsfw, counters under a flood, the lock's longest hold
	@tests/lab/bootstrap && tests/chaos/bootstrap
	@version=$$(tests/environments --first) && PYTHONPATH=daemon:. exec .venv/py$$version/bin/python -m tests.chaos.writers
