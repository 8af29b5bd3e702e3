/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acceptance of what a peer sends. One row a message: who may send it, how
 * large its body may be. Pure code; test/fuzz/fuzz_wire.c feeds it.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "wire.h"

#define BY_SOURCE 1u
#define BY_DEST 2u
#define BLOCKS_BYTES_3 offsetof(struct wire_blocks, flags) /* before WIRE_VERSION_CHECKS */

static const struct {
	uint8_t by;
	uint32_t min, max; /* body bytes */
} rules[WIRE_TYPES] = {
	[WIRE_HELLO] = { BY_SOURCE | BY_DEST, sizeof(struct wire_hello),
			 sizeof(struct wire_hello) },
	[WIRE_OFFER] = { BY_SOURCE, 32, 1u << 20 },
	[WIRE_ACCEPT] = { BY_DEST, 0, sizeof(struct wire_accept) },
	[WIRE_REFUSE] = { BY_DEST, sizeof(struct wire_text), sizeof(struct wire_text) },
	[WIRE_CLOCK] = { BY_SOURCE, sizeof(struct wire_clock), sizeof(struct wire_clock) },
	[WIRE_CLOCK_REPLY] = { BY_DEST, sizeof(struct wire_clock), sizeof(struct wire_clock) },
	[WIRE_SKELETON] = { BY_SOURCE, 0, 0 },
	[WIRE_SKELETON_DONE] = { BY_DEST, 0, 0 },
	[WIRE_PAGES] = { BY_SOURCE, sizeof(struct wire_pages),
			 sizeof(struct wire_pages) + WIRE_RUNS_MAX * sizeof(wire_run) },
	[WIRE_ACK] = { BY_DEST, sizeof(struct wire_ack), sizeof(struct wire_ack) },
	[WIRE_REMAIN] = { BY_SOURCE, sizeof(struct wire_remain), WIRE_REMAIN_MAX },
	[WIRE_STATE] = { BY_SOURCE, sizeof(struct rec_header), WIRE_STATE_MAX },
	[WIRE_END] = { BY_SOURCE, sizeof(struct wire_end), sizeof(struct wire_end) },
	[WIRE_READY] = { BY_DEST, 0, 0 },
	[WIRE_GO] = { BY_SOURCE, 0, 0 },
	[WIRE_RUNNING] = { BY_DEST, sizeof(struct wire_running), sizeof(struct wire_running) },
	[WIRE_ABORT] = { BY_SOURCE | BY_DEST, sizeof(struct wire_text), sizeof(struct wire_text) },
	[WIRE_ALIVE] = { BY_SOURCE | BY_DEST, 0, 0 },
	[WIRE_SETTLE] = { BY_SOURCE, sizeof(struct wire_settle), sizeof(struct wire_settle) },
	[WIRE_QUERY] = { BY_SOURCE, 0, 0 },
	[WIRE_HOST] = { BY_DEST, 2 * sizeof(struct rec_header), WIRE_HOST_MAX },
	[WIRE_DISKS] = { BY_SOURCE, 0, 0 },
	[WIRE_DISKS_OK] = { BY_DEST, sizeof(struct wire_disks), sizeof(struct wire_disks) },
	[WIRE_BLOCKS] = { BY_SOURCE, BLOCKS_BYTES_3, sizeof(struct wire_blocks) },
	[WIRE_BLOCKS_DONE] = { BY_DEST, sizeof(struct wire_blocks_done),
			       sizeof(struct wire_blocks_done) },
	[WIRE_CLOSED] = { BY_SOURCE, 0, 0 },
	[WIRE_VERDICT] = { BY_DEST, sizeof(struct wire_verdict), sizeof(struct wire_verdict) },
	[WIRE_DELTA] = { BY_SOURCE, sizeof(struct wire_delta) + sizeof(uint64_t), WIRE_DELTA_MAX },
};

static uint32_t payload_max(uint16_t type)
{
	return type == WIRE_PAGES    ? WIRE_BATCH_MAX * PAGE_SIZE
	       : type == WIRE_BLOCKS ? WIRE_BLOCKS_MAX
				     : 0;
}

int wire_head_check(const struct wire_head *h, bool from_source)
{
	if (h->magic != WIRE_MAGIC || h->flags || h->type >= WIRE_TYPES)
		return -EBADMSG;
	if (!(rules[h->type].by & (from_source ? BY_SOURCE : BY_DEST)))
		return -EBADMSG;
	if (h->length < rules[h->type].min || h->length > rules[h->type].max)
		return -EBADMSG;
	return h->payload % PAGE_SIZE || h->payload > payload_max(h->type) ? -EBADMSG : 0;
}

size_t wire_body_max(void)
{
	size_t max = 0;

	for (unsigned t = 0; t < WIRE_TYPES; t++)
		max = MAX(max, rules[t].max);
	return max;
}

size_t wire_blocks_bytes(uint16_t version)
{
	return version < WIRE_VERSION_CHECKS ? BLOCKS_BYTES_3 : sizeof(struct wire_blocks);
}

