/* SPDX-License-Identifier: BSD-2-Clause */
/* The UEFI loader's own parts. Every function prints its own error, naming what failed. */
#ifndef BOOT_LOADER_H
#define BOOT_LOADER_H

#include <efi.h>
#include <efilib.h>

#include <tern/bootinfo.h>

#define EFI_PAGES(bytes) ((UINTN)(((bytes) + PAGE_MASK) >> PAGE_SHIFT))

/* A range of physical memory of the loader's. */
struct blob {
	uint64_t start; /* page aligned */
	uint64_t size;	/* bytes */
};

/* Zeroed pages of type EfiLoaderData; 0 when there is not enough memory. */
uint64_t loader_alloc(uint64_t bytes);
/* Prints "tern: error: WHAT: status" and returns the status. */
EFI_STATUS loader_error(const CHAR16 *what, EFI_STATUS status);

/* file.c */
EFI_STATUS volume_open(EFI_HANDLE image, EFI_FILE_HANDLE *root);
EFI_STATUS file_read(EFI_FILE_HANDLE root, const CHAR16 *path, struct blob *out);
EFI_STATUS files_read_boot(EFI_FILE_HANDLE root, struct bootinfo *bi);

/* elf.c */
struct kernel_image {
	struct blob mem; /* whole image, bss included */
	uint64_t virt;	 /* where its first byte is linked */
	uint64_t entry;	 /* virtual */
};
EFI_STATUS elf_load(const struct blob *file, struct kernel_image *out);

/* paging.c: 1:1 and direct map of [0, ram_top), and the kernel. 0 when out of memory. */
uint64_t paging_build(uint64_t ram_top, const struct kernel_image *k);

#endif
