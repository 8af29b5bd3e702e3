/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link that is slow is not one that is dead: a batch of pages that is longer under way than
 * a silence may last arrives, its reader is heard of meanwhile, and its writer waits; a peer that
 * trickles ends both. The stream is a fake with a rate, on a clock of the test's own.
 * // SOURCES: mig/ram_recv.c mig/peer.c mig/wire.c mig/delta.c kernel/lib/pageset.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mig/phase.h"
#include "mig/ram_recv.h"

#define PAGES 512u
#define FIRST 16u
#define MBIT 125000u /* bytes a second */
#define FLOOR (LINK_PIECE / 10)

static struct {
	uint64_t now_ns, heard_ns, silence_ns; /* the longest since the reader was heard of */
	uint64_t rate;			       /* bytes a second, both ways */
	uint64_t read, written;		       /* bytes */
	unsigned alive, pages_put;
	bool deaf;		   /* what is said does not get away */
	uint64_t room_ns, stop_ns; /* when there is room; when the writer gives up */
	bool has_room;
} net;
static uint8_t memory[PAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned stride; /* between two frames' places in memory */

uint64_t time_ns(void)
{
	return net.now_ns;
}

static int pass(size_t len, uint64_t deadline_ns)
{
	uint64_t ns = net.has_room ? 0 : len * NSEC_PER_SEC / net.rate;

	net.has_room = false;
	if (net.now_ns + ns > deadline_ns) {
		net.now_ns = deadline_ns;
		return -ETIMEDOUT;
	}
	net.now_ns += ns;
	return 0;
}

/* The bytes count on, so that a page says where it was in the stream. */
int stream_read_all(struct stream *s, void *buf, size_t len, uint64_t deadline_ns)
{
	uint8_t *to = buf;

	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)((net.read + i) >> PAGE_SHIFT);
	net.read += len;
	return pass(len, deadline_ns);
}

int stream_write(struct stream *s, const void *buf, size_t len, uint64_t deadline_ns)
{
	net.written += len;
	return pass(len, deadline_ns);
}

int stream_write_pages(struct stream *s, const hpa_t *pages, unsigned count, uint64_t deadline_ns)
{
	net.written += count * PAGE_SIZE;
	return pass(count * PAGE_SIZE, deadline_ns);
}

/* The link's rate is that at which there is room. */
int stream_await_room(struct stream *s, unsigned pages, uint64_t deadline_ns)
{
	if (!net.room_ns)
		net.room_ns = net.now_ns + (pages - 2) * PAGE_SIZE * NSEC_PER_SEC / net.rate;
	net.has_room = net.room_ns <= deadline_ns;
	net.now_ns = MIN(net.room_ns, deadline_ns);
	if (!net.has_room)
		return -ETIMEDOUT;
	net.room_ns = 0;
	return 0;
}

void stream_flush(struct stream *s)
{
}

void page_put(hpa_t block)
{
	net.pages_put++;
}

int gmem_receive(struct gmem *g, gfn_t n, hpa_t *out)
{
	*out = ptr_hpa(memory + (n - FIRST) * stride % PAGES * PAGE_SIZE);
	return 0;
}

int gmem_receive_zero(struct gmem *g, gfn_t n)
{
	return 0;
}

bool gmem_frame(struct gmem *g, gfn_t n, hpa_t *out)
{
	return false;
}

static int alive(void *arg)
{
	net.silence_ns = MAX(net.silence_ns, net.now_ns - net.heard_ns);
	net.heard_ns = net.now_ns;
	net.alive++;
	return net.deaf ? -ECONNRESET : 0;
}

static struct peer start(uint64_t rate)
{
	struct peer p;

	memset(&net, 0, sizeof(net));
	net.rate = rate;
	net.now_ns = net.heard_ns = 1000 * NSEC_PER_SEC;
	stride = 1;
	peer_init(&p, NULL, true);
	peer_while_slow(&p, alive, NULL);
	p.said_ns = net.now_ns; /* the head has come just now */
	return p;
}

static int receive(struct peer *p)
{
	struct {
		struct wire_pages b;
		wire_run run[1];
	} m = { { .seq = 1, .raw_runs = 1, .raw_pages = PAGES }, { wire_run_make(FIRST, PAGES) } };
	int err = ram_recv_batch(p, NULL, &m.b, NULL);

	net.silence_ns = MAX(net.silence_ns, net.now_ns - net.heard_ns); /* then ACK is said */
	return err;
}

static void assert_arrived(void)
{
	assert_int_equal(net.read, sizeof(memory));
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(memory[i * stride % PAGES * PAGE_SIZE + 5], i & 0xff);
}

static void test_slow_batch_arrives(void **state)
{
	struct peer p = start(MBIT);

	assert_int_equal(receive(&p), 0);
	assert_arrived();
	assert_true(net.now_ns - 1000 * NSEC_PER_SEC > LINK_TIMEOUT_NS);
	assert_true(net.silence_ns < 2 * ALIVE_EVERY_NS);
	assert_in_range(net.alive, 8, sizeof(memory) / MBIT);
}

