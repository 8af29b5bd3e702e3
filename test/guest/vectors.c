/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two threads on each processor keep patterns of their own in all vector registers (ZMM and the
 * masks where there is AVX-512, else YMM where there is AVX, else XMM) and in MXCSR. While the
 * registers hold them, a thread counts, gives way to the other one, and sleeps: the kernel, and
 * whoever runs below it, has to put them aside and bring them back. Then it compares, says which
 * register is wrong ("vectors: thread T, turn N: zmm17 word 0 is X, not Y"), and goes on with
 * other patterns. Each time when the first thread has made ten times as many turns it says
 * "vectors: TURNS turns, WRONG wrong".
 *
 * `/init vectors` counts long and ends by SIGTERM: "vectors: N of M processors, TURNS turns,
 * WRONG wrong", TURNS of the slowest thread. tern.vectors=1 is a process beside the mode that
 * sleeps for the most part and does not end.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define CPUS_MAX 64
#define PER_CPU 2
#define WORDS 8	   /* of 64 bits, in the widest register */
#define SAID_MAX 8 /* wrong registers that one thread names */
#define MXCSR_RESET 0x1f80u

static const struct effort {
	uint32_t count; /* before the thread gives way */
	struct timespec nap;
} whole = { 2000000, { 0, 1000000 } }, little = { 10000, { 0, 50000000 } };

struct registers {
	uint64_t v[32][WORDS];
	uint64_t k[8];
	uint32_t mxcsr;
};

struct kind {
	const char *name;
	unsigned registers, words, masks;
	char letter;
	void (*hold)(const struct registers *in, struct registers *out, const struct effort *e);
};
static const struct kind *kind;

static struct keeper {
	pthread_t thread;
	const struct effort *effort;
	uint64_t turns;
	unsigned said;
} keepers[CPUS_MAX * PER_CPU];
static atomic_bool ending;
static atomic_ullong wrong;

/* ---- all registers loaded, held over two system calls, and stored ---- */

#define EACH_8(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define EACH_16(op) EACH_8(op) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define EACH_32(op)                                                                                \
	EACH_16(op)                                                                                \
	op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) \
		op(29) op(30) op(31)
#define XMM_LOAD(n) "movdqu 64*" #n "(%[in]), %%xmm" #n "\n\t"
#define XMM_STORE(n) "movdqu %%xmm" #n ", 64*" #n "(%[out])\n\t"
#define YMM_LOAD(n) "vmovdqu 64*" #n "(%[in]), %%ymm" #n "\n\t"
#define YMM_STORE(n) "vmovdqu %%ymm" #n ", 64*" #n "(%[out])\n\t"
#define ZMM_LOAD(n) "vmovdqu64 64*" #n "(%[in]), %%zmm" #n "\n\t"
#define ZMM_STORE(n) "vmovdqu64 %%zmm" #n ", 64*" #n "(%[out])\n\t"
#define MASK_LOAD(n) "kmovq 2048+8*" #n "(%[in]), %%k" #n "\n\t"
#define MASK_STORE(n) "kmovq %%k" #n ", 2048+8*" #n "(%[out])\n\t"
#define MXCSR_LOAD "ldmxcsr 2112(%[in])\n\t"
#define MXCSR_STORE "stmxcsr 2112(%[out])\n\tldmxcsr %[reset]\n\t"
/* The numbers are Linux's of sched_yield and nanosleep. */
#define HOLD                                                                                       \
	"1: sub $1, %[count]\n\tjnz 1b\n\t"                                                        \
	"mov $24, %%eax\n\tsyscall\n\t"                                                            \
	"mov $35, %%eax\n\tmov %[nap], %%rdi\n\txor %%esi, %%esi\n\tsyscall\n\t"

_Static_assert(offsetof(struct registers, k) == 2048, "MASK_LOAD's");
_Static_assert(offsetof(struct registers, mxcsr) == 2112, "MXCSR_LOAD's");

