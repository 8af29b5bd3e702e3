/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pace of a copy between two devices that do one request after the other, beside a guest on the
 * first of them, in a time of its own: what the guest gets, what the copy gets, and how soon the
 * copy takes what the guest leaves.
 */
// SOURCES: mig/pace.c kernel/lib/muldiv.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <tern/types.h>

#include "mig/pace.h"

#define MS 1000000ull
#define SECOND (1000 * MS)
#define STEP_NS 50000ull
#define GUEST_BYTES (32u << 10)
#define UNDER_WAY 1024u

struct device {
	uint64_t bytes_s, each_ns; /* rate, and what a request costs besides */
	uint64_t free_at;
};

static struct {
	struct device source, target;
	struct pace p;
	uint64_t now;
	struct {
		uint64_t until; /* 0: not under way */
		uint32_t bytes;
		bool writing;
	} piece[PACE_WINDOW_MAX];
	uint64_t copied;
	uint64_t due, every_ns; /* of the guest; every_ns 0: none */
	unsigned depth;		/* not 0: so many at a time instead */
	uint64_t begun[UNDER_WAY], ends[UNDER_WAY];
	uint64_t asked, done, busy_ns;
} w;

static void world(uint64_t bytes_s, uint64_t each_ns, uint32_t bw_mbit)
{
	memset(&w, 0, sizeof(w));
	w.source = w.target = (struct device){ .bytes_s = bytes_s, .each_ns = each_ns };
	w.now = SECOND;
	pace_init(&w.p, &(struct pace_guest){ .ns = 0 }, bw_mbit);
}

static uint64_t submit(struct device *d, uint64_t bytes)
{
	d->free_at = MAX(d->free_at, w.now) + d->each_ns + bytes * SECOND / d->bytes_s;
	return d->free_at;
}

static void ask(uint64_t since)
{
	assert_true(w.asked - w.done < UNDER_WAY); /* else the guest falls behind */
	w.begun[w.asked % UNDER_WAY] = since;
	w.ends[w.asked++ % UNDER_WAY] = submit(&w.source, GUEST_BYTES);
}

static void guest(void)
{
	for (; w.done < w.asked && w.ends[w.done % UNDER_WAY] <= w.now; w.done++)
		w.busy_ns += w.ends[w.done % UNDER_WAY] - w.begun[w.done % UNDER_WAY];
	for (; w.every_ns && w.due <= w.now; w.due += w.every_ns)
		ask(w.due);
	while (w.asked - w.done < w.depth)
		ask(w.now);
}

static void copy(void)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < PACE_WINDOW_MAX; i++) {
		if (w.piece[i].until && w.piece[i].until <= w.now) {
			if (w.piece[i].writing)
				w.copied += w.piece[i].bytes;
			w.piece[i].until =
				w.piece[i].writing ? 0 : submit(&w.target, w.piece[i].bytes);
			w.piece[i].writing = true;
		}
		busy += w.piece[i].until != 0;
	}
	pace_look(&w.p, w.now, w.done, w.busy_ns);
	for (unsigned i = 0; i < PACE_WINDOW_MAX; i++)
		if (!w.piece[i].until && busy < w.p.window && w.now >= pace_at(&w.p)) {
			w.piece[i].until = submit(&w.source, w.p.piece_bytes);
			w.piece[i].bytes = w.p.piece_bytes;
			w.piece[i].writing = false;
			pace_begun(&w.p, w.now, w.p.piece_bytes);
			busy++;
		}
}

/* So long, without or with the copy; what is copied, in bytes a second. */
static uint64_t pass(uint64_t ns, bool copies)
{
	uint64_t end = w.now + ns, before = w.copied;

	for (; w.now < end; w.now += STEP_NS) {
		guest();
		if (copies)
			copy();
	}
	return (w.copied - before) * SECOND / ns;
}

static void guest_asks(uint64_t bytes_s)
{
	w.due = w.now;
	w.every_ns = bytes_s ? GUEST_BYTES * SECOND / bytes_s : 0;
}

static uint64_t mean(uint64_t done, uint64_t busy_ns)
{
	return (w.busy_ns - busy_ns) / (w.done - done);
}

/* The last second is what the guest was before. */
static void watched(void)
{
	pace_init(&w.p,
		  &(struct pace_guest){ .ns = SECOND, .requests = w.done, .busy_ns = w.busy_ns },
		  w.p.bw_mbit);
}

