/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF files as a loader reads them: the header, then the program headers one by
 * one, either class, little-endian. Whoever made the file may have put anything
 * there: what is given out lies within the file.
 */
#ifndef KERNEL_LIB_ELF_H
#define KERNEL_LIB_ELF_H

#include <tern/types.h>

#define ELF_MACHINE_386 3u
#define ELF_MACHINE_X86_64 62u
#define ELF_SEGMENT_LOAD 1u
#define ELF_SEGMENT_NOTE 4u

struct elf {
	const uint8_t *file;	     /* not copied */
	uint64_t size, entry, table; /* bytes; address; file offset of the program headers */
	unsigned segments, stride;   /* program headers, bytes from one to the next */
	uint16_t machine;
	bool wide; /* 64-bit class */
};

struct elf_segment {
	uint32_t type;
	uint64_t offset, file_size;	 /* within the file */
	uint64_t vaddr, paddr, mem_size; /* mem_size >= file_size; no wrap past 2^64 */
};

/* Does the file begin as an ELF file? */
bool elf_is(const uint8_t *file, uint64_t size);
/* 0, or -EINVAL with what is wrong in *fault. */
MUST_CHECK int elf_open(const uint8_t *file, uint64_t size, struct elf *out, const char **fault);
/* Program header i < e->segments; -EINVAL when what it says does not fit the file. */
MUST_CHECK int elf_segment_at(const struct elf *e, unsigned i, struct elf_segment *out);
/* Contents, in the file, of the first note of that owner and type; NULL when there is none. */
const uint8_t *elf_note(const struct elf *e, const char *owner, uint32_t type, uint32_t *len);

#endif
