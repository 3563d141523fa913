# Countersign. `make` lists the targets. Each one installs what it needs, pinned, in ignored folders of the repository.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
PYTHON  ?= python3
FUNCTIONS := rotate reconcile revoke operate confirm notify enroll
ARCH    ?= arm64
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ACCESS  ?= access.yaml
PAIRS   ?= 204000
FUZZTIME ?= 20m

GOLANGCI_VERSION := v2.15.0
OPENTOFU_VERSION := v1.10.6
TOOLS   := $(CURDIR)/.tools
CDK     := $(TOOLS)/node/node_modules/.bin/cdk
export CDK_DISABLE_CLI_TELEMETRY := true
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 18

# ---- what there must be already

need-%:
	@command -v $* >/dev/null || { echo "$* is missing: $(need_$*)" >&2; exit 1; }
need_go      := install Go 1.26 or later, from https://go.dev/dl
need_node    := install Node.js 20 or later, from https://nodejs.org
need_npm     := install Node.js 20 or later, which brings npm, from https://nodejs.org
need_python3 := install Python 3.11 or later, from https://www.python.org

# ---- build

.PHONY: build cli functions app synth
build: cli functions app ## bin/countersign, dist/functions/<name>/bootstrap, bin/countersign-app

cli: need-go
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/countersign ./cmd/countersign

functions: need-go ## the functions' binaries (ARCH=arm64, amd64)
	for f in $(FUNCTIONS); do \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -tags lambda.norpc -trimpath -ldflags '-s -w -buildid=' \
	    -o dist/functions/$$f/ ./functions/$$f/bootstrap; done

app: need-go
	$(GO) build -o bin/countersign-app ./infra/app

synth: functions app $(CDK) ## cdk.out/ServiceProviderAccess.template.json
	$(CDK) synth --quiet --no-notices -c access=$(ACCESS)

# Where a release is published: each Region has the bucket $(BUCKET)-<region>.
REGIONS   ?= us-east-1 us-east-2 us-west-2 ca-central-1 eu-west-1 eu-central-1 eu-north-1 ap-southeast-2 ap-northeast-1
PROVIDERS ?=
.PHONY: release reproducible
release: need-go need-node ## dist/release/VERSION: templates, archives, sums, SBOM, page, upload script (VERSION, BUCKET, REGIONS, PROVIDERS)
	@test -n "$(BUCKET)" || { echo 'say where it will be published: make release VERSION=v1.0.0 BUCKET=<beginning of the buckets>' >&2; exit 1; }
	$(GO) run ./tools/release -version '$(VERSION)' -bucket '$(BUCKET)' -regions '$(REGIONS)' -providers '$(PROVIDERS)' -out dist/release

reproducible: need-go need-node ## a release made of two clones in different folders: the same sums
	tools/release/reproducible.sh

.PHONY: deploy deploy-customers
CUSTOMERS ?= customers.yaml
deploy-customers: functions app $(CDK) ## a provider's side: cdk deploy CustomerAccess from CUSTOMERS (customers.yaml)
	$(CDK) deploy CustomerAccess --no-notices -c customers=$(CUSTOMERS)

deploy: functions app $(CDK) ## cdk deploy to the account of the current credentials
	$(CDK) deploy --all --no-notices -c access=$(ACCESS)

.PHONY: destroy
destroy: functions app $(CDK) ## cdk destroy: nobody gets in any more; refused while a grant is revoked (docs/uninstall.md)
	@$(CDK) destroy --all --no-notices -c access=$(ACCESS) || { status=$$?; \
	  echo 'A stack with a revoked grant "cannot be deleted while TerminationProtection is enabled". If the revocation may be forgotten:' >&2; \
	  echo '  aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name ServiceProviderAccess' >&2; \
	  echo 'and make destroy again. docs/uninstall.md says more.' >&2; exit $$status; }

# ---- tools, in .tools

