/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination's world: one accepted stream, one message after another. The
 * peer is hostile until checked: every message is legal only in the states that
 * the table below names, everything is checked before anything is loaded.
 *
 * Invariant: the VM runs here only after dst_go or the operator's word
 * (commit.h); a VM that is HELD outlives its stream.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>
#include <tern/vdev.h>

#include "checkpoint.h"
#include "delta.h"
#include "history.h"
#include "offer.h"
#include "job.h"
#include "phase.h"
#include "query.h"
#include "ram_recv.h"

/* Where the conversation is; a bit each, for the table. */
enum talk {
	T_HELLO = 1,	/* nothing said yet */
	T_OFFER = 2,	/* hello done */
	T_ACCEPTED = 4, /* offer accepted */
	T_MEMORY = 8,	/* skeleton made, pages come */
	T_REMAIN = 16,	/* description of the rest is here */
	T_STATE = 32,	/* records are here */
	T_READY = 64,	/* READY said */
	T_OVER = 128,
};

struct dest {
	struct peer peer;
	enum talk talk;
	uint16_t version;  /* of the stream, from HELLO on */
	struct mig_job *j; /* from OFFER on */
	uint8_t id[WIRE_ID_BYTES];
	struct offer offer;
	struct pageset owed; /* pages of REMAIN that have not come */
	void *state;	     /* the records, malloc'ed */
	size_t state_len;
	char code[WIRE_CODE], why[WIRE_TEXT]; /* what to tell the source */
};

