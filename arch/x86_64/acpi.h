/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI inside arch/x86_64: finding the tables, and the fields taken from FADT,
 * MADT and HPET. All of it takes firmware's bytes as they come: sizes are
 * checked against the table's length before a field is read. [ACPI 6.4 chapter 5]
 */
#ifndef ARCH_ACPI_H
#define ARCH_ACPI_H

#include <tern/acpi.h>

#define ACPI_MAX_CPUS 256u
#define ACPI_MAX_IOAPICS 8u
#define ACPI_MAX_OVERRIDES 16u

/* Pointer to firmware's memory or NULL; given to acpi_init, so that tests can replace it. */
typedef const void *acpi_map_fn(uint64_t phys, uint64_t size);

/* Finds and checks the tables. How many; 0 when rsdp is 0 or leads to nothing valid. */
unsigned acpi_init(uint64_t rsdp, acpi_map_fn *map);
/* Number of tables and the nth, in the order found. */
const struct acpi_header *acpi_at(unsigned n);

/* Little-endian field of 1, 2, 4 or 8 bytes at an offset; 0 past the table's end. */
uint64_t acpi_field(const struct acpi_header *t, uint32_t offset, unsigned bytes);

struct madt_ioapic {
	uint32_t phys, gsi_base;
	uint8_t id;
};

struct madt_override {
	uint32_t gsi;
	uint8_t irq;
	bool level, active_low;
};

struct madt {
	uint64_t lapic_phys; /* 0 = not stated */
	unsigned cpus, ioapics, overrides;
	uint32_t apic_id[ACPI_MAX_CPUS]; /* enabled CPUs only */
	struct madt_ioapic ioapic[ACPI_MAX_IOAPICS];
	struct madt_override override[ACPI_MAX_OVERRIDES];
};
/* Everything zero when there is no table. */
void madt_parse(const struct acpi_header *t, struct madt *out);
/* The host's, parsed once by arch_init. */
const struct madt *madt_host(void);

/* Values for SLP_TYPa and b of the \_S5 package in AML, by pattern. -ENOENT. */
int aml_find_s5(const uint8_t *aml, uint32_t len, unsigned *typ_a, unsigned *typ_b);

#endif
