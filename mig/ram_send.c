/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page batches out (ram_send.h). Per batch: gather up to batch_pages frames with
 * a reference each, sort them into raw, zero and changed ones; the first two
 * make a PAGES message, one head, one list, then the pages without a further
 * copy; the last a DELTA. The stream drops the references when the peer has
 * acknowledged the bytes.
 *
 * Every page is taken by take_page, so a base is what was sent last: the page
 * goes as its delta, or the base is made anew or dropped. A delta that was made
 * and then not sent would break that; after such an error nothing more is sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/gmem.h>
#include <tern/page.h>
#include <tern/timer.h>

#include "bases.h"
#include "delta.h"
#include "phase.h"
#include "source.h"

/* A page's delta is expected to be this long and to take this time until some were made. */
#define DELTA_BYTES_START (DELTA_ENTRY_MAX / 2)
#define DELTA_NS_START (5 * NSEC_PER_USEC)
/* Deltas of which so many were tried, and fewer than one in so many made, are given up. */
#define TRIED_MIN 1024u
#define MADE_SHARE 4u

struct ram_sender {
	struct mig_job *j;
	unsigned batch_pages;
	uint64_t most_bytes; /* of a batch: it ends when it has them */
	/* The batch being built. */
	hpa_t *page;
	gfn_t *raw, *zero, *changed;
	unsigned nr_raw, nr_zero, nr_changed;
	uint8_t *body;
	uint8_t *delta; /* a DELTA body, NULL without bases */
	size_t delta_len;
	struct bases bases;
	const struct order *order;
	enum ram_keep keep;
	uint64_t tried, made, made_bytes; /* deltas */
	uint64_t timed, timed_ns; /* of batches of nothing but deltas: pages, time to make */
	uint64_t paced_ns;	  /* with a bandwidth limit: when the next batch may go */
};

struct ram_sender *ram_sender_new(struct mig_job *j, unsigned batch_pages)
{
	struct ram_sender *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->j = j;
	s->batch_pages = batch_pages;
	s->most_bytes = UINT64_MAX;
	s->page = calloc(batch_pages, sizeof(*s->page));
	s->raw = calloc(batch_pages, sizeof(*s->raw));
	s->zero = calloc(batch_pages, sizeof(*s->zero));
	s->changed = calloc(batch_pages, sizeof(*s->changed));
	s->body = malloc(sizeof(struct wire_pages) + batch_pages * sizeof(wire_run));
	if (!s->page || !s->raw || !s->zero || !s->changed || !s->body) {
		ram_sender_free(s);
		return NULL;
	}
	return s;
}

void ram_sender_free(struct ram_sender *s)
{
	bases_fini(&s->bases);
	free(s->page);
	free(s->raw);
	free(s->zero);
	free(s->changed);
	free(s->body);
	free(s->delta);
	free(s);
}

void ram_sender_bases(struct ram_sender *s, struct order *order)
{
	s->order = order;
	if (s->j->version < WIRE_VERSION_DELTA ||
	    bases_init(&s->bases, gmem_max_gfn(s->j->vm->mem)))
		return;
	s->delta = malloc(WIRE_DELTA_MAX);
	if (s->delta)
		order->based = &s->bases.have;
	else
		bases_fini(&s->bases);
}

void ram_send_keep(struct ram_sender *s, enum ram_keep keep)
{
	bool useless = s->tried >= TRIED_MIN && s->made * MADE_SHARE < s->tried;

	s->keep = useless || !s->delta ? KEEP_NONE : keep;
}

void ram_send_most(struct ram_sender *s, uint64_t bytes)
{
	s->most_bytes = bytes;
}

uint64_t ram_delta_bytes(const struct ram_sender *s, uint64_t pages)
{
	return s->made ? mul_div64(pages, s->made_bytes, s->made) : pages * DELTA_BYTES_START;
}

uint64_t ram_delta_ns(const struct ram_sender *s, uint64_t pages)
{
	return s->timed ? mul_div64(pages, s->timed_ns, s->timed) : pages * DELTA_NS_START;
}

