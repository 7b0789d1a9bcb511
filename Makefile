# A thin front of meson: see README.md.
BUILD ?= build
PREFIX ?= /usr/local
ASAN = $(BUILD)-asan

.PHONY: all deps test-deps install check check-unit check-e2e demo bench clean

all: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) --prefix $(PREFIX)
	@ninja -C $(BUILD)
	@ln -sf src/cli/g4l src/server/g4ld src/agent/g4l-agent src/netboot/g4l-bootd $(BUILD)/

deps:
	@tools/install-deps build

test-deps:
	@tools/install-deps test

install: all
	@meson install -C $(BUILD)

# Every test. Unit and fuzz tests run under the address and undefined-behaviour sanitizers; what starts
# whole programs and virtual PCs runs with the ordinary build.
check: test-deps all check-unit check-e2e

check-unit: all
	@[ -f $(ASAN)/build.ninja ] || meson setup $(ASAN) -Db_sanitize=address,undefined
	@ninja -C $(ASAN)
	@meson test -C $(ASAN) --no-rebuild --print-errorlogs --suite unit --suite fuzz

check-e2e: all
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs --suite images --suite e2e

demo: test-deps all
	@tests/demo/demo $(BUILD)

bench: test-deps all
	@tests/bench/ntfs.sh $(BUILD)

clean:
	rm -rf $(BUILD) $(ASAN)
