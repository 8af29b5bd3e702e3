/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory map that the kernel gets: sorted, merged, free of overlaps, made
 * by painting ranges over each other (the last paint wins). Pure code: it is
 * tested on the host.
 */
#ifndef BOOT_MEMMAP_H
#define BOOT_MEMMAP_H

#include <tern/bootinfo.h>

/*
 * Paints [start, start + size). Partial pages at the ends are painted for every
 * type but BOOT_MEM_FREE, which shrinks to whole pages. When the table is full
 * a remaining part is left out, that is: it is never used.
 */
void memmap_set(struct bootinfo *bi, uint64_t start, uint64_t size, enum boot_mem_type type);

#endif
