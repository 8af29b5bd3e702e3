/* SPDX-License-Identifier: BSD-2-Clause */
/* Vector state from memory and to memory (vectors.S). */
#ifndef TEST_GUEST_CPU_VECTORS_H
#define TEST_GUEST_CPU_VECTORS_H

#include <stdint.h>

struct vectors {
	uint64_t ymm[16][4]; /* with AVX all of it, else the low halves */
	uint64_t x87[8];     /* doubles, ST0 first */
	uint32_t mxcsr;
	uint32_t avx; /* not 0: ymm */
};

/* Loads, then does: 0 exits of several kinds, 1 waits for a byte on COM1; then stores. */
void vectors_keep(const struct vectors *in, struct vectors *out, uint64_t what);

#endif
