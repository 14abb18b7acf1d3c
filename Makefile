# oncegate: one-time upload URLs for S3, enforced at CloudFront's edge.
# Needs Go, Node with npm, and make; everything else is fetched, pinned, once.

CONFIG ?= config.json
FUZZTIME ?= 10s
GO ?= go
# The same commit gives the same bytes with the same compiler, which go.mod names; the
# go command fetches it where another one is installed.
export GOTOOLCHAIN := $(shell sed -n 's/^toolchain //p' go.mod)

# The race detector needs a C compiler on Linux.
RACE := $(if $(shell command -v cc gcc clang 2>/dev/null),-race)

# Of this tree alone: two trees that fill one cache can break each other's tests.
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CURDIR)/build/tools/jsii

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VERSITYGW := build/tools/versitygw
STATICCHECK := build/tools/staticcheck
GOVULNCHECK := build/tools/govulncheck
NPM := node_modules/.package-lock.json
BENCH_PEERS := bench/node_modules/.package-lock.json
UPPY := examples/uppy/node_modules/.package-lock.json
CLIENTS := internal/evidence/clients/testdata/node_modules/.package-lock.json
CLI := bin/oncegate
INFRA := bin/oncegate-infra
TEMPLATES := build/cdk.out/manifest.json
# Set when the recipes run, for npm brings them.
NODE22 = $$(echo node_modules/node22-*/bin/node)
NODE24 = $$(echo node_modules/node24-*/bin/node)
RUNTIME = $(shell sed -n 's/.*"runtime"[[:space:]]*:[[:space:]]*"\([a-z]*\)".*/\1/p' '$(CONFIG)' 2>/dev/null)
REGIONAL := build/stub/index.mjs build/stub/page.mjs build/stub/page.json build/stub/settings.json build/stub/config.json \
	build/regional/bootstrap build/regional/config.json build/local/regional/bootstrap build/local/regional/config.json
# The Go program of acceptance, for Lambda and for this machine.
ACCEPT := build/accept/bootstrap build/accept/config.json build/local/accept/bootstrap build/local/accept/config.json
# What the settings ask for besides the edge.
WANTED = $(if $(filter regional,$(RUNTIME)),$(REGIONAL)) $(if $(shell grep -s '"acceptance"' '$(CONFIG)'),$(ACCEPT))
EDGE := build/edge/oncegate.wasm build/edge/oncegate-jwt.wasm build/edge/index.mjs build/edge/wasm_exec.js \
	build/edge/page.mjs build/edge/page.json build/edge/config.json

# Go files that a program can be made of. Package evidence is no part of any.
GOFILES := $(shell find cmd edge internal -name '*.go' -not -name '*_test.go' -not -path 'internal/evidence/*' 2>/dev/null)
GOMOD := go.mod go.sum

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "CONFIG=path selects another settings file (now $(CONFIG))."

##@ Everyday

.PHONY: dev
dev: build $(VERSITYGW) $(TEMPLATES) ## run it on this machine: CloudFront, Lambda and S3 played locally (PORT=n, now 8080)
	@$(CLI) dev --config '$(CONFIG)'

.PHONY: build
build: $(NPM) $(CLI) $(EDGE) $(WANTED) ## bin/oncegate, and build/edge, the directory that becomes the Lambda zip

# All that the tests run.
BUILT := build regional accept tools examples clients $(TEMPLATES)
.PHONY: test
test: $(BUILT) ## everything: unit, wasm, real Node, real S3 server, races, with the race detector
	@RACE='$(RACE)' tools/test.sh
	@$(MAKE) --no-print-directory test-wasm test-node test-regional test-table test-infra

# The packages that are linked into the wasm, compiled for and run on what runs there.
.PHONY: test-wasm
test-wasm: $(NPM)
	packages=$$(GOOS=js GOARCH=wasm $(GO) list -deps -tags edge,jwt ./edge/wasm | grep '^oncegate/' | grep -v '/edge/wasm$$'); \
	  PATH="$$PWD/$$(dirname $(NODE22)):$$PATH" GOOS=js GOARCH=wasm \
	  $(GO) test -exec="$$($(GO) env GOROOT)/lib/wasm/go_js_wasm_exec" $$packages

# The artifact itself, in bare Node: what is deployed now, and what comes next.
.PHONY: test-node
test-node: build
	$(NODE22) --test 'edge/node/*.test.mjs' 'clients/js/test/*.test.mjs'
	$(NODE24) --test 'edge/node/*.test.mjs' 'clients/js/test/*.test.mjs'