$(CDK): tools/cdk/package.json tools/cdk/package-lock.json | need-node need-npm
	mkdir -p $(TOOLS)/node && cp tools/cdk/package*.json $(TOOLS)/node/
	npm ci --prefix $(TOOLS)/node --ignore-scripts --no-audit --no-fund --silent && touch $@

$(TOOLS)/iam-simulate/.done: tools/iam-simulate/package.json tools/iam-simulate/package-lock.json | need-node need-npm
	mkdir -p $(TOOLS)/iam-simulate && cp tools/iam-simulate/package*.json $(TOOLS)/iam-simulate/
	npm ci --prefix $(TOOLS)/iam-simulate --ignore-scripts --no-audit --no-fund --silent && touch $@

$(TOOLS)/typescript/.done: tools/typescript/package.json tools/typescript/package-lock.json | need-node need-npm
	mkdir -p $(TOOLS)/typescript && cp tools/typescript/package*.json $(TOOLS)/typescript/
	cd $(TOOLS)/typescript && npm ci --ignore-scripts --no-audit --no-fund --silent && touch $@

$(TOOLS)/provider-typescript/.done: tools/provider-typescript/package.json tools/provider-typescript/package-lock.json | need-node need-npm
	mkdir -p $(TOOLS)/provider-typescript && cp tools/provider-typescript/package*.json $(TOOLS)/provider-typescript/
	cd $(TOOLS)/provider-typescript && npm ci --ignore-scripts --no-audit --no-fund --silent && touch $@

# A Python environment: .tools/<name> from tools/<name>/requirements.txt.
$(TOOLS)/%/.done: tools/%/requirements.txt | need-python3
	$(PYTHON) -m venv $(TOOLS)/$*
	$(TOOLS)/$*/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@

$(TOOLS)/bin/golangci-lint-$(GOLANGCI_VERSION): | need-go
	@echo 'building golangci-lint $(GOLANGCI_VERSION), once: about three minutes' >&2
	GOBIN=$(TOOLS)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/bin/golangci-lint $@

# What runs the tests of terraform/: terraform where it is, or else OpenTofu, built from source. TERRAFORM=<path> is another.
TERRAFORM ?= $(or $(shell command -v terraform 2>/dev/null),$(TOOLS)/bin/tofu-$(OPENTOFU_VERSION))
export TERRAFORM

$(TOOLS)/bin/tofu-$(OPENTOFU_VERSION): tools/opentofu/go.mod tools/opentofu/go.sum | need-go
	@echo 'building OpenTofu $(OPENTOFU_VERSION), once: some minutes' >&2
	cd tools/opentofu && $(GO) build -mod=readonly -trimpath -ldflags '-s -w' -o $@ github.com/opentofu/opentofu/cmd/tofu

# ---- test

.PHONY: demo
demo: need-go ## a year of a grant's life on an embedded AWS, in seconds
	@$(GO) run ./internal/demo/alone

.PHONY: test test-go lint e2e local bench
test: test-go test-infra test-terraform webhooks for-saas ## every test but e2e

# What runs on the embedded AWS takes turns: nothing there is parallel but whole runs, and of those a few are enough for the
# race detector, which makes them ten times slower. So are the commands of the command line, each a process of its own.
race  := $(shell command -v cc >/dev/null 2>&1 && echo -race)
turns := ./cmd/countersign ./functions ./functions/enroll ./internal/simtest/... ./internal/demo/...
test-go: need-go
	$(GO) test -timeout 20m $(race) $$($(GO) list ./... | grep -v -e /infra -e /difftest -e '/cmd/countersign$$' -e '/countersign/functions$$' -e '/functions/enroll$$' -e /vectors -e /languages -e /simtest -e /demo -e '/countersign/terraform$$')
	$(GO) test $(turns)
	$(GO) test $(race) ./internal/simtest -run '^TestRuns$$'

.PHONY: test-infra
test-infra: need-go $(TERRAFORM) $(TOOLS)/iam-simulate/.done $(TOOLS)/cfn-lint/.done $(TOOLS)/checkov/.done
	$(GO) test ./infra/... ./internal/trust/difftest

