# SPDX-License-Identifier: BSD-2-Clause
#
# Fuzzers: test/fuzz/fuzz_X.c has LLVMFuzzerTestOneInput and names its sources as a
# unit test does. Kept inputs are in test/fuzz/corpus/X; what a run finds goes to
# $(BUILD)/fuzz/X.found. `make test` runs each for FUZZ_SECONDS, `make fuzz` longer.

FUZZ_SECONDS ?= 10
SECONDS ?= 60

FUZZ_SRCS := $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ_BINS := $(FUZZ_SRCS:test/fuzz/%.c=$(BUILD)/fuzz/%)

$(BUILD)/fuzz/%: test/fuzz/%.c test/unit/support.c mk/fuzz.mk mk/unit.mk \
		| $(SETUP_STAMP) $(LIBS) $(AML)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)$(CLANG) $(HOST_CPPFLAGS) -MM -MP -MT $@ $< $(call sources_of,$<) > $@.d
	$(Q)$(CLANG) $(HOST_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(HOST_CPPFLAGS) -no-pie $< $(call sources_of,$<) test/unit/support.c \
		$(call libs_of,$<) -o $@

.PHONY: fuzz fuzz-build
fuzz-build: $(FUZZ_BINS)
fuzz: fuzz-build
	@BUILD=$(BUILD) FUZZ_SECONDS=$(SECONDS) tools/runtests fuzz

-include $(FUZZ_BINS:%=%.d)
