/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiboot2 loader: what GRUB hands over, and what its files share.
 * [Multiboot2 2.0 3.6 "Boot information format"]
 */
#ifndef BOOT_MULTIBOOT2_MB2_H
#define BOOT_MULTIBOOT2_MB2_H

#include "boot/common/load.h"

#define MB2_BOOT_MAGIC 0x36d76289u

enum mb2_tag_type {
	MB2_END = 0,
	MB2_MODULE = 3,
	MB2_MMAP = 6,
	MB2_FRAMEBUFFER = 8,
	MB2_RSDP_V1 = 14,
	MB2_RSDP_V2 = 15,
};

struct mb2_tag {
	uint32_t type, size; /* size without the padding to 8 bytes */
};

struct mb2_module {
	struct mb2_tag tag;
	uint32_t start, end;
	char cmdline[]; /* our names: kernel.elf, tern.conf, anything else is a file */
};

#define MB2_MEM_AVAILABLE 1u
#define MB2_MEM_ACPI 3u
#define MB2_MEM_NVS 4u
struct mb2_mmap_entry {
	uint64_t start, size;
	uint32_t type, zero;
};
_Static_assert(sizeof(struct mb2_mmap_entry) == 24, "version 0 of the entry");

struct mb2_mmap {
	struct mb2_tag tag;
	uint32_t entry_size, entry_version;
};

#define MB2_FB_RGB 1u
struct mb2_framebuffer {
	struct mb2_tag tag;
	uint64_t addr;
	uint32_t pitch, width, height;
	uint8_t bpp, type;
};

/* The information's first tag, and the one after t; NULL at the end. */
const struct mb2_tag *mb2_first(uint64_t info);
const struct mb2_tag *mb2_next(const struct mb2_tag *t);

/* One line on COM1, then the machine halts. */
void mb2_fail(const char *what) __attribute__((noreturn));

/* memory.c: the pool of loader_alloc(), and the map for the kernel. */
void mem_init(uint64_t info);
uint64_t mem_top(uint64_t info);
void mem_fill(uint64_t info, struct bootinfo *bi);

#endif
