# SPDX-License-Identifier: BSD-2-Clause
#
# Tools of the user's Linux that are made from the hypervisor's own sources.

TERNDISK := $(BUILD)/terndisk
# All of the store but what a host does at its boot.
TERNDISK_SRCS := $(wildcard tools/terndisk/*.c)
TERNDISK_SRCS += $(filter-out %/ds_start.c,$(wildcard kernel/store/*.c))
TERNDISK_SRCS += kernel/xfer/push_wire.c kernel/lib/crc32c.c drivers/blkdev.c
TERNDISK_CFLAGS := -std=gnu11 -O2 -g -pthread $(WARN)

$(TERNDISK): $(TERNDISK_SRCS) mk/tools.mk | $(SETUP_STAMP)
	@mkdir -p $(@D)
	$(call say,TOOL,$@)
	$(Q)$(HOSTCC) -Iinclude -iquote . -MM -MP -MT $@ $(TERNDISK_SRCS) > $@.d
	$(Q)$(HOSTCC) $(TERNDISK_CFLAGS) -Iinclude -iquote . -DTERN_DEBUG=1 $(TERNDISK_SRCS) -o $@

-include $(TERNDISK).d
