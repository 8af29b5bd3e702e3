/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's disks in its offer: golden bytes, and what is refused.
 */
// SOURCES: mig/offer_disks.c kernel/lib/rec.c
#define _GNU_SOURCE
#include "rec_fixture.h"

#define FIRST (RECORD_HEAD + 8u) /* the first disk */

static struct vm_config cfg, read_cfg;
static struct vdisk_id id[VM_DISKS_MAX], read_id[VM_DISKS_MAX];

static void save(void)
{
	struct rec_writer w;

	rec_writer_init(&w);
	offer_disks_save(&cfg, id, &w);
	record_take(&w);
}

static int check(void)
{
	struct rec_reader r;

	offer_disks_fini(read_id);
	record_open(&r, REC_DISKS);
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

	assert_int_equal(record[RECORD_HEAD], 2);
	assert_memory_equal(record + FIRST, first, sizeof(first));
	assert_int_equal(check(), 0);
	assert_int_equal(read_cfg.disks, 2);
	assert_memory_equal(read_id, id, 2 * sizeof(id[0]));
	assert_memory_equal(read_cfg.disk, cfg.disk, 2 * sizeof(cfg.disk[0]));
}

static void a_vm_without_disks_says_nothing(void **state)
{
	cfg.disks = 0;
	save();
	assert_int_equal(record_len, RECORD_HEAD); /* the end of the records */
}

/* Whose contents are sent: of a flat file all is, or not, and of a thin one not. */
static void sent(void **state)
{
	static const struct vm_disk sent_disk = { .path = "/ds/x/a" };

	cfg = (struct vm_config){ .disks = 1, .disk = { sent_disk } };
	id[0] = (struct vdisk_id){
		.how = VDISK_COPIED, .bare = true, .to = "/ds/y/a", .size = 512
	};
	save();
	assert_int_equal(record[FIRST + 4], 16);
	assert_int_equal(check(), 0);
	assert_true(read_id[0].bare && !read_id[0].thin);
	refused_with(FIRST + 4, 16 + 8);
	id[0].bare = false;
	id[0].thin = true;
	save();
	assert_int_equal(record[FIRST + 4], 8);
	assert_int_equal(check(), 0);
	assert_true(!read_id[0].bare && read_id[0].thin && !read_id[0].space);
	assert_int_equal(record[2], 1);
	id[0].space = 5 << 20;
	save();
	assert_int_equal(record[2], 3);
	assert_int_equal(check(), 0);
	assert_int_equal(read_id[0].space, 5 << 20);
	refused_with(FIRST, VDISK_SHARED); /* which takes nothing there */
}

static void refused(void **state)
{
	refused_with(2, 4); /* version */
	refused_with(2, 3); /* that has still more */
	refused_with(2, 2); /* that has more of each disk */
	refused_with(2, 0);
	refused_with(RECORD_HEAD, 0);	  /* none */
	refused_with(RECORD_HEAD, 9);	  /* too many */
	refused_with(RECORD_HEAD, 3);	  /* more than there are */
	refused_with(RECORD_HEAD + 4, 1); /* reserved */
	refused_with(FIRST, 2);		  /* how: sent, but of a file that is here */
	refused_with(FIRST, 3);		  /* how: not known here */
	refused_with(FIRST, 0);
	refused_with(FIRST + 4, 3);	  /* read-only and leased */
	refused_with(FIRST + 4, 32);	  /* a flag of tomorrow */
	refused_with(FIRST + 4, 8);	  /* thin, of one that is not sent */
	refused_with(FIRST + 4, 16);	  /* all of it will be written, the same */
	refused_with(FIRST + 50, 'd');	  /* no path */
	refused_with(FIRST + 52, '\x1b'); /* for a terminal to obey */
	refused_with(FIRST + 52, ' ');
}

static struct vdisk_chain chain = { .nr = 2, .link = { { "b.one", 4096 }, { "b.two", 512 } } };

/* The second disk is sent, with two snapshots. */
static int begin_with_chain(void **state)
{
	cfg = (struct vm_config){ .disks = 2,
				  .disk = { { .path = "/ds/x/a" }, { .path = "/ds/x/b" } } };
	id[0] = (struct vdisk_id){ .how = VDISK_SHARED, .file = 8 };
	id[1] = (struct vdisk_id){
		.how = VDISK_COPIED, .to = "/ds/y/b", .size = 1 << 20, .chain = &chain
	};
	save();
	return 0;
}

static int end(void **state)
{
	offer_disks_fini(read_id);
	return 0;
}

/* Version 2 of the record: at its end, for the second disk. */
static const uint8_t links[] = {
	2, 0,  0, 0, 0, 0, 0, 0,				/* two */
	0, 16, 0, 0, 0, 0, 0, 0, 5, 0, 'b', '.', 'o', 'n', 'e', /* the oldest */
	0, 2,  0, 0, 0, 0, 0, 0, 5, 0, 'b', '.', 't', 'w', 'o',
};

static size_t links_at(void)
{
	uint8_t *at = memmem(record, record_len, links, sizeof(links));

	assert_non_null(at);
	return (size_t)(at - record);
}

static void golden_snapshots(void **state)
{
	assert_int_equal(record[2], 2);
	(void)links_at();
	assert_int_equal(check(), 0);
	assert_null(read_id[0].chain);
	assert_memory_equal(read_id[1].chain, &chain, sizeof(chain));
	assert_string_equal(read_cfg.disk[1].path, "/ds/y/b");
	id[1].chain = NULL;
	save();
	assert_int_equal(record[2], 1); /* who knows no snapshots understands it */
}

static void refused_snapshots(void **state)
{
	size_t at = links_at();

	refused_with(2, 1);	     /* as version 1 there is too much of it */
	refused_with(FIRST + 59, 1); /* of a disk that is not sent */
	refused_with(at, 1);	     /* how many: there is one more */
	refused_with(at, 3);
	refused_with(at, 32);	 /* too many */
	refused_with(at + 4, 1); /* reserved */
	refused_with(at + 8, 1); /* a size of no whole sectors */
	refused_with(at + 9, 0); /* of nothing */
	refused_with(at + 18, ' ');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(golden, begin),
		cmocka_unit_test_setup(a_vm_without_disks_says_nothing, begin),
		cmocka_unit_test(sent),
		cmocka_unit_test_setup(refused, begin),
		cmocka_unit_test_setup_teardown(golden_snapshots, begin_with_chain, end),
		cmocka_unit_test_setup_teardown(refused_snapshots, begin_with_chain, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
