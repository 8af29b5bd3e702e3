/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where files are pushed to: a listener that is off until it is asked for, and a world for
 * each push. A push makes a new file by ds_import and touches no other; one that
 * breaks off in whatever way leaves nothing. Who pushes is not asked.
 *
 * lock guards state and the counts; a push's stream and world are the listener's world's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/lock.h>
#include <tern/log.h>
#include <tern/stream.h>
#include <tern/timer.h>
#include <tern/world.h>
#include <tern/xfer.h>

#include "kernel/xfer/push_wire.h"

#define PUSHES_MAX 4u
#define STALL_NS (30 * NSEC_PER_SEC) /* without what is waited for: the pusher is lost */
#define LOOK_NS (NSEC_PER_SEC / 5)   /* is it to end? */
#define LEAVE_NS (5 * NSEC_PER_SEC)  /* for a pusher to read why it failed */
#define STACK_BYTES (32u << 10)

struct push {
	struct stream *s;    /* NULL: free */
	struct world *world; /* NULL: it could not be made */
	uint32_t over;	     /* [atom] */
	struct push_in in;
};

enum state { OFF, STARTING, ON, ENDING };
static struct spinlock lock = SPINLOCK_INIT(LOCK_VM, "pushes");
static struct waitq ended = { .guard = SPINLOCK_INIT(LOCK_WAITQ, "pushes") };
static enum state state;
static struct xfer_listening counts;
static struct listener *listener;
static struct push pushes[PUSHES_MAX];

static enum state state_now(void)
{
	unsigned long flags = spin_lock(&lock);
	enum state s = state;

	spin_unlock(&lock, flags);
	return s;
}

static void count(int pushing, bool file, bool failed)
{
	unsigned long flags = spin_lock(&lock);

	counts.pushing += (unsigned)pushing;
	counts.files += file;
	counts.failed += failed;
	spin_unlock(&lock, flags);
}

/* ---- one push ---- */

/* One who is silent has gone; -ETIMEDOUT would be the disk's. */
static int read_all(void *user, void *buf, size_t len)
{
	int err = stream_read_all(user, buf, len, time_ns() + STALL_NS);

	return err == -ETIMEDOUT ? -EPIPE : err;
}

static int send(void *user, enum push_type type, const void *body, size_t len)
{
	struct push_head h;
	int err;

	push_head_fill(&h, type, body, len);
	err = stream_write(user, &h, sizeof(h), time_ns() + STALL_NS);
	if (!err)
		err = stream_write(user, body, len, time_ns() + STALL_NS);
	stream_flush(user);
	return err;
}

/* A stretch without contents may be as long as the pusher likes, and waits for nobody. */
static int take(void *user, uint64_t at, size_t bytes, void *buf)
{
	struct push_in *in = user;

	if (world_should_yield())
		world_yield();
	return state_now() == ON ? push_take(in, at, bytes, buf) : -ECANCELED;
}

/* Why it failed, where the connection is still good for it. */
static void tell(struct stream *s, const char *code, const char *text)
{
	struct push_fail f = { .code = "" };
	char rest[1024];

	snprintf(f.code, sizeof(f.code), "%s", code);
	snprintf(f.text, sizeof(f.text), "%s", text);
	if (send(s, PUSH_FAIL, &f, sizeof(f)))
		return;
	/* What the pusher has sent meanwhile: to close on it would take the answer along. */
	for (uint64_t end_ns = time_ns() + LEAVE_NS; time_ns() < end_ns;)
		if (stream_read(s, rest, sizeof(rest), end_ns) <= 0)
			break;
}

static void say_failed(struct push *p, int err)
{
	bool link = err == -EPIPE || err == -ECONNRESET || err == -ECANCELED;
	const char *code = err == -EBADMSG  ? "bad-stream"
			   : link	    ? "link"
			   : err == -EPROTO ? "version"
					    : ds_error_code(err);
	const char *text = err == -EBADMSG  ? "that is not how a file is pushed"
			   : link	    ? "the connection broke"
			   : err == -EPROTO ? "another version of the protocol"
					    : ds_error_text(err);

	log_warn("xfer", "push of %s failed: %s", p->in.put.name[0] ? p->in.put.name : "a file",
		 text);
	if (!link)
		tell(p->s, code, text);
}

