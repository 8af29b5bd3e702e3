/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_CHACHA_H
#define LIB_CHACHA_H

#include <tern/types.h>

/* One 64-byte block of the key stream. */
void chacha_block(const uint32_t key[8], uint64_t counter, uint64_t nonce, uint32_t out[16]);

#endif
