# SPDX-License-Identifier: BSD-2-Clause
#
# The UEFI loader (GNU-EFI) and a bootable volume with loader, kernel and
# configuration. tools/mkimage makes such volumes; the lab uses it too.

EFI_SRCS := $(sort $(wildcard boot/efi/*.c))
EFI_OBJS := $(EFI_SRCS:%=$(BUILD)/obj/%.o)
EFI_APP := $(BUILD)/tern.efi
IMAGE := $(BUILD)/tern.img
BOOT_FILES := $(sort $(wildcard boot/files/*))

EFI_CFLAGS := -std=gnu11 -O2 -g -fpic -ffreestanding -fno-stack-protector -fshort-wchar \
	-mno-red-zone -mgeneral-regs-only -maccumulate-outgoing-args -fno-strict-aliasing \
	-fcf-protection=none -fno-asynchronous-unwind-tables $(WARN)
EFI_CPPFLAGS := -Iinclude -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	-isystem /usr/include/efi/protocol -DEFI_FUNCTION_WRAPPER

$(BUILD)/obj/boot/efi/%.c.o: boot/efi/%.c mk/boot.mk mk/toolchain.mk | $(SETUP_STAMP)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(EFI_CFLAGS) $(EFI_CPPFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tern.efi.so: $(EFI_OBJS)
	$(call say,LD,$@)
	$(Q)$(LD) -nostdlib -znocombreloc -shared -Bsymbolic -z noexecstack \
		-T /usr/lib/elf_x86_64_efi.lds /usr/lib/crt0-efi-x86_64.o $(EFI_OBJS) \
		-o $@ -L /usr/lib -lefi -lgnuefi
	@! nm -u $@ | grep . || { rm -f $@; echo "$@: undefined symbols" >&2; exit 1; }

$(EFI_APP): $(BUILD)/tern.efi.so
	$(call say,OBJCOPY,$@)
	$(Q)$(OBJCOPY) -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela \
		-j '.rel.*' -j '.rela.*' -j .reloc --target=efi-app-x86_64 --subsystem=10 $< $@

# What goes on the volume: no debug information, but the symbol table.
$(BUILD)/kernel.elf: $(KERNEL_ELF)
	$(Q)$(OBJCOPY) --strip-debug $< $@

$(IMAGE): $(EFI_APP) $(BUILD)/kernel.elf boot/tern.conf $(BOOT_FILES) tools/mkimage
	$(call say,IMAGE,$@)
	$(Q)tools/mkimage -o $@ --efi $(EFI_APP) --kernel $(BUILD)/kernel.elf \
		--conf boot/tern.conf $(BOOT_FILES)

.PHONY: image
image: $(IMAGE)

-include $(patsubst %.o,%.d,$(EFI_OBJS))
