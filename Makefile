# oncegate: one-time upload URLs for S3, enforced at CloudFront's edge.
# Needs Go, Node with npm, and make; everything else is fetched, pinned, once.

CONFIG ?= config.json
FUZZTIME ?= 10s
GO ?= go

# The race detector needs a C compiler on Linux.
RACE := $(if $(shell command -v cc gcc clang 2>/dev/null),-race)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VERSITYGW := build/tools/versitygw
STATICCHECK := build/tools/staticcheck
GOVULNCHECK := build/tools/govulncheck
NPM := node_modules/.package-lock.json
CLI := bin/oncegate
INFRA := bin/oncegate-infra
TEMPLATES := build/cdk.out/manifest.json
# Set when the recipes run, for npm brings them.
NODE22 = $$(echo node_modules/node22-*/bin/node)
NODE24 = $$(echo node_modules/node24-*/bin/node)
RUNTIME = $(shell sed -n 's/.*"runtime"[[:space:]]*:[[:space:]]*"\([a-z]*\)".*/\1/p' '$(CONFIG)' 2>/dev/null)
REGIONAL := build/stub/index.mjs build/stub/settings.json build/stub/config.json \
	build/regional/bootstrap build/regional/config.json build/local/regional/bootstrap build/local/regional/config.json
# The Go program of acceptance, for Lambda and for this machine.
ACCEPT := build/accept/bootstrap build/accept/config.json build/local/accept/bootstrap build/local/accept/config.json
# What the settings ask for besides the edge.
NATIVES = $(if $(filter regional,$(RUNTIME)),$(REGIONAL)) $(if $(shell grep -s '"acceptance"' '$(CONFIG)'),$(ACCEPT))
EDGE := build/edge/oncegate.wasm build/edge/oncegate-jwt.wasm build/edge/index.mjs build/edge/wasm_exec.js build/edge/config.json

# Sources of a Go main, generated files and other modules left out.
GOFILES := $(shell find cmd edge internal -name '*.go' -not -name '*_test.go' 2>/dev/null)
GOMOD := go.mod go.sum

.PHONY: help
help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  CONFIG=path selects another settings file (now $(CONFIG)), PORT=n another port for make dev."

.PHONY: dev
dev: build $(VERSITYGW) $(TEMPLATES) ## run it on this machine: CloudFront, Lambda and S3 played locally
	@$(CLI) dev --config '$(CONFIG)'

.PHONY: build
build: $(NPM) $(CLI) $(EDGE) $(NATIVES) ## make bin/oncegate and build/edge, the directory that becomes the Lambda zip

# The packages whose tests run the whole chain, in real time: at the edge a function has
# five seconds. They have the machine for themselves, one after the other.
CHAINS := ./cmd/oncegate ./internal/evidence/attack ./internal/evidence/clients ./internal/evidence/e2e ./internal/evidence/examples ./internal/verify
.PHONY: test
test: build regional accept tools examples clients $(TEMPLATES) ## everything: unit, wasm, real Node, real S3 server, races, fuzz seeds; with the race detector
	@test -x "$${CHROMIUM:-/usr/bin/chromium}" || echo "no Chromium at $${CHROMIUM:-/usr/bin/chromium}: the tests that need a browser are skipped"
	$(GO) test $(RACE) -timeout 40m $$($(GO) list ./... | grep -vxF "$$(printf 'oncegate/%s\n' $(CHAINS:./%=%))")
	$(GO) test $(RACE) -p 1 -parallel 16 -timeout 40m $(CHAINS)
	@$(MAKE) --no-print-directory test-wasm test-node test-regional test-infra

# The packages that run at the edge, compiled for and run on what runs there.
WASM_PACKAGES := ./internal/onetime ./internal/s3index ./internal/s3wire ./internal/lean/sigv4 ./internal/lean/strictjson ./internal/lean/digest ./internal/config ./internal/auth/apikey ./internal/auth/bearer ./edge
.PHONY: test-wasm
test-wasm: $(NPM) ## the edge's packages as js/wasm under the Node that is deployed
	PATH="$$(pwd)/$$(dirname $(NODE22)):$$PATH" GOOS=js GOARCH=wasm \
	  $(GO) test -exec="$$($(GO) env GOROOT)/lib/wasm/go_js_wasm_exec" $(WASM_PACKAGES)

