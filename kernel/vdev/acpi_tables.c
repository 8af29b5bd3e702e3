/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the guest's ACPI tables (acpi_tables.h). Fields are written at their
 * offsets, which stand beside the names that the specification gives them.
 * [ACPI 6.4 5.2 "ACPI System Description Tables"], [PCI Firmware 3.3 4.1.2]
 */
#include <string.h>
#include <tern/log.h>

#include "acpi_tables.h"
#include "acpi_wdat.h"
#include "irqchip.h"
#include "pm.h"
#include "q35.h"

#define OEM_ID "TERN  "
#define OEM_TABLE "TERNQ35 "
#define CREATOR "TERN"
#define OEM_REVISION 1u

#define HEADER_SIZE 36u
#define HEADER_SUM 9u
#define FACS_SIZE 64u
#define FADT_SIZE 276u
#define XSDT_ENTRIES 4u
#define GAS_IO 1u

#define FADT_WBINVD BIT(0)
#define FADT_PROC_C1 BIT(2)
#define FADT_NO_SLEEP_BUTTON BIT(5)
#define FADT_NO_FIXED_RTC BIT(6)
#define FADT_RESET BIT(10)
#define BOOT_LEGACY_DEVICES BIT(0)
#define BOOT_NO_VGA BIT(2)

static void put(uint8_t *at, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get(const uint8_t *at, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)at[i] << 8 * i;
	return v;
}

static void add_pointer(struct acpi_image *m, bool in_rsdp, uint32_t at, uint8_t size, uint32_t to)
{
	tern_assert(m->nr_pointers < ACPI_POINTERS_MAX);
	put((in_rsdp ? m->rsdp : m->tables) + at, size, to);
	m->pointer[m->nr_pointers++] = (struct acpi_pointer){ at, size, in_rsdp };
}

static void add_sum(struct acpi_image *m, bool in_rsdp, uint32_t at, uint32_t start, uint32_t len)
{
	tern_assert(m->nr_sums < ACPI_SUMS_MAX);
	m->sum[m->nr_sums++] = (struct acpi_sum){ at, start, len, in_rsdp };
}

/* Room for a table at the end; its offset. */
static uint32_t reserve(struct acpi_image *m, uint32_t len)
{
	uint32_t at = (uint32_t)ALIGN_UP(m->len, 16);

	tern_assert(at + len <= ACPI_TABLES_MAX);
	m->len = at + len;
	return at;
}

static uint32_t table(struct acpi_image *m, const char *signature, uint8_t revision, uint32_t len)
{
	uint32_t at = reserve(m, len);
	uint8_t *t = m->tables + at;

	memcpy(t, signature, 4);
	put(t + 4, 4, len);
	t[8] = revision;
	memcpy(t + 10, OEM_ID, 6);
	memcpy(t + 16, OEM_TABLE, 8);
	put(t + 24, 4, OEM_REVISION);
	memcpy(t + 28, CREATOR, 4);
	put(t + 32, 4, OEM_REVISION);
	add_sum(m, false, at + HEADER_SUM, at, len);
	return at;
}

static void put_gas(uint8_t *at, unsigned bits, unsigned access, uint64_t port)
{
	at[0] = GAS_IO;
	at[1] = (uint8_t)bits;
	at[3] = (uint8_t)access;
	put(at + 4, 8, port);
}

static uint32_t build_facs(struct acpi_image *m)
{
	uint32_t at = reserve(m, FACS_SIZE);

	memcpy(m->tables + at, "FACS", 4);
	put(m->tables + at + 4, 4, FACS_SIZE);
	m->tables[at + 32] = 2; /* version */
	return at;
}

static uint32_t build_dsdt(struct acpi_image *m)
{
	uint32_t at = reserve(m, acpi_dsdt_len);

	memcpy(m->tables + at, acpi_dsdt, acpi_dsdt_len);
	return at;
}

static uint32_t build_fadt(struct acpi_image *m, uint32_t facs, uint32_t dsdt)
{
	uint32_t at = table(m, "FACP", 6, FADT_SIZE);
	uint8_t *t = m->tables + at;

	add_pointer(m, false, at + 36, 4, facs);  /* FIRMWARE_CTRL */
	add_pointer(m, false, at + 40, 4, dsdt);  /* DSDT */
	add_pointer(m, false, at + 140, 8, dsdt); /* X_DSDT */
	put(t + 46, 2, GSI_SCI);
	put(t + 56, 4, Q35_PM_BASE + PM1_STS); /* PM1a_EVT_BLK */
	put(t + 64, 4, Q35_PM_BASE + PM1_CNT);
	put(t + 76, 4, Q35_PM_BASE + PM_TMR);
	t[88] = 4; /* PM1_EVT_LEN, PM1_CNT_LEN, PM_TMR_LEN */
	t[89] = 2;
	t[91] = 4;
	put(t + 96, 2, 0xfff); /* P_LVL2_LAT, P_LVL3_LAT: no C2, no C3 */
	put(t + 98, 2, 0xfff);
	t[108] = 0x32; /* CENTURY in CMOS */
	put(t + 109, 2, BOOT_LEGACY_DEVICES | BOOT_NO_VGA);
	put(t + 112, 4,
	    FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC | FADT_RESET);
	put_gas(t + 116, 8, 1, PM_RESET_PORT);
	t[128] = PM_RESET_VALUE;
	put_gas(t + 148, 32, 2, Q35_PM_BASE + PM1_STS);
	put_gas(t + 172, 16, 2, Q35_PM_BASE + PM1_CNT);
	put_gas(t + 208, 32, 3, Q35_PM_BASE + PM_TMR);
	memcpy(t + 268, "TERN", 4); /* hypervisor vendor */
	return at;
}