.PHONY: test-terraform
test-terraform: need-go $(TERRAFORM) ## the Terraform modules and examples, offline, with a stub provider (TERRAFORM=<path>)
	$(GO) test -count=1 ./terraform

.PHONY: webhooks
webhooks: need-go need-python3 $(TOOLS)/typescript/.done ## docs/webhooks.md's receivers, run on every delivery of events/vectors
	$(GO) test -count=1 ./events/vectors

.PHONY: for-saas
for-saas: need-go need-python3 $(TOOLS)/provider-typescript/.done $(TOOLS)/provider-python/.done ## docs/for-saas.md's loops in Go, Python and TypeScript, run against the sandbox
	$(GO) test -count=1 ./provider/providertest/languages

# Each is also a test: make test and make e2e say where a page shows something else.
.PHONY: sessions
sessions: need-go ## record anew what the pages show of terminals: README.md, docs/enter.md
	$(GO) test -count=1 ./internal/demo -run '^TestREADMEShowsTheYear$$' -update
	$(GO) test -count=1 ./cmd/countersign -run '^TestThePagesShowWhatIsSeen$$' -update
	$(MAKE) functions ARCH=$$($(GO) env GOHOSTARCH)
	$(MAKE) cli app $(CDK) $(TOOLS)/emulator/.done
	$(GO) test -tags e2e -count=1 ./e2e -run '^TestREADMEShowsTheEmulator$$' -update

CHROMIUM ?= chromium
export CHROMIUM
.PHONY: mails page screenshots
mails: need-go ## every mail in Chromium: 320 and 1,280 px, light and dark (CHROMIUM=<path>)
	$(GO) test -count=1 -tags chromium ./internal/deliver -run '^TestMailsInABrowser$$'

page: need-go ## the page that makes links in Chromium: 320 to 1,280 px, hostile addresses
	$(GO) test -count=1 -tags chromium ./tools/release -run '^TestThePageInABrowser$$'

screenshots: need-go ## both, and the pictures of them in docs
	$(GO) test -count=1 -tags chromium ./internal/deliver -run '^TestMailsInABrowser$$' -args -screenshots $(CURDIR)/docs/mail
	$(GO) test -count=1 -tags chromium ./tools/release -run '^TestThePageInABrowser$$' -args -screenshots $(CURDIR)/docs/one-click

.PHONY: trust-diff
trust-diff: need-go $(TOOLS)/iam-simulate/.done ## trust policies judged here and by an independent IAM simulator (PAIRS, SEED)
	$(GO) test -count=1 -timeout=2h -v ./internal/trust/difftest -pairs $(PAIRS) -seed $(or $(SEED),1)

# One process, so that a machine which does other things as well stays usable.
.PHONY: trust-fuzz
trust-fuzz: need-go ## fuzz the trust policy engine, FUZZTIME (20m) for each of three targets
	for target in FuzzParse FuzzApply FuzzEvaluate; do \
	  $(GO) test -run '^$$' -fuzz=^$$target$$ -fuzztime=$(FUZZTIME) -fuzzminimizetime=1s -parallel=1 ./internal/trust; done

.PHONY: trust-mutants
trust-mutants: need-go ## known bugs planted in internal/trust, one at a time: its tests must notice each
	$(GO) run ./tools/mutants -dir internal/trust/testdata/mutants -min 90 -parallel 2 -- \
	  ./internal/trust -rapid.checks=30 -rapid.nofailfile -rapid.shrinktime=1ms

.PHONY: adopt-mutants
adopt-mutants: need-go ## known bugs planted in adopting and giving back, one at a time: its tests must notice each
	$(GO) run ./tools/mutants -dir internal/adopt/testdata/mutants -min 8 -parallel 2 -timeout 4m -- ./internal/adopt

.PHONY: provider-mutants
provider-mutants: need-go ## each check of package provider dropped, one at a time: its tests must notice each
	$(GO) run ./tools/mutants -dir provider/testdata/mutants -min 77 -parallel 2 -- ./provider

