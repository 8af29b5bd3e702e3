/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk with snapshots is copied, chain and all, on a real datastore, while its guest writes: the
 * new chain has the old one's contents in each of its links, its space, and its sizes; its
 * snapshots can be gone back to and deleted.
 */
// SOURCES: mig/chain.c mig/disk_copy.c mig/bulk.c mig/bulk_piece.c mig/bulk_hole.c
// SOURCES: mig/mirror.c mig/mirror_op.c mig/pace.c mig/cbt.c mig/digest.c kernel/lib/muldiv.c
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
// SOURCES: test/unit/fake_disk.c test/unit/ds_fixture.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/page.h>

#include "mig/chain.h"
#include "test/unit/ds_fixture.h"

#define MIB (1u << 20)

/* ---- what is not there ---- */

bool world_should_yield(void)
{
	return false;
}

void world_yield(void)
{
}

void job_progress(struct mig_job *j, unsigned percent)
{
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
}

/* ---- the move ---- */

static struct {
	struct ds_file *from, *to;
	struct chain *chain;
	struct disk_copy copy;
	unsigned guest_writes_in; /* the link after which the guest writes */
} move;

static void guest_writes(uint64_t at, size_t bytes, uint64_t seed)
{
	uint8_t *buf = malloc(bytes);

	dsf_fill(buf, bytes, seed);
	assert_int_equal(blk_transfer(&move.copy.m->front, BLK_WRITE, at / 512, bytes / 512, buf),
			 0);
	free(buf);
}

static int next(void *user, unsigned link)
{
	const struct vdisk_chain *as = &move.chain->as;
	struct ds_snap s = { .ds = ds, .name = "n", .as = as->link[link].name, .part = true };
	uint64_t at, size = link + 1 < as->nr ? as->link[link + 1].size : ds_file_size(move.from);
	unsigned failed;

	assert_int_equal(digest_verify(&move.copy.digest, &at), 0);
	assert_int_equal(ds_snapshot_all(&s, 1, &failed), 0);
	if (link == move.guest_writes_in)
		guest_writes(3 * MIB + 4096, 4096, 90);
	return size == ds_file_size(move.to) ? 0 : ds_resize(move.to, size);
}

static void begin(enum mirror_mode mode, enum ds_kind kind)
{
	memset(&move, 0, sizeof(move));
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &move.from), 0);
	ds_file_keep_chain(move.from, true);
	assert_int_equal(chain_read(ds, "d", "n", true, &move.chain), 0);
	assert_int_equal(kind == DS_KIND_FLAT ? ds_create_bare(ds, "n", move.chain->most_bytes)
					      : ds_create(ds, "n", kind, move.chain->most_bytes,
							  DS_FILE_UNFINISHED),
			 0);
	assert_int_equal(ds_open(ds, "n", DS_OPEN_WRITE, &move.to), 0);
	assert_int_equal(disk_copy_init(&move.copy, move.from, ds_file_blk(move.from),
					ds_file_blk(move.to), mode),
			 0);
	if (kind == DS_KIND_FLAT)
		disk_copy_bare(&move.copy);
	assert_int_equal(disk_copy_digest(&move.copy), 0);
	pace_init(&move.copy.bulk.pace, &move.copy.guest, 0);
	if (move.chain->as.link[0].size != move.chain->most_bytes)
		assert_int_equal(ds_resize(move.to, move.chain->as.link[0].size), 0);
}

static void go(void)
{
	uint64_t at;

	assert_int_equal(chain_copy(move.chain, &move.copy, next, NULL), 0);
	assert_int_equal(bulk_linear(&move.copy.bulk), 0);
	assert_int_equal(bulk_marked(&move.copy.bulk), 0);
	guest_writes(2 * MIB + 8192, 4096, 91); /* behind the cursor, or marked */
	assert_int_equal(bulk_marked(&move.copy.bulk), 0);
	mirror_both(move.copy.m);
	assert_int_equal(digest_verify(&move.copy.digest, &at), 0);
	assert_int_equal(ds_finish(ds, "n"), 0);
}

static void end(void)
{
	disk_copy_fini(&move.copy);
	free(move.chain);
	ds_close(move.from);
	ds_close(move.to);
}

/* ---- tests ---- */

/* d over d.two over d.one, the last with zeros that hide something. */
static void make_disk(enum ds_kind kind)
{
	struct blk_req zeroes = {
		.op = BLK_WRITE_ZEROES, .block = 2048, .blocks = 2048, .unmap = true
	};
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "d", kind, 4 * MIB, 0), 0);
	assert_int_equal(dsf_write("d", 0, 2 * MIB, 1), 0);
	assert_int_equal(ds_snapshot(ds, "d", "d.one"), 0);
	assert_int_equal(dsf_write("d", 2 * MIB, 4096, 2), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(blk_wait(ds_file_blk(f), &zeroes), 0);
	ds_close(f);
	assert_int_equal(ds_snapshot(ds, "d", "d.two"), 0);
	assert_int_equal(dsf_write("d", 4096, 4096, 3), 0);
}

