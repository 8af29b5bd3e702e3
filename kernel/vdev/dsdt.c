/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DSDT's bytes: dsdt.asl, compiled by iasl at build time into a C array
 * that this file includes. The checksum in it is final.
 */
#include "acpi_tables.h"
#include "dsdt.hex"

const uint8_t *const acpi_dsdt = dsdt_aml_code;
const uint32_t acpi_dsdt_len = sizeof(dsdt_aml_code);