.PHONY: entry-mutants foreign-fuzz
entry-mutants: need-go ## the same for a person's entry and for text from other accounts: internal/entry, internal/foreign
	$(GO) run ./tools/mutants -dir internal/entry/testdata/mutants -min 33 -parallel 2 -- ./internal/entry
	$(GO) run ./tools/mutants -dir internal/foreign/testdata/mutants -min 23 -parallel 2 -- ./internal/foreign

foreign-fuzz: need-go ## fuzz what makes text from other accounts harmless, FUZZTIME (20m)
	$(GO) test -run '^$$' -fuzz=^FuzzText$$ -fuzztime=$(FUZZTIME) -fuzzminimizetime=1s -parallel=1 ./internal/foreign

.PHONY: trust-corpus
trust-corpus: need-go ## trust policies found in public repositories, judged as testdata/corpus.tsv says (CORPUS=<folder of them>)
	@test -n "$(CORPUS)" || { echo 'say where the trust policies lie: make trust-corpus CORPUS=<folder>' >&2; exit 1; }
	@$(GO) test -count=1 -v ./internal/trust -run '^TestTrustPoliciesOfEveryShape$$' -corpus "$(abspath $(CORPUS))" \
	  | grep -vE '^ *(===|--- PASS)'

.PHONY: sim sim-exhaustive sim-mutants customers-mutants
RUNS ?= 0
FOR  ?= 1m
sim: need-go ## the functions beside each other, faults and all: SEED=… RUNS=… (or FOR=1m); a seed replays a run
	$(GO) run ./internal/simtest/cmd/sim -seed $(or $(SEED),0) -runs $(RUNS) -for $(FOR)

sim-exhaustive: need-go ## every order of pairs of operations, with a crash at every point
	$(GO) run ./internal/simtest/cmd/sim -exhaustive -for 30m

sim-mutants: need-go ## known bugs planted in the functions, one at a time: the simulation must break a promise on each
	GOGC=400 $(GO) run ./tools/mutants -dir internal/simtest/testdata/mutants -min 25 -parallel 2 -timeout 6m -- \
	  ./internal/simtest -run '^TestNoRunBreaksAPromise$$' -runs 6000

customers-mutants: need-go ## known bugs planted in the provider's registry: its simulation must break a promise on each
	$(GO) run ./tools/mutants -dir functions/enroll/testdata/mutants -min 7 -parallel 2 -timeout 4m -- \
	  ./functions/enroll -run '^TestTheRegistryKeepsItsPromises$$' -runs 1500

lint: $(TOOLS)/bin/golangci-lint-$(GOLANGCI_VERSION) ## the linters of .golangci.yml
	$< run ./...

e2e: ## the real stack on a local emulator, driven and checked
	$(MAKE) functions ARCH=$$($(GO) env GOHOSTARCH)
	$(MAKE) cli app $(CDK) $(TOOLS)/emulator/.done
	$(MAKE) $(TERRAFORM)
	rm -rf dist/e2e && for version in v0.0.0 v0.0.1; do \
	  $(GO) run ./tools/release -version $$version -bucket countersign-e2e -regions us-east-1 -out dist/e2e; done
	$(GO) test -tags e2e -count=1 -v ./e2e/...

local: ## the same stack, left running to try the CLI on
	$(MAKE) functions ARCH=$$($(GO) env GOHOSTARCH)
	$(MAKE) cli app $(CDK) $(TOOLS)/emulator/.done
	$(GO) run ./e2e/local

.PHONY: newcomer
newcomer: need-go need-node need-npm need-python3 ## how long it takes from a clone, with nothing built, to an open grant on the emulator
	tools/newcomer.sh

bench: need-go need-python3 ## figures, as ratios where they are times
	$(GO) run ./bench

.PHONY: clean
clean: ## remove what was built; tools stay
	rm -rf bin dist cdk.out
