/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest page walk in every paging mode: addresses, rights, reserved bits, A and D. */
// SOURCES: kernel/vm/walk.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vm/vm_int.h"

#define RAM (1u << 20)
#define A 0x20u
#define D 0x40u

static _Alignas(8) uint8_t ram[RAM];
static unsigned marks;

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	if (a.v > RAM - len)
		return -EFAULT;
	memcpy(buf, ram + a.v, len);
	return 0;
}

int gmem_pin(struct gmem *g, gpa_t a, size_t len, bool for_write, void **out)
{
	if (a.v > RAM - len)
		return -EFAULT;
	*out = ram + a.v;
	return 0;
}

void gmem_unpin(struct gmem *g, gpa_t a, void *p, bool for_write)
{
	marks += for_write;
}

static void put64(uint64_t at, uint64_t v)
{
	memcpy(ram + at, &v, 8);
}

static uint64_t get64(uint64_t at)
{
	uint64_t v;

	memcpy(&v, ram + at, 8);
	return v;
}

static void put32(uint64_t at, uint32_t v)
{
	memcpy(ram + at, &v, 4);
}

static uint32_t get32(uint64_t at)
{
	uint32_t v;

	memcpy(&v, ram + at, 4);
	return v;
}

static struct virt_mode mode;

static int walk(uint64_t linear, unsigned access, uint64_t *gpa, uint32_t *error)
{
	struct walk w = { .mode = &mode, .phys_bits = 40, .access = access };
	gpa_t out = GPA(0);
	int err = walk_linear(&w, linear, &out, error);

	*gpa = out.v;
	return err;
}

static void good(uint64_t linear, unsigned access, uint64_t want)
{
	uint32_t error;
	uint64_t gpa;

	assert_int_equal(walk(linear, access, &gpa, &error), 0);
	assert_int_equal(gpa, want);
}

static void bad(uint64_t linear, unsigned access, uint32_t want)
{
	uint32_t error;
	uint64_t gpa;

	assert_int_equal(walk(linear, access, &gpa, &error), -EFAULT);
	assert_int_equal(error, want);
}

/* Four levels at 0x1000, 0x2000, 0x3000, 0x4000 for linear 0x8000201000 and on. */
static int long_mode(void **state)
{
	memset(ram, 0, sizeof(ram));
	marks = 0;
	mode = (struct virt_mode){ .cr0 = G_CR0_PG | G_CR0_PE | G_CR0_WP,
				   .cr3 = 0x1000,
				   .cr4 = G_CR4_PAE,
				   .efer = G_EFER_LMA | G_EFER_LME | G_EFER_NXE };
	put64(0x1000 + 8 * 1, 0x2007);
	put64(0x2000, 0x3007);
	put64(0x3000 + 8 * 1, 0x4007);
	put64(0x4000 + 8 * 1, 0x55007);		     /* user, writable */
	put64(0x4000 + 8 * 2, 0x56003);		     /* supervisor, writable */
	put64(0x4000 + 8 * 3, 0x57005);		     /* user, read-only */
	put64(0x4000 + 8 * 4, 0x58007 | 1ull << 63); /* not executable */
	put64(0x4000 + 8 * 5, 0x59007 | 1ull << 45); /* beyond the physical width */
	put64(0x3000 + 8 * 2, 0x400087);	     /* 2 MiB */
	put64(0x3000 + 8 * 3, 0x600087 | 1 << 14);   /* 2 MiB, misaligned */
	put64(0x2000 + 8 * 1, 0x40000087);	     /* 1 GiB */
	return 0;
}

#define L 0x8000200000ull

static void no_paging(void **state)
{
	mode = (struct virt_mode){ 0 };
	good(0x1234, 0, 0x1234);
	good(0x1ffffffffull, WALK_WRITE, 0xffffffff);
}

static void four_levels(void **state)
{
	good(L + 0x1abc, 0, 0x55abc);
	assert_int_equal(get64(0x1000 + 8) & (A | D), A);
	assert_int_equal(get64(0x4000 + 8) & (A | D), A);
	assert_int_equal(marks, 4);
	good(L + 0x1abc, 0, 0x55abc);
	assert_int_equal(marks, 4); /* A is there already: nothing written */
	good(L + 0x1000, WALK_WRITE, 0x55000);
	assert_int_equal(get64(0x4000 + 8) & (A | D), A | D);
	assert_int_equal(get64(0x3000 + 8) & D, 0);
	good(0x8000000000ull + 0x400000 + 0x12345, WALK_WRITE, 0x412345);
	good(0x8000000000ull + 0x40000000 + 0x1234567, 0, 0x41234567);
	bad(L, 0, 0);
	bad(0, WALK_WRITE, PF_WRITE);
	bad(L + 0x5000, 0, PF_PRESENT | PF_RESERVED);
	bad(0x8000600000ull, 0, PF_PRESENT | PF_RESERVED);
}

