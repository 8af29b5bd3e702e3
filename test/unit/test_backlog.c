/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What waits for the other host's disks is kept within half of the stun budget, on a link of any
 * rate, and what it takes is told; the copy is over when that is so, or the wait ends for a reason.
 * Little of it is not durable there. The link and the guest, which fills whatever room there is,
 * are fakes on the test's clock.
 */
// SOURCES: mig/source_backlog.c kernel/lib/muldiv.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/vdev.h>

#include "mig/source_disks_int.h"

#define BUDGET_MS 400u
#define BUFFER (16u << 20)
#define STEP_NS (50 * NSEC_PER_MSEC)

static struct {
	uint64_t now_ns, rate, hold; /* bytes a second; bytes */
	uint64_t acked, buffered, pauses;
	int fail_at, fail; /* so many pauses; the sender's error */
	unsigned flushes;  /* waited for */
	uint64_t begun;	   /* flushes */
	bool flush_stays;
	bool full;
	unsigned in_flight;
	bool paused[2];
	int well;
} fake;
static struct mig_job job;
static struct source_disks disks;
static struct source source;

uint64_t time_ns(void)
{
	return fake.now_ns;
}

void blk_sender_stats(struct blk_sender *s, struct blk_sender_stats *out)
{
	*out = (struct blk_sender_stats){ .acked = fake.flush_stays ? 0 : fake.begun,
					  .acked_bytes = fake.acked,
					  .buffered = fake.buffered,
					  .full = fake.full };
}

void vdisk_pause(struct vm *vm, unsigned index, bool on)
{
	assert_in_range(index, 1, 2);
	assert_int_not_equal(fake.paused[index - 1], on);
	fake.paused[index - 1] = on;
}

/* The second one's. */
bool vdisk_at(struct vm *vm, unsigned index, struct vdisk_info *out)
{
	*out = (struct vdisk_info){ .in_flight = index == 2 ? fake.in_flight : 0 };
	return true;
}

uint64_t blk_sender_flush_begin(struct blk_sender *s)
{
	return ++fake.begun;
}

int blk_sender_flush_asked(struct blk_sender *s, int (*asked)(void *user), void *user)
{
	assert_true(fake.buffered <= fake.hold);
	fake.flushes++;
	return asked(user);
}

int source_disks_well(struct source *s)
{
	assert_ptr_equal(s, &source);
	return fake.well;
}

void blk_sender_hold(struct blk_sender *s, uint64_t bytes)
{
	fake.hold = bytes;
}

int source_disks_sender(struct source *s, int err)
{
	return fake.fail && (int)fake.pauses >= fake.fail_at ? fake.fail : err;
}

int source_vm_runs(struct mig_job *j)
{
	return 0;
}

/* The link takes what it can, the guest writes what it may. */
static void pass(uint64_t ns)
{
	uint64_t bytes = MIN(fake.rate * ns / NSEC_PER_SEC, fake.buffered);

	fake.now_ns += ns;
	fake.acked += bytes;
	fake.buffered -= bytes;
	if (fake.buffered < fake.hold)
		fake.buffered = fake.hold;
}

int source_pause(struct mig_job *j, uint64_t until_ns)
{
	fake.pauses++;
	pass(until_ns - fake.now_ns);
	return 0;
}

static void start(uint64_t rate)
{
	memset(&fake, 0, sizeof(fake));
	memset(&disks, 0, sizeof(disks));
	fake.now_ns = NSEC_PER_SEC;
	fake.rate = rate;
	fake.hold = fake.buffered = BUFFER;
	job.req.budget_ms = BUDGET_MS;
	disks.sender = (struct blk_sender *)&fake;
	source.j = &job;
	source.disks = &disks;
}

static uint64_t half_of(uint64_t rate)
{
	return rate * BUDGET_MS / 2 / 1000;
}

static void test_within_half_of_the_budget(void **state)
{
	for (uint64_t rate = 1u << 20; rate <= 64u << 20; rate *= 4) {
		start(rate);
		assert_int_equal(source_backlog_wait(&source), 0);
		assert_in_range(fake.hold, half_of(rate) * 9 / 10, half_of(rate) * 11 / 10);
		assert_true(fake.buffered <= fake.hold);
		assert_in_range(source_disks_rest_ns(&source) / NSEC_PER_MSEC, BUDGET_MS * 4 / 10,
				BUDGET_MS * 6 / 10);
	}
}

static void test_the_link_gets_slower(void **state)
{
	start(16u << 20);
	assert_int_equal(source_backlog_wait(&source), 0);
	fake.rate /= 8;
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(source_disks_look(&source), 0);
		pass(STEP_NS);
	}
	assert_in_range(fake.hold, half_of(fake.rate) * 9 / 10, half_of(fake.rate) * 11 / 10);
}

