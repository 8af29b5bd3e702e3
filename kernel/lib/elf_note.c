/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notes of an ELF file (elf.h): each has a name and contents, padded to four
 * bytes. [System V ABI "Note Section"]
 */
#include <string.h>

#include "elf.h"

#define NOTE_HEAD 12u /* name size, contents size, type */

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

/* The note at *at, which goes to the next one; NULL when no whole one is left. */
static const uint8_t *next_note(const uint8_t *notes, uint64_t size, uint64_t *at)
{
	const uint8_t *note = notes + *at;
	uint64_t left = size - *at, name, contents;

	if (left < NOTE_HEAD)
		return NULL;
	name = ALIGN_UP((uint64_t)get32(note), 4);
	contents = get32(note + 4);
	if (name > left - NOTE_HEAD || contents > left - NOTE_HEAD - name)
		return NULL;
	*at += MIN(NOTE_HEAD + name + ALIGN_UP(contents, 4), left);
	return note;
}

static const uint8_t *note_in(const uint8_t *notes, uint64_t size, const char *owner, uint32_t type,
			      uint32_t *len)
{
	size_t owner_len = strlen(owner) + 1;
	const uint8_t *note;
	uint64_t at = 0;

	while ((note = next_note(notes, size, &at))) {
		if (get32(note + 8) != type || get32(note) != owner_len ||
		    memcmp(note + NOTE_HEAD, owner, owner_len))
			continue;
		*len = get32(note + 4);
		return note + NOTE_HEAD + ALIGN_UP(owner_len, 4);
	}
	return NULL;
}

const uint8_t *elf_note(const struct elf *e, const char *owner, uint32_t type, uint32_t *len)
{
	for (unsigned i = 0; i < e->segments; i++) {
		struct elf_segment s;
		const uint8_t *found;

		if (elf_segment_at(e, i, &s) || s.type != ELF_SEGMENT_NOTE)
			continue;
		found = note_in(e->file + s.offset, s.file_size, owner, type, len);
		if (found)
			return found;
	}
	return NULL;
}
