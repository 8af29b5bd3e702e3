/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ELF reader: both classes, and that nothing outside of the file is ever
 * given out (the file is a heap block under ASan).
 */
// SOURCES: kernel/lib/elf.c
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

#define LEN 512u

static uint8_t *file;
static const char *fault;
static struct elf e;
static struct elf_segment s;

static void make(unsigned class, unsigned segments)
{
	Elf32_Ehdr *h32 = (void *)file;
	Elf64_Ehdr *h64 = (void *)file;

	memset(file, 0, LEN);
	memcpy(file, ELFMAG, 4);
	file[EI_CLASS] = (uint8_t) class;
	file[EI_DATA] = ELFDATA2LSB;
	if (class == ELFCLASS32) {
		h32->e_machine = EM_386;
		h32->e_entry = 0x100010;
		h32->e_phoff = sizeof(*h32);
		h32->e_phentsize = sizeof(Elf32_Phdr);
		h32->e_phnum = (uint16_t)segments;
	} else {
		h64->e_machine = EM_X86_64;
		h64->e_entry = 0xffffffff80000010;
		h64->e_phoff = sizeof(*h64);
		h64->e_phentsize = sizeof(Elf64_Phdr);
		h64->e_phnum = (uint16_t)segments;
	}
}

static Elf64_Phdr *phdr64(void)
{
	return (void *)(file + sizeof(Elf64_Ehdr));
}

static int set_up(void **state)
{
	file = malloc(LEN);
	return 0;
}

static int done(void **state)
{
	free(file);
	return 0;
}

static void reads_32_bit(void **state)
{
	Elf32_Phdr *p = (void *)(file + sizeof(Elf32_Ehdr));

	make(ELFCLASS32, 1);
	*p = (Elf32_Phdr){ PT_LOAD, 0x100, 0xc0100000, 0x100000, 0x20, 0x3000, 5, 0x1000 };
	assert_int_equal(elf_open(file, LEN, &e, &fault), 0);
	assert_false(e.wide);
	assert_int_equal(e.machine, ELF_MACHINE_386);
	assert_int_equal(e.entry, 0x100010);
	assert_int_equal(e.segments, 1);
	assert_int_equal(elf_segment_at(&e, 0, &s), 0);
	assert_int_equal(s.type, ELF_SEGMENT_LOAD);
	assert_int_equal(s.offset, 0x100);
	assert_int_equal(s.vaddr, 0xc0100000);
	assert_int_equal(s.paddr, 0x100000);
	assert_int_equal(s.file_size, 0x20);
	assert_int_equal(s.mem_size, 0x3000);
}

static void reads_64_bit(void **state)
{
	make(ELFCLASS64, 1);
	*phdr64() = (Elf64_Phdr){ PT_NOTE, 4, 0x80, 0xffffffff80000000, 0x200000, 8, 8, 4 };
	assert_int_equal(elf_open(file, LEN, &e, &fault), 0);
	assert_true(e.wide);
	assert_int_equal(e.machine, ELF_MACHINE_X86_64);
	assert_true(e.entry == 0xffffffff80000010);
	assert_int_equal(elf_segment_at(&e, 0, &s), 0);
	assert_int_equal(s.type, ELF_SEGMENT_NOTE);
	assert_true(s.vaddr == 0xffffffff80000000);
	assert_int_equal(s.paddr, 0x200000);
	assert_int_equal(s.offset, 0x80);
}

static void refuses_what_is_no_elf_file(void **state)
{
	make(ELFCLASS64, 1);
	file[0] = 0;
	assert_int_equal(elf_open(file, LEN, &e, &fault), -EINVAL);
	assert_string_equal(fault, "not an ELF file");
	make(ELFCLASS64, 1);
	file[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(elf_open(file, LEN, &e, &fault), -EINVAL);
	make(3, 1);
	assert_int_equal(elf_open(file, LEN, &e, &fault), -EINVAL);
}

/* Every length up to the whole: opened with all headers inside, or refused. */
static void refuses_cut_files(void **state)
{
	for (unsigned class = ELFCLASS32; class <= ELFCLASS64; class ++)
		for (unsigned len = 0; len < LEN; len++) {
			uint8_t *cut = malloc(len ? len : 1);

			make(class, 2);
			memcpy(cut, file, len);
			if (!elf_open(cut, len, &e, &fault))
				for (unsigned i = 0; i < e.segments; i++)
					(void)!elf_segment_at(&e, i, &s);
			else
				assert_non_null(fault);
			free(cut);
		}
}

static void refuses_bad_tables(void **state)
{
	make(ELFCLASS64, 0);
	assert_int_equal(elf_open(file, LEN, &e, &fault), -EINVAL);
	make(ELFCLASS64, 65);
	assert_int_equal(elf_open(file, LEN, &e, &fault), -EINVAL);
	make(ELFCLASS64, 1);
	((Elf64_Ehdr *)(void *)file)->e_phoff = UINT64_MAX - 8;
	assert_int_equal(elf_open(file, LEN, &e, &fault), -EINVAL);
	make(ELFCLASS64, 1);
	((Elf64_Ehdr *)(void *)file)->e_phentsize = 8;
	assert_int_equal(elf_open(file, LEN, &e, &fault), -EINVAL);
}

static void refuses_bad_segments(void **state)
{
	static const Elf64_Phdr bad[] = {
		{ PT_LOAD, 0, LEN + 1, 0, 0, 0, 0, 0 },
		{ PT_LOAD, 0, LEN - 4, 0, 0, 5, 5, 0 },
		{ PT_LOAD, 0, UINT64_MAX, 0, 0, 2, 2, 0 },
		{ PT_LOAD, 0, 0, 0, 0, 5, 4, 0 },
		{ PT_LOAD, 0, 0, UINT64_MAX - 3, 0, 0, 8, 0 },
		{ PT_LOAD, 0, 0, 0, UINT64_MAX - 3, 0, 8, 0 },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make(ELFCLASS64, 1);
		*phdr64() = bad[i];
		assert_int_equal(elf_open(file, LEN, &e, &fault), 0);
		assert_int_equal(elf_segment_at(&e, 0, &s), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_32_bit),
		cmocka_unit_test(reads_64_bit),
		cmocka_unit_test(refuses_what_is_no_elf_file),
		cmocka_unit_test(refuses_cut_files),
		cmocka_unit_test(refuses_bad_tables),
		cmocka_unit_test(refuses_bad_segments),
	};

	return cmocka_run_group_tests(tests, set_up, done);
}