static int refuse(struct dest *d, int err, const char *code, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
static int refuse(struct dest *d, int err, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strncpy(d->code, code, sizeof(d->code) - 1);
	vsnprintf(d->why, sizeof(d->why), fmt, ap);
	va_end(ap);
	return err;
}

static int on_hello(struct dest *d, const void *body, size_t len)
{
	struct wire_hello h, mine = { .version = WIRE_VERSION, .version_min = WIRE_VERSION_MIN };
	const char *name = config_get("hostname");

	memcpy(&h, body, len);
	if (wire_hello_check(&h))
		return refuse(d, -EBADMSG, "bad-stream", "the hello is not one");
	d->version = wire_version_with(&h);
	if (!d->version)
		return refuse(d, -ENOTSUP, "version",
			      "the source speaks protocol %u to %u, this host %u to %u: update the "
			      "older one",
			      h.version_min, h.version, WIRE_VERSION_MIN, WIRE_VERSION);
	memcpy(d->id, h.id, sizeof(d->id));
	memcpy(mine.id, h.id, sizeof(mine.id));
	strncpy(mine.host, name ? name : "tern", sizeof(mine.host) - 1);
	d->talk = T_OFFER;
	return peer_send(&d->peer, WIRE_HELLO, &mine, sizeof(mine));
}

static bool holds_uuid(struct mig_job *j, void *arg)
{
	return j->st.incoming && j->vm && !memcmp(j->uuid, arg, sizeof(j->uuid));
}

/*
 * What an earlier attempt of the same VM left here. A complete copy stays, whoever
 * offers: its id alone, which nobody can guess, or the operator ends it. One that is
 * being filled stays while its source is heard of.
 */
static int check_earlier(struct dest *d)
{
	uint64_t deadline = time_ns() + LINK_TIMEOUT_NS / 2; /* the source waits for our answer */
	uint8_t uuid[16];
	struct mig_job *old;
	unsigned long f;
	uint32_t id;
	bool gone;

	memcpy(uuid, d->offer.uuid, sizeof(uuid));
	old = job_search(holds_uuid, uuid);
	if (!old)
		return 0;
	gone = time_ns() - old->heard_ns > SILENT_NS && dest_forbid(old, false);
	id = old->st.id;
	f = spin_lock(&old->lock);
	while (gone && !old->over && !job_wait_locked(old, &f, deadline))
		;
	gone = old->over;
	spin_unlock(&old->lock, f);
	job_put(old);
	if (gone)
		return 0;
	return refuse(
		d, -EEXIST, "exists",
		"job %u there has a copy of '%s' from an earlier attempt: try again when it is "
		"over ('tasks' there)",
		(unsigned)id, d->offer.cfg.name);
}

static int check_room(struct dest *d)
{
	struct page_stats p;
	char why[WIRE_TEXT] = "";
	struct vm *vm = vm_find(d->offer.cfg.name);

	if (vm) {
		vm_put(vm);
		return refuse(d, -EEXIST, "exists", "the destination has a VM named '%s' already",
			      d->offer.cfg.name);
	}
	if (vm_check(&d->offer.cfg, why, sizeof(why)))
		return refuse(d, -ENOENT, "not-found", "%s", why);
	page_stats(&p);
	if (p.free_bytes < d->offer.cfg.mem_bytes)
		return refuse(d, -ENOMEM, "no-memory",
			      "the VM has %u MiB, the destination has %u MiB free",
			      (unsigned)(d->offer.cfg.mem_bytes >> 20),
			      (unsigned)(p.free_bytes >> 20));
	return 0;
}

static bool offered_before(const uint8_t id[WIRE_ID_BYTES])
{
	struct mig_job *same = job_find_wire_id(id);
	struct wire_verdict v;

	if (same)
		job_put(same);
	memcpy(v.id, id, sizeof(v.id));
	return same || history_find(&v);
}

static int on_offer(struct dest *d, const void *body, size_t len)
{
	struct mig_request r = { 0 };
	struct stream_info info;
	char why[WIRE_TEXT] = "";
	int err = offer_read(body, len, &d->offer);

	if (err)
		return refuse(d, err, "bad-stream", "the offer is malformed");
	if (!virt)
		return refuse(d, -ENOTSUP, "no-virtualization", "%s", virt_absent_reason());
	err = offer_check(&d->offer, why, sizeof(why));
	if (err)
		return refuse(d, err, "cpu", "%s", why);
	if (offered_before(d->id))
		return refuse(d, -EBADMSG, "bad-stream", "this migration has been offered before");
	err = check_earlier(d);
	if (!err)
		err = check_room(d);
	if (err)
		return err;
	stream_info(d->peer.s, &info);
	memcpy(r.vm, d->offer.cfg.name, sizeof(r.vm));
	r.to = info.peer;
	d->j = job_new(&r, true, d->id);
	if (!d->j)
		return refuse(d, -ENOMEM, "no-memory",
			      "the destination has no memory for another job");
	d->j->peer = d->peer; /* for aborts from outside; this world uses its own */
	job_phase(d->j, MIG_PREFLIGHT);
	d->talk = T_ACCEPTED;
	return peer_send(&d->peer, WIRE_ACCEPT, NULL, 0);
}

static int on_query(struct dest *d, const void *body, size_t len)
{
	(void)body;
	(void)len;
	if (!virt)
		return refuse(d, -ENOTSUP, "no-virtualization", "%s", virt_absent_reason());
	d->talk = T_OVER;
	return query_answer(&d->peer);
}

static int on_settle(struct dest *d, const void *body, size_t len)
{
	struct wire_settle m;
	struct wire_verdict v;

	memcpy(&m, body, len);
	if (m.reserved || (m.outcome != OUTCOME_ABORTED && m.outcome != OUTCOME_GO))
		return refuse(d, -EBADMSG, "bad-stream", "settle with an unknown outcome");
	if (memcmp(m.id, d->id, sizeof(m.id)))
		return refuse(d, -EBADMSG, "bad-stream",
			      "settle names another migration than hello");
	dest_settle(&m, &v);
	d->talk = T_OVER;
	return peer_send(&d->peer, WIRE_VERDICT, &v, sizeof(v));
}

static int on_clock(struct dest *d, const void *body, size_t len)
{
	struct wire_clock c;

	memcpy(&c, body, len);
	c.there_ns = time_ns();
	return peer_send(&d->peer, WIRE_CLOCK_REPLY, &c, sizeof(c));
}

static int on_alive(struct dest *d, const void *body, size_t len)
{
	(void)body;
	(void)len;
	return peer_send(&d->peer, WIRE_ALIVE, NULL, 0);
}

static int on_skeleton(struct dest *d, const void *body, size_t len)
{
	char why[96] = "";
	struct vm *vm;
	int err = vm_create_incoming(&d->offer.cfg, &vm, why, sizeof(why));

	(void)body;
	(void)len;
	if (err)
		return refuse(d, err,
			      err == -ENOMEM   ? "no-memory"
			      : err == -EEXIST ? "exists"
					       : "failed",
			      "%s", why);
	memcpy(vm->uuid, d->offer.uuid, sizeof(vm->uuid));
	memcpy(d->j->uuid, d->offer.uuid, sizeof(d->j->uuid));
	vm->tsc_khz = d->offer.tsc_khz;
	vm->mig = d->j;
	d->j->vm = vm;
	err = pageset_init(&d->owed, gmem_max_gfn(vm->mem));
	if (err)
		return refuse(d, err, "no-memory", "no memory for page sets");
	job_phase(d->j, MIG_PRECOPY);
	d->talk = T_MEMORY;
	return peer_send(&d->peer, WIRE_SKELETON_DONE, NULL, 0);
}

static int on_pages(struct dest *d, const void *body, size_t len)
{
	const struct wire_pages *b = body;
	struct gmem *g = d->j->vm->mem;
	struct wire_ack ack = { .seq = b->seq };
	int err;

	if (wire_pages_check(body, len, d->peer.payload, gmem_max_gfn(g)))
		return refuse(d, -EBADMSG, "bad-stream", "a page batch is malformed");
	err = ram_recv_batch(&d->peer, g, b, d->talk == T_REMAIN ? &d->owed : NULL);
	if (err)
		return refuse(d, err,
			      err == -ENOMEM   ? "no-memory"
			      : err == -EFAULT ? "bad-stream"
					       : "link",
			      "a page batch could not be stored (%d)", err);
	d->j->st.pages_sent += b->raw_pages;
	d->j->st.bytes_sent += len + d->peer.payload + sizeof(struct wire_head);
	if (world_should_yield())
		world_yield();
	return peer_send(&d->peer, WIRE_ACK, &ack, sizeof(ack));
}

static int on_delta(struct dest *d, const void *body, size_t len)
{
	const struct wire_delta *b = body;
	struct gmem *g = d->j->vm->mem;
	struct wire_ack ack = { .seq = b->seq };

	if (d->version < WIRE_VERSION_DELTA || delta_check(body, len, gmem_max_gfn(g)))
		return refuse(d, -EBADMSG, "bad-stream", "a batch of changes is malformed");
	if (ram_recv_delta(g, b, len, d->talk == T_REMAIN ? &d->owed : NULL))
		return refuse(d, -EBADMSG, "bad-stream", "a change is of a page that did not come");
	d->j->st.delta_pages += b->pages;
	d->j->st.delta_bytes += len;
	d->j->st.bytes_sent += len + sizeof(struct wire_head);
	if (world_should_yield())
		world_yield();
	return peer_send(&d->peer, WIRE_ACK, &ack, sizeof(ack));
}

static int on_remain(struct dest *d, const void *body, size_t len)
{
	const struct wire_remain *r = body;
	const wire_run *run = (const wire_run *)(r + 1);
	int err = 0;

	if (wire_remain_check(body, len, gmem_max_gfn(d->j->vm->mem)))
		return refuse(d, -EBADMSG, "bad-stream",
			      "the description of the remaining pages is malformed");
	for (uint32_t i = 0; !err && i < r->runs; i++)
		err = pageset_set_range(&d->owed, wire_run_first(run[i]), wire_run_count(run[i]));
	if (err)
		return refuse(d, err, "no-memory", "no memory for page sets");
	job_phase(d->j, MIG_TRANSFER);
	d->talk = T_REMAIN;
	return 0;
}

static int on_state(struct dest *d, const void *body, size_t len)
{
	d->state = malloc(len);
	if (!d->state)
		return refuse(d, -ENOMEM, "no-memory", "no memory for the VM's state");
	memcpy(d->state, body, len);
	d->state_len = len;
	d->talk = T_STATE;
	return 0;
}

/* Everything is here: check all, load all, make the processors, then say READY. */
static int on_end(struct dest *d, const void *body, size_t len)
{
	struct mig_job *j = d->j;
	uint64_t t0 = time_ns();
	char why[WIRE_TEXT] = "";
	struct wire_end end;
	unsigned long f;
	bool wanted;
	int err;

	memcpy(&end, body, len);
	if (!pageset_empty(&d->owed))
		return refuse(d, -EBADMSG, "bad-stream", "%u of the remaining pages did not come",
			      (unsigned)pageset_count(&d->owed));
	err = checkpoint_check(j->vm, d->state, d->state_len, why, sizeof(why));
	if (err)
		return refuse(d, err, "bad-state", "%s",
			      why[0] ? why : "the VM's state does not fit this host");
	err = checkpoint_load(j->vm, d->state, d->state_len, end.clock_delta_ns);
	if (err)
		return refuse(d, err, "bad-state",
			      "the VM's state passed its check but did not load (%d)", err);
	err = vm_prepare_incoming(j->vm);
	if (err)
		return refuse(d, err, err == -ENOMEM ? "no-memory" : "bad-state",
			      err == -ENOMEM
				      ? "the destination has no memory for the processors"
				      : "the state lacks a processor's or the time's record");
	j->st.state_ns = time_ns() - t0;
	f = spin_lock(&j->lock);
	wanted = dst_loaded(&j->dst) != COMMIT_REFUSE;
	if (wanted) {
		j->st.phase = MIG_READY;
		j->complete = true;
	}
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
	if (!wanted)
		return refuse(d, -ECANCELED, "canceled",
			      "the source has settled meanwhile that the VM stays there");
	d->talk = T_READY;
	return peer_send(&d->peer, WIRE_READY, NULL, 0);
}

static int on_go(struct dest *d, const void *body, size_t len)
{
	struct wire_running r;
	int err = dest_take(d->j);

	(void)body;
	(void)len;
	if (err)
		return refuse(d, err, "refused", "this copy may not run any more");
	r.started_ns = d->j->running.started_ns;
	r.load_ns = d->j->st.state_ns;
	d->talk = T_OVER;
	return peer_send(&d->peer, WIRE_RUNNING, &r, sizeof(r));
}

static void mark_dry_run(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);

	j->st.dry_run = true;
	spin_unlock(&j->lock, f);
}

