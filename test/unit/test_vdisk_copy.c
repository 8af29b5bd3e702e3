/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that is to come from another host, as the destination sees it: names that are taken and
 * room are looked at before anything is made, and nobody opens what is not whole.
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

/* Asked before anything is made. */
static void names_that_are_there(void **state)
{
	struct vdisk_chain as = { .nr = 1, .link = { { "n.one", 4 * MIB } } };
	struct vdisk_id id = { .how = VDISK_COPIED, .thin = true, .size = MIB, .chain = &as };
	char why[160];

	assert_int_equal(vdisk_copy_check(&place, &id, why, sizeof(why)), 0);
	assert_int_equal(ds_create(there.ds, "n.one", DS_KIND_THIN, MIB, 0), 0);
	assert_int_equal(vdisk_copy_check(&place, &id, why, sizeof(why)), -EEXIST);
	assert_string_equal(why, "/ds/there/n: a snapshot of it is to be n.one, which the "
				 "destination has");
}

/* All of its snapshots; of a source that does not say, what is taken at once. */
static void room_for_all(void **state)
{
	struct vdisk_chain as = { .nr = 1, .link = { { "n.one", 4 * MIB } } };
	struct vdisk_id id = { .how = VDISK_COPIED, .thin = true, .size = MIB, .chain = &as };
	struct ds_room room = { 0 };

	vdisk_copy_room(&place, &id, &room);
	assert_int_equal(room.at[0].bytes, 0);
	id.thin = false;
	vdisk_copy_room(&place, &id, &room);
	assert_int_equal(room.at[0].bytes, 4 * MIB);
	id.thin = true;
	id.space = 33 * MIB;
	vdisk_copy_room(&place, &id, &room);
	assert_ptr_equal(room.at[0].ds, there.ds);
	assert_int_equal(room.at[0].bytes, 37 * MIB);
}

/* Not even here, where it was made: what it shows may be other files'. */
static void a_vm_opens_no_disk_that_is_not_whole(void **state)
{
	struct vm_disk d = { .path = "/ds/there/n" };
	struct vdisk *v;
	char why[256];

	assert_int_equal(ds_create_bare(there.ds, "n", MIB), 0);
	for (unsigned ro = 0; ro < 2; ro++) {
		d.read_only = ro;
		assert_int_equal(vdisk_open("g", 0, &d, &v, why, sizeof(why)), -EBUSY);
		assert_non_null(strstr(why, "/ds/there/n is not whole"));
	}
	assert_int_equal(ds_finish(there.ds, "n"), 0);
	assert_int_equal(vdisk_open("g", 0, &d, &v, why, sizeof(why)), 0);
	vdisk_close(v);
}

#define test(f) cmocka_unit_test_setup_teardown(f, chain_begin, chain_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_vm_opens_no_disk_that_is_not_whole),
		test(names_that_are_there),
		test(room_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
