/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ChaCha20 block function. [RFC 8439 2.3 "The ChaCha20 Block Function"]
 * Pure code.
 */
#include "chacha.h"

#define ROUNDS 10

static uint32_t rotate(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void quarter(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha_block(const uint32_t key[8], uint64_t counter, uint64_t nonce, uint32_t out[16])
{
	const uint32_t in[16] = {
		0x61707865,
		0x3320646e,
		0x79622d32,
		0x6b206574,
		key[0],
		key[1],
		key[2],
		key[3],
		key[4],
		key[5],
		key[6],
		key[7],
		(uint32_t)counter,
		(uint32_t)(counter >> 32),
		(uint32_t)nonce,
		(uint32_t)(nonce >> 32),
	};

	for (unsigned i = 0; i < 16; i++)
		out[i] = in[i];
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned c = 0; c < 4; c++)
			quarter(out, c, c + 4, c + 8, c + 12);
		for (unsigned c = 0; c < 4; c++)
			quarter(out, c, 4 + (c + 1) % 4, 8 + (c + 2) % 4, 12 + (c + 3) % 4);
	}
	for (unsigned i = 0; i < 16; i++)
		out[i] += in[i];
}
