/* SPDX-License-Identifier: BSD-2-Clause */
/* A clock of known frequency to calibrate with: HPET, PM timer or PIT, whichever is there. */
#ifndef ARCH_REFERENCE_H
#define ARCH_REFERENCE_H

#include <tern/types.h>

struct reference {
	const char *name;
	uint32_t (*read)(void); /* counts up and wraps at mask */
	uint32_t mask;
	uint64_t fs_per_tick; /* femtoseconds */
};

/* The best that answers; never NULL fields: a PC always has the PIT. */
void reference_find(struct reference *out);

#endif