static void rights(void **state)
{
	bad(L + 0x2000, WALK_USER, PF_PRESENT | PF_USER);
	assert_int_equal(get64(0x4000 + 16) & A,
			 0); /* a refused access leaves no trace in the leaf */
	good(L + 0x2000, WALK_WRITE, 0x56000);
	bad(L + 0x3000, WALK_WRITE, PF_PRESENT | PF_WRITE);
	bad(L + 0x3000, WALK_WRITE | WALK_USER, PF_PRESENT | PF_WRITE | PF_USER);
	mode.cr0 &= ~G_CR0_WP;
	good(L + 0x3000, WALK_WRITE, 0x57000);
	bad(L + 0x3000, WALK_WRITE | WALK_USER, PF_PRESENT | PF_WRITE | PF_USER);
	bad(L + 0x4000, WALK_FETCH, PF_PRESENT | PF_FETCH);
	good(L + 0x4000, 0, 0x58000);
	mode.efer &= ~G_EFER_NXE;
	bad(L + 0x4000, 0, PF_PRESENT | PF_RESERVED);
}

static void smep_smap(void **state)
{
	mode.cr4 |= G_CR4_SMEP | G_CR4_SMAP;
	bad(L + 0x1000, WALK_FETCH, PF_PRESENT | PF_FETCH);
	bad(L + 0x1000, 0, PF_PRESENT);
	good(L + 0x1000, WALK_AC, 0x55000);
	good(L + 0x1000, WALK_USER, 0x55000);
	good(L + 0x2000, WALK_FETCH, 0x56000);
}

static void five_levels(void **state)
{
	mode.cr4 |= G_CR4_LA57;
	mode.cr3 = 0x6000;
	put64(0x6000 + 8 * 3, 0x1007);
	good(3ull << 48 | (L + 0x1008), 0, 0x55008);
	bad(L, 0, 0);
}

static void pae(void **state)
{
	mode = (struct virt_mode){ .cr0 = G_CR0_PG | G_CR0_PE | G_CR0_WP,
				   .cr3 = 0x7020,
				   .cr4 = G_CR4_PAE };
	put64(0x7020 + 8 * 3, 0x8001); /* of 0xc0000000 */
	put64(0x8000, 0x9007);
	put64(0x9000 + 8 * 7, 0x123456000 | 7);
	put64(0x8000 + 8, 0x800087);
	good(0xc0007abc, WALK_WRITE | WALK_USER, 0x123456abc);
	assert_int_equal(get64(0x7020 + 24), 0x8001); /* no A in the four */
	assert_int_equal(get64(0x9000 + 56) & (A | D), A | D);
	good(0xffff0000c0200010ull, 0, 0x800010); /* linear addresses have 32 bits */
	put64(0x7020 + 8 * 2, 0x8003);
	bad(0x80000000, 0, PF_PRESENT | PF_RESERVED);
	bad(0, 0, 0);
}

static void two_levels(void **state)
{
	mode = (struct virt_mode){ .cr0 = G_CR0_PG | G_CR0_PE, .cr3 = 0xa000, .cr4 = G_CR4_PSE };
	put32(0xa000 + 4 * 1, 0xb007);
	put32(0xb000 + 4 * 2, 0x77001);
	put32(0xa000 + 4 * 2, 0x00c02087 | 1 << 13); /* 4 MiB at 4 GiB + 12 MiB (PSE-36) */
	put32(0xa000 + 4 * 3, 0x00c00087 | 1 << 21);
	good(0x402345, WALK_WRITE, 0x77345); /* WP is clear */
	assert_int_equal(get32(0xb000 + 8), 0x77001 | A | D);
	good(0x8abcde, 0, 0x100cabcdeull);
	bad(0xc00000, 0, PF_PRESENT | PF_RESERVED);
	mode.cr4 = 0;
	put32(0xa000 + 4 * 2, 0xb087); /* PS means nothing without PSE */
	good(0x802001, 0, 0x77001);
}

static void tables_outside(void **state)
{
	mode.cr3 = 0x10000000;
	bad(L, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_paging),
		cmocka_unit_test_setup(four_levels, long_mode),
		cmocka_unit_test_setup(rights, long_mode),
		cmocka_unit_test_setup(smep_smap, long_mode),
		cmocka_unit_test_setup(five_levels, long_mode),
		cmocka_unit_test_setup(pae, long_mode),
		cmocka_unit_test_setup(two_levels, long_mode),
		cmocka_unit_test_setup(tables_outside, long_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
