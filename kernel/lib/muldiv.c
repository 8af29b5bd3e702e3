/* SPDX-License-Identifier: BSD-2-Clause */
/* a * b / div with a 128-bit product in between, saturating at UINT64_MAX. */
#include <tern/timer.h>

uint64_t mul_div64(uint64_t a, uint64_t b, uint64_t div)
{
	unsigned __int128 p = (unsigned __int128)a * b;
	uint64_t high = (uint64_t)(p >> 64), low = (uint64_t)p, rem;

	if (high >= div)
		return UINT64_MAX;
	/* The quotient fits now, so divq cannot fault; C's operator would need libgcc. */
	__asm__("divq %2" : "+a"(low), "=d"(rem) : "rm"(div), "1"(high) : "cc");
	return low;
}