/* The page as what changed in it; false when it must go in another way. */
static bool take_changed(struct ram_sender *s, gfn_t n, const void *live)
{
	void *base = bases_write(&s->bases, n);
	size_t len;

	if (!base)
		return false;
	s->tried++;
	len = delta_encode(n, live, base, s->delta + s->delta_len);
	if (!len) {
		bases_give_up(&s->bases, n);
		return false;
	}
	s->made++;
	s->made_bytes += len;
	s->delta_len += len;
	s->changed[s->nr_changed++] = n;
	return true;
}

/* Keeps what is sent, if it is to be kept and there is room: false leaves *out alone. */
static bool keep(struct ram_sender *s, gfn_t n, const void *live, hpa_t *out)
{
	bool written = s->keep != KEEP_NONE && order_was_written(s->order, n);

	return (written || s->keep == KEEP_ALL) && bases_make(&s->bases, n, live, written, out);
}

static void take_raw(struct ram_sender *s, gfn_t n, hpa_t frame)
{
	hpa_t *out = &s->page[s->nr_raw];

	s->raw[s->nr_raw++] = n;
	*out = frame;
	if (keep(s, n, hpa_ptr(frame), out))
		page_put(frame);
	else
		bases_drop(&s->bases, n);
}

/* Sorts one page into the batch. Absent frames read as zero. */
static void take_page(struct ram_sender *s, gfn_t n)
{
	hpa_t a;

	if (!gmem_frame(s->j->vm->mem, n, &a)) {
		bases_drop(&s->bases, n); /* given back since it was sent */
		s->zero[s->nr_zero++] = n;
	} else if (take_changed(s, n, hpa_ptr(a))) {
		page_put(a);
	} else if (page_is_zero(hpa_ptr(a))) {
		page_put(a);
		bases_drop(&s->bases, n);
		s->zero[s->nr_zero++] = n;
	} else {
		take_raw(s, n, a);
	}
}

static unsigned gathered(const struct ram_sender *s)
{
	return s->nr_raw + s->nr_zero + s->nr_changed;
}

static bool full(const struct ram_sender *s)
{
	return gathered(s) == s->batch_pages ||
	       s->nr_raw * PAGE_SIZE + s->delta_len >= s->most_bytes ||
	       (s->delta && s->delta_len + DELTA_ENTRY_MAX > WIRE_DELTA_MAX);
}

/* Gathers members from *at on, advancing it; false when there are none left. */
static bool gather(struct ram_sender *s, const struct pageset *todo, gfn_t *at)
{
	uint64_t start = time_ns(), count;
	gfn_t first;

	s->nr_raw = s->nr_zero = s->nr_changed = 0;
	s->delta_len = sizeof(struct wire_delta);
	while (!full(s) && pageset_next_run(todo, *at, s->batch_pages, &first, &count)) {
		for (*at = first; *at < first + count && !full(s); ++*at)
			take_page(s, *at);
	}
	if (s->nr_changed && s->nr_changed == gathered(s)) {
		s->timed += s->nr_changed;
		s->timed_ns += time_ns() - start;
	}
	return gathered(s) > 0;
}

/* Frame numbers to runs; returns how many. */
static uint32_t make_runs(const gfn_t *gfn, unsigned count, wire_run *run)
{
	uint32_t runs = 0;

	for (unsigned i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && n < WIRE_RUN_PAGES && gfn[i + n] == gfn[i] + n; n++)
			;
		run[runs++] = wire_run_make(gfn[i], n);
	}
	return runs;
}

static bool has_room(const void *arg)
{
	const struct mig_job *j = arg;

	return !j->cancel && !j->link_error && acks_out(&j->acks) < BATCHES_OUT_MAX - 1;
}

/* Room for two more unacknowledged messages, which is a batch at most: 0, -ECANCELED, or why the
 * stream ended. The next acknowledgement may be that of a batch whose every piece is slow. */
static int wait_room(struct ram_sender *s)
{
	uint64_t pieces = 1 + s->batch_pages * PAGE_SIZE / LINK_PIECE;

	return source_until(s->j, has_room, s->j, time_ns() + pieces * LINK_TIMEOUT_NS);
}

/* Keeps to --bw by waiting until the bytes sent so far were due; that may be long. */
static int pace(struct ram_sender *s)
{
	return s->paced_ns > time_ns() ? source_pause(s->j, s->paced_ns) : 0;
}

