# SPDX-License-Identifier: BSD-2-Clause
#
# Fuzzers: test/fuzz/fuzz_X.c has LLVMFuzzerTestOneInput and names its sources as a
# unit test does. Kept inputs are in test/fuzz/corpus/X; what a run finds goes to
# $(BUILD)/fuzz/X.found. `make test` runs each for FUZZ_SECONDS, `make fuzz` longer.

FUZZ_SECONDS ?= 6
SECONDS ?= 60

FUZZ_OBJS := $(sort $(foreach s,$(FUZZ_SRCS),$(call objects_of,fuzz,$(s))))

$(FUZZ_OBJS): $(BUILD)/fuzz/obj/%.o: % mk/fuzz.mk mk/unit.mk | $(SETUP_STAMP) $(LIBS) $(AML)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)$(CLANG) $(HOST_CFLAGS) -fsanitize=fuzzer-no-link $(SANITIZE) $(HOST_CPPFLAGS) \
		-MMD -MP -c $< -o $@

$(foreach s,$(FUZZ_SRCS),$(eval $(s:test/fuzz/%.c=$(BUILD)/fuzz/%): \
	$(call objects_of,fuzz,$(s)) $(call libs_of,$(s))))
$(FUZZ_BINS):
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer $(SANITIZE) -no-pie $^ -o $@

.PHONY: fuzz fuzz-build
fuzz-build: $(FUZZ_BINS)
fuzz: fuzz-build
	@BUILD=$(BUILD) FUZZ_SECONDS=$(SECONDS) tools/runtests fuzz

-include $(FUZZ_OBJS:.o=.d)