static uint32_t last_op(uint16_t version)
{
	return version < WIRE_VERSION_CHECKS   ? BLOCKS_FLUSH
	       : version < WIRE_VERSION_CHAINS ? BLOCKS_CHECK
					       : BLOCKS_SNAPSHOT;
}

int wire_blocks_read(const void *body, size_t len, uint16_t version, struct wire_blocks *out)
{
	memset(out, 0, sizeof(*out));
	if (len != wire_blocks_bytes(version))
		return -EBADMSG;
	memcpy(out, body, len);
	return out->op > last_op(version) ? -EBADMSG : 0;
}

/* What goes with which op, but for the range. */
static bool blocks_fit_op(const struct wire_blocks *b, uint32_t payload)
{
	uint64_t bytes = b->op == BLOCKS_WRITE ? b->bytes : 0;

	return b->op >= BLOCKS_WRITE && b->op <= BLOCKS_SNAPSHOT && bytes <= WIRE_BLOCKS_MAX &&
	       payload == ((bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)) &&
	       !(b->flags & ~(b->op == BLOCKS_ZEROES ? BLOCKS_UNMAP : 0)) &&
	       (b->op == BLOCKS_CHECK ? b->bytes <= WIRE_BLOCKS_MAX : !b->sum);
}

int wire_blocks_check(const struct wire_blocks *b, uint32_t payload)
{
	if (!blocks_fit_op(b, payload))
		return -EBADMSG;
	if (b->op == BLOCKS_FLUSH)
		return b->disk || b->offset || b->bytes ? -EBADMSG : 0;
	if (b->op == BLOCKS_SNAPSHOT)
		return b->offset || b->bytes ? -EBADMSG : 0;
	if (!b->bytes || b->bytes % WIRE_SECTOR || b->offset % WIRE_SECTOR)
		return -EBADMSG;
	return b->offset > UINT64_MAX - b->bytes ? -EBADMSG : 0;
}

/* Sum of the runs' pages, each inside [0, max_gfn); UINT64_MAX when one is not. */
static uint64_t runs_pages(const wire_run *run, uint32_t count, uint64_t max_gfn)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t n = wire_run_count(run[i]);

		if (wire_run_first(run[i]) >= max_gfn || n > max_gfn - wire_run_first(run[i]))
			return UINT64_MAX;
		pages += n;
	}
	return pages;
}

int wire_pages_check(const void *body, size_t len, uint32_t payload, uint64_t max_gfn)
{
	const struct wire_pages *p = body;
	const wire_run *run = (const wire_run *)(p + 1);
	uint64_t raw, zero;

	if (len < sizeof(*p) || p->reserved || p->raw_runs > WIRE_RUNS_MAX ||
	    p->zero_runs > WIRE_RUNS_MAX)
		return -EBADMSG;
	if (len != sizeof(*p) + ((size_t)p->raw_runs + p->zero_runs) * sizeof(*run))
		return -EBADMSG;
	raw = runs_pages(run, p->raw_runs, max_gfn);
	zero = runs_pages(run + p->raw_runs, p->zero_runs, max_gfn);
	if (raw > WIRE_BATCH_MAX || zero > WIRE_BATCH_MAX)
		return -EBADMSG;
	return raw != p->raw_pages || raw * PAGE_SIZE != payload ? -EBADMSG : 0;
}

int wire_remain_check(const void *body, size_t len, uint64_t max_gfn)
{
	const struct wire_remain *r = body;
	uint64_t pages;

	if (len < sizeof(*r) || r->reserved ||
	    r->runs > (WIRE_REMAIN_MAX - sizeof(*r)) / sizeof(wire_run) ||
	    len != sizeof(*r) + (size_t)r->runs * sizeof(wire_run))
		return -EBADMSG;
	pages = runs_pages((const wire_run *)(r + 1), r->runs, max_gfn);
	return pages == UINT64_MAX || pages != r->pages ? -EBADMSG : 0;
}

int wire_text_check(const struct wire_text *t)
{
	if (!memchr(t->code, 0, sizeof(t->code)) || !memchr(t->text, 0, sizeof(t->text)))
		return -EBADMSG;
	for (const char *p = t->code; *p; p++)
		if (*p < ' ' || *p > '~')
			return -EBADMSG;
	for (const char *p = t->text; *p; p++)
		if (*p < ' ' || *p > '~')
			return -EBADMSG;
	return 0;
}

int wire_accept_check(size_t len, uint16_t version)
{
	size_t want = version < WIRE_VERSION_DISKS ? 0 : sizeof(struct wire_accept);

	return len == want ? 0 : -EBADMSG;
}

int wire_hello_check(const struct wire_hello *h)
{
	return h->reserved || h->version_min > h->version || !memchr(h->host, 0, sizeof(h->host))
		       ? -EBADMSG
		       : 0;
}

uint16_t wire_version_with(const struct wire_hello *h)
{
	uint16_t common = MIN(h->version, (uint16_t)WIRE_VERSION);

	return common >= WIRE_VERSION_MIN && common >= h->version_min ? common : 0;
}
