/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watchdog action table: which access to which register does what (wdt.h).
 * [Hardware Watchdog Timers Design Specification "Watchdog Action Table"]
 */
#include "acpi_wdat.h"
#include "wdt.h"

#define HEADER_SIZE 36u
#define WDAT_HEADER 32u /* behind the common one */
#define ENTRY_SIZE 24u
#define FLAG_ENABLED 0x01u
#define NOT_PCI 0xffu
#define GAS_IO 1u
#define GAS_DWORD 3u

/* Instructions. */
enum { READ_VALUE, READ_COUNT, WRITE_VALUE, WRITE_COUNT };

static const struct action {
	uint8_t action, instruction;
	uint8_t reg;
	uint32_t value, mask;
} actions[] = {
	{ 0x01, WRITE_VALUE, WDT_FEED, WDT_BIT, WDT_BIT },    /* reset */
	{ 0x04, READ_COUNT, WDT_FEED, 0, UINT32_MAX },	      /* query current count */
	{ 0x05, READ_COUNT, WDT_COUNT, 0, UINT32_MAX },	      /* query count */
	{ 0x06, WRITE_COUNT, WDT_COUNT, 0, UINT32_MAX },      /* set count */
	{ 0x08, READ_VALUE, WDT_CONTROL, WDT_BIT, WDT_BIT },  /* query running state */
	{ 0x09, WRITE_VALUE, WDT_CONTROL, WDT_BIT, WDT_BIT }, /* set running state */
	{ 0x0a, READ_VALUE, WDT_CONTROL, 0, WDT_BIT },	      /* query stopped state */
	{ 0x0b, WRITE_VALUE, WDT_CONTROL, 0, WDT_BIT },	      /* set stopped state */
	{ 0x20, READ_VALUE, WDT_STATUS, WDT_BIT, WDT_BIT },   /* query status */
	{ 0x21, WRITE_VALUE, WDT_STATUS, WDT_BIT, WDT_BIT },  /* set status: clears it */
};

static void put(uint8_t *at, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

uint32_t acpi_wdat_len(void)
{
	return HEADER_SIZE + WDAT_HEADER + (uint32_t)ARRAY_SIZE(actions) * ENTRY_SIZE;
}

static void put_entry(uint8_t *e, const struct action *a)
{
	e[0] = a->action;
	e[1] = a->instruction;
	e[4] = GAS_IO;
	e[5] = 32; /* bits */
	e[7] = GAS_DWORD;
	put(e + 8, 8, WDT_PORT + a->reg);
	put(e + 16, 4, a->value);
	put(e + 20, 4, a->mask);
}

void acpi_wdat_fill(uint8_t *t)
{
	uint8_t *h = t + HEADER_SIZE;

	put(h, 4, WDAT_HEADER);
	put(h + 4, 2, NOT_PCI);	      /* segment */
	h[6] = h[7] = h[8] = NOT_PCI; /* bus, device, function */
	put(h + 12, 4, WDT_PERIOD_MS);
	put(h + 16, 4, WDT_COUNT_MAX);
	put(h + 20, 4, WDT_COUNT_MIN);
	h[24] = FLAG_ENABLED;
	put(h + 28, 4, ARRAY_SIZE(actions));
	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++)
		put_entry(h + WDAT_HEADER + i * ENTRY_SIZE, &actions[i]);
}
