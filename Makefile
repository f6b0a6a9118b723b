# SPDX-License-Identifier: MIT
#
# Makefile - the short commands in front of CMake.
#
# Nothing is built here: each target makes sure that the tools it needs are
# installed (tools/setup.sh), then calls CMake, ctest or a script. The only tool
# that has to be there before is make itself.

BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)

# CMake drives a make of its own, which must not inherit this one's flags.
cmake_build = MAKEFLAGS= MAKELEVEL= cmake --build
ctest       = ctest --output-on-failure --no-label-summary --parallel $(JOBS)

.DEFAULT_GOAL := all
.PHONY: all check check-clients demo bench tidy debug asan ubsan tsan install
.PHONY: fresh clean help

all: ## build the library and the command-line tool into build/ (the default)
	@sh tools/setup.sh build
	@cmake --preset release -B $(BUILD) -DASHLAR_TESTS=OFF
	@$(cmake_build) $(BUILD) --parallel $(JOBS)

check: ## build, warnings being errors, and run every test
	@sh tools/setup.sh build check
	@cmake --preset release -B $(BUILD) -DASHLAR_TESTS=ON -DASHLAR_WERROR=ON
	@$(cmake_build) $(BUILD) --parallel $(JOBS)
	@$(ctest) --test-dir $(BUILD)

# 77: no package could be fetched, which it has said.
check-clients: ## Debian's programs for libjemalloc.so.2, fetched, run on ours
	@sh tools/setup.sh build
	@cmake --preset release -B $(BUILD) -DASHLAR_TESTS=OFF
	@$(cmake_build) $(BUILD) --parallel $(JOBS)
	@python3 test/clients/run.py --build $(BUILD) $(ARGS) || [ $$? = 77 ]

demo: ## run a real server on Ashlar beside two other allocators
	@sh tools/setup.sh build demo
	@cmake --preset release -B $(BUILD) -DASHLAR_TESTS=OFF
	@$(cmake_build) $(BUILD) --parallel $(JOBS)
	@python3 tools/demo.py

bench: ## every workload on every allocator (QUICK=1: < 5 minutes; ARGS="...")
	@sh tools/setup.sh build bench
	@cmake --preset release -B $(BUILD) -DASHLAR_TESTS=OFF -DASHLAR_BENCH=ON
	@$(cmake_build) $(BUILD) --parallel $(JOBS)
	@python3 bench/run.py --build $(BUILD) $(if $(QUICK),--quick) $(ARGS)

tidy: ## check the style rules (file:line: rule: what to do)
	@sh tools/setup.sh tidy
	@python3 tools/tidy.py

debug: ## every assert and audit on: build into build-debug/, run every test
debug: preset-debug

asan: ## the tests on a core built with the address sanitizer (build-asan/)
asan: preset-asan

ubsan: ## the tests on a core built with the undefined-behaviour sanitizer
ubsan: preset-ubsan

tsan: ## the tests on a core built with the thread sanitizer (build-tsan/)
tsan: preset-tsan

preset-%:
	@sh tools/setup.sh build check
	@cmake --preset $*
	@$(cmake_build) build-$* --parallel $(JOBS)
	@$(ctest) --test-dir build-$*

install: all ## install below PREFIX=/usr/local (DESTDIR is honoured)
	@cmake --install $(BUILD) --prefix $(PREFIX)

fresh: ## try the committed tree's demo and check in a new Debian 12 (root only)
	@sh tools/fresh_root.sh demo check

clean: ## remove every build folder
	rm -rf build build-debug build-asan build-ubsan build-tsan

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	    while IFS='|' read -r name about; do \
	        printf '  make %-13s %s\n' "$$name" "$$about"; \
	    done
