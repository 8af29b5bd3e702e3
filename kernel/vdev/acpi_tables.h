/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's ACPI tables: RSDP, XSDT, FADT, FACS, MADT, MCFG, WDAT and the DSDT
 * compiled from dsdt.asl. They are built once per VM as a blob that does not
 * know its address, with lists of its pointers and checksums: fw_cfg's loader
 * gets the lists as commands, direct boot applies them itself.
 */
#ifndef KERNEL_VDEV_ACPI_TABLES_H
#define KERNEL_VDEV_ACPI_TABLES_H

#include <tern/types.h>

#define ACPI_TABLES_MAX 8192u
#define ACPI_RSDP_SIZE 36u
#define ACPI_TABLES_ALIGN 64u
#define ACPI_POINTERS_MAX 12u
#define ACPI_SUMS_MAX 8u

/* A pointer of size bytes at offset at, which holds the offset in the tables that it points to. */
struct acpi_pointer {
	uint32_t at;
	uint8_t size;
	bool in_rsdp; /* at counts in rsdp, not in tables */
};

/* The byte at offset at makes [start, start + len) sum to zero. */
struct acpi_sum {
	uint32_t at, start, len;
	bool in_rsdp;
};

struct acpi_image {
	uint8_t tables[ACPI_TABLES_MAX];
	uint8_t rsdp[ACPI_RSDP_SIZE];
	uint32_t len; /* of tables */
	uint32_t nr_pointers, nr_sums;
	struct acpi_pointer pointer[ACPI_POINTERS_MAX];
	struct acpi_sum sum[ACPI_SUMS_MAX]; /* in the order to apply */
};

void acpi_build(struct acpi_image *m, unsigned vcpus);
/* Makes the tables final for an address of theirs (64-byte aligned). */
void acpi_relocate(struct acpi_image *m, uint64_t tables_gpa);

/* dsdt.c, from dsdt.asl. */
extern const uint8_t *const acpi_dsdt;
extern const uint32_t acpi_dsdt_len;

#endif