static int on_abort(struct dest *d, const void *body, size_t len)
{
	struct wire_text t;

	memcpy(&t, body, len);
	if (wire_text_check(&t))
		return refuse(d, -EBADMSG, "bad-stream", "an abort without words");
	if (d->talk == T_ACCEPTED && !strcmp(t.code, "dry-run"))
		mark_dry_run(d->j);
	else
		job_error(d->j, t.code, "the source gave up: %s", t.text);
	dest_discard(d->j);
	d->talk = T_OVER;
	return 0;
}

static const struct {
	uint16_t when; /* enum talk bits */
	int (*fn)(struct dest *d, const void *body, size_t len);
} handler[WIRE_TYPES] = {
	[WIRE_HELLO] = { T_HELLO, on_hello },
	[WIRE_OFFER] = { T_OFFER, on_offer },
	[WIRE_SETTLE] = { T_OFFER, on_settle },
	[WIRE_QUERY] = { T_OFFER, on_query },
	[WIRE_CLOCK] = { T_ACCEPTED | T_MEMORY, on_clock },
	[WIRE_ALIVE] = { T_ACCEPTED | T_MEMORY | T_REMAIN | T_STATE | T_READY, on_alive },
	[WIRE_SKELETON] = { T_ACCEPTED, on_skeleton },
	[WIRE_PAGES] = { T_MEMORY | T_REMAIN, on_pages },
	[WIRE_DELTA] = { T_MEMORY | T_REMAIN, on_delta },
	[WIRE_REMAIN] = { T_MEMORY, on_remain },
	[WIRE_STATE] = { T_REMAIN, on_state },
	[WIRE_END] = { T_STATE, on_end },
	[WIRE_GO] = { T_READY, on_go },
	[WIRE_ABORT] = { T_ACCEPTED | T_MEMORY | T_REMAIN | T_STATE | T_READY, on_abort },
};

