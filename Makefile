# The front door for newcomers. The work is done by CMake (CMakePresets.json), Ninja and CTest.
.DEFAULT_GOAL := build
.PHONY: help demo build check test asan tsan fuzz deps deps-check format clean
MAKEFLAGS += --no-print-directory
JOBS := $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))

# Open MPI refuses to start as root unless both are set.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

# $(call build,PRESET,FOLDER,TARGETS): configure once; Ninja configures again when a CMake file has changed.
define build
@test -f $(2)/build.ninja || cmake --preset $(1) --log-level=WARNING
@cmake --build --preset $(1) $(if $(3),--target $(3))
endef

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: deps ## install, build, and make a clip from a text prompt on two ranks
	$(call build,release,build,mg-dist)
	mpirun --oversubscribe -np 2 build/mg-dist generate --model models/mg-demo \
	    --prompt "fast energetic drums with bass" --duration 10 --seed 7 --out out/demo
	@echo "Made from text, with the prompt and all settings beside it: $(CURDIR)/out/demo/000000.wav"

build: deps ## build/mg-dist and the tests
	$(call build,release,build)

check: deps-check ## build with warnings as errors, with sanitizers and with clang, and run every test
	@$(MAKE) asan tsan fuzz test

test: deps-check ## the release build and every test
	$(call build,release,build)
	@ctest --preset release -j$(JOBS) --output-log build/test.log
	@grep -h '^SKIPPED:' build/Testing/Temporary/LastTest.log || true
	@grep 'tests passed' build/test.log

asan: deps-check ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(call build,asan,build-asan)
	@ctest --preset asan -j$(JOBS)

tsan: deps-check ## the threads under ThreadSanitizer
	$(call build,tsan,build-tsan)
	@ctest --preset tsan

fuzz: deps-check ## the fuzz targets, a few seconds each; everything compiled by clang
	$(call build,fuzz,build-fuzz)
	@ctest --preset fuzz -j$(JOBS)

deps: ## install the packages that building needs
	@.ci/packages build

deps-check:
	@.ci/packages check

format: deps-check ## clang-format every source file
	@tests/lint/lint.sh sources . | xargs clang-format -i

clean: ## remove every build folder
	rm -rf build build-asan build-tsan build-fuzz build-debug
