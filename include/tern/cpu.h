/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This machine's CPUs, vendor-neutral: count, kicks, cross calls, per-CPU data,
 * instructions. Interrupt vectors are in irq.h.
 */
#ifndef TERN_CPU_H
#define TERN_CPU_H

#include <tern/types.h>

#define MAX_CPUS 64

unsigned cpu_count(void); /* CPUs that are up */
unsigned cpu_self(void);  /* index of this one, 0 = boot CPU */
uint32_t cpu_apic_id(unsigned cpu);
/* IPI without work: makes the CPU leave guest mode or HLT and look at its queues. Any context. */
void cpu_kick(unsigned cpu);
/* Runs fn(arg) on that CPU in interrupt context and waits. Interrupts must be on. */
void cpu_call(unsigned cpu, void (*fn)(void *), void *arg);

struct cpu_id {
	char vendor[13]; /* "AuthenticAMD" */
	char brand[49];
	uint32_t family, model, stepping;
	uint32_t max_leaf, max_ext_leaf;
	unsigned phys_bits, virt_bits;
	bool has_1g_pages, has_x2apic, has_tsc_deadline, has_invariant_tsc, has_xsave,
		has_hypervisor;
};
const struct cpu_id *cpu_identity(void);

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs r;
	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
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

/* rdmsr/wrmsr that survive #GP: 0 or -EFAULT. */
MUST_CHECK int rdmsr_safe(uint32_t msr, uint64_t *v);
MUST_CHECK int wrmsr_safe(uint32_t msr, uint64_t v);

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

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

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline unsigned long irq_save(void)
{
	unsigned long f;
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(f)::"memory");
	return f;
}

static inline void irq_restore(unsigned long f)
{
	if (f & 0x200)
		__asm__ volatile("sti" ::: "memory");
}

static inline bool irqs_on(void)
{
	unsigned long f;
	__asm__ volatile("pushfq; popq %0" : "=r"(f));
	return (f & 0x200) != 0;
}

/* Ordered MMIO. Device BARs are mapped uncached by mmio_map. */
static inline uint32_t mmio_read32(const volatile void *p)
{
	uint32_t v = *(const volatile uint32_t *)p;
	__asm__ volatile("" ::: "memory");
	return v;
}

static inline void mmio_write32(volatile void *p, uint32_t v)
{
	__asm__ volatile("" ::: "memory");
	*(volatile uint32_t *)p = v;
}

static inline uint8_t mmio_read8(const volatile void *p)
{
	uint8_t v = *(const volatile uint8_t *)p;
	__asm__ volatile("" ::: "memory");
	return v;
}

static inline void mmio_write8(volatile void *p, uint8_t v)
{
	__asm__ volatile("" ::: "memory");
	*(volatile uint8_t *)p = v;
}

static inline uint16_t mmio_read16(const volatile void *p)
{
	uint16_t v = *(const volatile uint16_t *)p;
	__asm__ volatile("" ::: "memory");
	return v;
}

static inline void mmio_write16(volatile void *p, uint16_t v)
{
	__asm__ volatile("" ::: "memory");
	*(volatile uint16_t *)p = v;
}

/* Maps a device range uncached, NX, for good. NULL when address space or tables run out. */
void *mmio_map(hpa_t a, uint64_t size);

/* Vector registers for host code: between these no world switch, no sleep. */
void fpu_begin(void);
void fpu_end(void);

/* SSE registers 0 to 15 on this CPU: a guest's, while its vCPU is loaded here. vector.S */
void vector_get(unsigned n, uint64_t out[2]);
void vector_set(unsigned n, const uint64_t in[2]);

#endif