/* Its source brings nothing but signs of life: are these enough? A complete copy is kept, without
 * its stream. */
static int check_idle(struct dest *d)
{
	struct mig_job *j = d->j;
	uint64_t idle = time_ns() - j->progress_ns;

	if (!j->give_way && idle < IDLE_MAX_NS)
		return 0;
	if (d->talk == T_READY)
		return -ETIMEDOUT;
	return refuse(d, -ETIMEDOUT, "idle",
		      "the source has brought nothing for %u s%s: start the migration again",
		      (unsigned)(idle / NSEC_PER_SEC),
		      j->give_way ? " and others need the place" : "");
}

static bool is_sign_of_life(uint16_t type)
{
	return type == WIRE_ALIVE || type == WIRE_CLOCK;
}

static void progress(struct dest *d, uint16_t type)
{
	if (d->j)
		d->j->heard_ns = time_ns();
	if (d->j && !is_sign_of_life(type))
		d->j->progress_ns = time_ns();
}

static int one_message(struct dest *d, uint8_t *buf, size_t cap)
{
	struct wire_head h;
	void *body;
	int err = peer_recv(&d->peer, &h, buf, cap, &body, time_ns() + LINK_TIMEOUT_NS);

	if (err == -EBADMSG)
		return refuse(d, err, "bad-stream", "that is not the migration protocol");
	if (err)
		return err;
	if (handler[h.type].fn && handler[h.type].when & d->talk)
		err = handler[h.type].fn(d, body, h.length);
	else
		err = refuse(d, -EBADMSG, "bad-stream", "message %u comes out of turn", h.type);
	peer_body_free(buf, body);
	progress(d, h.type);
	if (!err && is_sign_of_life(h.type))
		err = check_idle(d);
	return err;
}