# The whole chain once more, with the functions that decide in the bucket's Region. Tests
# that show nothing new there skip themselves.
.PHONY: test-regional
test-regional: $(BUILT)
	ONCEGATE_RUNTIME=regional ONCEGATE_RACE_ROUNDS=20 $(GO) test -parallel 16 -timeout 20m ./internal/evidence/e2e

# The attacks once more, on the index in a table. Tests of the rule run on both anyway.
.PHONY: test-table
test-table: $(BUILT)
	ONCEGATE_INDEX=dynamodb $(GO) test ./internal/evidence/attack

# The CDK app: templates, permissions, cdk-nag, the real cdk synth offline.
.PHONY: test-infra
test-infra: build
	JSII_NODE="$$PWD/$(NODE22)" $(GO) -C infra test ./...

.PHONY: lint
lint: $(STATICCHECK) $(GOVULNCHECK) ## gofmt, go vet, staticcheck, go mod verify; govulncheck and npm audit if online
	@GO='$(GO)' tools/lint.sh

.PHONY: clean
clean: ## remove what was built, the local bucket included; fetched tools stay
	rm -rf bin build/edge build/dev build/cdk.out cdk.out

##@ Evidence and measurement

.PHONY: race
race: $(BUILT) ## only the races for one URL, longer
	ONCEGATE_RACE_ROUNDS=1000 $(GO) test $(RACE) -count=1 -timeout 60m -run 'Race' -v ./internal/...

# What the commands print goes to build/prove.
.PHONY: prove prove-quick soak
prove: build tools $(TEMPLATES) ## the evidence for the one-time rule, about an hour (SEED=n repeats)
	$(GO) run ./internal/evidence/prove $(if $(SEED),-seed $(SEED))
prove-quick: build tools $(TEMPLATES) ## the slice of it that make test runs, with a line for each kind of evidence
	$(GO) run ./internal/evidence/prove -quick $(if $(SEED),-seed $(SEED))

SOAK ?= 10m
soak: build tools $(TEMPLATES) ## load, slow clients, broken uploads, 5 GiB in one: nothing leaks (SOAK=10m)
	ONCEGATE_SOAK=$(SOAK) ONCEGATE_BIG_BODY=5 $(GO) test -count=1 -timeout 120m -run 'TestSoak|TestBigBody' -v ./internal/evidence/e2e
	ONCEGATE_BIG_BODY=3 $(GO) test -count=1 -timeout 60m -run 'TestPutThroughCuts' -v ./cmd/oncegate

.PHONY: fuzz
fuzz: $(NPM) ## every fuzz target (FUZZTIME=10s for each)
	$(GO) run ./internal/evidence/prove -run '^fuzz$$' -fuzztime $(FUZZTIME)

.PHONY: bench bench-quick bench-index bench-parts bench-put bench-regional bench-profile
bench: build tools $(BENCH_PEERS) ## measure against the AWS SDK for JavaScript and a hand-written floor
	$(NODE22) bench/run.mjs
bench-quick: build tools $(BENCH_PEERS) ## the goals of the benchmark alone
	$(NODE22) bench/run.mjs --quick
bench-index: build tools ## mint, gate and list with 0, 10,000 and 100,000 entries on the real S3 server
	$(NODE22) bench/index.mjs
bench-parts: build $(BENCH_PEERS) ## the gate for one part beside the gate for a whole file, and what a large file costs
	$(NODE22) bench/parts.mjs
bench-put: build tools $(TEMPLATES) ## oncegate put through the local edge against the same parts sent to S3 directly, and its memory
	$(GO) test -run '^$$' -bench Rate -benchtime 6x -v ./bench/put
	$(GO) test -run '^$$' -bench Memory -benchtime 1x -v ./bench/put
bench-regional: build regional ## the regional runtime against the default one
	$(NODE22) bench/regional.mjs
bench-profile: build $(BENCH_PEERS) ## a CPU profile, and what fills the wasm
	@mkdir -p build/bench && $(GO) build -trimpath -o build/bench/standin ./bench/standin
	@GOOS=js GOARCH=wasm $(GO) build -tags edge -trimpath -buildvcs=false -ldflags='-w -buildid=' -o build/bench/cold.wasm ./edge/wasm
	@$(SNAPSHOT) build/bench/cold.wasm build/bench/named.wasm
	$(NODE22) bench/profile.mjs build/bench/named.wasm
	$(NODE22) bench/wasmsize.mjs build/bench/named.wasm