# The artifact itself, in bare Node: what is deployed now, and what comes next.
.PHONY: test-node
test-node: build ## the artifact in Node 22 and Node 24
	$(NODE22) --test 'edge/node/*.test.mjs'
	$(NODE24) --test 'edge/node/*.test.mjs'

# What does not depend on where the decision is made is left out, and what is long.
.PHONY: test-regional
test-regional: build regional accept tools $(TEMPLATES) ## the tests of the whole chain with the regional runtime
	ONCEGATE_RUNTIME=regional ONCEGATE_RACE_ROUNDS=20 $(GO) test -parallel 16 -timeout 20m \
	  -skip 'SameTree|BigBody|Frozen|Kills|Soak|Storm|Document|Page|Regional|RaceAcceptance|Poison' ./internal/evidence/e2e
	ONCEGATE_RUNTIME=regional $(GO) test -timeout 20m -run TestGoodDeployment ./internal/verify

.PHONY: test-infra
test-infra: build ## the CDK app: templates, permissions, cdk-nag, the real cdk synth offline
	JSII_NODE="$$PWD/$(NODE22)" $(GO) -C infra test ./...

.PHONY: race
race: build regional accept tools $(TEMPLATES) ## only the races for one URL, longer
	ONCEGATE_RACE_ROUNDS=1000 $(GO) test $(RACE) -count=1 -timeout 60m -run 'Race' -v ./internal/...

# The evidence for the one-time rule; what is said besides goes to build/prove.
.PHONY: prove prove-quick soak
prove: build tools $(TEMPLATES) ## the evidence for the one-time rule at length, about half an hour; SEED=n repeats
	$(GO) run ./internal/evidence/prove $(if $(SEED),-seed $(SEED))
prove-quick: build tools $(TEMPLATES) ## the slice of it that make test runs, with a line for each kind
	$(GO) run ./internal/evidence/prove -quick $(if $(SEED),-seed $(SEED))

SOAK ?= 10m
soak: build tools $(TEMPLATES) ## load for SOAK (now 10m), slow clients, broken uploads, 5 GiB in one: nothing leaks
	ONCEGATE_SOAK=$(SOAK) ONCEGATE_BIG_BODY=5 $(GO) test -count=1 -timeout 120m -run 'TestSoak|TestBigBody' -v ./internal/evidence/e2e

.PHONY: fuzz
fuzz: $(NPM) ## every fuzz target, FUZZTIME each (now 10s)
	$(GO) run ./internal/evidence/prove -run '^fuzz$$' -fuzztime $(FUZZTIME)

# The benchmark's peers come from npm, in a folder of their own.
BENCH_NPM := bench/node_modules/.package-lock.json
$(BENCH_NPM): bench/package.json bench/package-lock.json .npmrc
	@echo "fetching what the benchmark compares with (npm ci)"
	@npm ci --prefix bench --no-audit --no-fund --loglevel=error
	@touch $@

# The page that uploads through Uppy takes it from npm, in a folder of its own as well.
EXAMPLES_NPM := examples/uppy/node_modules/.package-lock.json
$(EXAMPLES_NPM): examples/uppy/package.json examples/uppy/package-lock.json examples/uppy/.npmrc
	@echo "fetching Uppy for the examples (npm ci)"
	@npm ci --prefix examples/uppy --no-audit --no-fund --loglevel=error
	@touch $@

# The clients of npm that the tests upload with, likewise.
CLIENTS := internal/evidence/clients/testdata
CLIENTS_NPM := $(CLIENTS)/node_modules/.package-lock.json
$(CLIENTS_NPM): $(CLIENTS)/package.json $(CLIENTS)/package-lock.json $(CLIENTS)/.npmrc
	@echo "fetching upload clients for the tests (npm ci)"
	@npm ci --prefix $(CLIENTS) --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: examples clients
