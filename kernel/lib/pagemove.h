/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choice of the fastest way to move pages, made once by main.c. The moves
 * themselves are in tern/page.h and work before the choice, too.
 */
#ifndef KERNEL_LIB_PAGEMOVE_H
#define KERNEL_LIB_PAGEMOVE_H

#include <stdint.h>

/* Times the candidates with the given clock; overwrites scratch, two pages. */
void pagemove_calibrate(void *scratch, uint64_t (*now)(void));
const char *pagemove_copy_name(void);
const char *pagemove_clear_name(void);

#endif
