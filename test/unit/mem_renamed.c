/* SPDX-License-Identifier: BSD-2-Clause */
/* The libc's memory functions under other names, beside the host's own. */
#include <string.h>

void *tern_memcpy(void *restrict dst, const void *restrict src, size_t n);
void *tern_memmove(void *dst, const void *src, size_t n);
void *tern_memset(void *dst, int value, size_t n);

#define memcpy tern_memcpy
#define memmove tern_memmove
#define memset tern_memset

#include "kernel/lib/libc/mem.c"
