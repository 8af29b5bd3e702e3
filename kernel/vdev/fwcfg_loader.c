/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The script by which firmware places the ACPI tables: commands of 128 bytes
 * that allocate memory for a file, add a file's address to a pointer in another,
 * and make a checksum. Made from the lists of acpi_tables.h. Pure code.
 * [QEMU hw/acpi/bios-linker-loader, as firmware reads it]
 */
#include <string.h>

#include "fwcfg.h"

#define COMMAND_SIZE 128u
#define CMD_ALLOCATE 1u
#define CMD_ADD_POINTER 2u
#define CMD_ADD_CHECKSUM 3u
#define ZONE_HIGH 1u
#define ZONE_FSEG 2u
#define RSDP_ALIGN 16u

struct script {
	uint8_t *out;
	uint32_t len;
	bool full;
};

static void put32(uint8_t *at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static uint8_t *command(struct script *s, uint32_t type)
{
	static uint8_t spill[COMMAND_SIZE];
	uint8_t *c = s->out + s->len;

	if (s->len + COMMAND_SIZE > FWCFG_LOADER_MAX) {
		s->full = true;
		return spill;
	}
	s->len += COMMAND_SIZE;
	memset(c, 0, COMMAND_SIZE);
	put32(c, type);
	return c;
}

static void name(uint8_t *at, const char *text)
{
	memcpy(at, text, strlen(text) + 1);
}

static void allocate(struct script *s, const char *file, uint32_t align, uint8_t zone)
{
	uint8_t *c = command(s, CMD_ALLOCATE);

	name(c + 4, file);
	put32(c + 60, align);
	c[64] = zone;
}

uint32_t fwcfg_loader_build(const struct acpi_image *acpi, uint8_t out[FWCFG_LOADER_MAX])
{
	struct script s = { .out = out };

	allocate(&s, FWCFG_TABLES_NAME, ACPI_TABLES_ALIGN, ZONE_HIGH);
	allocate(&s, FWCFG_RSDP_NAME, RSDP_ALIGN, ZONE_FSEG);
	for (uint32_t i = 0; i < acpi->nr_pointers; i++) {
		const struct acpi_pointer *p = &acpi->pointer[i];
		uint8_t *c = command(&s, CMD_ADD_POINTER);

		name(c + 4, p->in_rsdp ? FWCFG_RSDP_NAME : FWCFG_TABLES_NAME);
		name(c + 60, FWCFG_TABLES_NAME);
		put32(c + 116, p->at);
		c[120] = p->size;
	}
	for (uint32_t i = 0; i < acpi->nr_sums; i++) {
		const struct acpi_sum *a = &acpi->sum[i];
		uint8_t *c = command(&s, CMD_ADD_CHECKSUM);

		name(c + 4, a->in_rsdp ? FWCFG_RSDP_NAME : FWCFG_TABLES_NAME);
		put32(c + 60, a->at);
		put32(c + 64, a->start);
		put32(c + 68, a->len);
	}
	return s.full ? 0 : s.len;
}