static void assert_same_file(const char *a, const char *b)
{
	static uint8_t x[MIB], y[MIB];
	struct ds_file *f, *g;

	assert_int_equal(ds_open(ds, a, DS_OPEN_READ, &f), 0);
	assert_int_equal(ds_open(ds, b, DS_OPEN_READ, &g), 0);
	assert_int_equal(ds_file_size(f), ds_file_size(g));
	for (uint64_t at = 0; at < ds_file_size(f); at += MIB) {
		uint64_t blocks = MIN((uint64_t)MIB, ds_file_size(f) - at) / 512;

		assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, at / 512, blocks, x), 0);
		assert_int_equal(blk_transfer(ds_file_blk(g), BLK_READ, at / 512, blocks, y), 0);
		assert_memory_equal(x, y, blocks * 512);
	}
	ds_close(f);
	ds_close(g);
}

/* Zeros that hide something take no space there either. */
static void assert_same_chain(void)
{
	uint64_t here = dsf_backed("d") + dsf_backed("d.two") + dsf_backed("d.one");
	uint64_t there = dsf_backed("n") + dsf_backed("n.two") + dsf_backed("n.one");

	assert_in_range(there, here - 2, here + 1);
	assert_same_file("d", "n");
	assert_same_file("d.two", "n.two");
	assert_same_file("d.one", "n.one");
}

static void a_chain_arrives(enum mirror_mode mode)
{
	uint64_t here;

	make_disk(DS_KIND_THIN);
	begin(mode, DS_KIND_THIN);
	assert_int_equal(move.chain->as.nr, 2);
	assert_int_equal(move.chain->bytes, 8 * MIB);
	assert_int_equal(move.chain->lowest_bytes, dsf_backed("d.one") * MIB);
	assert_string_equal(move.chain->name[0], "d.one");
	assert_string_equal(move.chain->as.link[1].name, "n.two");
	go();
	here = dsf_backed("d") + dsf_backed("d.two") + dsf_backed("d.one");
	assert_true(move.copy.bulk.copied_bytes <= here * MIB); /* each extent once */
	assert_int_equal(move.copy.bulk.done, 3 * 4 * MIB / 512);
	end();
	assert_same_chain();
	assert_true(dsf_has("n", 3 * MIB + 4096, 4096, 90));
	assert_true(dsf_has("n", MIB, MIB, 0) && dsf_has("n.one", MIB, 4096, 1 + MIB));
	assert_int_equal(ds_snapshot_delete(ds, "n.two"), 0);
	assert_same_file("d.one", "n.one");
	assert_int_equal(ds_snapshot_revert(ds, "n", "n.one"), 0);
	assert_true(dsf_has("n", 0, 2 * MIB, 1));
}

static void by_mirror(void **state)
{
	a_chain_arrives(MIRROR_BOTH);
}

static void by_changed_blocks(void **state)
{
	a_chain_arrives(MIRROR_MARK);
}

/* A lowest file that is flat, and links that are larger and smaller than one another. */
static void sizes_differ(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 2 * MIB, 0), 0);
	assert_int_equal(dsf_write("d", 0, 2 * MIB, 1), 0);
	assert_int_equal(ds_snapshot(ds, "d", "d.one"), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_resize(f, 5 * MIB), 0);
	ds_close(f);
	assert_int_equal(dsf_write("d", 4 * MIB, 4096, 2), 0);
	assert_int_equal(ds_snapshot(ds, "d", "d.two"), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_resize(f, MIB), 0);
	assert_int_equal(ds_resize(f, 4 * MIB), 0); /* zeros hide what two has */
	ds_close(f);
	begin(MIRROR_BOTH, DS_KIND_FLAT);
	go();
	end();
	assert_same_chain();
	assert_int_equal(ds_snapshot_revert(ds, "n", "n.two"), 0);
	assert_same_file("d.two", "n");
}

static void names(void **state)
{
	struct chain *c;
	char to[128];

	make_disk(DS_KIND_THIN);
	assert_int_equal(ds_rename(ds, "d.one", "golden"), 0);
	assert_int_equal(chain_read(ds, "d", "x/d", false, &c), 0);
	assert_string_equal(c->as.link[0].name, "golden");
	assert_string_equal(c->as.link[1].name, "x/d.two");
	free(c);
	assert_int_equal(chain_read(ds, "d", "d-2", true, &c), 0);
	assert_string_equal(c->as.link[0].name, "golden-2");
	assert_string_equal(c->as.link[1].name, "d-2.two");
	free(c);
	memset(to, 'x', sizeof(to) - 1);
	to[sizeof(to) - 1] = 0;
	assert_int_equal(chain_read(ds, "d", to, false, &c), -ENAMETOOLONG);
	assert_int_equal(chain_read(ds, "golden", "g", false, &c), 0);
	assert_null(c);
}

/* What the guest asked for before the copy: long enough for a rate, or none. */
static void a_watch_lasts_until_it_says_something(void **state)
{
	make_disk(DS_KIND_THIN);
	begin(MIRROR_BOTH, DS_KIND_THIN);
	disk_copy_watch(&move.copy);
	assert_true(disk_copy_watched(&move.copy, disk_copy_seen(&move.copy)));
	for (unsigned i = 1; i <= 64; i++) {
		guest_writes(2 * MIB, 4096, 7);
		assert_int_equal(disk_copy_seen(&move.copy), i);
		assert_int_equal(disk_copy_watched(&move.copy, i), i == 64);
	}
	disk_copy_watch(&move.copy);
	assert_int_equal(move.copy.guest.requests, 64);
	go();
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(by_mirror),
		test(by_changed_blocks),
		test(sizes_differ),
		test(names),
		test(a_watch_lasts_until_it_says_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