/* The compiler makes no use of zmm16 to zmm31 nor of masks: they need not be named to it. */
#define HOLDER(name, load, store)                                                                  \
	static void name(const struct registers *in, struct registers *out,                        \
			 const struct effort *e)                                                   \
	{                                                                                          \
		static const uint32_t reset = MXCSR_RESET;                                         \
		uint32_t count = e->count;                                                         \
                                                                                                   \
		__asm__ volatile(                                                                  \
			load MXCSR_LOAD HOLD store MXCSR_STORE                                     \
			: [count] "+r"(count)                                                      \
			: [in] "r"(in), [out] "r"(out), [nap] "r"(&e->nap), [reset] "m"(reset)     \
			: "memory", "cc", "rax", "rcx", "rdi", "rsi", "r11", "xmm0", "xmm1",       \
			  "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
			  "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                            \
	}

HOLDER(hold_xmm, EACH_16(XMM_LOAD), EACH_16(XMM_STORE))
HOLDER(hold_ymm, EACH_16(YMM_LOAD), EACH_16(YMM_STORE) "vzeroupper\n\t")
HOLDER(hold_zmm, EACH_32(ZMM_LOAD) EACH_8(MASK_LOAD),
       EACH_32(ZMM_STORE) EACH_8(MASK_STORE) "vzeroupper\n\t")

static const struct kind kinds[] = {
	{ "XMM", 16, 2, 0, 'x', hold_xmm },
	{ "YMM", 16, 4, 0, 'y', hold_ymm },
	{ "ZMM", 32, 8, 8, 'z', hold_zmm },
};

static const struct kind *best_kind(void)
{
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
		return &kinds[2];
	return &kinds[__builtin_cpu_supports("avx") ? 1 : 0];
}

/* ---- patterns ---- */

static uint64_t word(size_t thread, uint64_t turn, uint64_t at)
{
	return (turn << 20 | (uint64_t)thread << 10 | at) * 0x9e3779b97f4a7c15 | 1;
}

static void fill(struct registers *r, size_t thread, uint64_t turn)
{
	for (uint64_t i = 0; i < 32; i++)
		for (uint64_t w = 0; w < WORDS; w++)
			r->v[i][w] = word(thread, turn, i * WORDS + w);
	for (uint64_t i = 0; i < 8; i++)
		r->k[i] = word(thread, turn, 32 * WORDS + i);
	/* All exceptions masked; rounding mode and flags vary. */
	r->mxcsr = MXCSR_RESET | ((uint32_t)word(thread, turn, 512) & 0x603f);
}

static void differ(struct keeper *k, const char *name, unsigned w, uint64_t is, uint64_t not )
{
	atomic_fetch_add(&wrong, 1);
	if (k->said++ < SAID_MAX)
		say("vectors: thread %zu, turn %llu: %s word %u is %016llx, not %016llx",
		    (size_t)(k - keepers), (unsigned long long)k->turns, name, w,
		    (unsigned long long)is, (unsigned long long)not );
}

/* Of a register the first wrong word is told. */
static void compare(struct keeper *k, const struct registers *in, const struct registers *out)
{
	char name[] = "zmm00";

	name[0] = kind->letter;
	for (unsigned i = 0; i < kind->registers; i++) {
		unsigned w = 0;

		while (w < kind->words && in->v[i][w] == out->v[i][w])
			w++;
		name[3] = (char)('0' + i / 10);
		name[4] = (char)('0' + i % 10);
		if (w < kind->words)
			differ(k, name, w, out->v[i][w], in->v[i][w]);
	}
	for (unsigned i = 0; i < kind->masks; i++)
		if (in->k[i] != out->k[i])
			differ(k, (char[]){ 'k', (char)('0' + i), '\0' }, 0, out->k[i], in->k[i]);
	if (in->mxcsr != out->mxcsr)
		differ(k, "mxcsr", 0, out->mxcsr, in->mxcsr);
}

static void tell(uint64_t turns)
{
	uint64_t tens = 10;

	while (tens < turns)
		tens *= 10;
	if (tens == turns)
		say("vectors: %llu turns, %llu wrong", (unsigned long long)turns,
		    (unsigned long long)atomic_load(&wrong));
}

static void *keep(void *arg)
{
	struct keeper *k = arg;
	struct registers in, out;

	while (!atomic_load(&ending)) {
		fill(&in, (size_t)(k - keepers), k->turns);
		memset(&out, 0, sizeof(out));
		kind->hold(&in, &out, k->effort);
		compare(k, &in, &out);
		k->turns++;
		if (k == keepers)
			tell(k->turns);
	}
	return NULL;
}

/* ---- threads ---- */

/* False: there is no such processor, or no thread. */
static bool start(struct keeper *k, size_t cpu, const struct effort *effort)
{
	cpu_set_t only;

	k->effort = effort;
	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	if (pthread_create(&k->thread, NULL, keep, k))
		return false;
	return !pthread_setaffinity_np(k->thread, sizeof(only), &only);
}

/* How many threads there are. */
static size_t start_all(size_t cpus, const struct effort *effort)
{
	size_t started = 0;

	kind = best_kind();
	say("vectors: %s", kind->name);
	for (size_t i = 0; i < cpus * PER_CPU; i++)
		started += start(&keepers[i], i / PER_CPU, effort);
	return started;
}

static size_t processors(void)
{
	size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < CPUS_MAX ? cpus : CPUS_MAX;
}

int vectors_keep(void)
{
	size_t cpus = processors(), started;
	uint64_t least = UINT64_MAX;
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	started = start_all(cpus, &whole) / PER_CPU;
	sigwait(&term, &sig);
	atomic_store(&ending, true);
	for (size_t i = 0; i < cpus * PER_CPU; i++) {
		if (keepers[i].thread)
			pthread_join(keepers[i].thread, NULL);
		least = keepers[i].turns < least ? keepers[i].turns : least;
	}
	say("vectors: %zu of %zu processors, %llu turns, %llu wrong", started, cpus,
	    (unsigned long long)least, (unsigned long long)atomic_load(&wrong));
	return atomic_load(&wrong) || started != cpus;
}

void vectors_start(void)
{
	if (fork())
		return;
	start_all(processors(), &little);
	for (;;)
		pause();
}