/* The conversation broke. What that means for the VM is the commit's to say. */
static void broken(struct dest *d, int err)
{
	struct mig_job *j = d->j;
	enum commit_action action;
	unsigned long f;

	if (d->code[0])
		peer_send_text(&d->peer, d->talk <= T_OFFER ? WIRE_REFUSE : WIRE_ABORT, d->code,
			       d->why);
	if (!j) {
		log_warn("mig", "refused a stream: %s %s", d->code[0] ? d->code : "link", d->why);
		return;
	}
	f = spin_lock(&j->lock);
	action = dst_lost(&j->dst);
	if (action ==
	    COMMIT_ASK) { /* with the step: whoever settles it from here on ends the job */
		j->st.phase = MIG_IN_DOUBT;
		vm_set_state(j->vm, VM_IN_DOUBT);
		job_changed_locked(j);
	}
	spin_unlock(&j->lock, f);
	if (action == COMMIT_NOTHING)
		return; /* settled by another stream: the VM runs here */
	if (action == COMMIT_ASK) {
		log_warn("mig", "job %u: %s is complete here and waits: its source has gone silent",
			 (unsigned)j->st.id, j->st.vm);
		return;
	}
	if (d->code[0])
		job_error(j, d->code, "%s", d->why);
	else
		job_error(j, "link", "the connection to the source ended (%d)", err);
	dest_discard(j);
}

void dest_world(void *arg)
{
	struct dest *d = calloc(1, sizeof(*d));
	size_t cap = WIRE_DELTA_MAX; /* the largest that comes often */
	uint8_t *buf = malloc(cap);
	int err = d && buf ? 0 : -ENOMEM;

	if (err) {
		stream_close(arg);
		goto out;
	}
	peer_init(&d->peer, arg, true);
	d->talk = T_HELLO;
	while (!err && d->talk != T_OVER)
		err = one_message(d, buf, cap);
	if (err)
		broken(d, err);
	if (stream_drain(d->peer.s, time_ns() + ALIVE_EVERY_NS))
		log_debug("mig", "a source went before it heard the last word");
	if (d->j)
		job_close_stream(d->j);
	else
		stream_close(d->peer.s);
	if (d->j && d->j->st.phase != MIG_IN_DOUBT)
		job_over(d->j, d->j->dst == DST_OWNS || d->j->st.dry_run ? MIG_DONE : MIG_FAILED);
	if (d->j)
		job_put(d->j);
	pageset_fini(&d->owed);
	free(d->state);
out:
	free(buf);
	free(d);
}