static const struct device kinds[] = { { 16u << 20, 0, 0 },	  /* slow */
				       { 150u << 20, 4 * MS, 0 }, /* seeks */
				       { 500u << 20, 100000, 0 } };

/* What the guest gets beside the copy while it asks for half of what the device can. */
static void half_of_a_device(const struct device *d)
{
	uint64_t half = GUEST_BYTES * SECOND / (d->each_ns + GUEST_BYTES * SECOND / d->bytes_s) / 2;
	uint64_t alone, paced, done, busy_ns;

	world(d->bytes_s, d->each_ns, 0);
	alone = pass(5 * SECOND, true);
	world(d->bytes_s, d->each_ns, 0);
	guest_asks(half);
	(void)pass(SECOND, false);
	watched();
	done = w.done;
	busy_ns = w.busy_ns;
	paced = pass(10 * SECOND, true);
	assert_true((w.done - done) * GUEST_BYTES * 10 >= half * 10 * 9);
	assert_true(paced * 3 >= alone);
	assert_true(mean(done, busy_ns) < 10 * w.p.before_ns);
}

static void a_guest_at_half_of_the_rate(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		half_of_a_device(&kinds[i]);
}

/* One that takes all that it can get, and always has. */
static void a_busy_guest_does_not_starve_the_copy(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t alone, beside;

		world(kinds[i].bytes_s, kinds[i].each_ns, 0);
		alone = pass(5 * SECOND, true);
		world(kinds[i].bytes_s, kinds[i].each_ns, 0);
		w.depth = 8;
		(void)pass(SECOND, false);
		watched();
		beside = pass(10 * SECOND, true);
		assert_true(beside * 6 >= alone);
	}
}

static void it_recovers_when_the_guest_stops(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t alone;

		world(kinds[i].bytes_s, kinds[i].each_ns, 0);
		alone = pass(5 * SECOND, true);
		world(kinds[i].bytes_s, kinds[i].each_ns, 0);
		w.depth = 8;
		(void)pass(SECOND, false);
		watched();
		(void)pass(5 * SECOND, true);
		assert_true(w.p.brake_ns > 0);
		w.depth = 0;
		(void)pass(SECOND, true);
		assert_true(pass(SECOND, true) * 10 >= alone * 9);
	}
}

/* Alone it ends in large pieces, in larger ones where no guest can run; a limit holds for both. */
static void alone_and_with_a_limit(void **state)
{
	uint64_t got;

	world(500u << 20, 100000, 0);
	(void)pass(2 * SECOND, true);
	assert_int_equal(w.p.window, PACE_WINDOW_MAX);
	assert_int_equal(w.p.piece_bytes, PACE_PIECE_GUEST);
	world(500u << 20, 100000, 80); /* Mbit */
	guest_asks(32u << 20);
	(void)pass(SECOND, true);
	got = pass(5 * SECOND, true);
	assert_in_range(got, 9000000, 10200000);
	pace_hurry(&w.p);
	assert_int_equal(w.p.window, PACE_WINDOW_MAX);
	assert_int_equal(w.p.piece_bytes, PACE_PIECE_MAX);
	assert_in_range(pass(5 * SECOND, true), 9000000, 10200000);
}

/* 20 ms more, in which the guest's requests took as long as ever: 1 ms. */
static unsigned good_look(struct pace *p, uint64_t ns)
{
	w.now += ns;
	w.done += 10;
	w.busy_ns += 10 * MS;
	pace_begun(p, w.now, 1u << 20);
	pace_look(p, w.now, w.done, w.busy_ns);
	return p->window;
}

/* Also right after it has learned its free rate. */
static void more_at_a_time_takes_two_good_looks(void **state)
{
	unsigned begin;

	world(500u << 20, 100000, 0);
	pace_init(&w.p, &(struct pace_guest){ SECOND, 1000, 1000 * MS }, 0);
	begin = w.p.window;
	for (unsigned i = 0; !w.p.free_ns; i++) {
		assert_true(i < 10);
		assert_int_equal(good_look(&w.p, 100 * MS), begin);
	}
	assert_int_equal(good_look(&w.p, 20 * MS), begin);
	assert_true(good_look(&w.p, 20 * MS) > begin);
}

