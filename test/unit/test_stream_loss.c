/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a stream does about lost segments, call by call: lwIP's part is played by the test,
 * which hands over connections in the states that lwIP leaves them in. How streams fare on a
 * whole path is in test_slow_path.c.
 */
// SOURCES: net/stream_loss.c
// LIBS: lwip
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "net/stream_int.h"

#define SEGMENTS 6u
#define SEG_BYTES 60000u
#define FIRST_SEQ 1000u
#define FRAME 1460u

struct net_stats net_counters;
void *lwip_port_heap;
const char _ctype_[257];

static uint64_t now_ms;
static struct stream stream;
static struct tcp_pcb pcb;
static struct tcp_seg seg[SEGMENTS];
static struct tcp_hdr hdr[SEGMENTS];
static struct pbuf buf[SEGMENTS];

uint64_t time_ns(void)
{
	return now_ms * NSEC_PER_MSEC;
}

uint32_t sys_now(void)
{
	return (uint32_t)now_ms;
}

uint32_t lwip_port_rand(void)
{
	return 1;
}

signed char lwip_port_hear(struct tcp_pcb *p)
{
	return ERR_OK;
}

static uint32_t seq_of(unsigned i)
{
	return FIRST_SEQ + i * SEG_BYTES;
}

/* Something of the connection goes to the card. */
static void goes_out(uint32_t seq, uint32_t len)
{
	struct tcp_hdr h = { .seqno = lwip_htonl(seq) };

	stream_note_send(&pcb.netif_hints, (const uint8_t *)&h, len);
}

/* All segments are under way for the first time. */
static int set_up(void **state)
{
	memset(&stream, 0, sizeof(stream));
	memset(&pcb, 0, sizeof(pcb));
	memset(&net_counters, 0, sizeof(net_counters));
	stream.pcb = &pcb;
	pcb.callback_arg = &stream;
	pcb.mss = TCP_MSS;
	pcb.snd_buf = 1;
	pcb.lastack = FIRST_SEQ;
	for (unsigned i = 0; i < SEGMENTS; i++) {
		hdr[i].seqno = lwip_htonl(seq_of(i));
		buf[i].ref = 1;
		seg[i] = (struct tcp_seg){ .p = &buf[i], .len = SEG_BYTES, .tcphdr = &hdr[i] };
		seg[i].next = i + 1 < SEGMENTS ? &seg[i + 1] : NULL;
	}
	pcb.unacked = &seg[0];
	return 0;
}

static void all_go_out(void)
{
	for (unsigned i = 0; i < SEGMENTS; i++)
		goes_out(seq_of(i), SEG_BYTES);
}

/* An ACK up to the second frame of segment I; lwIP tells of each 64 KiB of whole segments. */
static void acked_into(unsigned i)
{
	pcb.unacked = &seg[i];
	pcb.lastack = seq_of(i) + FRAME;
	for (unsigned n = 0; n < i; n++)
		stream_acked(&stream);
}

static void test_a_partial_ack_sends_one_segment(void **state)
{
	all_go_out();
	goes_out(seq_of(0), SEG_BYTES);
	acked_into(3);
	assert_ptr_equal(pcb.unsent, &seg[3]);
	assert_null(pcb.unsent->next);
	assert_ptr_equal(pcb.unacked, &seg[4]);
}

/* A third ACK that says nothing new: whether lwIP will take it for a loss. */
static bool counts_as_loss(void)
{
	pcb.dupacks = 2;
	stream_hear_ack(&stream);
	return pcb.dupacks == 2;
}

static void test_a_loss_after_a_recovery_is_heard(void **state)
{
	uint32_t more = seq_of(SEGMENTS);

	all_go_out();
	goes_out(seq_of(0), SEG_BYTES);
	assert_false(counts_as_loss());
	goes_out(more, SEG_BYTES);
	pcb.lastack = more + FRAME;
	assert_true(counts_as_loss());
	goes_out(more, SEG_BYTES);
	assert_false(counts_as_loss());
}

static void test_a_probe_of_a_shut_window_is_no_segment(void **state)
{
	pcb.persist_backoff = 1;
	goes_out(FIRST_SEQ, 1);
	now_ms += 10000;
	pcb.persist_backoff = 0;
	goes_out(FIRST_SEQ, SEG_BYTES);
	assert_int_equal(net_counters.tcp_rexmit, 0);
	now_ms += 50;
	pcb.lastack = seq_of(1);
	stream_acked(&stream);
	assert_int_equal(stream.rtt_ns, 50 * NSEC_PER_MSEC);
	assert_true(pcb.rto < 10);
}

static void test_what_goes_again_waits_for_no_cork(void **state)
{
	seg[1].len = 100;
	all_go_out();
	goes_out(seq_of(0), SEG_BYTES);
	acked_into(1);
	assert_ptr_equal(pcb.unsent, &seg[1]);
	assert_true(tcp_do_output_nagle(&pcb) || (pcb.flags & TF_NAGLEMEMERR));
}

static void test_a_lengthened_segment_is_recovered_whole(void **state)
{
	goes_out(FIRST_SEQ, FRAME);
	goes_out(FIRST_SEQ, SEG_BYTES);
	pcb.lastack = FIRST_SEQ + 2 * FRAME;
	assert_true(counts_as_loss());
	goes_out(FIRST_SEQ, SEG_BYTES);
	pcb.lastack = FIRST_SEQ + 3 * FRAME;
	assert_false(counts_as_loss());
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_partial_ack_sends_one_segment, set_up),
		cmocka_unit_test_setup(test_a_loss_after_a_recovery_is_heard, set_up),
		cmocka_unit_test_setup(test_a_probe_of_a_shut_window_is_no_segment, set_up),
		cmocka_unit_test_setup(test_what_goes_again_waits_for_no_cork, set_up),
		cmocka_unit_test_setup(test_a_lengthened_segment_is_recovered_whole, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
