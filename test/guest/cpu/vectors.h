/* SPDX-License-Identifier: BSD-2-Clause */
/* Vector state and general registers from memory and to memory (vectors.S). */
#ifndef TEST_GUEST_CPU_VECTORS_H
#define TEST_GUEST_CPU_VECTORS_H

#include <stdint.h>

#define KEPT_GPRS 10

struct vectors {
	uint64_t ymm[16][4]; /* with AVX all of it, else the low halves */
	uint64_t x87[8];     /* doubles, ST0 first */
	uint32_t mxcsr;
	uint32_t avx;		 /* not 0: ymm */
	uint64_t gpr[KEPT_GPRS]; /* RBX, RBP, RCX, R9 to R15 */
	uint64_t rflags;	 /* arithmetic flags do not last */
	const volatile uint32_t *word;
};
_Static_assert(sizeof(struct vectors) == 680, "as vectors.S has it");

enum vectors_what {
	DO_EXITS,  /* of several kinds; general registers are not kept */
	WAIT_BYTE, /* until there is one on COM1, which stays there */
	WAIT_WORD, /* until word is not 0 */
	WAIT_HALT, /* likewise, in HLT with interrupts on */
};

/* Loads, then does what, then stores. */
void vectors_keep(const struct vectors *in, struct vectors *out, uint64_t what);

#endif
