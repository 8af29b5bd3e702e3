/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk with snapshots that goes from one datastore to another over a connection, and does not get
 * there: what breaks off leaves nothing; what the other disk lost of any link is found; what is not
 * as it was offered is refused.
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
#include "test/unit/fake_pipe.h"

/* It ends, sooner or later, because of this. */
static void copy_fails(int err, const char *code, const char *text)
{
	struct wire_text words;

	assert_int_not_equal(chain_send(), 0);
	assert_int_equal(blk_sender_error(move.sender, &words), err);
	assert_string_equal(words.code, code);
	assert_non_null(strstr(words.text, text));
}

/* At any link, and when all is there but the end: nothing stays there, all is here. */
static unsigned last_link;

static void cut(unsigned link)
{
	if (link == last_link)
		fake_pipe_cut(net.near);
}

static void what_breaks_off_leaves_nothing(void **state)
{
	chain_make(DS_KIND_THIN);
	for (last_link = 0; last_link < 3; last_link++) {
		chain_depart(true);
		move.between = cut;
		if (last_link < 2)
			copy_fails(-ECONNRESET, "", "");
		else
			assert_int_equal(chain_send(), 0);
		chain_over(false);
		assert_int_equal(chain_files(there.ds), 0);
	}
	assert_int_equal(chain_files(here.ds), 3);
	chain_depart(true);
	assert_int_equal(chain_send(), 0);
	assert_int_equal(vdisk_copy_finish(net.arrives), 0); /* complete, and not wanted any more */
	chain_over(false);
	assert_int_equal(chain_files(there.ds), 0);
}

/* It was free when it was asked for. */
static void take_name(unsigned link)
{
	if (link == 1)
		assert_int_equal(ds_create(there.ds, "n.two", DS_KIND_THIN, MIB, 0), 0);
}

static void a_name_that_is_taken(void **state)
{
	chain_make(DS_KIND_THIN);
	chain_depart(true);
	move.between = take_name;
	copy_fails(-ECONNABORTED, "exists",
		   "disk 0 there: the name of one of its snapshots is taken");
	chain_over(false);
	assert_int_equal(chain_files(there.ds), 1);
}

static void lose_a_bit(unsigned link)
{
	uint64_t block = link == 1 ? 4 * MIB / 512 + 3 : 3 * MIB / 2 / 512;
	uint8_t buf[512];

	if (link != last_link)
		return;
	assert_int_equal(chain_flush(), 0);
	assert_int_equal(blk_transfer(net.disk.dev, BLK_READ, block, 1, buf), 0);
	buf[100] ^= 4;
	assert_int_equal(blk_transfer(net.disk.dev, BLK_WRITE, block, 1, buf), 0);
}

static void what_is_lost_of_a_snapshot_is_found(void **state)
{
	chain_make(DS_KIND_THIN);
	for (last_link = 0; last_link < 2; last_link++) {
		chain_depart(true);
		move.between = lose_a_bit;
		copy_fails(-ECONNABORTED, "differs", "disk 0 there is not what was written");
		chain_over(false);
	}
}

/* What no honest source sends: too many, too few, of a disk that has none. */
static void not_as_it_was_offered(void **state)
{
	chain_make(DS_KIND_THIN);
	chain_depart(true);
	assert_int_equal(blk_sender_snapshot(move.sender, 0), 0);
	assert_int_equal(chain_flush(), 0);
	assert_true(blk_receiver_close(net.receiver));
	assert_int_equal(vdisk_copy_finish(net.arrives), -ENODATA);
	chain_over(false);
	chain_depart(true);
	for (unsigned i = 0; i < 3; i++)
		(void)!blk_sender_snapshot(move.sender, 0);
	assert_int_equal(chain_flush(), -ECONNABORTED);
	assert_false(blk_receiver_close(net.receiver));
	chain_over(false);
	chain_depart(true);
	net.disk.snapshot = NULL;
	assert_int_equal(blk_sender_snapshot(move.sender, 0), 0);
	assert_int_not_equal(blk_sender_flush(move.sender, time_ns() + NSEC_PER_SEC / 10), 0);
	chain_over(false);
	assert_int_equal(chain_files(there.ds), 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, chain_begin, chain_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_breaks_off_leaves_nothing),
		test(a_name_that_is_taken),
		test(what_is_lost_of_a_snapshot_is_found),
		test(not_as_it_was_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