/* A guest that writes nothing says nothing of the link, and has nothing to wait for. */
static void test_nothing_waits(void **state)
{
	start(1u << 20);
	fake.hold = fake.buffered = 0;
	assert_int_equal(source_backlog_wait(&source), 0);
	assert_int_equal(fake.pauses, 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(source_disks_look(&source), 0);
		pass(STEP_NS);
	}
	assert_int_equal(disks.rate.bytes_s, 0);
	assert_int_equal(source_disks_rest_ns(&source), 0);
	source.disks = NULL;
	assert_int_equal(source_disks_look(&source), 0);
	assert_int_equal(source_disks_rest_ns(&source), 0);
}

static void test_the_other_host_fails(void **state)
{
	start(0);
	fake.fail = -ECONNABORTED;
	fake.fail_at = 3;
	assert_int_equal(source_backlog_wait(&source), -ECONNABORTED);
	assert_int_equal(fake.pauses, 3);
}

/* What was copied is durable before the memory goes; the user's word ends the wait for that. */
static void test_flushed_behind_the_copy(void **state)
{
	start(16u << 20);
	assert_int_equal(source_backlog_wait(&source), 0);
	assert_int_equal(fake.flushes, 1);
	fake.well = -ECANCELED;
	assert_int_equal(source_backlog_wait(&source), -ECANCELED);
}

/* Beside pre-copy: once a second, one at a time, and only behind something new. */
static void test_flushed_beside_pre_copy(void **state)
{
	start(16u << 20);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(source_disks_look(&source), 0);
		pass(STEP_NS);
	}
	assert_in_range(fake.begun, 4, 6);
	fake.flush_stays = true;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(source_disks_look(&source), 0);
		pass(STEP_NS);
	}
	assert_in_range(fake.begun, 4, 6);
	fake.flush_stays = false;
	fake.hold = fake.buffered = fake.rate = 0;
	assert_int_equal(source_disks_look(&source), 0);
	fake.begun = 0;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(source_disks_look(&source), 0);
		pass(STEP_NS);
	}
	assert_in_range(fake.begun, 0, 1);
}

static void two_disks(void)
{
	start(16u << 20);
	disks.nr = 2;
	disks.disk[0].index = 1;
	disks.disk[1].index = 2;
}

static void are_paused(bool on)
{
	assert_int_equal(fake.paused[0], on);
	assert_int_equal(fake.paused[1], on);
	assert_int_equal(source_disks_paused(&source), on);
}

/* Nothing waits for room: what the guest asks for is no reason to wait. */
static void test_calm(void **state)
{
	two_disks();
	fake.in_flight = 3;
	assert_true(source_disks_calm(&source));
	are_paused(false);
	source.disks = NULL;
	assert_true(source_disks_calm(&source));
	source_disks_go_on(&source);
	assert_false(source_disks_paused(&source));
}

/* Something does: the guest's queues are let run empty before it is stunned, not in the stun. */
static void test_not_calm(void **state)
{
	two_disks();
	fake.in_flight = 3;
	fake.full = true;
	assert_false(source_disks_calm(&source));
	are_paused(true);
	fake.full = false; /* it is in the buffer, and not all of it has ended */
	assert_false(source_disks_calm(&source));
	fake.in_flight = 0;
	assert_true(source_disks_calm(&source));
	are_paused(true); /* nothing comes before the stun */
	source_disks_go_on(&source);
	source_disks_go_on(&source);
	are_paused(false);
}

/* Long after the copy: what waits then is there for ever, and is no reason to go on. */
static void test_the_other_host_fails_later(void **state)
{
	start(16u << 20);
	assert_int_equal(source_backlog_wait(&source), 0);
	assert_int_equal(source_disks_look(&source), 0);
	fake.rate = 0;
	fake.fail = -ECONNABORTED;
	pass(STEP_NS);
	assert_int_equal(source_disks_look(&source), -ECONNABORTED);
	assert_true(source_disks_rest_ns(&source) > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_within_half_of_the_budget),
		cmocka_unit_test(test_the_link_gets_slower),
		cmocka_unit_test(test_nothing_waits),
		cmocka_unit_test(test_flushed_behind_the_copy),
		cmocka_unit_test(test_flushed_beside_pre_copy),
		cmocka_unit_test(test_calm),
		cmocka_unit_test(test_not_calm),
		cmocka_unit_test(test_the_other_host_fails),
		cmocka_unit_test(test_the_other_host_fails_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
