/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one thing that Tern wants from AML: the values of \_S5. It is a Name of a
 * Package of constants on every machine known, so it is found by its bytes and
 * no interpreter is needed. [ACPI 6.4 7.4.2.6, 20.2.5]
 */
#include "acpi.h"

#include <errno.h>
#include <string.h>

#define AML_ZERO 0x00
#define AML_ONE 0x01
#define AML_BYTE 0x0a
#define AML_WORD 0x0b
#define AML_DWORD 0x0c
#define AML_PACKAGE 0x12

/* One integer constant at *p; advances it. False when it is something else or runs out. */
static bool constant(const uint8_t **p, const uint8_t *end, unsigned *v)
{
	unsigned bytes;

	if (*p == end)
		return false;
	uint8_t op = *(*p)++;

	switch (op) {
	case AML_ZERO:
	case AML_ONE:
		*v = op;
		return true;
	case AML_BYTE:
		bytes = 1;
		break;
	case AML_WORD:
		bytes = 2;
		break;
	case AML_DWORD:
		bytes = 4;
		break;
	default:
		return false;
	}
	if ((uint64_t)(end - *p) < bytes)
		return false;
	*v = 0;
	for (unsigned i = 0; i < bytes; i++)
		*v |= (unsigned)(*p)[i] << (8 * i);
	*p += bytes;
	return true;
}

/* PkgLength: the two top bits of its first byte count the bytes that follow it. */
static bool package(const uint8_t *p, const uint8_t *end, unsigned *a, unsigned *b)
{
	if (end - p < 2 || *p++ != AML_PACKAGE)
		return false;
	unsigned more = *p >> 6;

	if ((uint64_t)(end - p) < more + 2)
		return false;
	p += 1 + more;
	unsigned elements = *p++;

	if (elements == 0 || !constant(&p, end, a))
		return false;
	*b = *a;
	return elements == 1 || constant(&p, end, b);
}

int aml_find_s5(const uint8_t *aml, uint32_t len, unsigned *typ_a, unsigned *typ_b)
{
	for (uint32_t i = 0; i + 4 <= len; i++)
		if (memcmp(aml + i, "_S5_", 4) == 0 &&
		    package(aml + i + 4, aml + len, typ_a, typ_b))
			return 0;
	return -ENOENT;
}
