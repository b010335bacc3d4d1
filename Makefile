# make test       what must pass before a commit: vet, staticcheck, every suite with the race detector, and
#                 a few seconds of fuzzing for the parsers of clients' text
# make test-full  the same, then ten minutes of mixed traffic against the description, govulncheck, and every
#                 fuzz target for FUZZTIME
# make build      static binaries in bin/
# make bench      every benchmark
# make fmt        gofmt, in place
# make deps       install what the tests need on this machine; test and test-full call it

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL: # recipes are scripts: one shell runs all their lines
.DELETE_ON_ERROR:
.PHONY: test test-full build bench fmt deps deps-system deps-node check suites vulnerabilities fuzz

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 60s
FUZZ ?= ^Fuzz

# Other people's programs that consume our streams and read our description in tests.
# Their packages are installed here and never committed.
FOREIGN := test/e2e/testdata/foreign api/testdata/redocly

# command:package, for Debian and Ubuntu. The race detector needs a C compiler.
NEEDED := redis-server:redis-server chromium:chromium nginx:nginx-light python3:python3 curl:curl gcc:build-essential
ifneq ($(wildcard $(FOREIGN:=/package.json)),)
NEEDED += node:nodejs npm:npm
deps-node: $(FOREIGN:=/node_modules)
endif

# In this order, even with make -j.
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
		echo "The tests need packages that this machine lacks. Install them and try again:" >&2
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

# Two lanes share the cores. The suites in test/ mostly wait: for a failover, a
# lease, or a browser. All others run beside them. In a lane one package follows
# the other (-p 1), because suites that start a Redis Cluster would starve each
# other. With -p 1 go test also builds one package at a time, so the build is first.
SUITE := go test -race -tags lockorder -vet=off -count=1 -p 1 -timeout 15m

suites:
	export CGO_ENABLED=1
	go build -race -o /dev/null ./...
	beside=$$(mktemp)
	trap 'rm -f "$$beside"' EXIT
	$(SUITE) ./test/... >"$$beside" 2>&1 & lane=$$!
	failed=0
	$(SUITE) $$(go list ./... | grep -v /test/) || failed=1
	wait $$lane || failed=1
	cat "$$beside"
	exit $$failed

# Exit code 3 is a finding. Any other code is a failure, too, unless the database is
# out of reach.
vulnerabilities:
	@out=$$(go tool govulncheck ./... 2>&1) && code=0 || code=$$?
	echo "$$out"
	if (( code == 1 )) && grep -q 'fetching vulnerabilities' <<<"$$out"; then
		echo "govulncheck skipped: its database is out of reach"
	else
		exit $$code
	fi

# Only packages that have a target are built. Go's fuzzer can lose a race with its
# own clock and fail when the time is up, although it found nothing: that is no
# failure.
fuzz:
	@for folder in $$(grep -rl --include='*_test.go' --exclude-dir=testdata '^func Fuzz' . | xargs -n 1 dirname | sort -u); do
		targets=$$(grep -hoE '^func Fuzz[A-Za-z0-9]*' "$$folder"/*_test.go | sed 's/^func //' | grep -E '$(FUZZ)' || true)
		for target in $$targets; do
			echo "$$folder $$target"
			out=$$(go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$folder" 2>&1) && continue
			grep -v '^fuzz: elapsed' <<<"$$out"
			grep -q '^    context deadline exceeded$$' <<<"$$out" || exit 1
			! grep -qE 'Failing input|_test\.go:|panic' <<<"$$out" || exit 1
			echo "the time is up: nothing found"
		done
	done
