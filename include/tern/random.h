/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes for ids, keys and guests: a ChaCha20 generator fed by RDSEED or
 * RDRAND where present, and by interrupt timing.
 */
#ifndef TERN_RANDOM_H
#define TERN_RANDOM_H

#include <tern/types.h>

/* Never blocks; any context. */
void random_bytes(void *buf, size_t len);

#endif
