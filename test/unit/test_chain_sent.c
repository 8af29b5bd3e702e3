/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk with snapshots goes from one datastore to another over a connection, while its guest
 * writes. The chain that is made there has each link's contents, size and space, which was said
 * before, and is one to go on with. What does not get there is in test_chain_sent_fail.c.
 */
// SOURCES: mig/chain.c mig/disk_copy.c mig/bulk.c mig/bulk_piece.c mig/bulk_hole.c
// SOURCES: mig/mirror.c mig/mirror_op.c
// SOURCES: mig/pace.c mig/cbt.c mig/digest.c kernel/lib/muldiv.c kernel/lib/crc32c.c
// SOURCES: mig/blk_send.c mig/blk_send_net.c mig/blk_send_wait.c mig/blk_recv.c
// SOURCES: mig/blk_recv_req.c
// SOURCES: mig/page_ring.c mig/spans.c mig/peer.c mig/wire.c
// SOURCES: kernel/vdev/vdisk.c kernel/vdev/vdisk_copy.c
// SOURCES: drivers/blkdev.c kernel/store/ds_*.c
// SOURCES: tools/terndisk/host.c tools/terndisk/filedisk.c test/unit/fake_pipe.c
// SOURCES: test/unit/chain_rig.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "test/unit/chain_rig.h"

static uint64_t backed(struct datastore *ds, const char *name)
{
	struct ds_entry e;

	assert_int_equal(ds_stat(ds, name, &e), 0);
	return e.backed_bytes;
}

static void assert_same_file(const char *a, const char *b)
{
	static uint8_t x[5 * MIB], y[5 * MIB];
	struct ds_file *f, *g;
	uint64_t blocks;

	assert_int_equal(ds_open(here.ds, a, DS_OPEN_READ, &f), 0);
	assert_int_equal(ds_open(there.ds, b, DS_OPEN_READ, &g), 0);
	assert_int_equal(ds_file_size(f), ds_file_size(g));
	blocks = ds_file_size(f) / 512;
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, 0, blocks, x), 0);
	assert_int_equal(blk_transfer(ds_file_blk(g), BLK_READ, 0, blocks, y), 0);
	assert_memory_equal(x, y, blocks * 512);
	ds_close(f);
	ds_close(g);
}

/* Zeros that hide something take no space there either. */
static void assert_same_chain(void)
{
	uint64_t space = backed(here.ds, "d") + backed(here.ds, "d.two") + backed(here.ds, "d.one");

	assert_int_equal(chain_files(there.ds), 3);
	assert_in_range(backed(there.ds, "n") + backed(there.ds, "n.two") +
				backed(there.ds, "n.one"),
			space - 2 * MIB, space + MIB);
	assert_same_file("d.one", "n.one");
	assert_same_file("d.two", "n.two");
	assert_same_file("d", "n");
}

static void it_arrives(enum ds_kind kind)
{
	chain_make(kind);
	chain_depart(kind == DS_KIND_THIN);
	assert_int_equal(chain_send(), 0);
	assert_true(blk_receiver_close(net.receiver));
	assert_int_equal(vdisk_copy_finish(net.arrives), 0);
	assert_int_equal(move.copy.bulk.done, (2 + 5 + 4) * MIB / 512);
	chain_over(true);
	assert_same_chain();
	assert_int_equal(ds_snapshot(there.ds, "n", "n.three"), 0);
	assert_int_equal(ds_snapshot_delete(there.ds, "n.two"), 0);
	assert_same_file("d.one", "n.one");
	assert_same_file("d", "n");
	assert_int_equal(ds_snapshot_revert(there.ds, "n", "n.one"), 0);
	assert_same_file("d.one", "n");
}

static void a_thin_one(void **state)
{
	it_arrives(DS_KIND_THIN);
}

static void a_flat_one(void **state)
{
	struct ds_entry e;

	it_arrives(DS_KIND_FLAT);
	assert_int_equal(ds_stat(there.ds, "n.one", &e), 0);
	assert_int_equal(e.kind, DS_KIND_FLAT);
}

static uint64_t made_bytes, first_bytes;

static void note_written(unsigned link)
{
	assert_int_equal(chain_flush(), 0);
	if (link == 0)
		first_bytes = written_bytes - made_bytes;
}

/* Made flat of one with holes: each byte is written once, and what was there is nowhere. */
static void flat_of_thin(void **state)
{
	uint64_t metadata;

	first_has = MIB + 4096;
	chain_make(DS_KIND_THIN);
	first_has = 2 * MIB;
	metadata = written_bytes;
	made_bytes = written_bytes;
	chain_depart(false);
	metadata = written_bytes - metadata;
	move.between = note_written;
	assert_int_equal(chain_send(), 0);
	assert_in_range(first_bytes, 2 * MIB, 2 * MIB + metadata + MIB / 4);
	assert_true(metadata < MIB / 2);
	assert_true(blk_receiver_close(net.receiver));
	assert_int_equal(vdisk_copy_finish(net.arrives), 0);
	chain_over(true);
	assert_same_file("d.one", "n.one");
	assert_same_file("d.two", "n.two");
	assert_same_file("d", "n");
}

/* What the copy takes there is what was said of it. */
static void space_is_told(void **state)
{
	struct ds_info before, after;

	for (unsigned flat = 0; flat < 2; flat++) {
		uint64_t takes, used;

		chain_make(DS_KIND_THIN);
		assert_int_equal(ds_info(there.ds, &before), 0);
		chain_depart(!flat);
		takes = chain_space(move.chain, flat, 4 * MIB, 0);
		assert_int_equal(chain_send(), 0);
		assert_int_equal(ds_info(there.ds, &after), 0);
		used = before.free_bytes - after.free_bytes;
		assert_in_range(used, takes, takes + 2 * MIB); /* the guest wrote some */
		chain_over(false);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(ds_remove(here.ds, i == 0   ? "d"
							    : i == 1 ? "d.two"
								     : "d.one"),
					 0);
	}
}

#define test(f) cmocka_unit_test_setup_teardown(f, chain_begin, chain_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_thin_one),
		test(a_flat_one),
		test(flat_of_thin),
		test(space_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
