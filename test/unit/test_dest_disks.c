/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream of disks from its HELLO on, at the destination: whatever its source says that is not the
 * protocol is answered with words, as on the other stream, and a disk that fails with its own.
 */
// SOURCES: mig/dest.c mig/dest_disks.c mig/blk_recv.c mig/blk_recv_req.c
// SOURCES: mig/page_ring.c mig/spans.c mig/peer.c mig/wire.c kernel/lib/crc32c.c
// SOURCES: drivers/blkdev.c tools/terndisk/host.c test/unit/fake_pipe.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/home.h>
#include <tern/timer.h>
#include <tern/vdev.h>

#include "mig/dest_int.h"
#include "mig/owner.h"
#include "test/unit/fake_pipe.h"

#define BLOCK 512u
#define BLOCKS 64u
#define SOON_NS (60 * NSEC_PER_SEC)

static struct mig_job job;
static struct vm vm;
static struct blkdev disk;
static int fails_with;

static struct {
	struct stream *near, *far;
	struct peer peer;
	struct world *dest;
} net;

/* ---- the host around it ---- */

static void disk_submit(struct blkdev *d, struct blk_req *r)
{
	blk_complete(r, fails_with);
}

struct vdisk *vdisk_share(const char *name, unsigned index, const struct vm_disk *d)
{
	return (struct vdisk *)&disk;
}

bool vdisk_is_copied(const struct vdisk *d)
{
	return true;
}

bool vdisk_is_bare(const struct vdisk *d)
{
	return false;
}

struct blkdev *vdisk_blk(struct vdisk *d)
{
	return &disk;
}

int vdisk_next_snapshot(struct vdisk *d)
{
	return fails_with;
}

void vdisk_close(struct vdisk *d)
{
}

unsigned home_come_files(const struct vm *of, struct home_coming **home,
			 struct blkdev *file[HOME_FILES_MAX])
{
	*home = NULL;
	return 0;
}

bool home_come_at(const struct vm *of, unsigned i, char path[VM_PATH_MAX], uint64_t *id)
{
	return false;
}

void home_coming_put(struct home_coming *home)
{
}

void vm_get(struct vm *of)
{
}

void vm_put(struct vm *of)
{
}

void vm_set_state(struct vm *of, enum vm_state state)
{
}

struct mig_job *job_find_wire_id(const uint8_t id[WIRE_ID_BYTES])
{
	return &job;
}

void job_put(struct mig_job *j)
{
}

int dest_on_hello(struct dest *d, const void *body, size_t len)
{
	struct wire_hello h;

	memcpy(&h, body, sizeof(h));
	memcpy(d->id, h.id, sizeof(d->id));
	d->version = WIRE_VERSION;
	d->talk = T_OFFER;
	return 0;
}

/* Of the stream of a VM, which this is not. */
#define NOT_HERE(fn)                                                                               \
	int fn(struct dest *d, const void *body, size_t len)                                       \
	{                                                                                          \
		abort();                                                                           \
	}
NOT_HERE(dest_on_offer)
NOT_HERE(dest_on_query)
NOT_HERE(dest_on_settle)
NOT_HERE(dest_on_skeleton)
NOT_HERE(dest_on_pages)
NOT_HERE(dest_on_delta)
NOT_HERE(dest_on_remain)
NOT_HERE(dest_on_state)
NOT_HERE(dest_on_end)
NOT_HERE(dest_on_go)
NOT_HERE(dest_on_closed)
NOT_HERE(dest_on_abort)

enum commit_action dst_lost(enum dest_state *s)
{
	abort();
}

bool owner_leased(const struct mig_job *j)
{
	abort();
}

void dest_discard(struct mig_job *j)
{
	abort();
}

void job_changed_locked(struct mig_job *j)
{
}

void job_close_stream(struct mig_job *j)
{
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	abort();
}

void job_journal_keep(struct mig_job *j)
{
}

void job_over(struct mig_job *j, enum mig_phase p)
{
}

void job_step_locked(struct mig_job *j, enum mig_step step)
{
}

void settle_add(struct mig_job *j)
{
}

void pageset_fini(struct pageset *p)
{
}

void offer_disks_fini(struct vdisk_id *id)
{
}

/* ---- a source ---- */

static const struct blk_ops ops = { .submit = disk_submit };

