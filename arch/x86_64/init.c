/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot order of the architecture, and the per-CPU array. */
#include <tern/arch.h>
#include <tern/bootinfo.h>
#include <tern/log.h>

#include <string.h>

#include "acpi.h"
#include "arch.h"
#include "ioapic.h"
#include "lapic.h"

#define IST_SIZE 8192u
#define IOAPIC_PHYS_PC 0xfec00000u

struct percpu percpu[MAX_CPUS];

static struct arch_cpu boot_cpu;
static char boot_ist[3][IST_SIZE] __attribute__((aligned(16)));
static struct madt host_madt; /* [const] after arch_init */
static uint32_t timer_khz;    /* [const] after arch_init */
static const char *no_acpi;   /* [const] after arch_init: why, NULL with tables */

unsigned cpu_self(void)
{
	return this_cpu()->index;
}

uint32_t cpu_apic_id(unsigned cpu)
{
	return percpu[cpu].apic_id;
}

const struct madt *madt_host(void)
{
	return &host_madt;
}

uint32_t clock_lapic_khz(void)
{
	return timer_khz;
}

void arch_early_init(struct bootinfo *bi)
{
	struct cpu_stacks s = { .nmi_top = boot_ist[0] + IST_SIZE,
				.double_fault_top = boot_ist[1] + IST_SIZE,
				.machine_check_top = boot_ist[2] + IST_SIZE };

	desc_build_idt();
	desc_load(&percpu[0], &boot_cpu, &s);
	ident_init();
	cpu_control_setup();
	clock_init(bi->loader_tsc);
	smp_reserve_page(bi);
}

const char *acpi_missing(void)
{
	return no_acpi;
}

/*
 * Without the table of CPUs: this one only, and the IOAPIC where PCs have had it
 * for long, its first pins the ISA interrupts; ioapic.c looks whether it answers.
 */
static void assume_pc(struct madt *m)
{
	*m = (struct madt){ .ioapics = 1, .ioapic[0] = { .phys = IOAPIC_PHYS_PC } };
}

static void read_tables(const struct bootinfo *bi)
{
	const char *wish = config_get("acpi");

	if (wish && strcmp(wish, "off") == 0)
		no_acpi = "acpi = off in tern.conf";
	else if (!bi->rsdp)
		no_acpi = "firmware names no ACPI tables";
	else if (!acpi_init(bi->rsdp, hostpt_firmware))
		no_acpi = "firmware's ACPI tables are damaged";
	else if (!acpi_find("APIC", 0))
		no_acpi = "firmware's ACPI tables list no processors";
	madt_parse(acpi_find("APIC", 0), &host_madt);
	if (!no_acpi)
		return;
	assume_pc(&host_madt);
	log_warn("acpi", "%s: one processor, and the IOAPIC of a PC", no_acpi);
}

static void describe_cpu(void)
{
	log_info("cpu", "%s (%s family %u model %u stepping %u), %s", cpu_identity()->brand,
		 cpu_identity()->vendor, (unsigned)cpu_identity()->family,
		 (unsigned)cpu_identity()->model, (unsigned)cpu_identity()->stepping,
		 apic_is_x2apic() ? "x2APIC" : "xAPIC");
}

void arch_init(struct bootinfo *bi)
{
	uint32_t khz;

	hostpt_init(bi);
	read_tables(bi);
	irq_init();
	if (apic_init(host_madt.lapic_phys))
		panic("this CPU has no local APIC");
	apic_cpu_init();
	percpu[0].apic_id = apic_id();
	percpu[0].online = 1;
	describe_cpu();
	calibrate(&khz, &timer_khz);
	clock_set_khz(khz);
	apic_timer_setup(timer_khz);
	clock_read_rtc();
	if (!ioapic_init())
		log_warn("irq", "no IOAPIC: devices without MSI have no interrupt");
	fpu_cpu_init();
	__asm__ volatile("sti" ::: "memory");
}
