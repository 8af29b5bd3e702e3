/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every way into the kernel shares: loading its ELF file (elf.c), its
 * provisional page tables (paging.c), the memory map (memmap.h). A loader
 * brings loader_alloc() and loader_copy(), and runs with all that it touches
 * mapped 1:1.
 */
#ifndef BOOT_COMMON_LOAD_H
#define BOOT_COMMON_LOAD_H

#include <tern/bootinfo.h>

/* A range of physical memory of the loader's. */
struct blob {
	uint64_t start; /* page aligned */
	uint64_t size;	/* bytes */
};

/* Zeroed pages that the kernel sees as BOOT_MEM_LOADER; 0 when there is not enough memory. */
uint64_t loader_alloc(uint64_t bytes);
void loader_copy(uint64_t to, uint64_t from, uint64_t bytes);

/* elf.c */
struct kernel_image {
	struct blob mem; /* whole image, bss included */
	uint64_t virt;	 /* where its first byte is linked */
	uint64_t entry;	 /* virtual */
};
enum elf_result { ELF_LOADED, ELF_BAD, ELF_NO_MEMORY };
enum elf_result elf_load(const struct blob *file, struct kernel_image *out);

/* paging.c: 1:1 and direct map of [0, ram_top), and the kernel. 0 when out of memory. */
uint64_t paging_build(uint64_t ram_top, const struct kernel_image *k);

/* Enters the kernel with rdi = bi on the tables of paging_build. */
NORETURN static inline void enter_kernel(uint64_t cr3, uint64_t entry, struct bootinfo *bi)
{
	__asm__ volatile("cli\n\t"
			 "cld\n\t"
			 "movq %0, %%cr3\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "jmpq *%1" ::"r"(cr3),
			 "r"(entry), "D"(bi)
			 : "memory");
	__builtin_unreachable();
}

#endif
