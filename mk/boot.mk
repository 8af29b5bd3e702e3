# SPDX-License-Identifier: BSD-2-Clause
#
# The UEFI loader (GNU-EFI) and a bootable volume with loader, kernel and
# configuration. tools/mkimage makes such volumes; the lab uses it too.

BOOT_COMMON := $(sort $(wildcard boot/common/*.c))
EFI_SRCS := $(sort $(wildcard boot/efi/*.c)) $(BOOT_COMMON)
EFI_OBJS := $(EFI_SRCS:%=$(BUILD)/obj/efi/%.o)
EFI_APP := $(BUILD)/tern.efi
IMAGE := $(BUILD)/tern.img
BOOT_FILES := $(sort $(wildcard boot/files/*))

EFI_CFLAGS := -std=gnu11 -O2 -g -fpic -ffreestanding -fno-stack-protector -fshort-wchar \
	-mno-red-zone -mgeneral-regs-only -maccumulate-outgoing-args -fno-strict-aliasing \
	-fcf-protection=none -fno-asynchronous-unwind-tables $(WARN)
EFI_CPPFLAGS := -Iinclude -iquote . -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	-isystem /usr/include/efi/protocol -DEFI_FUNCTION_WRAPPER

$(BUILD)/obj/efi/%.c.o: %.c mk/boot.mk mk/toolchain.mk | $(SETUP_STAMP)
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

# The multiboot2 loader (GRUB, BIOS): $(BUILD)/tern.mb2, given kernel.elf as a module.
MB2_SRCS := $(sort $(wildcard boot/multiboot2/*.[cS])) $(BOOT_COMMON)
MB2_OBJS := $(MB2_SRCS:%=$(BUILD)/obj/mb2/%.o)
MB2_APP := $(BUILD)/tern.mb2
MB2_CFLAGS := -std=gnu11 -Os -g -fno-pie -ffreestanding -fno-stack-protector -mno-red-zone \
	-mgeneral-regs-only -fno-strict-aliasing -fcf-protection=none \
	-fno-asynchronous-unwind-tables -Iinclude -iquote . $(WARN)

$(BUILD)/obj/mb2/%.o: % mk/boot.mk mk/toolchain.mk | $(SETUP_STAMP)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(MB2_CFLAGS) -MMD -MP -c $< -o $@

$(MB2_APP): $(MB2_OBJS) boot/multiboot2/link.ld
	$(call say,LD,$@)
	$(Q)$(LD) -n -static -nostdlib -z noexecstack --no-warn-rwx-segments \
		-T boot/multiboot2/link.ld -o $@ $(MB2_OBJS)

.PHONY: multiboot2
multiboot2: $(MB2_APP) $(BUILD)/kernel.elf

-include $(patsubst %.o,%.d,$(MB2_OBJS))