/* Minutes between two passes, in which nothing is copied and the guest asks for nothing. */
static void time_between_passes_is_no_rate(void **state)
{
	uint64_t free_ns;

	world(500u << 20, 100000, 0);
	pace_init(&w.p, &(struct pace_guest){ SECOND, 1000, 1000 * MS }, 0);
	while (w.p.window < PACE_WINDOW_MAX)
		(void)good_look(&w.p, 100 * MS);
	free_ns = w.p.free_ns;
	pace_begun(&w.p, w.now, PACE_PIECE_GUEST);
	w.now += 300 * SECOND;
	pace_pass(&w.p);
	pace_look(&w.p, w.now, w.done, w.busy_ns);
	assert_int_equal(w.p.free_ns, free_ns);
	assert_int_equal(good_look(&w.p, 20 * MS), PACE_WINDOW_MAX);
}

/* So many ms, in which a guest's requests took so many times as long; some of it zeros. */
static void look(struct pace *p, uint64_t ms, uint64_t times, uint64_t bytes, uint64_t zeros)
{
	w.now += ms * MS;
	w.done += ms;
	w.busy_ns += ms * times * MS;
	pace_begun(p, w.now, bytes);
	pace_zeros(p, zeros);
	pace_look(p, w.now, w.done, w.busy_ns);
}

static void learned(struct pace *p)
{
	world(500u << 20, 100000, 0);
	pace_init(p, &(struct pace_guest){ SECOND, 1000, 1000 * MS }, 0);
	for (unsigned i = 0; i < 10; i++)
		look(p, 100, 1, 10u << 20, 0);
	assert_true(p->free_ns);
}

/* A hole, which is over at once or takes its time, is no measure of what the copy gets. */
static void holes_say_nothing(void **state)
{
	struct pace was;

	learned(&w.p);
	look(&w.p, 20, 3, 2u << 20, 0); /* braked */
	for (uint64_t bytes = 256u << 10; bytes <= 256u << 20; bytes *= 32) {
		was = w.p;
		assert_true(was.brake_ns);
		for (unsigned i = 0; i < 20; i++)
			look(&w.p, 20, 1, bytes, bytes);
		assert_int_equal(w.p.brake_ns, was.brake_ns);
		assert_int_equal(w.p.free_ns, was.free_ns);
		assert_int_equal(w.p.step, was.step);
	}
	for (unsigned i = 0; i < 50; i++) /* and then the rest, as before them */
		look(&w.p, 20, 1, 2u << 20, 0);
	assert_int_equal(w.p.brake_ns, 0);
	assert_int_equal(w.p.free_ns, was.free_ns);
}

/* Nor does the copy learn its rate from one, but where there is nothing else. */
static void a_rate_is_not_learned_from_holes(void **state)
{
	uint64_t free_ns;

	learned(&w.p);
	free_ns = w.p.free_ns;
	world(500u << 20, 100000, 0);
	pace_init(&w.p, &(struct pace_guest){ SECOND, 1000, 1000 * MS }, 0);
	for (unsigned i = 0; i < 20; i++)
		look(&w.p, 100, 1, 200u << 20, 190u << 20);
	assert_int_equal(w.p.free_ns, 0);
	for (unsigned i = 0; i < 5; i++)
		look(&w.p, 100, 1, 10u << 20, 0);
	assert_int_equal(w.p.free_ns, free_ns);
	pace_init(&w.p, &(struct pace_guest){ SECOND, 1000, 1000 * MS }, 0);
	for (unsigned i = 0; i < 100; i++)
		look(&w.p, 100, 1, 200u << 20, 190u << 20);
	assert_int_equal(w.p.free_ns, free_ns);
}

/* Zeroing is work for the device, too: a guest that is slowed down by it is heard. */
static void holes_give_way(void **state)
{
	learned(&w.p);
	for (unsigned i = 0; i < 20; i++)
		look(&w.p, 20, 3, 8u << 20, 8u << 20);
	assert_true(w.p.brake_ns >= w.p.free_ns);
	assert_int_equal(w.p.step, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_at_half_of_the_rate),
		cmocka_unit_test(a_busy_guest_does_not_starve_the_copy),
		cmocka_unit_test(it_recovers_when_the_guest_stops),
		cmocka_unit_test(alone_and_with_a_limit),
		cmocka_unit_test(more_at_a_time_takes_two_good_looks),
		cmocka_unit_test(time_between_passes_is_no_rate),
		cmocka_unit_test(holes_say_nothing),
		cmocka_unit_test(a_rate_is_not_learned_from_holes),
		cmocka_unit_test(holes_give_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