static int start(void **state)
{
	static const uint8_t id[WIRE_ID_BYTES] = { 1, 2, 3 };
	struct world_opts o = { .name = "test" };
	struct wire_disks ok;
	struct wire_head h;
	void *body;

	fails_with = 0;
	disk = (struct blkdev){ .ops = &ops,
				.geo = { .blocks = BLOCKS,
					 .block_bytes = BLOCK,
					 .max_segs = 8,
					 .max_bytes = BLOCKS * BLOCK,
					 .max_zeroes_blocks = BLOCKS,
					 .volatile_cache = true } };
	blk_setup(&disk);
	memset(&job, 0, sizeof(job));
	spin_init(&job.lock, LOCK_MIG, "job");
	vm.cfg.disks = 1;
	job.vm = &vm;
	job.st.phase = MIG_PRECOPY;
	fake_pipe(&net.near, &net.far);
	peer_init(&net.peer, net.near, false);
	assert_int_equal(world_create(&net.dest, &o, dest_world, net.far), 0);
	assert_int_equal(peer_ask(&net.peer, id, WIRE_DISKS, NULL, 0), 0);
	assert_int_equal(peer_answer(&net.peer, &h, &ok, sizeof(ok), &body, time_ns() + SOON_NS),
			 0);
	assert_int_equal(h.type, WIRE_DISKS_OK);
	return 0;
}

/* Its last words, and then its end. */
static void ends_with(const char *code, const char *text)
{
	struct wire_text words;
	struct wire_head h;
	void *body;

	do {
		assert_int_equal(peer_recv(&net.peer, &h, &words, sizeof(words), &body,
					   time_ns() + SOON_NS),
				 0);
	} while (h.type == WIRE_BLOCKS_DONE);
	assert_int_equal(h.type, WIRE_ABORT);
	assert_string_equal(words.code, code);
	assert_non_null(strstr(words.text, text));
	assert_int_not_equal(
		peer_recv(&net.peer, &h, &words, sizeof(words), &body, time_ns() + SOON_NS), 0);
}

static int stop(void **state)
{
	world_join(net.dest);
	stream_close(net.near);
	assert_int_equal(fake_pipe_pages, 0);
	assert_null(job.disks_in);
	return 0;
}

static void says(const struct wire_blocks *b)
{
	assert_int_equal(peer_send(&net.peer, WIRE_BLOCKS, b, sizeof(*b)), 0);
}

static void a_number_that_is_not_the_next(void **state)
{
	says(&(struct wire_blocks){ .seq = 2, .op = BLOCKS_ZEROES, .bytes = BLOCK });
	ends_with("bad-stream", "change of a disk");
}

static void beyond_the_disk(void **state)
{
	says(&(struct wire_blocks){ .seq = 1, .op = BLOCKS_ZEROES, .bytes = BLOCK });
	says(&(struct wire_blocks){
		.seq = 2, .op = BLOCKS_ZEROES, .offset = BLOCKS * BLOCK, .bytes = BLOCK });
	ends_with("bad-stream", "change of a disk");
}

static void a_body_of_an_older_version(void **state)
{
	struct wire_blocks b = { .seq = 1, .op = BLOCKS_ZEROES, .bytes = BLOCK };

	assert_int_equal(peer_send(&net.peer, WIRE_BLOCKS, &b, wire_blocks_bytes(3)), 0);
	ends_with("bad-stream", "change of a disk");
}

static void no_message_at_all(void **state)
{
	static const uint8_t garbage[sizeof(struct wire_head)] = { 0xff, 0xff, 0xff };

	assert_int_equal(stream_write(net.near, garbage, sizeof(garbage), time_ns() + SOON_NS), 0);
	ends_with("bad-stream", "not the migration protocol");
}

static void another_stream_s_message(void **state)
{
	assert_int_equal(peer_send(&net.peer, WIRE_GO, NULL, 0), 0);
	ends_with("bad-stream", "out of turn");
}

static void a_disk_that_fails(void **state)
{
	fails_with = -EIO;
	says(&(struct wire_blocks){ .seq = 1, .op = BLOCKS_ZEROES, .bytes = BLOCK });
	says(&(struct wire_blocks){ .seq = 2, .op = BLOCKS_FLUSH });
	ends_with("disk-error", "failed a request");
	fake_pipe_cut(net.near); /* it may still be waiting for more */
}

static void a_snapshot_that_fails(void **state)
{
	fails_with = -EEXIST;
	says(&(struct wire_blocks){ .seq = 1, .op = BLOCKS_SNAPSHOT });
	ends_with("exists", "disk 0 there: the name of one of its snapshots is taken");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_number_that_is_not_the_next), TEST(beyond_the_disk),
		TEST(a_body_of_an_older_version),    TEST(no_message_at_all),
		TEST(another_stream_s_message),	     TEST(a_disk_that_fails),
		TEST(a_snapshot_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