clients: $(CLIENTS_NPM) ## fetch the upload clients that the tests run
examples: $(EXAMPLES_NPM) ## fetch what the examples need

.PHONY: bench-regional
.PHONY: bench bench-quick bench-profile bench-index
bench: build tools $(BENCH_NPM) ## measure against the AWS SDK for JavaScript and a hand-written floor
	$(NODE22) bench/run.mjs
bench-quick: build tools $(BENCH_NPM) ## the goals of the benchmark alone
	$(NODE22) bench/run.mjs --quick
bench-index: build tools ## mint, gate and list beside 0, 10,000 and 100,000 entries, on the real S3 server
	$(NODE22) bench/index.mjs
bench-regional: build regional ## the regional runtime beside the default one
	$(NODE22) bench/regional.mjs
bench-profile: build $(BENCH_NPM) ## CPU profile, and what the bytes of the wasm are
	@mkdir -p build/bench && $(GO) build -trimpath -o build/bench/standin ./bench/standin
	@GOOS=js GOARCH=wasm $(GO) build -tags edge -trimpath -buildvcs=false -ldflags='-w -buildid=' -o build/bench/named.wasm ./edge/wasm
	$(NODE22) bench/profile.mjs build/bench/named.wasm
	$(NODE22) bench/wasmsize.mjs build/bench/named.wasm

.PHONY: lint
lint: $(STATICCHECK) $(GOVULNCHECK) ## gofmt, go vet, staticcheck, go mod verify; govulncheck and npm audit where their data can be had
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	GOOS=js GOARCH=wasm $(GO) vet -tags edge ./edge/wasm
	GOOS=js GOARCH=wasm $(GO) vet -tags edge,jwt ./edge/wasm
	$(GO) -C infra vet ./...
	$(STATICCHECK) ./...
	GOOS=js GOARCH=wasm $(STATICCHECK) -tags edge ./edge/wasm
	GOOS=js GOARCH=wasm $(STATICCHECK) -tags edge,jwt ./edge/wasm
	cd infra && ../$(STATICCHECK) ./...
	@if out=$$($(GOVULNCHECK) ./... 2>&1); then echo "$$out" | tail -n 3; \
	  elif grep -qE 'vuln\.go\.dev|fetching vulnerabilities|dial tcp|no such host' <<<"$$out"; then \
	    echo "govulncheck: its database could not be reached, so nothing was checked for known vulnerabilities"; \
	  else echo "$$out"; exit 1; fi
	@for dir in . bench examples/uppy $(CLIENTS); do \
	  if out=$$(cd "$$dir" && npm audit --package-lock-only --audit-level=high --fetch-retries=0 2>&1); then echo "npm audit in $$dir: nothing known"; \
	  elif grep -qE 'audit endpoint returned an error|E(NOTFOUND|CONNREFUSED|AI_AGAIN|TIMEDOUT|CONNRESET)|network' <<<"$$out"; then \
	    echo "npm audit in $$dir: its data could not be reached, so nothing was checked for known vulnerabilities"; \
	  else echo "$$out"; exit 1; fi; done
	@for dir in . infra tools/lint tools/versitygw; do $(call verify,$$dir); done; echo "go mod verify: what was fetched is what go.sum names"

# A module that is a folder of this tree has no checksum; the go command says so.
verify = out=$$($(GO) -C $(1) mod verify 2>&1 | grep -vE '^(go: downloading|all modules verified|oncegate v0.0.0: missing ziphash)' || true); \
  if [ -n "$$out" ]; then echo "go mod verify in $(1):"; echo "$$out"; exit 1; fi

