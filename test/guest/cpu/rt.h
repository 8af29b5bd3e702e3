/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runtime of the CPU payload: output on COM1, checks, traps, processors.
 *
 *	RAISES("name", "instruction", vector, error)	one line: ok or FAIL
 *	check(good, "name", "reason", ...)
 *	on_vector[v] = handler
 *
 * A trap while trap.resume is set is kept in trap and goes on there; one with a
 * handler calls it; any other ends the run.
 */
#ifndef TEST_GUEST_CPU_RT_H
#define TEST_GUEST_CPU_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1ull << (n))

struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct trap {
	uint64_t resume; /* where to go on, 0: nothing is expected */
	uint64_t count, vector, error, cr2, dr6, rip, rflags;
};
extern volatile struct trap trap;
extern void (*on_vector[256])(struct frame *f);

/* ---- output: %s %u %x, all numbers 64 bits wide ---- */

void say(const char *fmt, ...);
void check(bool good, const char *name, const char *why, ...);
void skip(const char *name, const char *why);
_Noreturn void leave(uint32_t code);
bool typed(void);      /* a byte came in on COM1; it is taken */
char typed_line(void); /* waits for a line there: its first byte */

/* QEMU's translator, by CPUID's brand string: some of its gaps are known (docs/testing.md). */
bool on_tcg(void);

/* ---- traps ---- */

struct gate {
	uint16_t low, selector, attr, mid;
	uint32_t high, zero;
};
extern struct gate idt[256];
extern uint8_t tss[104];
void set_gate(unsigned vector, uint64_t to, unsigned dpl, unsigned ist);
void set_tss_limit(uint32_t limit);

/* Runs the instruction; what it raised is in trap, whose count is 0 if nothing. */
#define TRY(insn, ...)                                                                             \
	do {                                                                                       \
		trap.count = 0;                                                                    \
		__asm__ volatile("movq $991f, trap\n\t" insn "\n991: movq $0, trap" __VA_ARGS__);  \
	} while (0)
void raised(const char *name, unsigned vector, uint64_t error);
#define RAISES(name, vector, error, insn, ...)                                                     \
	do {                                                                                       \
		TRY(insn, __VA_ARGS__);                                                            \
		raised(name, vector, error);                                                       \
	} while (0)

/* In ring 3 with interrupts off, until a trap; what it was is in trap. */
void run_user(void (*fn)(void), uint64_t rflags);

/* ---- the processor ---- */

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

struct cpuid {
	uint32_t a, b, c, d;
};
static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
			 : "a"(leaf), "c"(sub));
	return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

#define READ_REG(name)                                                                             \
	static inline uint64_t read_##name(void)                                                   \
	{                                                                                          \
		uint64_t v;                                                                        \
                                                                                                   \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v)::"memory");                       \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_##name(uint64_t v)                                                \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #name ::"r"(v) : "memory");                          \
	}
static inline uint64_t xgetbv(uint32_t n)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(n));
	return (uint64_t)hi << 32 | lo;
}

static inline void xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

READ_REG(cr0)
READ_REG(cr2)
READ_REG(cr3)
READ_REG(cr4)
READ_REG(cr8)
READ_REG(dr0)
READ_REG(dr1)
READ_REG(dr2)
READ_REG(dr3)
READ_REG(dr6)
READ_REG(dr7)

static inline void irqs_on(void)
{
	__asm__ volatile("sti; nop" ::: "memory");
}

static inline void irqs_off(void)
{
	__asm__ volatile("cli" ::: "memory");
}

/* Interrupts are on at the return; waits for one. */
static inline void wait_irq(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

/* ---- processors: apic.c ---- */

void apic_init(void);
uint32_t apic_read(unsigned reg);     /* by number: 0x2 is the ID */
uint32_t apic_try_read(unsigned reg); /* 0 for what is not there */
void apic_write(unsigned reg, uint32_t v);
void apic_ipi(uint32_t to, uint32_t low);
uint32_t apic_id(void);
void apic_eoi(void);
unsigned cpus(void); /* by fw_cfg */
/* Starts the others, once; they run what on_cpu gives them. False: they did not come. */
bool cpus_start(void);
void on_others(void (*fn)(unsigned cpu));
void wait_others(void);
uint32_t others_busy(void);

#define APIC_ID 0x02
#define APIC_TPR 0x08
#define APIC_EOI 0x0b
#define APIC_SVR 0x0f
#define APIC_LVT_TIMER 0x32
#define APIC_TIMER_INIT 0x38
#define APIC_TIMER_NOW 0x39
#define APIC_TIMER_DIV 0x3e
#define ICR_FIXED 0x4000u
#define ICR_NMI 0x4400u
#define ICR_SELF 0x40000u
#define ICR_OTHERS 0xc0000u

/* ---- paging: map.c ---- */

#define MAP_AT 0x8000000000ull /* 4 KiB pages, mapped by map() alone */
#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
/* Entry of page i of the area; the TLB is not told. */
volatile uint64_t *map_pte(unsigned i);
void *map(unsigned i, uint64_t physical, uint64_t flags); /* with invlpg */
extern uint8_t pages[16][4096];				  /* to be mapped */
static inline void invlpg(const volatile void *p)
{
	__asm__ volatile("invlpg (%0)" ::"r"(p) : "memory");
}

/* ---- the groups ---- */

void group_exceptions(void), group_interrupts(void), group_cpuid(void), group_modes(void),
	group_time(void), group_paging(void), group_xsave(void), group_debug(void),
	group_mmio(void), group_smp(void), group_tickets(void), group_count(void),
	group_turns(void), group_move(void), group_msrs(void), group_x2apic(void),
	group_state(void), group_state2(void), group_hyperv(void), group_hyperv_move(void),
	group_debugged(void), group_blackout(void), group_strings(void);

#endif
