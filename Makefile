# `make test` is the test of this project: whatever it does not run is not
# tested, and whatever is skipped has not passed.

GO         ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help test deps check unit fleet build bench load fmt clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The race detector needs cgo, and one setting for all steps compiles
# everything once. GOFLAGS of the environment applies to every step.
test deps check unit: export CGO_ENABLED = 1

# SQLite is C that a program turned into Go. The race detector finds nothing
# about us in it, and would make each of its steps many times slower.
unit: export GOFLAGS := $(GOFLAGS) -gcflags=modernc.org/sqlite/lib=-race=false

test: ## install what is missing, check the code, run every test
	@.ci/deps
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory unit

deps: ## install what the tests need
	@.ci/deps

check: ## gofmt, go vet and staticcheck
	@files=$$(gofmt -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "not formatted; run 'make fmt':" >&2; echo "$$files" >&2; exit 1; fi
	$(GO) vet ./... ./.ci/testall
	$(GO) run $(STATICCHECK) ./... ./.ci/testall

unit: ## every test, with the race detector; a skipped test fails
	TMPDIR=$$(.ci/memory) $(GO) run ./.ci/testall -race -vet=off -timeout 40m ./... ./.ci/testall

fleet: ## the tests of several nodes, as often as the figures in docs/postgresql.md were taken
	$(GO) test -vet=off -v -count 1 -timeout 2h ./caddymfa/integration/fleet -trials 200 -rounds 1000

build: ## build bin/caddy, with Caddy's standard modules and this one
	$(GO) build -o bin/caddy ./cmd/caddy

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

load: ## measure a full store against an empty one; LOAD="-accounts 100000 -users 1000000 -probes 200" is the full size
	$(GO) run ./cmd/load $(LOAD)

fmt: ## format the code
	gofmt -w .

clean: ## remove what was built, and the screenshots
	rm -rf bin screenshots
