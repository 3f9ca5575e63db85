# The front door. CMake does the work; this file knows the commands that people type.   make help
.DEFAULT_GOAL := build
.PHONY: help demo build check test asan tsan fuzz cuda-on-cpu cuda-on-cpu-long slurm-check kill-check coverage deps deps-check format hooks clean \
    install uninstall deb dist
MAKEFLAGS += --no-print-directory
JOBS := $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))

# Open MPI refuses to start as root unless both are set.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

# $(call build,PRESET,FOLDER,TARGETS): configure once; Ninja configures again when a CMake file has changed.
define build
@test -f $(2)/build.ninja || cmake --preset $(1) --log-level=NOTICE
@cmake --build --preset $(1) $(if $(3),--target $(3))
endef

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: deps ## install, build, and make a clip from a text prompt on two ranks
	$(call build,release,build,mg-dist)
	mpirun --oversubscribe --bind-to none -np 2 build/mg-dist generate --model models/mg-demo \
	    --prompt "warm ambient pad" --duration 10 --seed 7 --out out/demo
	@echo "Made from text, with the prompt and all settings beside it: $(CURDIR)/out/demo/000000.wav"
	@echo "Listen: aplay out/demo/000000.wav   (or any player)"

build: ## build/mg-dist and the tests; installs nothing
	@.ci/packages need build
	$(call build,release,build)

check: deps-check ## build with warnings as errors, with sanitizers and with clang, and run every test
	@tests/check.sh

test: ## the release build and every test of it
	@.ci/packages need check
	@tests/check.sh release

asan tsan fuzz: ## one stage: AddressSanitizer + UBSan, ThreadSanitizer, fuzz targets under clang
	@.ci/packages need check
	@tests/check.sh $@

cuda-on-cpu: ## the CUDA sources compiled for the CPU, and their tests (docs/TESTING.md)
	@.ci/packages need check
	@tests/check.sh cuda-on-cpu

cuda-on-cpu-long: ## the same with all that `make check` has no time for: more than an hour
	@.ci/packages need check
	$(call build,cuda-on-cpu,build-cuda-on-cpu)
	@ctest --preset cuda-on-cpu-long -j$(JOBS)

slurm-check: ## the job scripts on a real Slurm in network namespaces (root, slurm-wlm and munge), minutes
	@tests/slurm.sh build/mg-dist tests build/tests/e2e/faulty_disk.so

kill-check: ## mg-dist run killed 200 times (KILLS=N), and held against a run that nobody disturbed; half an hour
	@MG_KILLS=$$(($(or $(KILLS),200) / 2)) bash tests/e2e/dataset_kill.sh build/mg-dist tests

coverage: ## lines that the release tests reach, by folder (gcov); takes a few minutes
	@.ci/packages need check
	@tests/coverage.sh

deps: ## install the packages that building needs (apt, as root or with sudo)
	@.ci/packages build

deps-check: ## the same for testing
	@.ci/packages check

PREFIX ?= /usr/local
install: build ## install under PREFIX (/usr/local), inside DESTDIR if that is set (docs/INSTALL.md)
	@cmake --install build --prefix $(PREFIX) >build/install.log || { tail -3 build/install.log; exit 1; }
	@echo "installed: $(DESTDIR)$(PREFIX)/bin/mg-dist"

uninstall: ## remove what the last `make install` has installed
	@cmake --build build --target uninstall

deb: ## Debian packages into build-package (docs/INSTALL.md)
	@.ci/packages need package
	@cmake/deb.sh

dist: ## a tarball of the committed tree, which builds without git
	@cmake/dist.sh

format: ## clang-format every source file
	@tests/lint/lint.sh sources . | xargs clang-format -i

hooks: ## check staged files before each commit (under two seconds)
	@git config core.hooksPath .githooks && echo "git runs .githooks/pre-commit from now on"

clean: ## remove every build folder
	rm -rf build build-*