static int make_file(struct push *p)
{
	const struct push_put *put = &p->in.put;
	struct ds_source from = { .size = put->size, .read = take, .user = &p->in };
	struct datastore *ds = ds_find(put->datastore);

	if (!ds)
		return -ENOENT;
	if (!put->size || put->kind < DS_KIND_PLAIN || put->kind > DS_KIND_THIN)
		return -EINVAL;
	return ds_import(ds, put->name, (enum ds_kind)put->kind, &from);
}

static void push_world(void *arg)
{
	struct push *p = arg;
	struct push_offset all;
	int err;

	p->in = (struct push_in){ .read = read_all, .send = send, .user = p->s };
	err = push_hear_put(&p->in);
	if (!err)
		err = send(p->s, PUSH_READY, NULL, 0);
	if (!err)
		err = make_file(p);
	count(-1, !err, err != 0);
	all.offset = p->in.put.size;
	if (err) {
		say_failed(p, err);
	} else {
		log_info("xfer", "%s was pushed to %s: %llu bytes", p->in.put.name,
			 p->in.put.datastore, (unsigned long long)all.offset);
		(void)!send(p->s, PUSH_DONE, &all, sizeof(all));
	}
	__atomic_store_n(&p->over, 1, __ATOMIC_RELEASE);
}

/* ---- the listener ---- */

static void bury(struct push *p)
{
	if (p->world)
		world_join(p->world);
	stream_close(p->s);
	p->s = NULL;
}

static struct push *place(void)
{
	for (unsigned i = 0; i < PUSHES_MAX; i++)
		if (!pushes[i].s)
			return &pushes[i];
	return NULL;
}

static void let_in(struct stream *s)
{
	static const struct world_opts o = {
		.name = "push", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = STACK_BYTES
	};
	static const struct push_fail full = {
		.code = "busy", .text = "as many files as can be are pushed here: try again"
	};
	struct push *p = place();

	if (!p) {
		(void)!send(s, PUSH_FAIL, &full, sizeof(full));
		stream_close(s);
		return;
	}
	p->s = s;
	p->over = 0;
	count(1, false, false);
	if (!world_create(&p->world, &o, push_world, p))
		return;
	p->world = NULL;
	count(-1, false, true);
	stream_abort(s);
	bury(p);
}

static void bury_all(bool all)
{
	for (unsigned i = 0; i < PUSHES_MAX; i++) {
		struct push *p = &pushes[i];

		if (p->s && all)
			stream_abort(p->s);
		if (p->s && (all || __atomic_load_n(&p->over, __ATOMIC_ACQUIRE)))
			bury(p);
	}
}

static void set_state(enum state s)
{
	unsigned long flags = spin_lock(&lock);

	state = s;
	counts.on = s == ON;
	waitq_wake_all(&ended);
	spin_unlock(&lock, flags);
}

static void listen_world(void *arg)
{
	struct stream *s;

	(void)arg;
	while (state_now() == ON) {
		int err = stream_accept(listener, time_ns() + LOOK_NS, &s);

		bury_all(false);
		if (!err)
			let_in(s);
	}
	bury_all(true);
	listener_close(listener);
	set_state(OFF);
}

/* Who begins or ends it waits until others have begun or ended it. */
static bool change(enum state from, enum state to)
{
	unsigned long flags = spin_lock(&lock);
	bool ok;

	while (state == STARTING || state == ENDING)
		(void)waitq_sleep(&ended, &lock, &flags, NEVER_NS);
	ok = state == from;
	if (ok)
		state = to;
	while (ok && to == ENDING && state == ENDING)
		(void)waitq_sleep(&ended, &lock, &flags, NEVER_NS);
	spin_unlock(&lock, flags);
	return ok;
}

static int begin(void)
{
	static const struct world_opts o = { .name = "pushes", .prio = WORLD_NORMAL, .cpu = -1 };
	int err;

	if (!change(OFF, STARTING))
		return 0;
	err = stream_listen(XFER_PUSH_PORT, PUSHES_MAX, &listener);
	set_state(err ? OFF : ON);
	if (err || !world_create(NULL, &o, listen_world, NULL))
		return err;
	listener_close(listener);
	set_state(OFF);
	return -ENOMEM;
}

int xfer_listen(bool on)
{
	if (on)
		return begin();
	(void)change(ON, ENDING);
	return 0;
}

void xfer_listening(struct xfer_listening *out)
{
	unsigned long flags = spin_lock(&lock);

	*out = counts;
	spin_unlock(&lock, flags);
}
