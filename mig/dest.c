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

#include <tern/log.h>
#include <tern/vdev.h>

#include "dest_int.h"
#include "owner.h"
#include "phase.h"

int dest_refuse(struct dest *d, int err, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strncpy(d->code, code, sizeof(d->code) - 1);
	vsnprintf(d->why, sizeof(d->why), fmt, ap);
	va_end(ap);
	return err;
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
	if (d->disks)
		return dest_disks_alive(d);
	return peer_send(&d->peer, WIRE_ALIVE, NULL, 0);
}

/* Of a message that is long under way. A stream of disks says it in its own way (blk_recv.c). */
static int while_slow(void *arg)
{
	struct dest *d = arg;

	if (d->j)
		d->j->heard_ns = d->j->progress_ns = time_ns();
	return peer_send(&d->peer, WIRE_ALIVE, NULL, 0);
}

static const struct {
	uint16_t when; /* enum talk bits */
	int (*fn)(struct dest *d, const void *body, size_t len);
} handler[WIRE_TYPES] = {
	[WIRE_HELLO] = { T_HELLO, dest_on_hello },
	[WIRE_OFFER] = { T_OFFER, dest_on_offer },
	[WIRE_SETTLE] = { T_OFFER, dest_on_settle },
	[WIRE_QUERY] = { T_OFFER, dest_on_query },
	[WIRE_DISKS] = { T_OFFER, dest_on_disks },
	[WIRE_BLOCKS] = { T_DISKS, dest_on_blocks },
	[WIRE_CLOCK] = { T_ACCEPTED | T_MEMORY, on_clock },
	[WIRE_ALIVE] = { T_ACCEPTED | T_MEMORY | T_REMAIN | T_STATE | T_READY | T_DISKS | T_RUNS,
			 on_alive },
	[WIRE_SKELETON] = { T_ACCEPTED, dest_on_skeleton },
	[WIRE_PAGES] = { T_MEMORY | T_REMAIN, dest_on_pages },
	[WIRE_DELTA] = { T_MEMORY | T_REMAIN, dest_on_delta },
	[WIRE_REMAIN] = { T_MEMORY, dest_on_remain },
	[WIRE_STATE] = { T_REMAIN, dest_on_state },
	[WIRE_END] = { T_STATE, dest_on_end },
	[WIRE_GO] = { T_READY, dest_on_go },
	[WIRE_CLOSED] = { T_RUNS, dest_on_closed },
	[WIRE_ABORT] = { T_ACCEPTED | T_MEMORY | T_REMAIN | T_STATE | T_READY, dest_on_abort },
};

/* Its source brings nothing but signs of life: are these enough? A complete copy is kept, without
 * its stream. */
static int check_idle(struct dest *d)
{
	struct mig_job *j = d->j;
	uint64_t idle = time_since_ns(j->progress_ns); /* the disks' world notes it too */

	if (!j->give_way && idle < IDLE_MAX_NS)
		return 0;
	if (d->talk == T_READY)
		return -ETIMEDOUT;
	return dest_refuse(d, -ETIMEDOUT, "idle",
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
		return dest_refuse(d, err, "bad-stream", "that is not the migration protocol");
	if (err)
		return err;
	if (handler[h.type].fn && handler[h.type].when & d->talk)
		err = handler[h.type].fn(d, body, h.length);
	else
		err = dest_refuse(d, -EBADMSG, "bad-stream", "message %u comes out of turn",
				  h.type);
	peer_body_free(buf, body);
	progress(d, h.type);
	if (!err && d->j && is_sign_of_life(h.type))
		err = check_idle(d);
	return err;
}

/* The conversation broke. What that means for the VM is the commit's to say. */
static void broken(struct dest *d, int err)
{
	struct mig_job *j = d->j;
	enum commit_action action;
	unsigned long f;
	bool leases;

	if (d->code[0])
		peer_send_text(&d->peer, d->talk <= T_OFFER ? WIRE_REFUSE : WIRE_ABORT, d->code,
			       d->why);
	if (!j) {
		log_warn("mig", "refused a stream: %s %s", d->code[0] ? d->code : "link", d->why);
		return;
	}
	f = spin_lock(&j->lock);
	action = dst_lost(&j->dst);
	leases = action == COMMIT_ASK && owner_leased(j);
	if (action ==
	    COMMIT_ASK) { /* with the step: whoever settles it from here on ends the job */
		j->st.phase = MIG_IN_DOUBT;
		vm_set_state(j->vm, VM_IN_DOUBT);
		job_step_locked(j, STEP_WAITS);
		job_changed_locked(j);
	}
	spin_unlock(&j->lock, f);
	if (action == COMMIT_NOTHING)
		return; /* settled by another stream: the VM runs here */
	if (action == COMMIT_ASK) {
		log_warn("mig", "job %u: %s is complete here and waits: its source has gone silent",
			 (unsigned)j->st.id, j->st.vm);
		if (leases)
			settle_add(j);
		return;
	}
	if (d->code[0])
		job_error(j, d->code, "%s", d->why);
	else
		job_error(j, "link", "%s; the copy here is given up", peer_lost_words(err));
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
	peer_while_slow(&d->peer, while_slow, d);
	d->talk = T_HELLO;
	while (!err && d->talk != T_OVER)
		err = one_message(d, buf, cap);
	if (d->disks)
		dest_disks_end(d);
	else if (err)
		broken(d, err);
	if (stream_drain(d->peer.s, time_ns() + ALIVE_EVERY_NS))
		log_debug("mig", "a source went before it heard the last word");
	if (d->j)
		job_close_stream(d->j);
	else
		stream_close(d->peer.s);
	if (d->j && d->j->st.phase != MIG_IN_DOUBT)
		job_over(d->j, d->j->dst == DST_OWNS || d->j->st.dry_run ? MIG_DONE : MIG_FAILED);
	if (d->j && d->j->dst == DST_OWNS)
		job_journal_keep(d->j);
	if (d->j)
		job_put(d->j);
	pageset_fini(&d->owed);
	offer_disks_fini(d->offer.disk);
	free(d->state);
out:
	free(buf);
	free(d);
}
