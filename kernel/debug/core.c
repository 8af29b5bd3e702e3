/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF core of a guest (core.h). A segment for each stretch that is mapped, so that a
 * debugger finds the kernel where its symbols say; then one for each stretch of
 * memory at its guest-physical address. Several may show the same contents; debuggers take the
 * first that has an address. What is not backed has no contents in the file.
 * [System V ABI "ELF Header", "Program Header"]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define EHDR_BYTES 64u
#define PHDR_BYTES 56u
#define ET_CORE 4u
#define EM_X86_64 62u
#define PT_LOAD 1u
#define PT_NOTE 4u
#define PF_RWX 7u

void core_init(struct core *c, unsigned threads)
{
	memset(c, 0, sizeof(*c));
	c->threads = threads;
}

void core_fini(struct core *c)
{
	free(c->seg);
	free(c->backed);
}

static int append(struct core_segment **list, unsigned *nr, unsigned *room,
		  const struct core_segment *s)
{
	if (*nr == CORE_SEGMENTS_MAX)
		return -E2BIG;
	if (*nr == *room) {
		unsigned more = *room ? 2 * *room : 64;
		struct core_segment *grown = calloc(more, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		if (*nr)
			memcpy(grown, *list, *nr * sizeof(*grown));
		free(*list);
		*list = grown;
		*room = more;
	}
	(*list)[(*nr)++] = *s;
	return 0;
}

int core_backed(struct core *c, uint64_t gpa, uint64_t bytes)
{
	struct core_segment s = { .paddr = gpa, .bytes = bytes, .offset = c->data_bytes };
	struct core_segment *last = c->nr_backed ? &c->backed[c->nr_backed - 1] : NULL;

	c->data_bytes += bytes;
	if (last && last->paddr + last->bytes == gpa) {
		last->bytes += bytes;
		return 0;
	}
	return append(&c->backed, &c->nr_backed, &c->room_backed, &s);
}

/* The first backed run that ends behind gpa; nr_backed when there is none. */
static unsigned find(const struct core *c, uint64_t gpa)
{
	unsigned low = 0, high = c->nr_backed;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (c->backed[mid].paddr + c->backed[mid].bytes <= gpa)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int core_map(struct core *c, uint64_t linear, uint64_t gpa, uint64_t bytes)
{
	int err = 0;

	while (!err && bytes) {
		struct core_segment s = {
			.vaddr = linear, .paddr = gpa, .bytes = bytes, .offset = CORE_HOLE
		};
		unsigned i = find(c, gpa);
		const struct core_segment *b = i < c->nr_backed ? &c->backed[i] : NULL;

		if (b && b->paddr <= gpa) {
			s.bytes = MIN(bytes, b->paddr + b->bytes - gpa);
			s.offset = b->offset + (gpa - b->paddr);
		} else if (b) {
			s.bytes = MIN(bytes, b->paddr - gpa);
		}
		err = append(&c->seg, &c->nr, &c->room, &s);
		linear += s.bytes;
		gpa += s.bytes;
		bytes -= s.bytes;
	}
	return err;
}

int core_ram(struct core *c, uint64_t gpa, uint64_t bytes)
{
	return core_map(c, gpa, gpa, bytes);
}

static uint64_t notes_at(const struct core *c)
{
	return EHDR_BYTES + (uint64_t)(c->nr + 1) * PHDR_BYTES;
}

uint64_t core_head_bytes(const struct core *c)
{
	return ALIGN_UP(notes_at(c) + (uint64_t)c->threads * CORE_THREAD_BYTES, PAGE_SIZE);
}

static uint8_t *put(uint8_t *at, uint64_t v, unsigned bytes)
{
	memcpy(at, &v, bytes); /* little-endian, as the file is */
	return at + bytes;
}

static uint8_t *put_phdr(uint8_t *at, uint32_t type, uint32_t flags, uint64_t offset,
			 const struct core_segment *s, uint64_t file_bytes)
{
	at = put(at, type, 4);
	at = put(at, flags, 4);
	at = put(at, offset, 8);
	at = put(at, s->vaddr, 8);
	at = put(at, s->paddr, 8);
	at = put(at, file_bytes, 8);
	at = put(at, s->bytes, 8);
	return put(at, type == PT_LOAD ? PAGE_SIZE : 4, 8);
}

static uint8_t *put_ehdr(const struct core *c, uint8_t *at)
{
	static const uint8_t ident[16] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	memcpy(at, ident, sizeof(ident));
	at = put(at + sizeof(ident), ET_CORE, 2);
	at = put(at, EM_X86_64, 2);
	at = put(at, 1, 4); /* version */
	at = put(at, 0, 8); /* entry */
	at = put(at, EHDR_BYTES, 8);
	at = put(at, 0, 8); /* no sections */
	at = put(at, 0, 4); /* flags */
	at = put(at, EHDR_BYTES, 2);
	at = put(at, PHDR_BYTES, 2);
	at = put(at, c->nr + 1, 2);
	return at + 6; /* of sections: size, count, names */
}

uint8_t *core_head(const struct core *c, uint8_t *head)
{
	uint64_t data_at = core_head_bytes(c), notes = (uint64_t)c->threads * CORE_THREAD_BYTES;
	struct core_segment note = { .bytes = notes };
	uint8_t *at = put_ehdr(c, head);

	at = put_phdr(at, PT_NOTE, 0, notes_at(c), &note, notes);
	for (unsigned i = 0; i < c->nr; i++) {
		const struct core_segment *s = &c->seg[i];
		bool hole = s->offset == CORE_HOLE;

		at = put_phdr(at, PT_LOAD, PF_RWX, data_at + (hole ? 0 : s->offset), s,
			      hole ? 0 : s->bytes);
	}
	return at;
}
