/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine checks: the CPU tells of errors of the hardware. (mce.c)
 * mce_check where one is signalled (vector 18, an exit of a guest for it): any
 * context, interrupts off. It does not return when nothing can go on.
 */
#ifndef ARCH_MCE_H
#define ARCH_MCE_H

#include <tern/types.h>

/* One bank's registers, as the CPU left them. */
struct mce_bank {
	const char *where; /* it was signalled: "in the host", ... */
	unsigned bank;
	uint64_t status, addr, misc;
};

void mce_check(const char *where);
/* In interrupt context: writes to the log what this CPU's checks found. */
void mce_report(void);
/* In words: what went wrong, how far it reaches, at which address. */
void mce_text(const struct mce_bank *b, char *text, size_t len);

#endif