static void pace_note(struct ram_sender *s, uint64_t bytes)
{
	if (s->j->req.bw_mbit)
		s->paced_ns = MAX(s->paced_ns, time_ns()) + bytes * 8000 / s->j->req.bw_mbit;
}

/* Numbers the batch, and counts its bytes for acknowledgements. */
static uint64_t number(struct ram_sender *s, uint64_t bytes, struct mig_round *r)
{
	unsigned long f = spin_lock(&s->j->lock);
	uint64_t seq = acks_sent(&s->j->acks, bytes);

	spin_unlock(&s->j->lock, f);
	r->bytes += bytes;
	return seq;
}

static void account(struct ram_sender *s, struct mig_round *r)
{
	struct mig_status *st = &s->j->st;
	unsigned long f;

	r->pages += s->nr_raw;
	r->zero_pages += s->nr_zero;
	r->delta_pages += s->nr_changed;
	f = spin_lock(&s->j->lock);
	st->bytes_sent = s->j->peer.bytes_out;
	st->copied_bytes = s->j->peer.copied + s->bases.copied_bytes;
	st->pages_sent += s->nr_raw;
	st->zero_sent += s->nr_zero;
	st->delta_pages = s->made;
	st->delta_bytes = s->made_bytes;
	st->base_pages = MAX(st->base_pages, s->bases.count);
	spin_unlock(&s->j->lock, f);
}

/* The references go over to the stream, whatever happens. */
static int send_pages(struct ram_sender *s, struct mig_round *r)
{
	struct wire_pages *h = (struct wire_pages *)s->body;
	wire_run *run = (wire_run *)(h + 1);
	size_t len;

	*h = (struct wire_pages){ .raw_pages = s->nr_raw };
	h->raw_runs = make_runs(s->raw, s->nr_raw, run);
	h->zero_runs = make_runs(s->zero, s->nr_zero, run + h->raw_runs);
	len = sizeof(*h) + (h->raw_runs + h->zero_runs) * sizeof(*run);
	h->seq = number(s, sizeof(struct wire_head) + len + s->nr_raw * PAGE_SIZE, r);
	return peer_send_pages(&s->j->peer, WIRE_PAGES, s->body, len, s->page, s->nr_raw);
}

static int send_delta(struct ram_sender *s, struct mig_round *r)
{
	struct wire_delta *h = (struct wire_delta *)s->delta;

	*h = (struct wire_delta){ .pages = s->nr_changed };
	h->seq = number(s, sizeof(struct wire_head) + s->delta_len, r);
	return peer_send(&s->j->peer, WIRE_DELTA, s->delta, s->delta_len);
}

static int send_batch(struct ram_sender *s, struct mig_round *r)
{
	int err = s->nr_raw + s->nr_zero ? send_pages(s, r) : 0;

	if (!err && s->nr_changed)
		err = send_delta(s, r);
	account(s, r);
	return err;
}

static void sent(struct ram_sender *s, struct pageset *todo)
{
	for (unsigned i = 0; i < s->nr_raw; i++)
		pageset_clear(todo, s->raw[i]);
	for (unsigned i = 0; i < s->nr_zero; i++)
		pageset_clear(todo, s->zero[i]);
	for (unsigned i = 0; i < s->nr_changed; i++)
		pageset_clear(todo, s->changed[i]);
}

int ram_send_batch(struct ram_sender *s, struct pageset *todo, gfn_t *at, struct mig_round *r)
{
	int err = pace(s);

	if (!err)
		err = wait_room(s);
	if (err)
		return err;
	if (!gather(s, todo, at))
		return 0;
	pace_note(s, s->nr_raw * PAGE_SIZE + s->delta_len);
	err = send_batch(s, r);
	if (err)
		return err;
	sent(s, todo);
	if (world_should_yield())
		world_yield();
	return 1;
}

int ram_send_set(struct ram_sender *s, struct pageset *todo, struct mig_round *r)
{
	gfn_t at = 0;
	int more;

	do {
		more = ram_send_batch(s, todo, &at, r);
	} while (more > 0);
	return more;
}

uint64_t ram_unacked_bytes(struct ram_sender *s)
{
	unsigned long f = spin_lock(&s->j->lock);
	uint64_t bytes = acks_out_bytes(&s->j->acks);

	spin_unlock(&s->j->lock, f);
	return bytes;
}
