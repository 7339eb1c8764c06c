# `make test` is the test of this project: whatever it does not run is not
# tested, and whatever is skipped has not passed.

GO         ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help test deps check unit fleet screenshots build bench load fmt clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

given := $(GOFLAGS)

# One set of flags for all steps compiles everything once. The race detector needs
# cgo. It is kept out of SQLite, which is C that a program turned into Go, of what
# computes password hashes, of the browser's protocol, which is types that a program
# wrote, of word lists and the like, which every start of Caddy makes before anything
# runs, and of the decision, which is pure and is tried on every input: it finds
# nothing there, and makes each step many times slower.
# A program under the race detector would sleep for a second before it ends, and ask
# for its many pages of memory one by one. GOFLAGS of the environment applies to every
# step.
test deps check unit: export CGO_ENABLED = 1
check unit: export GORACE = atexit_sleep_ms=0 no_huge_pages_for_shadow=0
check unit: export GOFLAGS := $(given) -race -ldflags=-w $(patsubst %,-gcflags=%=-race=false,\
	modernc.org/sqlite/lib github.com/chromedp/cdproto/... \
	github.com/ccojocar/zxcvbn-go/... github.com/alecthomas/chroma/v2/... golang.org/x/crypto/argon2 golang.org/x/crypto/blowfish github.com/caddymfa/gateway/caddymfa/mfa)

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
	GOFLAGS='$(given)' GOBIN=$(CURDIR)/.cache/bin $(GO) install $(STATICCHECK)
	.cache/bin/staticcheck ./... ./.ci/testall

# -count 1: Go would take the results of the last run for those of a program that
# tests build and drive, and that has changed since.
# What takes longest begins first, with what waits most beside it.
unit: ## every test, with the race detector; a skipped test fails
	TMPDIR=$$(.ci/memory) $(GO) run ./.ci/testall -vet=off -timeout 40m -count 1 -parallel 4 ./caddymfa/integration ./cmd/... ./caddymfa/storage/postgres ./... ./.ci/testall

fleet: ## the tests of several nodes, as often as the figures in docs/postgresql.md were taken
	$(GO) test -vet=off -v -count 1 -timeout 2h ./caddymfa/integration/fleet -trials 200 -rounds 1000 -pace 25ms

screenshots: ## take pictures of the pages, into screenshots/
	$(GO) test -vet=off -count 1 -run Journey ./caddymfa/integration -screenshots $(CURDIR)/screenshots

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