# Into docs, for a person to look at and commit.
.PHONY: screenshots
screenshots: build tools ## the pictures of docs/page.md, by Chromium
	$(GO) test -count=1 ./internal/evidence/page -run TestScreenshots -screenshots '$(CURDIR)/docs/page'

.PHONY: licenses
licenses: build/tools/go-licenses build/tools/cyclonedx-gomod ## licences of all that is used, and bills of materials, in build/licenses
	@GO='$(GO)' tools/licenses.sh

##@ Deployment

# CDK and the Node process behind it run in the Node that package-lock.json pins.
CDK = env JSII_NODE="$$PWD/$(NODE22)" CONFIG='$(CONFIG)' $(NODE22) node_modules/aws-cdk/bin/cdk

.PHONY: synth
synth: build ## write the CloudFormation templates to cdk.out; the placeholder bucket will do
	ONCEGATE_LOCAL=1 $(CDK) synth --quiet --strict --no-notices

.PHONY: diff
diff: build ## show what a deploy would change on AWS
	$(CDK) diff

.PHONY: deploy
deploy: build ## deploy to AWS; asks before it widens a permission
	$(CDK) deploy --all --outputs-file build/outputs.json

# The first deploy. What fails in step 1 is rolled back at once, because CloudFront has no
# copies of the functions yet; after step 1 nothing is left to be made.
.PHONY: deploy-first
deploy-first: build ## the first deploy, in two steps, of which the first can be rolled back
	ONCEGATE_DETACH=1 $(CDK) deploy --all
	$(CDK) deploy --all --outputs-file build/outputs.json

# Without CONFIG the verb looks for its settings itself.
.PHONY: verify
verify: $(CLI) ## hold a deployment to its promises, from outside (URL=https://..., or ONCEGATE_URL)
	@$(CLI) verify $(if $(filter-out file,$(origin CONFIG)),--config '$(CONFIG)') $(URL)

EDGE_STACKS = '$(if $(filter regional,$(RUNTIME)),Edge Regional,Edge)'
.PHONY: destroy
destroy: build ## take the edge down in two steps; the bucket, its policy and the table stay
	@tools/destroy.sh --detach $(EDGE_STACKS) $(CDK)

.PHONY: destroy-edge
destroy-edge: build ## step 2 of destroy, to go on after an interruption
	@tools/destroy.sh $(EDGE_STACKS) $(CDK)

##@ Releases

# With the settings of the repository, whatever CONFIG says.
.PHONY: release release-check
release: ## the files of a release in dist: programs, edge zip, templates, checksums (VERSION=1.2.3)
	@$(MAKE) --no-print-directory CONFIG=config.json build $(TEMPLATES)
	@rm -rf dist
	@$(GO) run ./tools/release -version '$(VERSION)'
release-check: $(VERSITYGW) $(NPM) ## make the release of this commit in two clones, compare them, and run it without a clone (slow)
	@tools/release/check.sh '$(VERSION)'

# From here on: files, and what builds them.

.PHONY: tools examples clients
tools: $(VERSITYGW) $(NPM)
examples: $(UPPY)
clients: $(CLIENTS)

$(NPM): package.json package-lock.json .npmrc
	@echo "fetching the Node runtimes (npm ci)"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

%/node_modules/.package-lock.json: %/package.json %/package-lock.json %/.npmrc
	@echo "fetching what $* takes from npm (npm ci)"
	@npm ci --prefix $* --no-audit --no-fund --loglevel=error
	@touch $@

$(VERSITYGW): tools/versitygw/go.mod tools/versitygw/go.sum
	@echo "fetching and compiling the S3 server versitygw (once, about a minute)"
	@mkdir -p $(@D)
	@cd tools/versitygw && CGO_ENABLED=0 $(GO) build -trimpath -o ../../$@ github.com/versity/versitygw/cmd/versitygw

$(STATICCHECK): tools/lint/go.mod tools/lint/go.sum
	@echo "fetching and compiling staticcheck (once)"
	@cd tools/lint && $(GO) build -trimpath -o ../../$@ honnef.co/go/tools/cmd/staticcheck

