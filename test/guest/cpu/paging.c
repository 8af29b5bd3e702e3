/* SPDX-License-Identifier: BSD-2-Clause */
/* Paging: accessed and dirty bits, every kind of refusal, large pages, stale entries. */
#include "rt.h"

#define RESERVED BIT(51)
#define SMEP BIT(20)
#define SMAP BIT(21)
#define GIB 0x40000000ull

extern uint64_t pml4[512];

static uint64_t big[512] __attribute__((aligned(4096)));
static uint64_t big_pd[512] __attribute__((aligned(4096)));

static void bits(const char *name, uint64_t want)
{
	uint64_t got = *map_pte(0) & (PTE_A | PTE_D);

	check(got == want, name, "A and D are %x", got);
}

static void accessed_dirty(void)
{
	volatile uint32_t *p = map(0, (uint64_t)pages[0], PTE_P | PTE_W);

	bits("ad-clear", 0);
	(void)*p;
	bits("a-by-read", PTE_A);
	*p = 1;
	bits("d-by-write", PTE_A | PTE_D);
	*map_pte(0) &= ~PTE_D;
	invlpg(p);
	(void)*p;
	bits("d-not-by-read", PTE_A);
	__asm__ volatile("lock incl %0" : "+m"(*p));
	bits("d-by-lock", PTE_A | PTE_D);
	*map_pte(0) &= ~(PTE_D | PTE_A);
	invlpg(p);
	outb(0xe0, 0x5a);
	__asm__ volatile("cld; insb" ::"D"(p), "d"(0xe0) : "memory"); /* by the hypervisor */
	bits("d-by-ins", PTE_A | PTE_D);
	check((uint8_t)*p == 0x5a, "ins", "stored %x", (uint64_t)*p);
}

static void protection(void)
{
	volatile uint32_t *p = map(0, (uint64_t)pages[0], PTE_P);

	RAISES("pf-read-only", 14, 3, "movl $1, (%0)", ::"r"(p) : "memory");
	RAISES("pf-ins", 14, 3, "cld; insb", ::"D"(p), "d"(0xe0) : "memory");
	check(trap.cr2 == (uint64_t)p, "pf-ins-cr2", "CR2 is %x", trap.cr2);
	write_cr0(read_cr0() & ~BIT(16));
	TRY("movl $1, (%0)", ::"r"(p) : "memory");
	check(!trap.count, "wp-off", "raised %u", trap.vector);
	write_cr0(read_cr0() | BIT(16));
	RAISES("pf-wp-again", 14, 3, "movl $1, (%0)", ::"r"(p) : "memory");
	p = map(0, (uint64_t)pages[0], PTE_P | PTE_W | PTE_NX);
	pages[0][0] = 0xc3;
	RAISES("pf-nx", 14, 0x11, "jmp *%0", ::"r"(p) : "memory");
	p = map(0, (uint64_t)pages[0], PTE_P | PTE_W);
	TRY("call *%0", ::"r"(p) : "memory");
	check(!trap.count, "exec", "raised %u", trap.vector);
	p = map(0, (uint64_t)pages[0], PTE_P | PTE_W | RESERVED);
	TRY("movl (%0), %%eax", ::"r"(p) : "rax");
	if (on_tcg())
		check(trap.vector == 14 && (trap.error & 8), "pf-reserved", "error %x", trap.error);
	else
		raised("pf-reserved", 14, 9);
}

static void supervisor(void)
{
	struct cpuid r = cpuid(7, 0);
	volatile uint32_t *p = map(0, (uint64_t)pages[0], PTE_P | PTE_W | PTE_U);

	pages[0][0] = 0xc3;
	if (r.b >> 7 & 1) {
		write_cr4(read_cr4() | SMEP);
		RAISES("smep", 14, 0x11, "jmp *%0", ::"r"(p) : "memory");
		write_cr4(read_cr4() & ~SMEP);
	} else {
		skip("smep", "not shown");
	}
	if (!(r.b >> 20 & 1)) {
		skip("smap", "not shown");
		return;
	}
	write_cr4(read_cr4() | SMAP);
	RAISES("smap", 14, 1, "movl (%0), %%eax", ::"r"(p) : "rax");
	RAISES("smap-ins", 14, 3, "cld; insb", ::"D"(p), "d"(0xe0) : "memory");
	TRY("stac; movl (%0), %%eax; clac", ::"r"(p) : "rax");
	check(!trap.count, "stac", "raised %u", trap.vector);
	write_cr4(read_cr4() & ~SMAP);
}

