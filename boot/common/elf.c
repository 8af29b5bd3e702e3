/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads the kernel's ELF file to one contiguous physical range, whose offsets
 * equal those of the virtual addresses. The file is checked as if it were
 * damaged: a bad stick must give a message, not a wild write.
 */
#include "load.h"

struct elf64_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf64_header) == 64, "ELF-64 header");

struct elf64_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf64_segment) == 56, "ELF-64 program header");

#define ELF_MAGIC 0x464c457fu
#define ELF_CLASS64 2
#define ELF_MACHINE_X86_64 62
#define ELF_PT_LOAD 1u
#define KERNEL_MAX (512ull << 20) /* within the one GiB that paging.c maps */
#define KERNEL_LINK_BASE 0xffffffff80000000ull

static bool header_ok(const struct blob *file)
{
	const struct elf64_header *h = (const void *)file->start;

	return file->size >= sizeof(*h) && *(const uint32_t *)h->ident == ELF_MAGIC &&
	       h->ident[4] == ELF_CLASS64 && h->machine == ELF_MACHINE_X86_64 &&
	       h->phentsize == sizeof(struct elf64_segment) && h->phoff < file->size &&
	       h->phoff % 8 == 0 &&
	       h->phnum <= (file->size - h->phoff) / sizeof(struct elf64_segment);
}

static bool segment_ok(const struct blob *file, const struct elf64_segment *p)
{
	return p->filesz <= p->memsz && p->offset <= file->size &&
	       p->filesz <= file->size - p->offset && p->vaddr >= KERNEL_LINK_BASE &&
	       p->memsz <= KERNEL_MAX && p->vaddr - KERNEL_LINK_BASE <= KERNEL_MAX - p->memsz;
}

/* Lowest and highest linked address of the segments; false when one is bad or there is none. */
static bool image_range(const struct blob *file, uint64_t *lo, uint64_t *hi)
{
	const struct elf64_header *h = (const void *)file->start;
	const struct elf64_segment *p = (const void *)(file->start + h->phoff);

	*lo = UINT64_MAX;
	*hi = 0;
	for (unsigned i = 0; i < h->phnum; i++, p++) {
		if (p->type != ELF_PT_LOAD || p->memsz == 0)
			continue;
		if (!segment_ok(file, p))
			return false;
		*lo = MIN(*lo, p->vaddr);
		*hi = MAX(*hi, p->vaddr + p->memsz);
	}
	*lo = ALIGN_DOWN(*lo, PAGE_SIZE);
	*hi = ALIGN_UP(*hi, PAGE_SIZE);
	return *lo < *hi && h->entry >= *lo && h->entry < *hi;
}

static void load_segments(const struct blob *file, const struct kernel_image *k)
{
	const struct elf64_header *h = (const void *)file->start;
	const struct elf64_segment *p = (const void *)(file->start + h->phoff);

	for (unsigned i = 0; i < h->phnum; i++, p++)
		if (p->type == ELF_PT_LOAD)
			loader_copy(k->mem.start + (p->vaddr - k->virt), file->start + p->offset,
				    p->filesz);
}

enum elf_result elf_load(const struct blob *file, struct kernel_image *out)
{
	uint64_t lo, hi;

	if (!header_ok(file) || !image_range(file, &lo, &hi))
		return ELF_BAD;
	/* The same offset within 2 MiB as linked, so that large pages can map it. */
	uint64_t raw = loader_alloc(hi - lo + 2 * SIZE_2M);

	if (raw == 0)
		return ELF_NO_MEMORY;
	out->virt = lo;
	out->entry = ((const struct elf64_header *)file->start)->entry;
	out->mem.start = ALIGN_UP(raw, SIZE_2M) + (lo & (SIZE_2M - 1));
	out->mem.size = hi - lo;
	load_segments(file, out);
	return ELF_LOADED;
}
