/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page batches out (ram_send.h). Per batch: gather up to batch_pages frames with
 * a reference each, sort them into raw and zero runs, one head, one list, then
 * the pages without a copy. The stream drops the references when the peer has
 * acknowledged the bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/gmem.h>
#include <tern/page.h>
#include <tern/timer.h>

#include "phase.h"
#include "source.h"

struct ram_sender {
	struct mig_job *j;
	unsigned batch_pages;
	uint64_t seq;
	/* The batch being built. */
	hpa_t *page;
	gfn_t *raw, *zero;
	unsigned nr_raw, nr_zero;
	uint8_t *body;
	uint64_t paced_ns; /* with a bandwidth limit: when the next batch may go */
};

struct ram_sender *ram_sender_new(struct mig_job *j, unsigned batch_pages)
{
	struct ram_sender *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->j = j;
	s->batch_pages = batch_pages;
	s->page = calloc(batch_pages, sizeof(*s->page));
	s->raw = calloc(batch_pages, sizeof(*s->raw));
	s->zero = calloc(batch_pages, sizeof(*s->zero));
	s->body = malloc(sizeof(struct wire_pages) + batch_pages * sizeof(wire_run));
	if (!s->page || !s->raw || !s->zero || !s->body) {
		ram_sender_free(s);
		return NULL;
	}
	return s;
}

void ram_sender_free(struct ram_sender *s)
{
	free(s->page);
	free(s->raw);
	free(s->zero);
	free(s->body);
	free(s);
}

/* Sorts one page into the batch. Absent frames read as zero. */
static void take_page(struct ram_sender *s, gfn_t n)
{
	hpa_t a;

	if (!gmem_frame(s->j->vm->mem, n, &a)) {
		s->zero[s->nr_zero++] = n;
	} else if (page_is_zero(hpa_ptr(a))) {
		page_put(a);
		s->zero[s->nr_zero++] = n;
	} else {
		s->page[s->nr_raw] = a;
		s->raw[s->nr_raw++] = n;
	}
}

/* Gathers members from *at on, advancing it; false when there are none left. */
static bool gather(struct ram_sender *s, const struct pageset *todo, gfn_t *at)
{
	gfn_t first;
	uint64_t count;

	s->nr_raw = s->nr_zero = 0;
	while (s->nr_raw + s->nr_zero < s->batch_pages &&
	       pageset_next_run(todo, *at, s->batch_pages - s->nr_raw - s->nr_zero, &first,
				&count)) {
		for (uint64_t i = 0; i < count; i++)
			take_page(s, first + i);
		*at = first + count;
	}
	return s->nr_raw + s->nr_zero > 0;
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

/* Room for one more unacknowledged batch: 0, -ECANCELED, or why the stream ended. */
static int wait_room(struct ram_sender *s)
{
	struct mig_job *j = s->j;
	unsigned long f = spin_lock(&j->lock);
	uint64_t deadline = time_ns() + LINK_TIMEOUT_NS;
	int err = 0;

	while (!err && !j->cancel && !j->link_error && s->seq - j->acked_seq >= BATCHES_OUT_MAX)
		err = job_wait_locked(j, &f, deadline);
	if (j->cancel)
		err = -ECANCELED;
	else if (j->link_error)
		err = j->link_error;
	spin_unlock(&j->lock, f);
	return err;
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

static void account(struct ram_sender *s, uint64_t bytes, struct mig_round *r)
{
	struct mig_job *j = s->j;
	unsigned long f;

	r->pages += s->nr_raw;
	r->zero_pages += s->nr_zero;
	r->bytes += bytes;
	f = spin_lock(&j->lock);
	j->batch_bytes[s->seq % BATCHES_OUT_MAX] = bytes;
	j->st.bytes_sent = j->peer.bytes_out;
	j->st.copied_bytes = j->peer.copied;
	j->st.pages_sent += s->nr_raw;
	j->st.zero_sent += s->nr_zero;
	spin_unlock(&j->lock, f);
}

/* The batch's references go over to the stream, whatever happens. */
static int send_batch(struct ram_sender *s, struct mig_round *r)
{
	struct wire_pages *h = (struct wire_pages *)s->body;
	wire_run *run = (wire_run *)(h + 1);
	size_t len;

	*h = (struct wire_pages){ .seq = ++s->seq, .raw_pages = s->nr_raw };
	h->raw_runs = make_runs(s->raw, s->nr_raw, run);
	h->zero_runs = make_runs(s->zero, s->nr_zero, run + h->raw_runs);
	len = sizeof(*h) + (h->raw_runs + h->zero_runs) * sizeof(*run);
	account(s, sizeof(struct wire_head) + len + s->nr_raw * PAGE_SIZE, r);
	return peer_send_pages(&s->j->peer, s->body, len, s->page, s->nr_raw);
}

static void sent(struct ram_sender *s, struct pageset *todo)
{
	for (unsigned i = 0; i < s->nr_raw; i++)
		pageset_clear(todo, s->raw[i]);
	for (unsigned i = 0; i < s->nr_zero; i++)
		pageset_clear(todo, s->zero[i]);
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
	pace_note(s, s->nr_raw * PAGE_SIZE);
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

int ram_send_drain(struct ram_sender *s, uint64_t deadline_ns)
{
	struct mig_job *j = s->j;
	unsigned long f = spin_lock(&j->lock);
	int err = 0;

	while (!err && !j->link_error && j->acked_seq < s->seq)
		err = job_wait_locked(j, &f, deadline_ns);
	if (j->link_error)
		err = j->link_error;
	spin_unlock(&j->lock, f);
	return err;
}

uint64_t ram_unacked_bytes(struct ram_sender *s)
{
	struct mig_job *j = s->j;
	unsigned long f = spin_lock(&j->lock);
	uint64_t bytes = 0;

	for (uint64_t i = j->acked_seq + 1; i <= s->seq; i++)
		bytes += j->batch_bytes[i % BATCHES_OUT_MAX];
	spin_unlock(&j->lock, f);
	return bytes;
}
