/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF files (elf.h). [System V ABI "ELF Header", "Program Header"] */
#include <errno.h>
#include <string.h>

#include "elf.h"

#define IDENT_CLASS 4u
#define IDENT_DATA 5u
#define CLASS_32 1u
#define CLASS_64 2u
#define DATA_LITTLE 1u
#define SEGMENTS_MAX 64u

/* Offsets and sizes of the fields that are read, by class. */
static const struct layout {
	uint8_t head, entry, table, stride, count;		    /* of the header */
	uint8_t word;						    /* bytes of an address */
	uint8_t segment, offset, vaddr, paddr, file_size, mem_size; /* of a program header */
} layouts[2] = {
	{ 52, 24, 28, 42, 44, 4, 32, 4, 8, 12, 16, 20 },
	{ 64, 24, 32, 54, 56, 8, 56, 8, 16, 24, 32, 40 },
};
#define OFF_MACHINE 18u

static uint64_t get(const uint8_t *at, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)at[i] << 8 * i;
	return v;
}

bool elf_is(const uint8_t *file, uint64_t size)
{
	return size >= 4 && !memcmp(file, "\177ELF", 4);
}

static const char *fault_of(const uint8_t *file, uint64_t size)
{
	if (size < layouts[0].head || !elf_is(file, size))
		return "not an ELF file";
	if (file[IDENT_DATA] != DATA_LITTLE ||
	    (file[IDENT_CLASS] != CLASS_32 && file[IDENT_CLASS] != CLASS_64))
		return "an ELF file of another kind of machine";
	if (size < layouts[file[IDENT_CLASS] == CLASS_64].head)
		return "ELF file cut short";
	return NULL;
}

int elf_open(const uint8_t *file, uint64_t size, struct elf *out, const char **fault)
{
	const struct layout *l;

	*fault = fault_of(file, size);
	if (*fault)
		return -EINVAL;
	out->file = file;
	out->size = size;
	out->wide = file[IDENT_CLASS] == CLASS_64;
	l = &layouts[out->wide];
	out->machine = (uint16_t)get(file + OFF_MACHINE, 2);
	out->entry = get(file + l->entry, l->word);
	out->table = get(file + l->table, l->word);
	out->stride = (unsigned)get(file + l->stride, 2);
	out->segments = (unsigned)get(file + l->count, 2);
	if (!out->segments || out->segments > SEGMENTS_MAX)
		*fault = "ELF file with none or too many program headers";
	else if (out->stride < l->segment || out->table > size ||
		 (uint64_t)out->segments * out->stride > size - out->table)
		*fault = "ELF file's program headers lie outside of it";
	return *fault ? -EINVAL : 0;
}

int elf_segment_at(const struct elf *e, unsigned i, struct elf_segment *out)
{
	const struct layout *l = &layouts[e->wide];
	const uint8_t *p = e->file + e->table + (uint64_t)i * e->stride;

	out->type = (uint32_t)get(p, 4);
	out->offset = get(p + l->offset, l->word);
	out->vaddr = get(p + l->vaddr, l->word);
	out->paddr = get(p + l->paddr, l->word);
	out->file_size = get(p + l->file_size, l->word);
	out->mem_size = get(p + l->mem_size, l->word);
	if (out->offset > e->size || out->file_size > e->size - out->offset ||
	    out->mem_size < out->file_size || out->vaddr + out->mem_size < out->vaddr ||
	    out->paddr + out->mem_size < out->paddr)
		return -EINVAL;
	return 0;
}
