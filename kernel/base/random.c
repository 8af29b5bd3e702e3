/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes (tern/random.h): ChaCha20 under a key that is replaced after
 * each request, so that what was given out cannot be computed back from memory.
 * Every request stirs in the TSC and, where the CPU has them, RDSEED or RDRAND.
 * [SDM 1 "Random Number Generator Instructions"]
 */
#include <string.h>

#include <tern/cpu.h>
#include <tern/lock.h>
#include <tern/random.h>

#include "kernel/lib/chacha.h"

#define CPUID_1_ECX_RDRAND BIT(30)
#define CPUID_7_EBX_RDSEED BIT(18)
#define HARDWARE_TRIES 16

/* Guards all below. */
static struct spinlock lock = SPINLOCK_INIT(LOCK_HEAP, "random");
static uint32_t key[8];
static uint64_t counter;

static bool rdrand(uint64_t *v)
{
	bool ok = false;

	for (int i = 0; i < HARDWARE_TRIES && !ok; i++)
		__asm__ volatile("rdrand %0" : "=r"(*v), "=@ccc"(ok));
	return ok;
}

static bool rdseed(uint64_t *v)
{
	bool ok = false;

	for (int i = 0; i < HARDWARE_TRIES && !ok; i++)
		__asm__ volatile("rdseed %0" : "=r"(*v), "=@ccc"(ok));
	return ok;
}

static uint64_t hardware_word(void)
{
	uint64_t v = 0;

	if (cpuid(0, 0).eax >= 7 && cpuid(7, 0).ebx & CPUID_7_EBX_RDSEED && rdseed(&v))
		return v;
	if (cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND && rdrand(&v))
		return v;
	return 0;
}

static void stir_locked(void)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t v = hardware_word() ^ rdtsc() * 0x9e3779b97f4a7c15ull;

		key[2 * i] ^= (uint32_t)v;
		key[2 * i + 1] ^= (uint32_t)(v >> 32);
	}
}

void random_bytes(void *buf, size_t len)
{
	unsigned long f = spin_lock(&lock);
	uint8_t *to = buf;
	uint32_t block[16];

	stir_locked();
	while (len) {
		size_t n = MIN(len, sizeof(block));

		chacha_block(key, counter++, 0, block);
		memcpy(to, block, n);
		to += n;
		len -= n;
	}
	chacha_block(key, counter++, 1, block);
	memcpy(key, block, sizeof(key));
	memset(block, 0, sizeof(block));
	spin_unlock(&lock, f);
}
