/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Brings up the other CPUs, one at a time: INIT, SIPI, and a second SIPI when
 * the first has no answer. A CPU that does not come is reported and left out;
 * indices are given in the order of arrival, so there are no holes.
 */
#include <tern/arch.h>
#include <tern/bootinfo.h>
#include <tern/log.h>
#include <tern/page.h>
#include <tern/timer.h>

#include <string.h>

#include "acpi.h"
#include "arch.h"
#include "lapic.h"
#include "regs.h"
#include "tscsync.h"

#define LOW_END 0x9f000ull
#define BLOCK_ORDER 3u /* 32 KiB: [0,16K) main stack, then three IST stacks */
#define MAIN_STACK 0x4000u
#define NMI_STACK_END 0x5000u
#define MACHINE_CHECK_STACK_END 0x6000u
#define DOUBLE_FAULT_STACK_END 0x8000u
#define CPU_ORDER 2u
_Static_assert(sizeof(struct arch_cpu) <= PAGE_SIZE << CPU_ORDER, "one block per CPU");

/* As in trampoline.S. */
struct trampoline_data {
	uint32_t page, cr3;
	uint64_t stack, arg, entry;
	uint64_t gdt[4];    /* 0x20 */
	uint16_t gdt_limit; /* 0x40 */
	uint32_t gdt_base;
	uint16_t pad;
	uint32_t jump32; /* 0x48 */
	uint16_t jump32_sel, pad2;
	uint32_t jump64; /* 0x50 */
	uint16_t jump64_sel, pad3;
} __attribute__((packed));
_Static_assert(offsetof(struct trampoline_data, jump64) == 0x50, "as trampoline.S lays it out");

extern const char trampoline_start[], trampoline_end[], trampoline_data[];

static hpa_t start_page;    /* [const] 0: no memory below 640 KiB */
static uint32_t online = 1; /* [atom] CPUs that are up; only the boot CPU raises it */

