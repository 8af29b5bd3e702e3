/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables as firmware gives them and as it should not. "Physical memory"
 * is a heap block per table, so that ASan sees any read past a table's end.
 */
// SOURCES: arch/x86_64/acpi.c arch/x86_64/madt.c arch/x86_64/aml.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "arch/x86_64/acpi.h"

#define REGIONS 16u

static struct {
	uint64_t phys, size;
	uint8_t *bytes;
} regions[REGIONS];
static unsigned region_count;

static int fresh(void **state)
{
	for (unsigned i = 0; i < region_count; i++)
		free(regions[i].bytes);
	region_count = 0;
	return 0;
}

static uint8_t *region(uint64_t phys, uint64_t size)
{
	uint8_t *b = calloc(1, size);

	regions[region_count].phys = phys;
	regions[region_count].size = size;
	regions[region_count++].bytes = b;
	return b;
}

static const void *map(uint64_t phys, uint64_t size)
{
	for (unsigned i = 0; i < region_count; i++)
		if (phys >= regions[i].phys && size <= regions[i].size &&
		    phys - regions[i].phys <= regions[i].size - size)
			return regions[i].bytes + (phys - regions[i].phys);
	return NULL;
}

static void put(uint8_t *b, unsigned off, uint64_t v, unsigned bytes)
{
	memcpy(b + off, &v, bytes);
}

static void seal(uint8_t *b, uint32_t len, unsigned at)
{
	uint8_t sum = 0;

	b[at] = 0;
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + b[i]);
	b[at] = (uint8_t)-sum;
}

static uint8_t *table(uint64_t phys, const char *signature, uint32_t len)
{
	uint8_t *b = region(phys, len);

	memcpy(b, signature, 4);
	put(b, 4, len, 4);
	seal(b, len, 9);
	return b;
}

static void rsdp(uint64_t phys, unsigned revision, uint32_t rsdt, uint64_t xsdt)
{
	uint8_t *b = region(phys, 36);

	memcpy(b, "RSD PTR ", 8);
	b[15] = (uint8_t)revision;
	put(b, 16, rsdt, 4);
	put(b, 20, 36, 4);
	put(b, 24, xsdt, 8);
	seal(b, 20, 8);
	seal(b, 36, 32);
}

static void root(uint64_t phys, const char *signature, unsigned bytes, const uint64_t *entries,
		 unsigned n)
{
	uint32_t len = 36 + n * bytes;
	uint8_t *b = table(phys, signature, len);

	for (unsigned i = 0; i < n; i++)
		put(b, 36 + i * bytes, entries[i], bytes);
	seal(b, len, 9);
}

static void xsdt_with_holes(void **state)
{
	const uint64_t list[] = { 0, 0x2000, 0, 0x3000, 0x9999000 };

	rsdp(0xe0000, 2, 0, 0x1000);
	root(0x1000, "XSDT", 8, list, 5);
	table(0x2000, "APIC", 44);
	table(0x3000, "HPET", 56);
	assert_int_equal(acpi_init(0xe0000, map), 2);
	assert_non_null(acpi_find("APIC", 0));
	assert_null(acpi_find("APIC", 1));
	assert_null(acpi_find("FACP", 0));
	assert_non_null(acpi_at(1));
	assert_null(acpi_at(2));
}

static void rsdt_when_xsdt_is_bad(void **state)
{
	const uint64_t list[] = { 0x2000 };
	uint8_t *t;

	rsdp(0xe0000, 2, 0x1100, 0x1000);
	root(0x1000, "XSDT", 8, list, 1);
	regions[1].bytes[9]++; /* checksum */
	root(0x1100, "RSDT", 4, list, 1);
	t = table(0x2000, "FACP", 244);
	put(t, 40, 0x3000, 4);
	seal(t, 244, 9);
	table(0x3000, "DSDT", 40);
	assert_int_equal(acpi_init(0xe0000, map), 2);
	assert_non_null(acpi_find("DSDT", 0));
}

static void version_1(void **state)
{
	const uint64_t list[] = { 0x2000, 0x2100, 0x2100 };

	rsdp(0xf5000, 0, 0x1000, 0xdeadbeef);
	root(0x1000, "RSDT", 4, list, 3);
	table(0x2000, "APIC", 44);
	table(0x2100, "SSDT", 36);
	assert_int_equal(acpi_init(0xf5000, map), 3);
	assert_non_null(acpi_find("SSDT", 1));
}

static void nothing_there(void **state)
{
	assert_int_equal(acpi_init(0, map), 0);
	assert_int_equal(acpi_init(0xe0000, map), 0);
	rsdp(0xe0000, 2, 0x1000, 0x1000);
	assert_int_equal(acpi_init(0xe0000, map), 0);
	regions[0].bytes[8]++;
	assert_int_equal(acpi_init(0xe0000, map), 0);
	assert_null(acpi_find("APIC", 0));
}

static void hostile_lengths(void **state)
{
	const uint64_t list[] = { 0x2000, 0x3000, 0x4000, UINT64_MAX - 3, 0x1000 };

	rsdp(0xe0000, 2, 0, 0x1000);
	root(0x1000, "XSDT", 8, list, 5);
	put(table(0x2000, "APIC", 44), 4, 0xffffffff, 4);
	put(table(0x3000, "HPET", 56), 4, 8, 4);
	put(table(0x4000, "MCFG", 60), 4, 61, 4);     /* one byte past its memory */
	assert_int_equal(acpi_init(0xe0000, map), 1); /* the XSDT, which lists itself */
	assert_null(acpi_find("APIC", 0));
}

