/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds and checks the header of a multiboot 1 payload (multiboot.h). Pure code.
 * [Multiboot 0.6.96 3.1 "OS image format"]
 */
#include <errno.h>
#include <stdio.h>

#include "kernel/lib/elf.h"
#include "multiboot.h"

#define HEADER_SEARCH 8192u
#define HEADER_MAGIC 0x1badb002u

/* Fields of the header. */
#define OFF_FLAGS 4u
#define OFF_CHECKSUM 8u
#define OFF_HEADER_ADDR 12u
#define OFF_LOAD_ADDR 16u
#define OFF_LOAD_END 20u
#define OFF_BSS_END 24u
#define OFF_ENTRY 28u
#define LEN_BASIC 12u
#define LEN_ADDRESSES 32u

/* The low half of the flags must be understood. Modules are page aligned always. */
#define FLAG_PAGE_ALIGN BIT(0)
#define FLAG_MEMORY BIT(1)
#define FLAG_ADDRESSES BIT(16)
#define FLAGS_REQUIRED 0xffffu

#define ADDRESS_LIMIT BIT(32)

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static int refuse(char *why, size_t why_len, const char *text)
{
	snprintf(why, why_len, "multiboot payload: %s", text);
	return -EINVAL;
}

/* Offset of the header, or size when there is none. */
static uint64_t find_header(const uint8_t *file, uint64_t size)
{
	uint64_t end = MIN(size, (uint64_t)HEADER_SEARCH);

	for (uint64_t at = 0; at + LEN_BASIC <= end; at += 4) {
		const uint8_t *h = file + at;

		if (get32(h) == HEADER_MAGIC &&
		    HEADER_MAGIC + get32(h + OFF_FLAGS) + get32(h + OFF_CHECKSUM) == 0)
			return at;
	}
	return size;
}

static const char *add_part(struct multiboot *out, uint64_t from, uint64_t len, uint64_t to,
			    uint64_t mem_len)
{
	if (out->parts == MULTIBOOT_PARTS_MAX)
		return "more than 16 parts to load";
	if (to >= ADDRESS_LIMIT || mem_len > ADDRESS_LIMIT - to)
		return "loaded above 4 GiB";
	out->part[out->parts++] = (struct multiboot_part){ from, len, to, mem_len };
	out->end = MAX(out->end, to + mem_len);
	return NULL;
}

/* [Multiboot 0.6.96 3.1.3 "The address fields of Multiboot header"] */
static const char *by_addresses(const uint8_t *file, uint64_t size, uint64_t at,
				struct multiboot *out)
{
	const uint8_t *h = file + at;
	uint32_t load, load_end, bss_end, back;
	uint64_t from, len;

	if (size - at < LEN_ADDRESSES)
		return "header cut short";
	load = get32(h + OFF_LOAD_ADDR);
	load_end = get32(h + OFF_LOAD_END);
	bss_end = get32(h + OFF_BSS_END);
	back = get32(h + OFF_HEADER_ADDR) - load;
	if (get32(h + OFF_HEADER_ADDR) < load || back > at)
		return "its header's address does not fit its load address";
	from = at - back;
	len = size - from;
	if (load_end) {
		if (load_end < load || load_end - load > len)
			return "its load end does not fit the file";
		len = load_end - load;
	}
	if (bss_end && (bss_end < load || bss_end - load < len))
		return "its bss ends before its data";
	out->entry = get32(h + OFF_ENTRY);
	return add_part(out, from, len, load, bss_end ? bss_end - load : len);
}

static const char *elf_parts(const struct elf *e, struct multiboot *out)
{
	uint64_t entry = e->entry;
	const char *fault = NULL;

	for (unsigned i = 0; i < e->segments && !fault; i++) {
		struct elf_segment s;

		if (elf_segment_at(e, i, &s))
			return "an ELF segment that does not fit the file";
		if (s.type != ELF_SEGMENT_LOAD || !s.mem_size)
			continue;
		if (e->entry >= s.vaddr && e->entry - s.vaddr < s.mem_size)
			entry = s.paddr + (e->entry - s.vaddr);
		fault = add_part(out, s.offset, s.file_size, s.paddr, s.mem_size);
	}
	if (!fault && !out->parts)
		fault = "nothing to load";
	if (!fault && entry >= ADDRESS_LIMIT)
		fault = "its entry is above 4 GiB";
	out->entry = (uint32_t)entry;
	return fault;
}

static const char *by_elf(const uint8_t *file, uint64_t size, struct multiboot *out)
{
	const char *fault;
	struct elf e;

	if (!elf_is(file, size))
		return "no ELF file, and no load addresses in its header";
	if (elf_open(file, size, &e, &fault))
		return fault;
	if (e.machine != ELF_MACHINE_386 && e.machine != ELF_MACHINE_X86_64)
		return "not for x86";
	return elf_parts(&e, out);
}

static bool in_a_part(const struct multiboot *m, uint64_t address)
{
	for (unsigned i = 0; i < m->parts; i++)
		if (address >= m->part[i].to && address - m->part[i].to < m->part[i].mem_len)
			return true;
	return false;
}

int multiboot_parse(const uint8_t *file, uint64_t size, struct multiboot *out, char *why,
		    size_t why_len)
{
	uint64_t at = find_header(file, size);
	const char *fault;
	uint32_t flags;

	out->parts = 0;
	out->end = 0;
	out->entry = 0;
	if (at == size)
		return refuse(why, why_len, "no multiboot 1 header in its first 8 KiB");
	flags = get32(file + at + OFF_FLAGS);
	if (flags & FLAGS_REQUIRED & ~(FLAG_PAGE_ALIGN | FLAG_MEMORY))
		return refuse(why, why_len, "requires what is not offered (a video mode or newer)");
	fault = flags & FLAG_ADDRESSES ? by_addresses(file, size, at, out)
				       : by_elf(file, size, out);
	if (!fault && !in_a_part(out, out->entry))
		fault = "its entry is outside of what is loaded";
	return fault ? refuse(why, why_len, fault) : 0;
}