# What is shipped, and the tools of the tests: the licences of all of it, and bills of
# materials in CycloneDX. npm brings its own.
GO_LICENSES = GOROOT="$$($(GO) env GOROOT)" "$(CURDIR)/build/tools/go-licenses"
CYCLONEDX = "$(CURDIR)/build/tools/cyclonedx-gomod"
ALLOWED := Apache-2.0,MIT,BSD-2-Clause,BSD-3-Clause,ISC
.PHONY: licenses
licenses: build/tools/go-licenses build/tools/cyclonedx-gomod ## licences of all that is used, and bills of materials, in build/licenses
	@mkdir -p build/licenses && rm -f build/licenses/*
	@$(call verify,tools/licenses)
	@report() { out="build/licenses/$$1.csv"; dir=$$2; shift 2; \
	    (cd "$$dir" && $(GO_LICENSES) report "$$@" 2>/dev/null | { grep -v '^oncegate' || true; } >"$(CURDIR)/$$out"); \
	    test -s "$$out" || { echo "no licences found for $$out"; exit 1; }; echo "$$(wc -l <"$$out") licences in $$out"; }; \
	  report oncegate . ./cmd/oncegate; report accept . ./edge/accept; \
	  GOOS=js GOARCH=wasm GOFLAGS=-tags=jwt report edge . ./edge/wasm; report infra infra .; \
	  report versitygw tools/versitygw github.com/versity/versitygw/cmd/versitygw; \
	  report lint tools/lint honnef.co/go/tools/cmd/staticcheck golang.org/x/vuln/cmd/govulncheck
	@bad=$$(cut -d, -f1,3 build/licenses/{oncegate,accept,edge,infra}.csv | grep -vE ',($(subst $(comma),|,$(ALLOWED)))$$' || true); \
	  if [ -n "$$bad" ]; then echo "shipped, and not $(ALLOWED):"; echo "$$bad"; exit 1; fi
	@for dir in . infra tools/versitygw tools/lint; do name=$$(basename "$$PWD/$$dir"); [ "$$dir" = . ] && name=oncegate; \
	  (cd "$$dir" && $(CYCLONEDX) mod -json -licenses -output "$(CURDIR)/build/licenses/$$name.cdx.json" . 2>/dev/null); done
	@for dir in . bench; do name=npm; [ "$$dir" = . ] || name=npm-$$dir; \
	  (cd "$$dir" && npm sbom --package-lock-only --sbom-format cyclonedx 2>/dev/null >"$(CURDIR)/build/licenses/$$name.cdx.json"); done
	@ls build/licenses/*.cdx.json
comma := ,

# CDK and the Node process behind it run in the Node that package-lock.json pins.
CDK = JSII_NODE="$$PWD/$(NODE22)" CONFIG='$(CONFIG)' $(NODE22) node_modules/aws-cdk/bin/cdk

.PHONY: synth
synth: build ## write the CloudFormation templates to cdk.out (the placeholder bucket is fine for that)
	ONCEGATE_LOCAL=1 $(CDK) synth --quiet --strict --no-notices

.PHONY: diff
diff: build ## show what a deploy would change on AWS
	$(CDK) diff

.PHONY: deploy
deploy: build ## deploy to AWS; asks before it widens a permission
	$(CDK) deploy --all --outputs-file build/outputs.json

.PHONY: destroy
destroy: build ## take the edge down, in two steps; the bucket and what protects it stay
	@echo 'Step 1 of 2: taking the functions off the distribution. CloudFront needs 5 to 15 minutes.'
	ONCEGATE_DETACH=1 $(CDK) deploy Edge --exclusively --require-approval never
	@$(MAKE) --no-print-directory destroy-edge

# CloudFormation tries once and gives up; it goes on where it was when asked again.
.PHONY: destroy-edge
destroy-edge: build ## step 2 of destroy, to go on with after an interruption
	@echo 'Step 2 of 2: deleting. Lambda lets a function go when CloudFront has removed its replicas,'
	@echo 'mostly within a few hours of step 1; until then a try ends in "replicated function".'
	@echo 'A try every 15 minutes, for a day at most. Ctrl-C is harmless; make destroy-edge goes on.'
	@for try in $$(seq 96); do \
	  if $(CDK) destroy Edge $(if $(filter regional,$(RUNTIME)),Regional) --force; then exit 0; fi; \
	  echo "try $$try of 96 did not finish (the cause stands above); next try at $$(date -d '+15 minutes' +%H:%M 2>/dev/null || date -v+15M +%H:%M)"; sleep 900; \
	done; exit 1

.PHONY: clean
clean: ## remove what was built, the local bucket included; fetched tools stay
	rm -rf bin build/edge build/dev build/cdk.out cdk.out

.PHONY: tools
tools: $(VERSITYGW) $(NPM) ## fetch and build the pinned tools: S3 server, Node runtimes

$(NPM): package.json package-lock.json .npmrc
	@echo "fetching the Node runtimes (npm ci)"
	@npm ci --no-audit --no-fund --loglevel=error
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

$(INFRA): $(shell find infra internal/cfn internal/config -name '*.go' -not -name '*_test.go') infra/go.mod infra/go.sum
	@echo "compiling the CDK app (once, a minute or two)"
	@$(GO) -C infra build -trimpath -buildvcs=false -o ../$@ .

# What make dev plays. It is what make synth writes, but for the placeholder bucket
# and the place.
$(TEMPLATES): $(INFRA) $(EDGE) $(NATIVES) $(NPM)
	@echo "synthesizing the templates"
	@rm -rf $(@D)
	@ONCEGATE_LOCAL=1 CDK_OUTDIR=$(@D) CONFIG='$(CONFIG)' JSII_NODE="$$PWD/$(NODE22)" $(INFRA)
	@touch $@

# The artifact: same commit, same bytes. -s -w -buildid= leave out what differs
# between machines, -trimpath the paths of this one.
WASM = GOOS=js GOARCH=wasm $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid='
build/edge/oncegate.wasm: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@mkdir -p $(@D)
	@$(WASM) -tags edge -o $@ ./edge/wasm

# The mint's own build where config.json says "auth": {"jwt": …}.
build/edge/oncegate-jwt.wasm: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@mkdir -p $(@D)
	@$(WASM) -tags edge,jwt -o $@ ./edge/wasm

build/edge/index.mjs: edge/node/index.mjs
	@install -D -m 644 $< $@

build/edge/wasm_exec.js: $(GOMOD)
	@install -D -m 644 "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" $@

# With "runtime": "regional": the stub that is deployed to the edge, and the Go program
# beside the bucket, for Lambda and once more for this machine. CGO and what is only
# for RPC are left out, as AWS advises:
# https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html
build/stub/index.mjs: edge/node/regional.mjs
	@install -D -m 644 $< $@

.PHONY: regional
regional: $(CLI) $(REGIONAL) ## the same for "runtime": "regional": stub and Go programs

NATIVE = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags lambda.norpc -ldflags='-s -w -buildid='
.PHONY: accept
accept: $(CLI) $(ACCEPT) ## the same for "acceptance"
build/accept/bootstrap: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@GOOS=linux GOARCH=arm64 $(NATIVE) -o $@ ./edge/accept
build/local/accept/bootstrap: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@$(NATIVE) -o $@ ./edge/accept

build/regional/bootstrap: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@GOOS=linux GOARCH=arm64 $(NATIVE) -o $@ ./edge/regional
build/local/regional/bootstrap: $(GOFILES) $(GOMOD)
	@echo "compiling $@"
	@$(NATIVE) -o $@ ./edge/regional

build/stub/settings.json: FORCE $(CLI)
	@mkdir -p $(@D) && $(CLI) config --config '$(CONFIG)' --stub >$@.new && { cmp -s $@.new $@ && rm $@.new || mv $@.new $@; }

# Always looked at, because CONFIG may name another file than the last time.
build/edge/config.json build/stub/config.json build/regional/config.json build/local/regional/config.json build/accept/config.json build/local/accept/config.json: FORCE $(CLI)
	@$(CLI) config --config '$(CONFIG)' >/dev/null
	@cmp -s '$(CONFIG)' $@ || install -D -m 644 '$(CONFIG)' $@
.PHONY: FORCE
FORCE:
