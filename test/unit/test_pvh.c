/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH kernels: the note of the entry is found among others, what is taken lies where a
 * guest has memory, and every damaged file is refused without a read past it (the
 * file is a heap block under ASan).
 */
// SOURCES: kernel/vdev/pvh.c kernel/lib/elf.c kernel/lib/elf_note.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>

#include "kernel/lib/elf.h"
#include "kernel/vdev/pvh.h"

#define LEN 2048u
#define NOTES 0x200u
#define TEXT 0x400u

static uint8_t *file;
static struct pvh pvh;
static char why[96];

static Elf64_Phdr *phdr(unsigned i)
{
	return (Elf64_Phdr *)(file + sizeof(Elf64_Ehdr)) + i;
}

/* A note at `at` of the notes; where the next one goes. */
static unsigned note(unsigned at, const char *owner, uint32_t type, const void *text, uint32_t len)
{
	uint32_t *n = (uint32_t *)(file + NOTES + at);
	uint32_t owner_len = (uint32_t)strlen(owner) + 1;

	n[0] = owner_len;
	n[1] = len;
	n[2] = type;
	memcpy(n + 3, owner, owner_len);
	memcpy((uint8_t *)(n + 3) + ALIGN_UP(owner_len, 4), text, len);
	return at + 12 + (unsigned)(ALIGN_UP(owner_len, 4) + ALIGN_UP(len, 4));
}

static void set_entry(uint64_t entry, uint32_t len)
{
	unsigned at = note(0, "GNU", 3, "12345", 5);

	at = note(at, "Xen", 6, "linux", 6);
	at = note(at, "Xenon", 18, &entry, 8);
	at = note(at, "Xen", 18, &entry, len);
	phdr(2)->p_filesz = phdr(2)->p_memsz = at;
}

static int good(void **state)
{
	Elf64_Ehdr *h;

	file = calloc(1, LEN);
	h = (Elf64_Ehdr *)file;
	memcpy(file, ELFMAG, 4);
	file[EI_CLASS] = ELFCLASS64;
	file[EI_DATA] = ELFDATA2LSB;
	h->e_machine = EM_X86_64;
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(Elf64_Phdr);
	h->e_phnum = 3;
	*phdr(0) = (Elf64_Phdr){ PT_LOAD,   5,	   TEXT,  0xffffffff81000000,
				 0x1000000, 0x200, 0x200, 0x1000 };
	*phdr(1) = (Elf64_Phdr){ PT_LOAD,   6,	   TEXT + 0x200, 0xffffffff82000000,
				 0x2000000, 0x100, 0x10000,	 0x1000 };
	*phdr(2) = (Elf64_Phdr){ PT_NOTE, 4, NOTES, 0, 0, 0, 0, 4 };
	set_entry(0x1000050, 8);
	return 0;
}

static int done(void **state)
{
	free(file);
	return 0;
}

static int parse(void)
{
	memset(why, 0, sizeof(why));
	return pvh_parse(file, LEN, &pvh, why, sizeof(why));
}

static void takes_a_good_one(void **state)
{
	assert_int_equal(parse(), 0);
	assert_int_equal(pvh.entry, 0x1000050);
	assert_int_equal(pvh.parts, 2);
	assert_int_equal(pvh.start, 0x1000000);
	assert_int_equal(pvh.end, 0x2010000);
	assert_int_equal(pvh.part[1].len, 0x100);
	assert_int_equal(pvh.part[1].mem_len, 0x10000);
	set_entry(0x1000060, 4);
	assert_int_equal(parse(), 0);
	assert_int_equal(pvh.entry, 0x1000060);
}

static void refused(const char *text)
{
	assert_int_equal(parse(), -EINVAL);
	if (!strstr(why, text))
		fail_msg("'%s' is not in '%s'", text, why);
}

static void refuses(void **state)
{
	set_entry(0x1000200, 8); /* between the parts */
	refused("outside of what is loaded");
	set_entry(0x1000050, 2);
	refused("no PVH entry");
	phdr(2)->p_type = PT_NULL;
	refused("no PVH entry");
	phdr(2)->p_type = PT_NOTE;
	set_entry(0x1000050, 8);
	phdr(0)->p_paddr = 0x1000;
	refused("below 1 MiB");
	phdr(0)->p_paddr = 0xffffff00;
	refused("above 4 GiB");
	phdr(0)->p_paddr = 0x1000000;
	phdr(1)->p_vaddr = 0;
	phdr(1)->p_memsz = 1ull << 40;
	refused("above 4 GiB");
	phdr(1)->p_offset = LEN;
	refused("does not fit the file");
	((Elf64_Ehdr *)file)->e_machine = EM_AARCH64;
	refused("not for x86");
	file[0] = 0;
	refused("not an ELF file");
}

/* A name or contents that reach past the notes end the search. */
static void damaged_notes(void **state)
{
	uint32_t *n = (uint32_t *)(file + NOTES);

	n[0] = UINT32_MAX;
	refused("no PVH entry");
	n[0] = 4;
	n[1] = UINT32_MAX - 2;
	refused("no PVH entry");
	n[1] = 5;
	phdr(2)->p_filesz -= 8;
	refused("no PVH entry");
	phdr(2)->p_filesz = 0;
	refused("no PVH entry");
}

static void any_length(void **state)
{
	for (size_t len = 0; len < LEN; len += len < 800 ? 1 : 37) {
		uint8_t *part = malloc(len ? len : 1);

		memcpy(part, file, len);
		(void)!pvh_parse(part, len, &pvh, why, sizeof(why));
		free(part);
	}
}

static void random_damage(void **state)
{
	uint32_t x = 1;

	for (int i = 0; i < 100000; i++) {
		x = x * 1664525 + 1013904223;
		file[(x >> 8) % 0x280] = (uint8_t)(x >> 24);
		if (parse() == 0) {
			for (unsigned k = 0; k < pvh.parts; k++) {
				assert_true(pvh.part[k].from + pvh.part[k].len <= LEN);
				assert_true(pvh.part[k].to >= 0x100000);
				assert_true(pvh.part[k].to + pvh.part[k].mem_len <= 1ull << 32);
			}
		}
		if (i % 7 == 0) {
			done(state);
			good(state);
		}
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, good, done)

int main(void)
{
	const struct CMUnitTest tests[] = { T(takes_a_good_one), T(refuses), T(damaged_notes),
					    T(any_length), T(random_damage) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