static void fields(void **state)
{
	uint8_t *b = table(0x2000, "HPET", 56);
	const struct acpi_header *t = (const void *)b;

	put(b, 44, 0xfed00000, 8);
	assert_int_equal(acpi_field(t, 44, 8), 0xfed00000);
	assert_int_equal(acpi_field(t, 48, 8), 0);
	assert_int_equal(acpi_field(t, 49, 8), 0);
	assert_int_equal(acpi_field(t, 0xffffffff, 4), 0);
	assert_int_equal(acpi_field(NULL, 0, 4), 0);
}

static void madt_normal(void **state)
{
	static const uint8_t entries[] = {
		0, 8,  0, 3, 1, 0, 0,	 0,				  /* CPU, APIC id 3 */
		0, 8,  1, 4, 0, 0, 0,	 0,				  /* CPU, disabled */
		9, 16, 0, 0, 3, 0, 0,	 0,    1,    0, 0, 0, 1, 0, 0, 0, /* id 3 again */
		9, 16, 0, 0, 0, 1, 0,	 0,    1,    0, 0, 0, 2, 0, 0, 0, /* id 256 */
		1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24,   0, 0, 0,		  /* IOAPIC, GSI 24 */
		2, 10, 0, 9, 9, 0, 0,	 0,    0x0f, 0,			  /* IRQ 9: level, low */
		2, 10, 0, 0, 2, 0, 0,	 0,    0,    0,			  /* IRQ 0 is GSI 2 */
		5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 1,    0, 0, 0,		  /* LAPIC at 1fee00000 */
	};
	uint32_t len = 44 + sizeof(entries);
	uint8_t *b = table(0x2000, "APIC", len);
	struct madt m;

	memcpy(b + 44, entries, sizeof(entries));
	madt_parse((const void *)b, &m);
	assert_int_equal(m.cpus, 2);
	assert_int_equal(m.apic_id[0], 3);
	assert_int_equal(m.apic_id[1], 256);
	assert_int_equal(m.ioapics, 1);
	assert_int_equal(m.ioapic[0].phys, 0xfec00000);
	assert_int_equal(m.ioapic[0].gsi_base, 24);
	assert_int_equal(m.overrides, 2);
	assert_true(m.override[0].level && m.override[0].active_low);
	assert_int_equal(m.override[1].gsi, 2);
	assert_false(m.override[1].level || m.override[1].active_low);
	assert_true(m.lapic_phys == 0x1fee00000ull);
}

static void madt_random(void **state)
{
	struct madt m;

	srand(2);
	for (unsigned i = 0; i < 5000; i++) {
		uint32_t len = 36 + (uint32_t)rand() % 400;
		uint8_t *b = table(0x2000, "APIC", len);

		for (uint32_t k = 44; k < len; k++)
			b[k] = (uint8_t)(rand() % (rand() % 3 ? 16 : 256));
		madt_parse((const void *)b, &m);
		assert_true(m.cpus <= ACPI_MAX_CPUS && m.ioapics <= ACPI_MAX_IOAPICS &&
			    m.overrides <= ACPI_MAX_OVERRIDES);
		fresh(NULL);
	}
	madt_parse(NULL, &m);
	assert_int_equal(m.cpus, 0);
}

static void s5_package(void **state)
{
	static const uint8_t q35[] = { 0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0 };
	static const uint8_t bytes[] = { 8, '\\', '_', 'S',  '5', '_', 0x12, 0x0a,
					 4, 0x0a, 5,   0x0b, 7,	  0,   0,    0 };
	static const uint8_t reference[] = {
		'_', 'S', '5', '_', 0x70, 1, '_', 'S', '5', '_', 0x12
	};
	unsigned a = 99, b = 99;

	assert_int_equal(aml_find_s5(q35, sizeof(q35), &a, &b), 0);
	assert_int_equal(a, 0);
	assert_int_equal(b, 0);
	assert_int_equal(aml_find_s5(bytes, sizeof(bytes), &a, &b), 0);
	assert_int_equal(a, 5);
	assert_int_equal(b, 7);
	assert_int_equal(aml_find_s5(reference, sizeof(reference), &a, &b), -ENOENT);
	for (uint32_t len = 0; len <= 12; len++) { /* cut anywhere */
		uint8_t *cut = malloc(len + 1u);

		memcpy(cut, bytes, len);
		cut = realloc(cut, len ? len : 1);
		assert_int_equal(aml_find_s5(cut, len, &a, &b), len >= 14 ? 0 : -ENOENT);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(xsdt_with_holes, fresh),
		cmocka_unit_test_setup(rsdt_when_xsdt_is_bad, fresh),
		cmocka_unit_test_setup(version_1, fresh),
		cmocka_unit_test_setup(nothing_there, fresh),
		cmocka_unit_test_setup(hostile_lengths, fresh),
		cmocka_unit_test_setup(fields, fresh),
		cmocka_unit_test_setup(madt_normal, fresh),
		cmocka_unit_test_setup(madt_random, fresh),
		cmocka_unit_test_setup_teardown(s5_package, fresh, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
