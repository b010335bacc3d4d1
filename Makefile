# make test       what must pass before a commit: vet, staticcheck, every suite with the race detector, and
#                 what strangers' texts meet fuzzed for a moment
# make test-full  the same, then ten minutes of mixed traffic held to the description, govulncheck and every fuzz target for FUZZTIME
# make build      static binaries in bin/
# make bench      every benchmark
# make fmt        gofmt, in place
# make deps       what the tests need on this machine; test and test-full call it

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL: # recipes are scripts: one shell runs all their lines
.DELETE_ON_ERROR:
.PHONY: test test-full build bench fmt deps deps-system deps-node check suites vulnerabilities fuzz

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 60s
FUZZ ?= ^Fuzz

# Programs of other people that consume our streams in tests, and that read our
# description; their packages are installed here and never committed.
FOREIGN := test/e2e/testdata/foreign api/testdata/redocly

# command:package, for Debian and Ubuntu. The race detector needs a C compiler.
NEEDED := redis-server:redis-server chromium:chromium nginx:nginx-light python3:python3 curl:curl gcc:build-essential
ifneq ($(wildcard $(FOREIGN:=/package.json)),)
NEEDED += node:nodejs npm:npm
deps-node: $(FOREIGN:=/node_modules)
endif

# In this order, also under make -j.
test: deps
	$(MAKE) check
	$(MAKE) suites
	$(MAKE) fuzz FUZZTIME=5s FUZZ='^(FuzzParseSecret|FuzzToken|FuzzParseQuery|FuzzCompile)$$$$'

test-full: test
	go test -count=1 -run '^TestTrafficFitsTheDescription$$' -timeout 20m ./api -args -traffic 10m
	$(MAKE) vulnerabilities
	$(MAKE) fuzz

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

bench:
	go test -p 1 -run '^$$' -bench . -benchmem ./...

fmt:
	gofmt -w .

deps: deps-system deps-node

deps-system:
	@missing=()
	for needed in $(NEEDED); do
		command -v "$${needed%%:*}" >/dev/null || missing+=("$${needed##*:}")
	done
	/usr/bin/python3 -c 'import redis' 2>/dev/null || missing+=(python3-redis)
	php -m 2>/dev/null | grep -q '^redis$$' || missing+=(php-cli php-redis)
	(( $${#missing[@]} )) || exit 0
	if (( EUID == 0 )) && command -v apt-get >/dev/null; then
		echo "installing $${missing[*]}"
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -q
		apt-get install -q -y --no-install-recommends "$${missing[@]}"
	else
		echo "The tests need what this machine lacks. Install it, then try again:" >&2
		echo "  sudo apt-get install -y $${missing[*]}" >&2
		exit 1
	fi

deps-node: deps-system

$(FOREIGN:=/node_modules): %/node_modules: %/package-lock.json | deps-system
	cd $*
	npm ci --no-audit --no-fund
	touch node_modules

check:
	@unformatted=$$(gofmt -l .)
	if [[ -n $$unformatted ]]; then
		echo "not formatted, run make fmt:" $$unformatted >&2
		exit 1
	fi
	go vet ./...
	go tool staticcheck ./...

# One package at a time (-p 1): suites that start a Redis Cluster would starve
# each other. It would also build one package at a time, so that comes first.
suites:
	export CGO_ENABLED=1
	go build -race -o /dev/null ./...
	go test -race -vet=off -count=1 -p 1 -timeout 15m ./...

# Exit code 3 is a finding. Anything else that fails is a failure too, unless
# it is the database that could not be had.
vulnerabilities:
	@out=$$(go tool govulncheck ./... 2>&1) && code=0 || code=$$?
	echo "$$out"
	if (( code == 1 )) && grep -q 'fetching vulnerabilities' <<<"$$out"; then
		echo "govulncheck skipped: its database is out of reach"
	else
		exit $$code
	fi

# Go's fuzzer can lose a race with its own clock and fail when the time is up,
# having found nothing: that alone is let pass.
fuzz:
	@for package in $$(go list ./...); do
		targets=$$(go test -list '$(FUZZ)' "$$package" | grep '^Fuzz' || true)
		for target in $$targets; do
			echo "$$package $$target"
			out=$$(go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" 2>&1) && continue
			grep -v '^fuzz: elapsed' <<<"$$out"
			grep -q '^    context deadline exceeded$$' <<<"$$out" || exit 1
			! grep -qE 'Failing input|_test\.go:|panic' <<<"$$out" || exit 1
			echo "the time was up: nothing was found"
		done
	done
