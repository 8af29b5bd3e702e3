/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `/init vectors`: on each processor a thread of its own keeps a pattern in all vector
 * registers (YMM where there is AVX, else XMM) while it counts, stores them, compares, and does
 * so with another pattern. SIGTERM ends it: "vectors: N of M processors, TURNS turns, WRONG
 * wrong", TURNS of the slowest one.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define CPUS_MAX 64
#define REGISTERS 16
#define WORDS 4	       /* of 64 bits, in each */
#define COUNT 2000000u /* while they are held */

static struct keeper {
	pthread_t thread;
	size_t cpu;
	uint64_t turns, wrong;
} keepers[CPUS_MAX];
static atomic_bool ending;

typedef uint64_t registers[REGISTERS][WORDS] __attribute__((aligned(32)));

#define EACH_16(op)                                                                                \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13)    \
		op(14) op(15)
#define YMM_LOAD(n) "vmovdqa 32*" #n "(%[in]), %%ymm" #n "\n\t"
#define YMM_STORE(n) "vmovdqa %%ymm" #n ", 32*" #n "(%[out])\n\t"
#define XMM_LOAD(n) "movdqa 32*" #n "(%[in]), %%xmm" #n "\n\t"
#define XMM_STORE(n) "movdqa %%xmm" #n ", 32*" #n "(%[out])\n\t"
#define HOLD "1: sub $1, %[count]\n\tjnz 1b\n\t"
#define VECTORS                                                                                    \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",   \
		"xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static void hold_ymm(registers in, registers out)
{
	uint32_t count = COUNT;

	__asm__ volatile(EACH_16(YMM_LOAD) HOLD EACH_16(YMM_STORE) "vzeroupper"
			 : [count] "+r"(count)
			 : [in] "r"(in), [out] "r"(out)
			 : "memory", "cc", VECTORS);
}

/* The upper halves of in and out stay what they are. */
static void hold_xmm(registers in, registers out)
{
	uint32_t count = COUNT;

	__asm__ volatile(EACH_16(XMM_LOAD) HOLD EACH_16(XMM_STORE)
			 : [count] "+r"(count)
			 : [in] "r"(in), [out] "r"(out)
			 : "memory", "cc", VECTORS);
}

static void fill(registers r, uint64_t cpu, uint64_t turn)
{
	for (uint64_t i = 0; i < REGISTERS; i++)
		for (uint64_t k = 0; k < WORDS; k++)
			r[i][k] = (turn << 20 | cpu << 8 | i << 2 | k) * 0x9e3779b97f4a7c15;
}

static void *keep(void *arg)
{
	static const registers none;
	struct keeper *k = arg;
	const bool avx = __builtin_cpu_supports("avx");
	const size_t size = avx ? 32 : 16;
	registers in, out;

	while (!atomic_load(&ending)) {
		fill(in, k->cpu, k->turns);
		memcpy(out, none, sizeof(out));
		(avx ? hold_ymm : hold_xmm)(in, out);
		for (unsigned i = 0; i < REGISTERS; i++)
			k->wrong += memcmp(in[i], out[i], size) != 0;
		k->turns++;
	}
	return NULL;
}

/* False: there is no such processor, or no thread. */
static bool start(struct keeper *k, size_t cpu)
{
	cpu_set_t only;

	k->cpu = cpu;
	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	if (pthread_create(&k->thread, NULL, keep, k))
		return false;
	return !pthread_setaffinity_np(k->thread, sizeof(only), &only);
}

int vectors_keep(void)
{
	size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_ONLN), started = 0;
	uint64_t least = UINT64_MAX, wrong = 0;
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	for (size_t i = 0; i < cpus && i < CPUS_MAX; i++)
		started += start(&keepers[i], i);
	say("vectors: %s", __builtin_cpu_supports("avx") ? "YMM" : "XMM");
	sigwait(&term, &sig);
	atomic_store(&ending, true);
	for (size_t i = 0; i < cpus && i < CPUS_MAX; i++) {
		if (keepers[i].thread)
			pthread_join(keepers[i].thread, NULL);
		wrong += keepers[i].wrong;
		least = keepers[i].turns < least ? keepers[i].turns : least;
	}
	say("vectors: %zu of %zu processors, %llu turns, %llu wrong", started, cpus,
	    (unsigned long long)least, (unsigned long long)wrong);
	return wrong || started != cpus;
}
