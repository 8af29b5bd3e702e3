/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUs, IOAPICs and interrupt overrides from the MADT. [ACPI 6.4 5.2.12] */
#include "acpi.h"

#include <string.h>

#define MADT_LAPIC_ADDRESS 36u
#define MADT_ENTRIES 44u

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_OVERRIDE = 5,
	MADT_X2APIC = 9,
};

#define CPU_ENABLED 1u
#define APIC_ID_NONE 0xffffffffu

/* MPS INTI flags. 0 means: as the bus does, for ISA edge and active high. */
#define POLARITY_MASK 3u
#define POLARITY_LOW 3u
#define TRIGGER_MASK 0xcu
#define TRIGGER_LEVEL 0xcu

static void add_cpu(struct madt *m, uint32_t apic_id, uint32_t flags)
{
	if (!(flags & CPU_ENABLED) || apic_id == APIC_ID_NONE || m->cpus == ACPI_MAX_CPUS)
		return;
	for (unsigned i = 0; i < m->cpus; i++)
		if (m->apic_id[i] == apic_id)
			return; /* listed as LAPIC and as x2APIC */
	m->apic_id[m->cpus++] = apic_id;
}

static void add_ioapic(struct madt *m, const struct acpi_header *t, uint32_t off)
{
	if (m->ioapics < ACPI_MAX_IOAPICS)
		m->ioapic[m->ioapics++] =
			(struct madt_ioapic){ .id = (uint8_t)acpi_field(t, off + 2, 1),
					      .phys = (uint32_t)acpi_field(t, off + 4, 4),
					      .gsi_base = (uint32_t)acpi_field(t, off + 8, 4) };
}

static void add_override(struct madt *m, const struct acpi_header *t, uint32_t off)
{
	uint64_t flags = acpi_field(t, off + 8, 2);

	if (m->overrides < ACPI_MAX_OVERRIDES)
		m->override[m->overrides++] =
			(struct madt_override){ .irq = (uint8_t)acpi_field(t, off + 3, 1),
						.gsi = (uint32_t)acpi_field(t, off + 4, 4),
						.level = (flags & TRIGGER_MASK) == TRIGGER_LEVEL,
						.active_low =
							(flags & POLARITY_MASK) == POLARITY_LOW };
}

static void add_entry(struct madt *m, const struct acpi_header *t, uint32_t off, uint32_t len)
{
	switch ((enum madt_type)acpi_field(t, off, 1)) {
	case MADT_LAPIC:
		if (len >= 8)
			add_cpu(m, (uint32_t)acpi_field(t, off + 3, 1),
				(uint32_t)acpi_field(t, off + 4, 4));
		break;
	case MADT_IOAPIC:
		if (len >= 12)
			add_ioapic(m, t, off);
		break;
	case MADT_OVERRIDE:
		if (len >= 10)
			add_override(m, t, off);
		break;
	case MADT_LAPIC_OVERRIDE:
		if (len >= 12)
			m->lapic_phys = acpi_field(t, off + 4, 8);
		break;
	case MADT_X2APIC:
		if (len >= 16)
			add_cpu(m, (uint32_t)acpi_field(t, off + 4, 4),
				(uint32_t)acpi_field(t, off + 8, 4));
		break;
	}
}

void madt_parse(const struct acpi_header *t, struct madt *out)
{
	memset(out, 0, sizeof(*out));
	if (!t)
		return;
	out->lapic_phys = acpi_field(t, MADT_LAPIC_ADDRESS, 4);
	for (uint32_t off = MADT_ENTRIES; off + 2 <= t->length;) {
		uint32_t len = (uint32_t)acpi_field(t, off + 1, 1);

		if (len < 2 || len > t->length - off)
			break;
		add_entry(out, t, off, len);
		off += len;
	}
}
