/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes a PVH kernel apart (pvh.h). Pure code. */
#include <errno.h>
#include <stdio.h>

#include "kernel/lib/elf.h"
#include "pvh.h"

/* [Xen public/elfnote.h "XEN_ELFNOTE_PHYS32_ENTRY"] */
#define NOTE_OWNER "Xen"
#define NOTE_PHYS32_ENTRY 18u

#define ADDRESS_LIMIT BIT(32)
#define LOWEST 0x100000u /* below 1 MiB are start information and tables */

static const char *add_part(struct pvh *out, const struct elf_segment *s)
{
	if (out->parts == PVH_PARTS_MAX)
		return "more than 16 parts to load";
	if (s->paddr < LOWEST)
		return "loaded below 1 MiB";
	if (s->paddr >= ADDRESS_LIMIT || s->mem_size > ADDRESS_LIMIT - s->paddr)
		return "loaded above 4 GiB";
	out->part[out->parts++] =
		(struct pvh_part){ s->offset, s->file_size, s->paddr, s->mem_size };
	out->start = MIN(out->start, s->paddr);
	out->end = MAX(out->end, s->paddr + s->mem_size);
	return NULL;
}

static const char *read_parts(const struct elf *e, struct pvh *out)
{
	const char *fault = NULL;

	for (unsigned i = 0; i < e->segments && !fault; i++) {
		struct elf_segment s;

		if (elf_segment_at(e, i, &s))
			return "an ELF segment that does not fit the file";
		if (s.type == ELF_SEGMENT_LOAD && s.mem_size)
			fault = add_part(out, &s);
	}
	return fault;
}

/* The note has four or eight bytes, by the file's class. */
static const char *read_entry(const struct elf *e, uint64_t *entry)
{
	uint32_t len;
	const uint8_t *note = elf_note(e, NOTE_OWNER, NOTE_PHYS32_ENTRY, &len);

	if (!note || (len != 4 && len != 8))
		return "no PVH entry (needs a kernel with CONFIG_PVH)";
	*entry = 0;
	for (unsigned i = 0; i < len; i++)
		*entry |= (uint64_t)note[i] << 8 * i;
	return NULL;
}

static const char *set_entry(struct pvh *out, uint64_t entry)
{
	for (unsigned i = 0; i < out->parts; i++) {
		if (entry < out->part[i].to || entry - out->part[i].to >= out->part[i].mem_len)
			continue;
		out->entry = (uint32_t)entry;
		return NULL;
	}
	return "its PVH entry is outside of what is loaded";
}

int pvh_parse(const uint8_t *file, uint64_t size, struct pvh *out, char *why, size_t why_len)
{
	uint64_t entry = 0;
	const char *fault;
	struct elf e;

	*out = (struct pvh){ .start = UINT64_MAX };
	if (!elf_open(file, size, &e, &fault)) {
		if (e.machine != ELF_MACHINE_386 && e.machine != ELF_MACHINE_X86_64)
			fault = "not for x86";
		if (!fault)
			fault = read_entry(&e, &entry);
		if (!fault)
			fault = read_parts(&e, out);
		if (!fault)
			fault = set_entry(out, entry);
	}
	if (!fault)
		return 0;
	snprintf(why, why_len, "kernel: %s", fault);
	return -EINVAL;
}
