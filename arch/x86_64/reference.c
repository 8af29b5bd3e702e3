/* SPDX-License-Identifier: BSD-2-Clause */
/* Reference clocks, best first. A candidate must be seen to advance before it is taken. */
#include "reference.h"

#include <tern/cpu.h>

#include "acpi.h"
#include "arch.h"

#define FS_PER_SEC 1000000000000000ull

#define HPET_TABLE_ADDRESS 44u /* in the table: generic address at 40 */
#define HPET_PERIOD 0x004u
#define HPET_CONFIG 0x010u
#define HPET_COUNTER 0x0f0u
#define HPET_ENABLE 1u
#define HPET_MAX_PERIOD 100000000u /* fs, by specification */

#define FADT_PM_TMR 76u
#define PM_TIMER_HZ 3579545u

#define PIT_CH2 0x42
#define PIT_CMD 0x43
#define PIT_GATE 0x61
#define PIT_HZ 1193182u

static volatile uint8_t *hpet; /* [const] */
static uint16_t pm_port;       /* [const] */

static uint32_t hpet_read(void)
{
	return mmio_read32(hpet + HPET_COUNTER);
}

static uint32_t pm_read(void)
{
	return inl(pm_port);
}

/* Channel 2 counts down from 65536; latched, then two reads. */
static uint32_t pit_read(void)
{
	outb(PIT_CMD, 0x80);
	uint32_t lo = inb(PIT_CH2);

	return 0xffff - (lo | (uint32_t)inb(PIT_CH2) << 8);
}

static bool advances(const struct reference *r)
{
	uint32_t first = r->read();

	for (int i = 0; i < 100000; i++)
		if (r->read() != first)
			return true;
	return false;
}

static bool find_hpet(struct reference *r)
{
	uint64_t phys = acpi_field(acpi_find("HPET", 0), HPET_TABLE_ADDRESS, 8);

	hpet = phys ? mmio_map(HPA(phys), 0x400) : NULL;
	if (!hpet)
		return false;
	uint32_t period = mmio_read32(hpet + HPET_PERIOD);

	if (period == 0 || period > HPET_MAX_PERIOD)
		return false;
	mmio_write32(hpet + HPET_CONFIG, mmio_read32(hpet + HPET_CONFIG) | HPET_ENABLE);
	*r = (struct reference){ "HPET", hpet_read, UINT32_MAX, period };
	return advances(r);
}

static bool find_pm(struct reference *r)
{
	pm_port = (uint16_t)acpi_field(acpi_find("FACP", 0), FADT_PM_TMR, 4);
	*r = (struct reference){ "PM timer", pm_read, 0xffffff, FS_PER_SEC / PM_TIMER_HZ };
	return pm_port && advances(r);
}

void reference_find(struct reference *out)
{
	if (find_hpet(out) || find_pm(out))
		return;
	/* Gate on, speaker off; channel 2, both bytes, mode 2, from 65536. */
	outb(PIT_GATE, (uint8_t)((inb(PIT_GATE) & ~2) | 1));
	outb(PIT_CMD, 0xb4);
	outb(PIT_CH2, 0);
	outb(PIT_CH2, 0);
	*out = (struct reference){ "PIT", pit_read, 0xffff, FS_PER_SEC / PIT_HZ };
}
