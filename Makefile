# `make demo` and `make test` set up what they need on a fresh Debian 12 machine; both need root.
VENV := .venv
APT := busybox bind9-dnsutils conntrack curl dnsmasq-base dnsmasq-utils iproute2 iputils-ping libnftables1 \
       netcat-openbsd nftables openssl procps strace tcpdump
STAMP := $(VENV)/.vrouter-ready
CORE := tests --ignore=tests/system --ignore=tests/lab --ignore=tests/agent --ignore=tests/bench --ignore=tests/docs

# pytest with a place of its own for temporary files, which goes with it.
define pytest
@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && PYTEST_DEBUG_TEMPROOT=$$place $(VENV)/bin/pytest -q -n 3 $(1)
endef

.PHONY: setup demo test check unit laws system oracle docs bench bench-quick clean

setup: $(STAMP)

$(STAMP): pyproject.toml Makefile
	@test "$$(id -u)" = 0 || { echo "make: this needs root, for packages and network namespaces: run it with sudo" >&2; exit 1; }
	@echo "== setting up: Debian packages and the virtual environment $(VENV)"
	@missing=$$(for package in $(APT); do dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q '^install ok' \
	  || echo $$package; done); \
	if [ -n "$$missing" ]; then apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; fi
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat -e '.[dev]'
	@touch $(STAMP)

demo: setup
	@echo "== a router, its guests and the world around it, on this machine: vrouter lab demo"
	$(VENV)/bin/vrouter lab demo

test: check unit system

check: setup
	@echo "== lint, format, types, import contracts"
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

unit: setup
	@echo "== the pure core: unit tests, golden cases, laws"
	$(call pytest,$(CORE))

system: setup
	@echo "== the lab: real kernel, daemons and packets; the agent: crashes, storms, drift; the examples of the docs"
	$(call pytest,tests/lab tests/system tests/agent tests/docs)

laws: setup
	@echo "== the laws of the pure core, on new examples, thirty times as many"
	VROUTER_SEARCH=30 $(VENV)/bin/pytest -q -n auto --timeout 3600 -m hypothesis $(CORE)

oracle: setup
	@echo "== the kernel against vrouter explain, 20 000 new packets"
	VROUTER_SEARCH=1 VROUTER_ORACLE_PACKETS=20000 $(VENV)/bin/pytest -q -s tests/system/test_oracle.py

docs: setup
	@echo "== what docs/ takes from the code: references, values of the architecture page"
	$(VENV)/bin/python -m tests.docs.generate

bench: setup
	@echo "== benchmarks: a table here, build/bench.json and build/bench.svg"
	$(VENV)/bin/python -m tests.bench

bench-quick: setup
	$(VENV)/bin/python -m tests.bench --quick

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
