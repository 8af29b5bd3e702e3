/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's static ACPI tables: found once, checked, looked up by signature.
 * A machine without tables comes up with everything absent.
 */
#ifndef TERN_ACPI_H
#define TERN_ACPI_H

#include <tern/types.h>

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI table header");

/* Table with a valid checksum, or NULL. nth counts tables of the same signature from 0. */
const struct acpi_header *acpi_find(const char *signature, unsigned nth);
/* Why the machine is run without its tables, on one CPU; NULL when it is not. */
const char *acpi_missing(void);

#endif
