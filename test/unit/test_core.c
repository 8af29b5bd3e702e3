/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's core, read back by the project's own ELF reader and by Linux' layouts: what is backed
 * has its contents once, holes have none, mappings come first.
 */
// SOURCES: kernel/debug/core.c kernel/debug/core_note.c kernel/lib/elf.c kernel/lib/elf_note.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/debug/core.h"
#include "kernel/lib/elf.h"

/* Places in prstatus, counted by hand from Linux' declaration; elf.h and virt.h share names. */
#define PR_PID 32
#define PR_REG(n) (112 + 8 * (n))
enum {
	USER_R15 = 0,
	USER_RBX = 5,
	USER_RAX = 10,
	USER_RIP = 16,
	USER_CS,
	USER_EFLAGS,
	USER_RSP,
	USER_GS_BASE = 22
};
#define NOTE_PRSTATUS 1
#define NOTE_FPREGSET 2

#define MIB (1ull << 20)
#define TEXT 0xffffffff80000000ull

static struct core c;
static uint8_t *file;
static uint64_t size;
static struct elf e;

static void finish(void)
{
	const char *fault;

	size = core_head_bytes(&c) + c.data_bytes;
	file = calloc(1, size);
	assert_ptr_equal(core_head(&c, file), file + 64 + (c.nr + 1) * 56);
	assert_int_equal(elf_open(file, size, &e, &fault), 0);
}

static int tear_down(void **state)
{
	free(file);
	core_fini(&c);
	return 0;
}

static struct elf_segment segment(unsigned i)
{
	struct elf_segment s;

	assert_int_equal(elf_segment_at(&e, i, &s), 0);
	return s;
}

/* 0-2 MiB and 4-6 MiB are backed; [1, 5) MiB is mapped at TEXT. */
static void holes_and_contents(void **state)
{
	uint64_t data;

	core_init(&c, 1);
	assert_int_equal(core_backed(&c, 0, MIB), 0);
	assert_int_equal(core_backed(&c, MIB, MIB), 0); /* joins the one before */
	assert_int_equal(core_backed(&c, 4 * MIB, 2 * MIB), 0);
	assert_int_equal(c.nr_backed, 2);
	assert_int_equal(core_map(&c, TEXT, MIB, 4 * MIB), 0);
	assert_int_equal(core_ram(&c, 0, 8 * MIB), 0);
	finish();
	data = core_head_bytes(&c);
	assert_int_equal(data % 4096, 0);
	assert_int_equal(size - data, 4 * MIB);
	assert_int_equal(e.segments, 1 + 3 + 4);
	assert_int_equal(segment(0).type, ELF_SEGMENT_NOTE);

	assert_int_equal(segment(1).vaddr, TEXT);
	assert_int_equal(segment(1).paddr, MIB);
	assert_int_equal(segment(1).offset, data + MIB);
	assert_int_equal(segment(1).file_size, MIB);
	assert_int_equal(segment(2).vaddr, TEXT + MIB);
	assert_int_equal(segment(2).file_size, 0);
	assert_int_equal(segment(2).mem_size, 2 * MIB);
	assert_int_equal(segment(3).paddr, 4 * MIB);
	assert_int_equal(segment(3).offset, data + 2 * MIB);
	assert_int_equal(segment(3).mem_size, MIB);

	assert_int_equal(segment(4).vaddr, 0);
	assert_int_equal(segment(4).file_size, 2 * MIB);
	assert_int_equal(segment(5).file_size, 0);
	assert_int_equal(segment(6).offset, data + 2 * MIB);
	assert_int_equal(segment(6).file_size, 2 * MIB);
	assert_int_equal(segment(7).mem_size, 2 * MIB);
}

static uint64_t reg(const uint8_t *prstatus, unsigned n)
{
	uint64_t v;

	memcpy(&v, prstatus + PR_REG(n), sizeof(v));
	return v;
}

static void threads_are_linuxs(void **state)
{
	struct virt_state s[2] = { { .rip = 0x1234, .rflags = 0x246 }, { .rip = 0x5678 } };
	struct elf_segment notes;
	const uint8_t *p;
	uint32_t len;
	uint8_t *at;

	for (unsigned i = 0; i < 16; i++)
		s[0].gpr[i] = 100 + i;
	s[0].seg[SEG_CS].selector = 0x10;
	s[0].seg[SEG_GS].base = 0xffff888000000000ull;
	s[0].xsave[0] = 0x7f;
	core_init(&c, 2);
	assert_int_equal(core_backed(&c, 0, 4096), 0);
	assert_int_equal(core_ram(&c, 0, 4096), 0);
	finish();
	at = file + 64 + (c.nr + 1) * 56;
	for (unsigned i = 0; i < 2; i++)
		core_thread(at + i * CORE_THREAD_BYTES, i + 1, &s[i]);
	p = elf_note(&e, "CORE", NOTE_PRSTATUS, &len);
	assert_non_null(p);
	assert_int_equal(len, 336);
	assert_int_equal(p[PR_PID], 1);
	assert_int_equal(reg(p, USER_RIP), 0x1234);
	assert_int_equal(reg(p, USER_EFLAGS), 0x246);
	assert_int_equal(reg(p, USER_RAX), 100 + GPR_RAX);
	assert_int_equal(reg(p, USER_RBX), 100 + GPR_RBX);
	assert_int_equal(reg(p, USER_RSP), 100 + GPR_RSP);
	assert_int_equal(reg(p, USER_R15), 115);
	assert_int_equal(reg(p, USER_CS), 0x10);
	assert_int_equal(reg(p, USER_GS_BASE), 0xffff888000000000ull);
	assert_int_equal(elf_note(&e, "CORE", NOTE_FPREGSET, &len)[0], 0x7f);
	assert_int_equal(len, 512);
	notes = segment(0);
	assert_int_equal(notes.file_size, 2 * CORE_THREAD_BYTES);
	p = file + notes.offset + CORE_THREAD_BYTES + 20;
	assert_int_equal(p[PR_PID], 2);
	assert_int_equal(reg(p, USER_RIP), 0x5678);
}

static void too_many_pieces(void **state)
{
	int err = 0;

	core_init(&c, 1);
	for (uint64_t i = 0; !err; i++) {
		assert_true(i <= CORE_SEGMENTS_MAX);
		err = core_backed(&c, 2 * i << 12, 4096);
	}
	assert_int_equal(err, -E2BIG);
	assert_int_equal(core_map(&c, TEXT, 0, 1 << 30), -E2BIG);
	file = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(holes_and_contents, tear_down),
		cmocka_unit_test_teardown(threads_are_linuxs, tear_down),
		cmocka_unit_test_teardown(too_many_pieces, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
