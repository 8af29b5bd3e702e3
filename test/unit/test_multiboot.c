/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot 1 payloads: what is taken by header addresses and by ELF segments,
 * and that every damaged one is refused with its reason (the file is a heap
 * block under ASan).
 */
// SOURCES: kernel/vdev/multiboot.c kernel/lib/elf.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>

#include "kernel/vdev/multiboot.h"

#define LEN 16384u
#define MAGIC 0x1badb002u
#define ADDRESSES 0x10000u
#define AT 256u /* of the header */

static uint8_t *file;
static struct multiboot m;
static char why[128];

static void put(unsigned off, uint32_t v)
{
	memcpy(file + off, &v, 4);
}

static void header(unsigned off, uint32_t flags)
{
	put(off, MAGIC);
	put(off + 4, flags);
	put(off + 8, 0 - (MAGIC + flags));
}

/* The header lies 0x100 behind the load address; data to 0x101000, bss to 0x103000. */
static void addresses(void)
{
	memset(file, 0, LEN);
	header(AT, ADDRESSES);
	put(AT + 12, 0x100100);
	put(AT + 16, 0x100000);
	put(AT + 20, 0x101000);
	put(AT + 24, 0x103000);
	put(AT + 28, 0x100020);
}

static Elf32_Phdr *elf32(unsigned segments)
{
	Elf32_Ehdr *h = (void *)file;
	Elf32_Phdr *p = (void *)(file + sizeof(*h));

	memset(file, 0, LEN);
	memcpy(file, ELFMAG, 4);
	file[EI_CLASS] = ELFCLASS32;
	file[EI_DATA] = ELFDATA2LSB;
	h->e_machine = EM_386;
	h->e_entry = 0x100020;
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = (uint16_t)segments;
	header(4096, 3);
	for (unsigned i = 0; i < segments; i++)
		p[i] = (Elf32_Phdr){ PT_LOAD,
				     0x1000,
				     0x100000 + i * 0x10000,
				     0x100000 + i * 0x10000,
				     0x800,
				     0x2000,
				     7,
				     0x1000 };
	return p;
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

static int parse(void)
{
	why[0] = 0;
	return multiboot_parse(file, LEN, &m, why, sizeof(why));
}

static void refused(const char *text)
{
	assert_int_equal(parse(), -EINVAL);
	if (!strstr(why, text))
		fail_msg("'%s' does not say '%s'", why, text);
}

static void takes_addresses(void **state)
{
	addresses();
	assert_int_equal(parse(), 0);
	assert_int_equal(m.entry, 0x100020);
	assert_int_equal(m.parts, 1);
	assert_int_equal(m.part[0].from, 0);
	assert_int_equal(m.part[0].len, 0x1000);
	assert_int_equal(m.part[0].to, 0x100000);
	assert_int_equal(m.part[0].mem_len, 0x3000);
	assert_int_equal(m.end, 0x103000);
}

/* Zeros mean: all of the file, no bss. A load address may begin behind the file's start. */
static void takes_addresses_without_ends(void **state)
{
	addresses();
	put(AT + 16, 0x100080);
	put(AT + 20, 0);
	put(AT + 24, 0);
	put(AT + 28, 0x100080);
	assert_int_equal(parse(), 0);
	assert_int_equal(m.part[0].from, AT - 0x80);
	assert_int_equal(m.part[0].len, LEN - (AT - 0x80));
	assert_int_equal(m.part[0].mem_len, m.part[0].len);
}

static void refuses_bad_addresses(void **state)
{
	addresses();
	put(AT + 12, 0xfffff);
	refused("address does not fit");
	addresses();
	put(AT + 12, 0x100200); /* would begin before the file */
	refused("address does not fit");
	addresses();
	put(AT + 20, 0xfffff);
	refused("load end");
	addresses();
	put(AT + 20, 0x100000 + LEN + 4);
	refused("load end");
	addresses();
	put(AT + 24, 0x100fff);
	refused("bss");
	addresses();
	put(AT + 28, 0x103000);
	refused("entry");
}

static void takes_32_bit_elf(void **state)
{
	elf32(2);
	assert_int_equal(parse(), 0);
	assert_int_equal(m.parts, 2);
	assert_int_equal(m.entry, 0x100020);
	assert_int_equal(m.part[1].from, 0x1000);
	assert_int_equal(m.part[1].len, 0x800);
	assert_int_equal(m.part[1].to, 0x110000);
	assert_int_equal(m.part[1].mem_len, 0x2000);
	assert_int_equal(m.end, 0x112000);
}

/* The entry of a file that is linked elsewhere than it is loaded is virtual. */
static void takes_64_bit_elf(void **state)
{
	Elf64_Ehdr *h = (void *)file;
	Elf64_Phdr *p = (void *)(file + sizeof(*h));

	memset(file, 0, LEN);
	memcpy(file, ELFMAG, 4);
	file[EI_CLASS] = ELFCLASS64;
	file[EI_DATA] = ELFDATA2LSB;
	h->e_machine = EM_X86_64;
	h->e_entry = 0xffffffff80000020;
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = 1;
	*p =
		(Elf64_Phdr){ PT_LOAD,	7,	0x1000, 0xffffffff80000000,
			      0x200000, 0x1000, 0x1000, 0x1000 };
	header(8180, 0);
	assert_int_equal(parse(), 0);
	assert_int_equal(m.entry, 0x200020);
	assert_int_equal(m.end, 0x201000);
	p->p_paddr = 0xfffff001;
	refused("above 4 GiB");
	p->p_paddr = 0x200000;
	h->e_machine = EM_ARM;
	refused("not for x86");
}

static void refuses_bad_elf(void **state)
{
	Elf32_Phdr *p = elf32(1);

	p->p_filesz = LEN;
	refused("does not fit the file");
	p = elf32(1);
	p->p_memsz = 0x7ff;
	refused("does not fit the file");
	p = elf32(1);
	p->p_paddr = 0xfffff000;
	refused("above 4 GiB");
	p = elf32(1);
	p->p_type = PT_NOTE;
	refused("nothing to load");
	elf32(17);
	refused("16 parts");
	elf32(1);
	((Elf32_Ehdr *)(void *)file)->e_entry = 0x102000;
	refused("entry");
}

static void refuses_bad_headers(void **state)
{
	memset(file, 0, LEN);
	refused("no multiboot 1 header");
	elf32(1);
	put(4096 + 8, 0);
	refused("no multiboot 1 header");
	elf32(1);
	header(4096, 4);
	refused("not offered");
	elf32(1);
	memset(file, 0, 4);
	refused("no ELF file");
	elf32(1);
	memset(file + 4096, 0, 12);
	header(8184, 0); /* its last word is past the first 8 KiB */
	refused("no multiboot 1 header");
	elf32(1);
	memset(file + 4096, 0, 12);
	header(4098, 0); /* not aligned */
	refused("no multiboot 1 header");
}

static void refuses_cut_files(void **state)
{
	for (unsigned len = 0; len < 8192; len += len < 512 ? 1 : 97) {
		uint8_t *cut = malloc(len ? len : 1);

		addresses();
		memcpy(cut, file, len);
		assert_int_equal(multiboot_parse(cut, len, &m, why, sizeof(why)),
				 len < 0x1000 ? -EINVAL : 0);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_addresses),
		cmocka_unit_test(takes_addresses_without_ends),
		cmocka_unit_test(refuses_bad_addresses),
		cmocka_unit_test(takes_32_bit_elf),
		cmocka_unit_test(takes_64_bit_elf),
		cmocka_unit_test(refuses_bad_elf),
		cmocka_unit_test(refuses_bad_headers),
		cmocka_unit_test(refuses_cut_files),
	};

	return cmocka_run_group_tests(tests, set_up, done);
}
