/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is there, and what can guests be given there? One QUERY on a stream of its own, after
 * HELLO and instead of an OFFER; the answer is HOST with records, or REFUSE. Whoever answers
 * may be hostile: its records are checked like an offer's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/page.h>

#include "phase.h"
#include "query.h"

#define QUERY_TIMEOUT_NS (5 * NSEC_PER_SEC)

void mig_host_self(struct mig_host *h)
{
	const char *name = config_get("hostname");
	struct page_stats mem;

	memset(h, 0, sizeof(*h));
	strncpy(h->name, name && *name ? name : "tern", sizeof(h->name) - 1);
	page_stats(&mem);
	h->free_bytes = mem.free_bytes;
	h->tsc_khz = tsc_khz();
	cpu_model_host(&h->cpu);
}

int query_answer(struct peer *p)
{
	struct rec_writer w;
	struct mig_host h;
	int err;

	mig_host_self(&h);
	rec_writer_init(&w);
	query_save(&h, &w);
	err = rec_finish(&w);
	if (!err)
		err = peer_send(p, WIRE_HOST, w.buf, w.len);
	rec_writer_fini(&w);
	return err;
}

static int fail(struct query *q, int err, const char *code, const char *why)
{
	snprintf(q->code, q->code_len, "%s", code);
	snprintf(q->why, q->why_len, "%s", why);
	return err;
}

/* What came instead of silence: the answer, a refusal, or nonsense. */
static int take_answer(struct query *q, const struct wire_head *h, const void *body)
{
	const struct wire_text *t = body;

	if (h->type == WIRE_HOST && !query_read(body, h->length, q->out))
		return 0;
	if (h->type == WIRE_REFUSE && !wire_text_check(t))
		return fail(q, -ENOTSUP, t->code, t->text);
	return fail(q, -EBADMSG, "bad-stream", "the other host's answer is not the protocol");
}

static int talk(struct query *q, struct peer *p)
{
	static const uint8_t no_migration[WIRE_ID_BYTES];
	uint64_t deadline = time_ns() + QUERY_TIMEOUT_NS;
	uint8_t buf[512];
	struct wire_head h;
	void *body;
	int err = peer_ask(p, no_migration, WIRE_QUERY, NULL, 0);

	if (!err)
		err = peer_answer(p, &h, buf, sizeof(buf), &body, deadline);
	if (err)
		return fail(q, err, "link",
			    "the other host took the connection and gave no answer");
	err = take_answer(q, &h, body);
	peer_body_free(buf, body);
	return err;
}

int mig_query(const struct net_addr *to, struct mig_host *out, char *code, size_t code_len,
	      char *why, size_t why_len)
{
	struct query q = { out, code, code_len, why, why_len };
	struct stream *s;
	struct peer p;
	char addr[48];
	int err = stream_connect(to, MIG_PORT, CONNECT_TIMEOUT_NS, &s);

	if (err && net_fault(err)->here)
		return fail(&q, err, net_fault(err)->code, net_fault(err)->text);
	if (err) {
		net_addr_format(to, addr, sizeof(addr));
		snprintf(why, why_len, "no Tern answers at %s port %u: is it up, is the link?",
			 addr, MIG_PORT);
		snprintf(code, code_len, "unreachable");
		return err;
	}
	peer_init(&p, s, false);
	err = talk(&q, &p);
	if (err)
		stream_abort(s);
	stream_close(s);
	return err;
}
