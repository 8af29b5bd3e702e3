/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Static ACPI tables: RSDP -> XSDT, or RSDT when that is absent or damaged.
 * Zero pointers in it are skipped, tables with a bad length or checksum too.
 * The DSDT, to which only the FADT points, is listed like the others.
 */
#include "acpi.h"

#include <string.h>

#define MAX_TABLES 64u
#define MAX_TABLE_BYTES (16u << 20)
#define RSDP_V1_BYTES 20u
#define RSDP_V2_BYTES 36u
#define FADT_DSDT 40u
#define FADT_X_DSDT 140u

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* 0x14, from revision 2 on */
	uint64_t xsdt;
	uint8_t ext_checksum, reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct rsdp) == RSDP_V2_BYTES, "RSDP");

static const struct acpi_header *tables[MAX_TABLES]; /* [const] after acpi_init */
static unsigned table_count;
static acpi_map_fn *map_phys;

static bool sum_is_zero(const void *p, uint32_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + b[i]);
	return sum == 0;
}

/* The table there, if its length and checksum are sound. */
static const struct acpi_header *check_table(uint64_t phys)
{
	const struct acpi_header *t;
	uint32_t len;

	if (phys == 0)
		return NULL;
	t = map_phys(phys, sizeof(*t));
	if (!t)
		return NULL;
	memcpy(&len, &t->length, sizeof(len));
	if (len < sizeof(*t) || len > MAX_TABLE_BYTES)
		return NULL;
	t = map_phys(phys, len);
	return t && sum_is_zero(t, len) ? t : NULL;
}

static void add_table(uint64_t phys)
{
	const struct acpi_header *t = check_table(phys);

	if (t && table_count < MAX_TABLES)
		tables[table_count++] = t;
}

uint64_t acpi_field(const struct acpi_header *t, uint32_t offset, unsigned bytes)
{
	uint64_t v = 0;

	if (t && offset <= t->length && bytes <= t->length - offset)
		memcpy(&v, (const uint8_t *)t + offset, bytes);
	return v;
}

/* Entries of the RSDT (4 bytes each) or XSDT (8). False when the root itself is unusable. */
static bool walk_root(uint64_t phys, const char *signature, unsigned entry_bytes)
{
	const struct acpi_header *root = check_table(phys);

	if (!root || memcmp(root->signature, signature, 4) != 0)
		return false;
	for (uint32_t off = sizeof(*root); off + entry_bytes <= root->length; off += entry_bytes)
		add_table(acpi_field(root, off, entry_bytes));
	return table_count > 0;
}

static const struct rsdp *check_rsdp(uint64_t phys, bool *v2)
{
	const struct rsdp *r = phys ? map_phys(phys, RSDP_V1_BYTES) : NULL;

	if (!r || memcmp(r->signature, "RSD PTR ", 8) != 0 || !sum_is_zero(r, RSDP_V1_BYTES))
		return NULL;
	*v2 = false;
	if (r->revision >= 2) {
		const struct rsdp *full = map_phys(phys, RSDP_V2_BYTES);

		*v2 = full && sum_is_zero(full, RSDP_V2_BYTES);
		if (full)
			r = full;
	}
	return r;
}

unsigned acpi_init(uint64_t rsdp_phys, acpi_map_fn *map)
{
	const struct rsdp *r;
	bool v2;

	map_phys = map;
	table_count = 0;
	r = check_rsdp(rsdp_phys, &v2);
	if (!r)
		return 0;
	if (!v2 || !walk_root(r->xsdt, "XSDT", 8))
		walk_root(r->rsdt, "RSDT", 4);

	const struct acpi_header *fadt = acpi_find("FACP", 0);
	uint64_t dsdt = acpi_field(fadt, FADT_X_DSDT, 8);

	if (fadt)
		add_table(dsdt ? dsdt : acpi_field(fadt, FADT_DSDT, 4));
	return table_count;
}

const struct acpi_header *acpi_at(unsigned n)
{
	return n < table_count ? tables[n] : NULL;
}

const struct acpi_header *acpi_find(const char *signature, unsigned nth)
{
	for (unsigned i = 0; i < table_count; i++)
		if (memcmp(tables[i]->signature, signature, 4) == 0 && nth-- == 0)
			return tables[i];
	return NULL;
}
