/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's disks in its offer: golden bytes, and what is refused.
 */
// SOURCES: mig/offer_disks.c kernel/lib/rec.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "mig/offer.h"

#define HEAD 16u
#define FIRST (HEAD + 8u) /* the first disk */

static struct vm_config cfg, read_cfg;
static struct vdisk_id id[VM_DISKS_MAX], read_id[VM_DISKS_MAX];
static uint8_t rec[4096];
static size_t rec_len;

static void save(void)
{
	struct rec_writer w;

	rec_writer_init(&w);
	offer_disks_save(&cfg, id, &w);
	assert_int_equal(rec_finish(&w), 0);
	assert_true(w.len <= sizeof(rec));
	memcpy(rec, w.buf, w.len);
	rec_len = w.len;
	rec_writer_fini(&w);
}

static int check(void)
{
	struct rec_reader r;

	rec_reader_init(&r, rec, rec_len);
	assert_int_equal(rec_next(&r), 1);
	assert_int_equal(r.head.type, REC_DISKS);
	return offer_disks_check(&r, &read_cfg, read_id);
}

static int begin(void **state)
{
	cfg = (struct vm_config){
		.disks = 2,
		.disk = { { .path = "/ds/x/a", .serial = "s" },
			  { .path = "/ds/x/b", .read_only = true, .mode = VM_DISK_INDEPENDENT } }
	};
	id[0] = (struct vdisk_id){ .how = VDISK_SHARED,
				   .leased = true,
				   .ds = { 1, 2, 3 },
				   .file = 7,
				   .size = 1 << 20,
				   .generation = 5 };
	id[1] = (struct vdisk_id){ .how = VDISK_SHARED, .file = 8 };
	save();
	return 0;
}

/* The layout of docs/wire.md. */
static void golden(void **state)
{
	static const uint8_t first[] = {
		1, 0, 0,   0,	2,   0,	  0,   0, /* shared, leased */
		1, 2, 3,   0,	0,   0,	  0,   0,   0,	 0, 0,	0,   0, 0, 0, 0, /* datastore */
		7, 0, 0,   0,	0,   0,	  0,   0,   0,	 0, 16, 0,   0, 0, 0, 0, /* file, size */
		5, 0, 0,   0,	0,   0,	  0,   0,				 /* generation */
		7, 0, '/', 'd', 's', '/', 'x', '/', 'a', 1, 0,	's',
	};

	assert_int_equal(rec[HEAD], 2);
	assert_memory_equal(rec + FIRST, first, sizeof(first));
	assert_int_equal(check(), 0);
	assert_int_equal(read_cfg.disks, 2);
	assert_memory_equal(read_id, id, 2 * sizeof(id[0]));
	assert_memory_equal(read_cfg.disk, cfg.disk, 2 * sizeof(cfg.disk[0]));
}

static void a_vm_without_disks_says_nothing(void **state)
{
	cfg.disks = 0;
	save();
	assert_int_equal(rec_len, HEAD); /* the end of the records */
}

/* One byte of the record is another: it is refused. */
static void refused_with(size_t at, uint8_t value)
{
	uint8_t was = rec[at];

	rec[at] = value;
	assert_int_equal(check(), -EBADMSG);
	rec[at] = was;
	assert_int_equal(check(), 0);
}

static void refused(void **state)
{
	refused_with(2, 2);	   /* version */
	refused_with(HEAD, 0);	   /* none */
	refused_with(HEAD, 9);	   /* too many */
	refused_with(HEAD, 3);	   /* more than there are */
	refused_with(HEAD + 4, 1); /* reserved */
	refused_with(FIRST, 2);	   /* how: sent, but of a file that is here */
	refused_with(FIRST, 3);	   /* how: not known here */
	refused_with(FIRST, 0);
	refused_with(FIRST + 4, 3);	  /* read-only and leased */
	refused_with(FIRST + 4, 8);	  /* a flag of tomorrow */
	refused_with(FIRST + 50, 'd');	  /* no path */
	refused_with(FIRST + 52, '\x1b'); /* for a terminal to obey */
	refused_with(FIRST + 52, ' ');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(golden, begin),
		cmocka_unit_test_setup(a_vm_without_disks_says_nothing, begin),
		cmocka_unit_test_setup(refused, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
