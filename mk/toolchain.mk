# SPDX-License-Identifier: BSD-2-Clause
#
# Compilers and flags. Everything that runs in the hypervisor is compiled for
# general registers only: the guest's vector state stays loaded while it runs.

CC := gcc
LD := ld
OBJCOPY := objcopy
HOSTCC := gcc
CLANG := clang

DEBUG ?= 1

# On a machine without the compiler, the rest of this file needs set-up done first.
ifeq ($(shell command -v $(CC)),)
$(info $(shell tools/setup >&2))
endif

GCC_INCLUDE := $(shell $(CC) -print-file-name=include 2>/dev/null)

CODEGEN := -O2 -ffreestanding -mno-red-zone -mgeneral-regs-only -mcmodel=kernel \
	-fno-pie -fno-stack-protector -ffunction-sections -fdata-sections \
	-fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-asynchronous-unwind-tables \
	-fno-strict-aliasing -fno-common -fcf-protection=none -g

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Werror

# Third-party headers are system headers: their warnings are theirs.
LIBC_CPPFLAGS = -nostdinc -isystem $(GCC_INCLUDE) -isystem $(TP)/newlib/include

KERNEL_CPPFLAGS = $(LIBC_CPPFLAGS) -Iinclude -iquote . -DTERN_DEBUG=$(DEBUG)
KERNEL_CFLAGS = -std=gnu11 $(CODEGEN) $(WARN)

# Only the rooms that wrap a library see its headers.
ROOM_CPPFLAGS_net = -Inet/lwip -isystem $(TP)/src/lwip/src/include
ROOM_CPPFLAGS_arch = -isystem $(TP)/zydis/include $(ZYDIS_DEFS)
ZYDIS_DEFS := -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -DZYAN_NO_LIBC -DZYDIS_DISABLE_FORMATTER \
	-DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_SEGMENT -DZYDIS_DISABLE_AVX512 \
	-DZYDIS_DISABLE_KNC

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n' $(1) '$(2)'
endif
