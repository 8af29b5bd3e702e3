/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's functions by address, for backtraces. tools/ksyms makes the table
 * from the first link; kernel/kernel.ld places it. Sorted by addr_off; a function
 * reaches to the next one's start.
 */
#ifndef TERN_KSYMS_H
#define TERN_KSYMS_H

#include <tern/types.h>

struct ksym {
	uint32_t addr_off; /* bytes from __text_start */
	uint32_t name_off; /* bytes from __ksyms_names, NUL terminated there */
};

extern const struct ksym __ksyms_start[], __ksyms_end[];
extern const char __ksyms_names[];

/* Bounds of the image's parts, page aligned (kernel/kernel.ld). */
extern const char __image_start[], __image_end[];
extern const char __text_start[], __text_end[];
extern const char __rodata_start[], __rodata_end[];
extern char __data_start[], __data_end[];
extern char __bss_start[], __bss_end[];

#endif
