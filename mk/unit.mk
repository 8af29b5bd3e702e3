# SPDX-License-Identifier: BSD-2-Clause
#
# Unit tests on the build machine: test/unit/test_X.c is a cmocka program, linked
# with the project's sources that it names near its top,
#
#   // SOURCES: kernel/lib/bitmap.c mig/wire.c
#   // LIBS: zydis                     (only what needs one of the libraries)
#
# all of it under ASan and UBSan against the host's libc. test/unit/support.c is
# linked to each: weak stand-ins for panic, the log and the locks.

UNIT_SRCS := $(sort $(wildcard test/unit/test_*.c))
UNIT_BINS := $(UNIT_SRCS:test/unit/%.c=$(BUILD)/unit/%)

HOST_CPPFLAGS := -Iinclude -iquote . -DTERN_DEBUG=1 -DTERN_HOST_TEST=1 \
	-isystem $(TP)/zydis/include $(ZYDIS_DEFS) $(AML_INCLUDE) \
	-Inet/lwip -isystem $(TP)/src/lwip/src/include
HOST_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -Wall -Wextra -Werror -Wno-unused-parameter
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

# Words after KEY: in the first lines of a test's source.
named = $(shell sed -n '1,30s@.*$(2): *\(.*\)@\1@p' $(1) | sed 's@\*/@@')
sources_of = $(call named,$(1),SOURCES)
libs_of = $(foreach l,$(call named,$(1),LIBS),$(TP)/$(l)/$(l).a)

$(BUILD)/unit/%: test/unit/%.c test/unit/support.c mk/unit.mk | $(SETUP_STAMP) $(LIBS) $(AML)
	@mkdir -p $(@D)
	$(call say,UNIT,$<)
	$(Q)$(HOSTCC) $(HOST_CPPFLAGS) -MM -MP -MT $@ $< $(call sources_of,$<) > $@.d
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(SANITIZE) $(HOST_CPPFLAGS) -no-pie $< $(call sources_of,$<) \
		test/unit/support.c $(call libs_of,$<) -lcmocka -o $@

.PHONY: unit
unit: $(UNIT_BINS)

-include $(UNIT_BINS:%=%.d)