unsigned cpu_count(void)
{
	return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

/* Splits entry i so that [at, at + one page) is its own, of a type that stays mapped and unused. */
static void take_page(struct bootinfo *bi, uint32_t i, uint64_t at)
{
	struct boot_mem *m = &bi->mem[i];

	if (at == m->start || bi->mem_count == BOOT_MAX_MEM) {
		m->type = BOOT_MEM_KERNEL; /* the whole entry, which is small or an emergency */
		return;
	}
	for (uint32_t k = bi->mem_count++; k > i + 1; k--)
		bi->mem[k] = bi->mem[k - 1];
	/* What lies above 640 KiB in the same entry, seen on no PC, is given up. */
	m->size = at - m->start;
	m[1] = (struct boot_mem){ .start = at, .size = PAGE_SIZE, .type = BOOT_MEM_KERNEL };
}

void smp_reserve_page(struct bootinfo *bi)
{
	for (uint32_t i = bi->mem_count; i-- > 0;) {
		const struct boot_mem *m = &bi->mem[i];
		uint64_t end = MIN(m->start + m->size, LOW_END);

		if (m->type != BOOT_MEM_FREE || end < m->start + PAGE_SIZE)
			continue;
		start_page = HPA(end - PAGE_SIZE);
		take_page(bi, i, start_page.v);
		return;
	}
}

static void fill_page(const struct percpu *c, void *stack_top, void (*entry)(struct percpu *),
		      uint64_t cr3)
{
	char *page = hpa_ptr(start_page);
	uint32_t phys = (uint32_t)start_page.v;
	uint32_t at = (uint32_t)(trampoline_data - trampoline_start);
	struct trampoline_data *d = (struct trampoline_data *)(void *)(page + at);

	memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	d->page = phys;
	d->cr3 = (uint32_t)cr3;
	d->stack = (uint64_t)stack_top;
	d->arg = (uint64_t)c;
	d->entry = (uint64_t)entry;
	d->gdt_base = phys + at + (uint32_t)offsetof(struct trampoline_data, gdt);
	d->jump32 += phys;
	d->jump64 += phys;
}

/* First C function of another CPU, on its own stack, 1:1 map of the start page still there. */
static void ap_main(struct percpu *c)
{
	char *stacks = (char *)__builtin_frame_address(0);

	__asm__ volatile("movq %0, %%cr3" ::"r"(hostpt_cr3()) : "memory");
	stacks = (char *)ALIGN_DOWN((uint64_t)stacks, PAGE_SIZE << BLOCK_ORDER);
	struct cpu_stacks s = { .nmi_top = stacks + NMI_STACK_END,
				.machine_check_top = stacks + MACHINE_CHECK_STACK_END,
				.double_fault_top = stacks + DOUBLE_FAULT_STACK_END };

	desc_load(c, c->arch, &s);
	cpu_control_setup();
	apic_cpu_init();
	fpu_cpu_init();
	apic_timer_setup(clock_lapic_khz());
	__atomic_store_n(&c->online, 1, __ATOMIC_RELEASE);
	tscsync_follow();
	while (cpu_count() <= c->index)
		cpu_pause();
	sched_cpu_start();
}

static bool wait_online(const struct percpu *c, uint64_t ns)
{
	uint64_t end = time_ns() + ns;

	while (!__atomic_load_n(&c->online, __ATOMIC_ACQUIRE)) {
		if (time_ns() > end)
			return false;
		cpu_pause();
	}
	return true;
}

static bool send_start(const struct percpu *c)
{
	apic_init_ipi(c->apic_id);
	delay_ns(10 * NSEC_PER_MSEC);
	apic_startup_ipi(c->apic_id, start_page.v);
	if (wait_online(c, 100 * NSEC_PER_MSEC))
		return true;
	apic_startup_ipi(c->apic_id, start_page.v);
	return wait_online(c, 2 * NSEC_PER_SEC);
}

/* What a CPU needs stays allocated when it does not come: it might come late. */
static bool start_cpu(uint32_t apic_id, uint64_t cr3)
{
	struct percpu *c = &percpu[cpu_count()];
	hpa_t block, data;

	if (page_alloc(BLOCK_ORDER, PAGE_ZERO, FRAME_KERNEL, &block))
		return false;
	if (page_alloc(CPU_ORDER, PAGE_ZERO, FRAME_KERNEL, &data)) {
		page_put(block);
		return false;
	}
	c->index = cpu_count();
	c->apic_id = apic_id;
	c->arch = hpa_ptr(data);
	fill_page(c, (char *)hpa_ptr(block) + MAIN_STACK, ap_main, cr3);
	if (!send_start(c))
		return false;
	tscsync_lead(c->index);
	__atomic_store_n(&online, c->index + 1, __ATOMIC_RELEASE);
	return true;
}

/* False when one did not come; it may still come, and then needs the start page's tables. */
static bool start_all(const struct madt *m, uint64_t cr3)
{
	for (unsigned i = 0; i < m->cpus; i++) {
		if (m->apic_id[i] == percpu[0].apic_id)
			continue;
		if (cpu_count() == MAX_CPUS) {
			log_warn("smp", "more than %u CPUs: the others stay off", MAX_CPUS);
			return true;
		}
		if (m->apic_id[i] > 0xfe && !apic_is_x2apic()) {
			log_warn("smp", "CPU with APIC id %u needs x2APIC: it stays off",
				 (unsigned)m->apic_id[i]);
			continue;
		}
		/* A late one would run on data that the next is given. */
		if (!start_cpu(m->apic_id[i], cr3)) {
			log_error("smp",
				  "CPU with APIC id %u does not start: it and all after it "
				  "stay off",
				  (unsigned)m->apic_id[i]);
			return false;
		}
	}
	return true;
}

void arch_smp_start(void)
{
	const struct madt *m = madt_host();

	if (m->cpus <= 1)
		return;
	uint64_t cr3 = start_page.v ? hostpt_tramp_open(start_page) : 0;

	if (cr3 == 0) {
		log_error("smp", "no low memory to start the other CPUs with");
		return;
	}
	if (start_all(m, cr3))
		hostpt_tramp_close(cr3);
	log_info("smp", "%u of %u CPUs are up", cpu_count(), m->cpus);
}