static uint8_t *madt_override(uint8_t *e, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	e[0] = 2;
	e[1] = 10;
	e[3] = irq;
	put(e + 4, 4, gsi);
	put(e + 8, 2, flags);
	return e + 10;
}

static uint32_t build_madt(struct acpi_image *m, unsigned vcpus)
{
	uint32_t at = table(m, "APIC", 5, HEADER_SIZE + 8 + 8 * vcpus + 12 + 2 * 10 + 6);
	uint8_t *t = m->tables + at, *e = t + HEADER_SIZE + 8;

	put(t + 36, 4, LAPIC_BASE);
	put(t + 40, 4, 1); /* PCAT_COMPAT: 8259s are there */
	for (unsigned i = 0; i < vcpus; i++, e += 8) {
		e[0] = 0; /* local APIC: ACPI id, APIC id, enabled */
		e[1] = 8;
		e[2] = (uint8_t)i;
		e[3] = (uint8_t)i;
		put(e + 4, 4, 1);
	}
	e[0] = 1; /* IOAPIC: id, address, first GSI 0 */
	e[1] = 12;
	e[2] = IOAPIC_ID;
	put(e + 4, 4, IOAPIC_BASE);
	e = madt_override(e + 12, 0, GSI_OF_IRQ0, 0);
	e = madt_override(e, GSI_SCI, GSI_SCI, 0x0d); /* active high, level */
	e[0] = 4;				      /* local APIC NMI: all processors, LINT1 */
	e[1] = 6;
	e[2] = 0xff;
	e[5] = 1;
	return at;
}

static uint32_t build_mcfg(struct acpi_image *m)
{
	uint32_t at = table(m, "MCFG", 1, HEADER_SIZE + 8 + 16);
	uint8_t *t = m->tables + at;

	put(t + 44, 8, Q35_ECAM_BASE);
	t[55] = 0; /* segment 0, bus 0 only: a kernel looks through all buses that are named here */
	return at;
}

static uint32_t build_wdat(struct acpi_image *m)
{
	uint32_t at = table(m, "WDAT", 1, acpi_wdat_len());

	acpi_wdat_fill(m->tables + at);
	return at;
}

static uint32_t build_xsdt(struct acpi_image *m, const uint32_t entry[XSDT_ENTRIES])
{
	uint32_t at = table(m, "XSDT", 1, HEADER_SIZE + 8 * XSDT_ENTRIES);

	for (unsigned i = 0; i < XSDT_ENTRIES; i++)
		add_pointer(m, false, at + HEADER_SIZE + 8 * i, 8, entry[i]);
	return at;
}

static void build_rsdp(struct acpi_image *m, uint32_t xsdt)
{
	memcpy(m->rsdp, "RSD PTR ", 8);
	memcpy(m->rsdp + 9, OEM_ID, 6);
	m->rsdp[15] = 2; /* revision */
	put(m->rsdp + 20, 4, ACPI_RSDP_SIZE);
	add_pointer(m, true, 24, 8, xsdt);
	add_sum(m, true, 8, 0, 20);
	add_sum(m, true, 32, 0, ACPI_RSDP_SIZE);
}

void acpi_build(struct acpi_image *m, unsigned vcpus)
{
	uint32_t facs, dsdt, entry[XSDT_ENTRIES];

	memset(m, 0, sizeof(*m));
	facs = build_facs(m); /* at offset 0: needs 64-byte alignment */
	dsdt = build_dsdt(m);
	entry[0] = build_fadt(m, facs, dsdt);
	entry[1] = build_madt(m, vcpus);
	entry[2] = build_mcfg(m);
	entry[3] = build_wdat(m);
	build_rsdp(m, build_xsdt(m, entry));
}

void acpi_relocate(struct acpi_image *m, uint64_t tables_gpa)
{
	for (uint32_t i = 0; i < m->nr_pointers; i++) {
		const struct acpi_pointer *p = &m->pointer[i];
		uint8_t *at = (p->in_rsdp ? m->rsdp : m->tables) + p->at;

		put(at, p->size, get(at, p->size) + tables_gpa);
	}
	for (uint32_t i = 0; i < m->nr_sums; i++) {
		const struct acpi_sum *s = &m->sum[i];
		uint8_t *base = s->in_rsdp ? m->rsdp : m->tables, sum = 0;

		base[s->at] = 0;
		for (uint32_t n = 0; n < s->len; n++)
			sum = (uint8_t)(sum + base[s->start + n]);
		base[s->at] = (uint8_t)-sum;
	}
}