/* Each frame for itself: neither its own deadline nor its own silence. */
static void test_scattered_frames(void **state)
{
	struct peer p = start(MBIT);

	stride = 3;
	assert_int_equal(receive(&p), 0);
	assert_arrived();
	assert_true(net.silence_ns < 2 * ALIVE_EVERY_NS);

	p = start(FLOOR / 2);
	stride = 3;
	assert_int_equal(receive(&p), -ETIMEDOUT);
	assert_int_equal(net.now_ns - 1000 * NSEC_PER_SEC, LINK_TIMEOUT_NS);
}

static void test_quick_batch_is_no_talk(void **state)
{
	struct peer p = start(1000 * MBIT);

	assert_int_equal(receive(&p), 0);
	assert_arrived();
	assert_int_equal(net.alive, 0);
}

static void test_a_trickle_ends(void **state)
{
	struct peer p = start(1);

	assert_int_equal(receive(&p), -ETIMEDOUT);
	assert_int_equal(net.now_ns - 1000 * NSEC_PER_SEC, LINK_TIMEOUT_NS);
	p = start(FLOOR + 1);
	assert_int_equal(receive(&p), 0);
	assert_true(net.silence_ns < LINK_TIMEOUT_NS);
}

static void test_a_lost_answer_ends(void **state)
{
	struct peer p = start(MBIT);

	net.deaf = true;
	assert_int_equal(receive(&p), -ECONNRESET);
	assert_int_equal(net.alive, 1);
}

static int send(uint64_t rate)
{
	static hpa_t page[PAGES];
	struct wire_pages b = { .seq = 1, .raw_pages = PAGES };
	struct peer p = start(rate);

	return peer_send_pages(&p, WIRE_PAGES, &b, sizeof(b), page, PAGES);
}

static void test_slow_writes(void **state)
{
	static uint8_t body[WIRE_STATE_MAX];
	struct peer p;

	assert_int_equal(send(MBIT), 0);
	assert_int_equal(net.written,
			 sizeof(struct wire_head) + sizeof(struct wire_pages) + PAGES * PAGE_SIZE);
	assert_int_equal(net.pages_put, PAGES);
	assert_int_equal(send(FLOOR / 2), -ETIMEDOUT);
	assert_int_equal(net.pages_put, PAGES);

	p = start(MBIT);
	assert_int_equal(peer_send(&p, WIRE_STATE, body, sizeof(body)), 0);
	assert_int_equal(p.bytes_out, sizeof(struct wire_head) + sizeof(body));
}

static int stops(void *arg)
{
	return net.now_ns >= net.stop_ns ? -ECANCELED : 0;
}

static int send_until(struct peer *p, uint64_t rate, uint64_t ns)
{
	static hpa_t page[PAGES];
	struct wire_pages b = { .seq = 1, .raw_pages = PAGES };

	*p = start(rate);
	peer_gives_up(p, stops, NULL);
	net.stop_ns = ns == NEVER_NS ? ns : net.now_ns + ns;
	return peer_send_pages(p, WIRE_PAGES, &b, sizeof(b), page, PAGES);
}

/* A cancel in the middle of what takes long is seen, and nothing follows the torn message. */
static void test_the_writer_gives_up(void **state)
{
	static const uint64_t rates[] = { 8 * MBIT, MBIT, FLOOR + 1 };
	uint64_t written;
	struct peer p;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(send_until(&p, rates[i], NSEC_PER_SEC / 3), -ECANCELED);
		assert_true(net.now_ns - net.stop_ns <= NSEC_PER_SEC / 10);
		assert_int_equal(net.pages_put, PAGES);
		written = net.written;
		assert_true(written < sizeof(memory));
		peer_send_text(&p, WIRE_ABORT, "canceled", "");
		assert_int_equal(net.written, written);
	}
	assert_int_equal(send_until(&p, MBIT, 0), -ECANCELED); /* nothing of it was said */
	assert_int_equal(net.pages_put, PAGES);
	assert_int_equal(net.written, 0);
	peer_send_text(&p, WIRE_ABORT, "canceled", "");
	assert_int_equal(net.written, sizeof(struct wire_head) + sizeof(struct wire_text));

	assert_int_equal(send_until(&p, MBIT, NEVER_NS), 0);
	assert_true(net.written > sizeof(memory));
	assert_int_equal(send_until(&p, FLOOR / 2, NEVER_NS), -ETIMEDOUT);
	assert_true(net.now_ns - 1000 * NSEC_PER_SEC <= 2 * LINK_TIMEOUT_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_batch_arrives),
		cmocka_unit_test(test_scattered_frames),
		cmocka_unit_test(test_quick_batch_is_no_talk),
		cmocka_unit_test(test_a_trickle_ends),
		cmocka_unit_test(test_a_lost_answer_ends),
		cmocka_unit_test(test_slow_writes),
		cmocka_unit_test(test_the_writer_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
