/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every way into kernel_main hands over. The structure and all it points
 * to lie in memory of type BOOT_MEM_LOADER, which the kernel reclaims only when
 * it has copied what it keeps. Files stay where the loader put them: their
 * pages are never given to the page allocator.
 */
#ifndef TERN_BOOTINFO_H
#define TERN_BOOTINFO_H

#include <tern/types.h>

#define BOOTINFO_MAGIC 0x314f464e49524554ull /* "TERINFO1" in memory order */
#define BOOT_MAX_MEM 256
#define BOOT_MAX_FILES 64
#define BOOT_NAME_MAX 64

enum boot_mem_type {
	BOOT_MEM_FREE = 1, /* usable at once */
	BOOT_MEM_LOADER,   /* loader's page tables, this structure: free after boot */
	BOOT_MEM_KERNEL,   /* kernel image */
	BOOT_MEM_FILE,	   /* a file's contents */
	BOOT_MEM_ACPI,	   /* ACPI tables and NVS: mapped, never allocated */
	BOOT_MEM_RESERVED, /* anything else */
};

struct boot_mem {
	uint64_t start; /* bytes, page aligned */
	uint64_t size;	/* bytes, page aligned */
	uint32_t type;	/* enum boot_mem_type */
	uint32_t pad;
};

struct boot_file {
	char name[BOOT_NAME_MAX]; /* "/boot/vmlinuz", NUL terminated */
	uint64_t start;		  /* host-physical, page aligned */
	uint64_t size;		  /* bytes */
};

struct boot_fb {
	uint64_t start; /* host-physical; 0 = none */
	uint32_t width, height, stride_bytes, bits_per_pixel;
};

struct bootinfo {
	uint64_t magic;
	uint64_t rsdp;	       /* host-physical of the ACPI root, 0 = none */
	uint64_t kernel_start; /* host-physical of the kernel image */
	uint64_t kernel_size;  /* bytes, bss included */
	uint64_t config_start; /* tern.conf's text, host-physical; 0 = none */
	uint64_t config_size;  /* bytes */
	uint64_t loader_tsc;   /* TSC when the loader was entered */
	struct boot_fb fb;
	uint32_t mem_count, file_count;
	struct boot_mem mem[BOOT_MAX_MEM]; /* sorted by start, no overlaps */
	struct boot_file files[BOOT_MAX_FILES];
};

/* The kernel's first C function; bi is a host-physical address mapped 1:1 and in the direct map. */
void kernel_main(struct bootinfo *bi) __attribute__((noreturn));

/* Files under /boot/, kept by kernel/base/bootfs.c. NULL when there is none of that name. */
const struct boot_file *bootfs_find(const char *name);
const struct boot_file *bootfs_at(unsigned index); /* NULL past the end */
/* Value of a key of tern.conf ("net0.addr"), or NULL. */
const char *config_get(const char *key);
const char *config_key_at(unsigned index); /* in the file's order; NULL past the end */

#endif
