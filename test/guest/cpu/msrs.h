/* SPDX-License-Identifier: BSD-2-Clause */
/* The model-specific registers that there are (msrs.c). */
#ifndef TEST_GUEST_CPU_MSRS_H
#define TEST_GUEST_CPU_MSRS_H

#include <stdbool.h>
#include <stdint.h>

#define MSRS_MAX 256

struct msr {
	uint32_t index;
	uint64_t bits; /* keep what is written, each by itself */
};
extern struct msr msrs[MSRS_MAX];
extern unsigned nr_msrs;

/* Fills msrs; the first processor alone, since a trap is everybody's. */
void msrs_find(void);
/* False: #GP. */
bool msr_try_read(uint32_t index, uint64_t *v);
bool msr_try_write(uint32_t index, uint64_t v);

#endif
