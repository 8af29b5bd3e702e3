# SPDX-License-Identifier: BSD-2-Clause
#
# The hypervisor: every .c and .S of the rooms, linked twice. The first link
# gives the addresses of the functions, tools/ksyms turns them into a table, the
# second link has it in .ksyms, behind all code, so that no address moves.

ROOMS := kernel arch drivers net mig
KERNEL_SRCS := $(sort $(shell find $(ROOMS) -name '*.[cS]' 2>/dev/null))
KERNEL_OBJS := $(KERNEL_SRCS:%=$(BUILD)/obj/%.o)
KERNEL_ELF := $(BUILD)/tern.elf
LINK_SCRIPT := kernel/kernel.ld

room_of = $(firstword $(subst /, ,$(1)))
kernel_cppflags = $(KERNEL_CPPFLAGS) $(ROOM_CPPFLAGS_$(call room_of,$(1))) $(AML_INCLUDE) \
	-iquote $(BUILD)/obj/drivers

# Objects are rebuilt when the flags change.
KERNEL_FLAGS_FILE := $(BUILD)/obj/kernel.flags
KERNEL_FLAGS := $(CC) $(KERNEL_CFLAGS) $(KERNEL_CPPFLAGS) $(ROOM_CPPFLAGS_net) $(ROOM_CPPFLAGS_arch)
$(shell mkdir -p $(BUILD)/obj; echo '$(KERNEL_FLAGS)' | cmp -s - $(KERNEL_FLAGS_FILE) || \
	echo '$(KERNEL_FLAGS)' > $(KERNEL_FLAGS_FILE))

$(BUILD)/obj/%.c.o: %.c $(KERNEL_FLAGS_FILE) | $(LIBS)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(KERNEL_CFLAGS) $(call kernel_cppflags,$<) -MMD -MP -c $< -o $@

$(BUILD)/obj/%.S.o: %.S $(KERNEL_FLAGS_FILE) | $(LIBS)
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(KERNEL_CFLAGS) $(call kernel_cppflags,$<) -D__ASSEMBLER__ -MMD -MP -c $< -o $@

# ACPI source becomes a C array, X_aml_code[] in X.hex.
AML := $(patsubst %.asl,$(BUILD)/obj/%.hex,$(shell find kernel -name '*.asl' 2>/dev/null))
AML_INCLUDE := $(addprefix -iquote ,$(sort $(patsubst %/,%,$(dir $(AML)))))

$(BUILD)/obj/%.hex: %.asl | $(SETUP_STAMP)
	@mkdir -p $(@D)
	$(call say,IASL,$<)
	$(Q)iasl -we -vs -tc -p $(basename $@) $< > $(basename $@).iasl.log 2>&1 || \
		{ cat $(basename $@).iasl.log; exit 1; }

$(filter $(BUILD)/obj/kernel/vdev/%,$(KERNEL_OBJS)): | $(AML)

# The console's font becomes the rows of a C array.
FONT := $(TP)/font/Lat15-Fixed16.psf.gz
FONT_HEX := $(BUILD)/obj/drivers/font.hex

$(FONT_HEX): tools/mkfont | $(SETUP_STAMP)
	@mkdir -p $(@D)
	$(call say,FONT,$@)
	$(Q)tools/mkfont $(FONT) > $@.tmp && mv $@.tmp $@

$(filter $(BUILD)/obj/drivers/fbcon%,$(KERNEL_OBJS)): | $(FONT_HEX)

# The libc's own functions must not be compiled into calls of themselves.
$(BUILD)/obj/kernel/lib/libc/%.c.o: KERNEL_CFLAGS += -fno-builtin -fno-tree-loop-distribute-patterns

LINK = $(CC) -nostdlib -static -no-pie -Wl,-T,$(LINK_SCRIPT) -Wl,--gc-sections \
	-Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,--fatal-warnings

KERNEL_LINK_INPUT = $(KERNEL_OBJS) -Wl,--start-group $(LIBS) -lgcc -Wl,--end-group

$(BUILD)/tern.pass1.elf: $(KERNEL_OBJS) $(LIBS) $(LINK_SCRIPT)
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $(KERNEL_LINK_INPUT)

$(BUILD)/obj/ksyms.S: $(BUILD)/tern.pass1.elf tools/ksyms
	$(call say,KSYMS,$@)
	$(Q)tools/ksyms table $< > $@.tmp && mv $@.tmp $@

$(BUILD)/obj/ksyms.o: $(BUILD)/obj/ksyms.S
	$(Q)$(CC) -c $< -o $@

$(KERNEL_ELF): $(BUILD)/obj/ksyms.o $(BUILD)/tern.pass1.elf
	$(call say,LD,$@)
	$(Q)$(LINK) -Wl,-Map,$(BUILD)/tern.map -o $@.tmp $(KERNEL_LINK_INPUT) $<
	$(Q)tools/ksyms check $(BUILD)/tern.pass1.elf $@.tmp
	$(Q)mv $@.tmp $@

.PHONY: kernel
kernel: $(KERNEL_ELF)

-include $(patsubst %.o,%.d,$(KERNEL_OBJS))