static void large(void)
{
	volatile uint64_t *two = (void *)(MAP_AT * 2), *one = (void *)(MAP_AT * 2 + GIB);
	uint64_t *frame = (void *)pages[0];

	pml4[MAP_AT * 2 >> 39] = (uint64_t)big | PTE_P | PTE_W;
	big[0] = (uint64_t)big_pd | PTE_P | PTE_W;
	big_pd[1] = ((uint64_t)frame & ~0x1fffffull) | PTE_P | PTE_W | PTE_PS;
	two += (0x200000 + ((uint64_t)frame & 0x1fffff)) / 8;
	frame[0] = 0x1122334455667788;
	check(*two == frame[0], "page-2m", "reads %x", *two);
	check((big_pd[1] & (PTE_A | PTE_D)) == PTE_A, "page-2m-a", "entry %x", big_pd[1]);
	*two = 5;
	check(frame[0] == 5 && (big_pd[1] & PTE_D), "page-2m-d", "entry %x", big_pd[1]);
	if (!(cpuid(0x80000001, 0).d >> 26 & 1)) {
		skip("page-1g", "not shown");
		return;
	}
	big[1] = PTE_P | PTE_W | PTE_PS;
	one += (uint64_t)frame / 8;
	check(*one == 5, "page-1g", "reads %x", *one);
	*one = 6;
	check(frame[0] == 6 && (big[1] & PTE_D), "page-1g-d", "entry %x", big[1]);
}

/* What INVLPG, CR3 and CR4 must make the CPU forget. */
static void stale(void)
{
	volatile uint64_t *p = map(0, (uint64_t)pages[0], PTE_P | PTE_W | PTE_G);

	*(uint64_t *)(void *)pages[0] = 10;
	*(uint64_t *)(void *)pages[1] = 11;
	check(*p == 10, "map", "reads %u", *p);
	*map_pte(0) = (uint64_t)pages[1] | PTE_P | PTE_W | PTE_G;
	invlpg(p);
	check(*p == 11, "invlpg", "reads %u", *p);
	*map_pte(0) = (uint64_t)pages[0] | PTE_P | PTE_W;
	invlpg(p);
	(void)*p;
	*map_pte(0) = (uint64_t)pages[1] | PTE_P | PTE_W;
	write_cr3(read_cr3());
	check(*p == 11, "cr3-flushes", "reads %u", *p);
	write_cr4(read_cr4() | BIT(7));
	*map_pte(0) = (uint64_t)pages[0] | PTE_P | PTE_W | PTE_G;
	invlpg(p);
	(void)*p;
	*map_pte(0) = (uint64_t)pages[1] | PTE_P | PTE_W | PTE_G;
	write_cr4(read_cr4() & ~BIT(7));
	check(*p == 11, "pge-flushes", "reads %u", *p);
	*map_pte(0) = 0;
	invlpg(p);
	RAISES("unmapped", 14, 0, "mov (%0), %%rax", ::"r"(p) : "rax");
}

/* An instruction that begins on one page and would end on one that is absent. */
static void edges(void)
{
	uint8_t *code = map(0, (uint64_t)pages[0], PTE_P | PTE_W);

	(void)map(1, 0, 0);
	pages[0][4095] = 0x0f; /* CPUID's first byte */
	RAISES("pf-fetch-edge", 14, 0x10, "jmp *%0", ::"r"(code + 4095)
	       : "rax", "rbx", "rcx", "rdx");
	check(trap.cr2 == MAP_AT + 4096, "pf-fetch-edge-cr2", "CR2 is %x", trap.cr2);
	RAISES("pf-write-edge", 14, 2, "movq $1, (%0)", ::"r"(code + 4092) : "memory");
	check(trap.cr2 == MAP_AT + 4096, "pf-write-edge-cr2", "CR2 is %x", trap.cr2);
}

void group_paging(void)
{
	accessed_dirty();
	protection();
	supervisor();
	large();
	stale();
	edges();
}
