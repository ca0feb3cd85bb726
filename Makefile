# Every target sets up what it needs and can be run again. `make` alone lists them.
# Nothing is written outside this folder, the package manager's places and the model cache.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DEMO_MODEL := smollm2-135m-instruct
DEMO_QUESTION := What is the capital of France?
FUZZ_SECONDS ?= 60
LONG_PROGRAMS ?= 10000
LONG_FIRST ?= 100000
# What asan and tsan build and run: everything, unless targets and a pattern of tests are named.
SANITIZED ?=
SANITIZED_TESTS ?= .
TL := build/release/tl
export CCACHE_DIR ?= $(CURDIR)/build/ccache

# A preset is configured once; ninja sees to it from then on.
configure = @test -f build/$(1)/build.ninja || { echo "== configuring build/$(1)"; cmake --preset $(1) -Wno-dev; }
compile = @echo "== building build/$(1) on $(JOBS) cores"; cmake --build build/$(1) -j $(JOBS) $(2)
run_tests = cd build/$(1) && $(2) ctest --output-on-failure -j $(JOBS) $(3)

.PHONY: help
help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: demo
demo: build ## builds tl, fetches a small model and chats with it (one question where there is no terminal)
	@$(TL) models fetch $(DEMO_MODEL)
	@if [ -t 0 ] && [ -t 1 ]; then \
	  echo "== $(TL) chat $(DEMO_MODEL)"; \
	  $(TL) chat $(DEMO_MODEL); \
	else \
	  echo "== echo '$(DEMO_QUESTION)' | $(TL) chat $(DEMO_MODEL) --temperature 0"; \
	  echo '$(DEMO_QUESTION)' | $(TL) chat $(DEMO_MODEL) --temperature 0; \
	fi

.PHONY: build
build: setup ## the optimised program, at build/release/tl
	$(call configure,release)
	$(call compile,release,--target tl)

.PHONY: test
test: setup-test ## builds everything, fetches the test model and vocabularies, runs all tests
	$(call configure,release)
	$(call compile,release)
	@$(TL) models fetch $(DEMO_MODEL)
	@scripts/fetch_test_vocabs.sh
	@echo "== running all tests"
	@$(call run_tests,release,TL_REQUIRE_MODEL=1)

.PHONY: asan
asan: setup-dev setup-test ## tests under the address and undefined-behaviour sanitizers
	$(call configure,asan)
	$(call compile,asan,$(if $(SANITIZED),--target $(SANITIZED)))
	@echo "== running the tests that are not slow under asan and ubsan"
	@$(call run_tests,asan,TL_SANITIZED=1 UBSAN_OPTIONS=print_stacktrace=1,-LE slow -R '$(SANITIZED_TESTS)')

.PHONY: tsan
tsan: setup-test ## unit tests and small models under the thread sanitizer
	$(call configure,tsan)
	$(call compile,tsan,$(if $(SANITIZED),--target $(SANITIZED)))
	@echo "== running the tests that need no real model under tsan"
	@$(call run_tests,tsan,$$($(CURDIR)/scripts/fixed_addresses.sh) env TL_SANITIZED=1 TSAN_OPTIONS=second_deadlock_stack=1,-LE 'slow|model' -R '$(SANITIZED_TESTS)')

.PHONY: long
long: setup-test ## what is too slow for every change: 10,000 random programs (LONG_PROGRAMS=10000 LONG_FIRST=100000)
	$(call configure,release)
	$(call compile,release,--target property_test)
	build/release/tests/property/property_test --seeds tests/property/seeds.txt --count $(LONG_PROGRAMS) --first $(LONG_FIRST)

.PHONY: mutants
mutants: setup-test ## which of the deliberate faults in tests/mutants the fast tests notice (an hour on 2 cores)
	@python3 scripts/mutants.py --jobs $(JOBS)

.PHONY: headers
headers: setup ## compiles every header alone
	$(call configure,dev)
	$(call compile,dev,--target all_verify_interface_header_sets)

.PHONY: fuzz
fuzz: setup-dev ## runs each fuzz target for a minute (FUZZ_SECONDS=60)
	$(call configure,asan)
	$(call compile,asan,--target tests/fuzz/all)
	@scripts/fuzz.sh build/asan/tests/fuzz $(FUZZ_SECONDS)

.PHONY: bench
bench: setup-test ## speed against llama.cpp on the same files (compiles llama.cpp the first time)
	$(call configure,release)
	$(call compile,release)
	@scripts/bench.sh $(TL)

.PHONY: format
format: setup-dev ## lays out every C++ file as .clang-format says
	@scripts/check_format.sh --fix

.PHONY: format-check
format-check: setup-dev ## says which C++ files are not laid out so
	@scripts/check_format.sh

.PHONY: docs
docs: build ## checks that links, paths and programs in the documentation are true
	@python3 scripts/check_docs.py --tl $(TL)

.PHONY: reference
reference: build ## writes docs/reference.md anew from the table of builtins
	@$(TL) doc --markdown > docs/reference.md

.PHONY: install
install: build ## installs tl and its standard library under PREFIX (/usr/local)
	@cmake --install build/release --prefix $(PREFIX)

.PHONY: clean
clean: ## removes what was built (keeps build/venv*, build/models and the model cache)
	rm -rf build/release build/dev build/asan build/tsan build/fuzz build/clang

.PHONY: setup setup-test setup-dev
setup: ## installs the packages that building needs
	@scripts/setup.sh
setup-test: ## also the Python packages of the tests
	@scripts/setup.sh --test
setup-dev: ## also clang, for fuzzing and formatting
	@scripts/setup.sh --dev