$(GOVULNCHECK): tools/lint/go.mod tools/lint/go.sum
	@echo "fetching and compiling govulncheck (once)"
	@cd tools/lint && $(GO) build -trimpath -o ../../$@ golang.org/x/vuln/cmd/govulncheck

build/tools/go-licenses build/tools/cyclonedx-gomod: tools/licenses/go.mod tools/licenses/go.sum
	@echo "fetching and compiling what lists licences (once)"
	@cd tools/licenses && $(GO) build -trimpath -o ../../build/tools/go-licenses github.com/google/go-licenses/v2
	@cd tools/licenses && $(GO) build -trimpath -o ../../build/tools/cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

$(CLI): $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@$(GO) build -trimpath -buildvcs=false -o $@ ./cmd/oncegate

$(INFRA): $(GOFILES) $(shell find infra -name '*.go' -not -name '*_test.go') infra/go.mod infra/go.sum
	@echo "compiling the CDK app (once, a minute or two)"
	@$(GO) -C infra build -trimpath -buildvcs=false -o ../$@ .

# What make dev plays: what make synth writes, in another place.
$(TEMPLATES): $(INFRA) $(EDGE) $(WANTED) $(NPM)
	@echo "synthesizing the templates"
	@rm -rf $(@D)
	@ONCEGATE_LOCAL=1 CDK_OUTDIR=$(@D) CONFIG='$(CONFIG)' JSII_NODE="$$PWD/$(NODE22)" $(INFRA)
	@touch $@

# The artifact: same commit, same bytes. -s -w -buildid= leave out what differs
# between machines, -trimpath the paths of this one.
WASM = GOOS=js GOARCH=wasm $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid='
build/edge/oncegate.wasm: TAGS := edge
# The mint's own build for "auth": {"jwt": ...}.
build/edge/oncegate-jwt.wasm: TAGS := edge,jwt
build/edge/%.wasm: $(GOFILES) $(GOMOD) $(NPM) edge/node/snapshot.mjs build/edge/wasm_exec.js
	@echo "compiling $@"
	@mkdir -p $(@D)
	@$(WASM) -tags $(TAGS) -o $@.cold ./edge/wasm
	@$(SNAPSHOT) $@.cold $@
	@rm $@.cold

# Starts a program in the deployed Node, and writes it as it is then.
SNAPSHOT = $(NODE22) edge/node/snapshot.mjs build/edge/wasm_exec.js

build/edge/index.mjs: edge/node/index.mjs edge/node/http.mjs tools/handler.mjs $(NPM)
	@mkdir -p $(@D) && $(NODE22) tools/handler.mjs $< $@

# The page for people, which both runtimes have.
build/edge/page.mjs build/stub/page.mjs: edge/node/page.mjs
	@install -D -m 644 $< $@
build/edge/page.json: $(NPM) tools/page.mjs $(wildcard edge/page/*) $(wildcard clients/js/src/*.js)
	@mkdir -p $(@D) && $(NODE22) tools/page.mjs $@
build/stub/page.json: build/edge/page.json
	@install -D -m 644 $< $@

build/edge/wasm_exec.js: $(GOMOD)
	@install -D -m 644 "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" $@

# With "runtime": "regional" a stub is deployed to the edge.
build/stub/index.mjs: edge/node/regional.mjs
	@install -D -m 644 $< $@

# The Go programs in the bucket's Region, for Lambda and for this machine. CGO and what is
# only for RPC are left out, as AWS advises:
# https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html
.PHONY: regional accept
regional: $(CLI) $(REGIONAL)
accept: $(CLI) $(ACCEPT)
LAMBDA = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags lambda.norpc -ldflags='-s -w -buildid='
build/local/%/bootstrap: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@$(LAMBDA) -o $@ ./edge/$*
build/%/bootstrap: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@GOOS=linux GOARCH=arm64 $(LAMBDA) -o $@ ./edge/$*

build/stub/settings.json: FORCE $(CLI)
	@mkdir -p $(@D) && $(CLI) config --config '$(CONFIG)' --stub >$@.new && { cmp -s $@.new $@ && rm $@.new || mv $@.new $@; }

# CONFIG may name another file than the last time, so these are always looked at.
$(filter %/config.json,$(EDGE) $(REGIONAL) $(ACCEPT)): FORCE $(CLI)
	@$(CLI) config --config '$(CONFIG)' >/dev/null
	@cmp -s '$(CONFIG)' $@ || install -D -m 644 '$(CONFIG)' $@
.PHONY: FORCE
FORCE:
