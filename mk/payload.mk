# SPDX-License-Identifier: BSD-2-Clause
#
# The CPU payload of test/guest/cpu: $(BUILD)/guest/cpu, a multiboot 1 file that
# tools/lab puts beside the test kernel. With its symbols, for debuggers, it is $(CPU_GUEST_ELF).

CPU_GUEST := $(BUILD)/guest/cpu
CPU_GUEST_ELF := $(BUILD)/obj/payload/cpu.elf
CPU_GUEST_SRCS := $(sort $(wildcard test/guest/cpu/*.[cS]))
CPU_GUEST_OBJS := $(CPU_GUEST_SRCS:%=$(BUILD)/obj/payload/%.o)
CPU_GUEST_CFLAGS := -std=gnu11 -O2 -g -m64 -ffreestanding -mno-red-zone -mgeneral-regs-only \
	-fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fno-strict-aliasing \
	-fcf-protection=none -mno-fancy-math-387 $(WARN)

$(BUILD)/obj/payload/%.o: % mk/payload.mk mk/toolchain.mk | $(SETUP_STAMP)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPU_GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(CPU_GUEST_ELF): $(CPU_GUEST_OBJS) test/guest/cpu/link.ld
	$(call say,LD,$@)
	$(Q)$(LD) -n -static -nostdlib -z noexecstack --no-warn-rwx-segments \
		-T test/guest/cpu/link.ld -o $@ $(CPU_GUEST_OBJS)

$(CPU_GUEST): $(CPU_GUEST_ELF)
	@mkdir -p $(@D)
	$(call say,STRIP,$@)
	$(Q)$(OBJCOPY) -S $< $@

-include $(CPU_GUEST_OBJS:%.o=%.d)
