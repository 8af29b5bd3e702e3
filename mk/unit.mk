# SPDX-License-Identifier: BSD-2-Clause
#
# Unit tests on the build machine: test/unit/test_X.c is a cmocka program, linked
# with the project's sources that it names near its top,
#
#   // SOURCES: kernel/lib/bitmap.c mig/wire.c
#   // LIBS: zydis                     (only what needs one of the libraries)
#
# all of it under ASan and UBSan against the host's libc. test/unit/support.c is
# linked to each: weak stand-ins for panic, the log and the locks. A source that
# several name is compiled once. Fuzzers (mk/fuzz.mk) are made in the same way.

UNIT_SRCS := $(sort $(wildcard test/unit/test_*.c))
UNIT_BINS := $(UNIT_SRCS:test/unit/%.c=$(BUILD)/unit/%)
FUZZ_SRCS := $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ_BINS := $(FUZZ_SRCS:test/fuzz/%.c=$(BUILD)/fuzz/%)

HOST_CPPFLAGS := -Iinclude -iquote . -DTERN_DEBUG=1 -DTERN_HOST_TEST=1 \
	-isystem $(TP)/zydis/include $(ZYDIS_DEFS) $(AML_INCLUDE) \
	-Inet/lwip -isystem $(TP)/src/lwip/src/include
HOST_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-pie -Wall -Wextra -Werror \
	-Wno-unused-parameter
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

# What the first lines of all programs name, each line a word, KEY:FILE:WORD,WORD...
NAMED := $(shell awk 'FNR <= 30 && match($$0, /(SOURCES|LIBS): */) { \
	key = substr($$0, RSTART, RLENGTH); words = substr($$0, RSTART + RLENGTH); \
	sub(/ *$$/, "", key); sub(/ *(\*\/.*)?$$/, "", words); gsub(/ +/, ",", words); \
	print key FILENAME ":" words }' \
	$(UNIT_SRCS) $(FUZZ_SRCS))
comma := ,
named = $(subst $(comma), ,$(patsubst $(2):$(1):%,%,$(filter $(2):$(1):%,$(NAMED))))
sources_of = $(foreach s,$(call named,$(1),SOURCES),$(or $(wildcard $(s)),$(s)))
libs_of = $(foreach l,$(call named,$(1),LIBS),$(TP)/$(l)/$(l).a)

# $(call objects_of,unit|fuzz,SOURCE): with the program's own and the stand-ins.
objects_of = $(patsubst %,$(BUILD)/$(1)/obj/%.o,$(2) $(call sources_of,$(2)) test/unit/support.c)
UNIT_OBJS := $(sort $(foreach s,$(UNIT_SRCS),$(call objects_of,unit,$(s))))

$(UNIT_OBJS): $(BUILD)/unit/obj/%.o: % mk/unit.mk | $(SETUP_STAMP) $(LIBS) $(AML)
	@mkdir -p $(@D)
	$(call say,UNIT,$<)
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(SANITIZE) $(HOST_CPPFLAGS) -MMD -MP -c $< -o $@

$(foreach s,$(UNIT_SRCS),$(eval $(s:test/unit/%.c=$(BUILD)/unit/%): \
	$(call objects_of,unit,$(s)) $(call libs_of,$(s))))
$(UNIT_BINS):
	$(call say,LD,$@)
	$(Q)$(HOSTCC) $(SANITIZE) -no-pie $^ -lcmocka -o $@

.PHONY: unit
unit: $(UNIT_BINS)

-include $(UNIT_OBJS:.o=.d)
