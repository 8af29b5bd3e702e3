/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source's world: one migration from preflight to its end, step by step
 * (phase.h). Every step before GO returns an error that source_world turns into
 * "the VM goes on here"; nothing after GO does (source_commit.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/dirty.h>
#include <tern/log.h>
#include <tern/vdev.h>

#include "checkpoint.h"
#include "offer.h"
#include "owner.h"
#include "phase.h"
#include "source.h"
#include "source_disks.h"

static int hello(struct source *s)
{
	struct wire_hello h = { .version = WIRE_VERSION, .version_min = WIRE_VERSION_MIN };
	const char *name = config_get("hostname");

	memcpy(h.id, s->j->id, sizeof(h.id));
	strncpy(h.host, name ? name : "tern", sizeof(h.host) - 1);
	return peer_send(&s->j->peer, WIRE_HELLO, &h, sizeof(h));
}

/* What is sent is not worth finishing. */
static int gives_up(void *arg)
{
	const struct mig_job *j = arg;

	return j->cancel ? -ECANCELED : j->link_error;
}

static int connect_peer(struct source *s)
{
	struct world_opts o = { .name = "mig-ears", .prio = WORLD_NORMAL, .cpu = -1 };
	struct mig_job *j = s->j;
	struct stream *stream;
	char peer[48];
	int err = stream_connect(&j->req.to, MIG_PORT, CONNECT_TIMEOUT_NS, &stream);

	net_addr_format(&j->req.to, peer, sizeof(peer));
	if (err && net_fault(err)->here) {
		job_error(j, net_fault(err)->code, "%s", net_fault(err)->text);
		return err;
	}
	if (err) {
		job_error(j, "unreachable",
			  "no Tern answers at %s port %u (%s): is it up, is the link?", peer,
			  MIG_PORT,
			  err == -ECONNREFUSED ? "refused"
			  : err == -ETIMEDOUT  ? "timed out"
			  : err == -ECONNRESET ? "reset"
					       : "no route");
		return err;
	}
	peer_init(&j->peer, stream, false);
	peer_gives_up(&j->peer, gives_up, j);
	err = world_create(&s->ears, &o, source_ears, j);
	if (err)
		s->ears = NULL;
	return err;
}

static int offer(struct source *s)
{
	char why[WIRE_TEXT] = "";
	struct mig_job *j = s->j;
	struct rec_writer w;
	int err;

	err = source_disks_plan(s);
	if (!err)
		err = vdisks_identify(j->vm, s->disk, why, sizeof(why));
	if (!err)
		err = source_home_plan(s, why, sizeof(why));
	if (err) {
		job_error(j, err == -ENOTSUP ? "unsupported" : "disk", "%s", why);
		return err;
	}
	if (!job_moves_running(j) && j->version < WIRE_VERSION_AT_REST) {
		job_error(
			j, "version",
			"the destination speaks protocol %u and takes running VMs only: update it",
			j->version);
		return -ENOTSUP;
	}
	if ((j->vm->cfg.disks || j->vm->cfg.home[0]) && j->version < WIRE_VERSION_DISKS) {
		job_error(
			j, "version",
			"the destination speaks protocol %u and takes no VMs with disks: update it",
			j->version);
		return -ENOTSUP;
	}
	err = source_disks_open(s);
	if (err)
		return err;
	rec_writer_init(&w);
	offer_save(j->vm, j->was, s->going ? &s->going->cfg : &j->vm->cfg, s->disk, &s->home,
		   s->going ? &s->going->sent : NULL, &w);
	err = rec_finish(&w);
	if (!err)
		err = peer_send(&j->peer, WIRE_OFFER, w.buf, w.len);
	rec_writer_fini(&w);
	if (!err)
		err = source_wait(j, WIRE_ACCEPT, time_ns() + LINK_TIMEOUT_NS);
	return err;
}

/* One that is off has none of its files open: from here on nobody else takes them. */
static int wake(struct mig_job *j)
{
	char why[WIRE_TEXT] = "";
	int err;

	if (!vm_state_is_off(j->was))
		return 0;
	err = home_check_settled(j->vm, why, sizeof(why));
	if (!err)
		err = vm_wake(j->vm, why, sizeof(why));
	if (err)
		job_error(j,
			  err == -EBUSY	   ? "busy"
			  : err == -EAGAIN ? "in-doubt"
					   : "disk",
			  "%s", why);
	j->woken = !err;
	return err;
}

static int preflight(struct source *s)
{
	int err = source_hold(s->j, MIG_PREFLIGHT);

	if (!err)
		err = wake(s->j);
	if (!err)
		err = connect_peer(s);
	if (!err)
		err = hello(s);
	if (!err)
		err = source_wait(s->j, WIRE_HELLO, time_ns() + LINK_TIMEOUT_NS);
	if (!err)
		err = offer(s);
	if (!err)
		err = source_clock(s->j);
	return err;
}

static int skeleton(struct source *s)
{
	int err = source_hold(s->j, MIG_SKELETON);

	if (!err)
		err = peer_send(&s->j->peer, WIRE_SKELETON, NULL, 0);
	if (!err)
		err = source_wait(s->j, WIRE_SKELETON_DONE, time_ns() + LINK_TIMEOUT_NS);
	return err;
}

static int precopy(struct source *s)
{
	int err = source_hold(s->j, MIG_PRECOPY);

	if (!err)
		err = order_init(&s->order, gmem_max_gfn(s->j->vm->mem));
	if (!err)
		err = pageset_init(&s->todo, gmem_max_gfn(s->j->vm->mem));
	if (err)
		return err;
	s->ram = ram_sender_new(s->j, s->j->req.batch_pages);
	if (!s->ram)
		return -ENOMEM;
	if (vm_state_is_off(s->j->was))
		return 0; /* what its last run has left in memory goes nowhere */
	ram_sender_bases(s->ram, &s->order);
	err = dirty_start(s->j->vm);
	if (err)
		return err;
	s->tracking = true;
	return source_precopy(s);
}

/* The compact description of what still comes, as runs. */
static int send_remain(struct source *s)
{
	struct wire_remain *r;
	gfn_t at = 0, first;
	uint64_t count;
	uint32_t runs = 0;
	wire_run *run;
	int err;

	while (pageset_next_run(&s->todo, at, WIRE_RUN_PAGES, &first, &count)) {
		runs++;
		at = first + count;
	}
	if (sizeof(*r) + runs * sizeof(*run) > WIRE_REMAIN_MAX)
		return -E2BIG;
	r = calloc(1, sizeof(*r) + runs * sizeof(*run));
	if (!r)
		return -ENOMEM;
	run = (wire_run *)(r + 1);
	for (at = 0;
	     r->runs < runs && pageset_next_run(&s->todo, at, WIRE_RUN_PAGES, &first, &count);) {
		run[r->runs++] = wire_run_make(first, (uint32_t)count);
		r->pages += count;
		at = first + count;
	}
	err = peer_send(&s->j->peer, WIRE_REMAIN, r, sizeof(*r) + runs * sizeof(*run));
	free(r);
	return err;
}

static int send_state(struct source *s)
{
	struct rec_writer w;
	int err;

	rec_writer_init(&w);
	checkpoint_save(s->j->vm, &w);
	err = rec_finish(&w);
	if (!err && w.len > WIRE_STATE_MAX)
		err = -E2BIG;
	if (!err)
		err = peer_send(&s->j->peer, WIRE_STATE, w.buf, w.len);
	rec_writer_fini(&w);
	return err;
}

/* Of the disks as well all has come by then. */
static int send_end(struct source *s)
{
	struct wire_end end = { .clock_delta_ns = source_gap_ns(s->j), .rtt_ns = s->j->rtt_ns };
	int err = source_disks_flushed(s);

	return err ? err : peer_send(&s->j->peer, WIRE_END, &end, sizeof(end));
}

static int transfer(struct source *s)
{
	struct mig_job *j = s->j;
	struct mig_round r = { 0 };
	uint64_t t0, t1;
	int err = source_hold(j, MIG_TRANSFER);

	t0 = time_ns();
	ram_send_keep(s->ram, KEEP_NONE); /* nothing of this is sent again */
	if (!err)
		err = send_remain(s);
	if (!err)
		err = ram_send_set(s->ram, &s->todo, &r);
	t1 = time_ns();
	r.ns = j->st.pages_ns = t1 - t0;
	if (!err && j->st.rounds < MIG_MAX_ROUNDS)
		j->st.round[j->st.rounds] = r;
	j->st.rounds += !err;
	if (!err)
		err = send_state(s);
	if (!err)
		err = send_end(s);
	j->st.state_ns = time_ns() - t1;
	return err;
}

/*
 * READY comes in time after the last sign that what is under way still arrives:
 * of that there are no more than batches.
 */
static int wait_ready(struct mig_job *j)
{
	uint64_t acked;
	int err;

	do {
		acked = j->acks.acked;
		err = source_wait(j, WIRE_READY, time_ns() + READY_TIMEOUT_NS);
	} while (err == -ETIMEDOUT && j->acks.acked != acked);
	return err;
}

static int await_ready(struct source *s)
{
	uint64_t t0;
	int err = source_hold(s->j, MIG_READY);

	t0 = time_ns();
	if (!err)
		err = wait_ready(s->j);
	if (err == -ETIMEDOUT)
		job_error(s->j, "ready-timeout", "the destination did not say READY in time");
	s->j->st.ready_ns = time_ns() - t0;
	return err;
}

/* The VM runs there: its disks here go, then the record, then the destination may forget as well.
 */
static void forget(struct source *s)
{
	struct mig_job *j = s->j;

	if (!s->disks || j->src != SRC_RELEASED)
		return;
	source_disks_free(s);
	if (!job_journal_end(j))
		return;
	job_step(j, STEP_FORGOT);
	if (peer_send(&j->peer, WIRE_CLOSED, NULL, 0))
		log_debug("mig", "job %u: the destination keeps its record", (unsigned)j->st.id);
}

/* Ends what the steps opened, in reverse. */
static void clean_up(struct source *s)
{
	struct mig_job *j = s->j;

	if (j->peer.s && !j->peer.torn && stream_drain(j->peer.s, time_ns() + ALIVE_EVERY_NS))
		log_debug("mig", "job %u: the last words may not have arrived", (unsigned)j->st.id);
	job_abort_stream(j);
	if (s->ears)
		world_join(s->ears);
	job_close_stream(j);
	if (s->ram)
		ram_sender_free(s->ram);
	source_disks_free(s);
	free(s->going);
	order_fini(&s->order);
	pageset_fini(&s->todo);
}

static int steps_before_go(struct source *s)
{
	static int (*const step[])(struct source *) = {
		preflight, skeleton,	source_disks_copy, precopy,  source_stun,
		transfer,  await_ready, source_lease,	   source_go
	};
	int err = 0;

	for (unsigned i = 0; !err && i < ARRAY_SIZE(step); i++) {
		err = step[i](s);
		if (!err && i == 0 && s->j->req.dry_run)
			return -ECANCELED;
	}
	return err;
}

static void migrate(struct source *s)
{
	struct mig_job *j = s->j;
	int err = steps_before_go(s);

	if (!err) {
		source_commit(s);
		forget(s);
		clean_up(s);
	} else if (j->req.dry_run && err == -ECANCELED && !j->cancel) {
		peer_send_text(&j->peer, WIRE_ABORT, "dry-run",
			       "preflight passed; nothing was asked for");
		clean_up(s);
		job_drop_vm(j);
		job_over(j, MIG_DONE);
	} else if (source_give_up(s, err)) {
		clean_up(s);
		job_journal_end(j);
		job_drop_vm(j);
		job_over(j, err == -ECANCELED ? MIG_CANCELED : MIG_FAILED);
	} else {
		clean_up(s);
		job_journal_end(j);
	}
}

void source_world(void *arg)
{
	struct source s = { .j = arg };

	migrate(&s);
	job_put(s.j);
}
