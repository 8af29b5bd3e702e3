/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of jobs and the bookkeeping of one (job.h). Jobs that are over are
 * kept for `migrate status`; the oldest are forgotten when there are more than
 * JOBS_KEPT. How an incoming one ended is remembered longer, for a source that asks
 * later (history.h).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/home.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "history.h"
#include "job.h"

static struct {
	struct spinlock lock; /* guards the list's links, next_id, count */
	struct mig_job *first, **last;
	uint32_t next_id;
	unsigned count;
} jobs;

const char *mig_phase_name(enum mig_phase p)
{
	static const char *const names[MIG_PHASES] = {
		[MIG_QUEUED] = "queued",
		[MIG_PREFLIGHT] = "preflight",
		[MIG_SKELETON] = "skeleton",
		[MIG_PRECOPY] = "precopy",
		[MIG_STUN] = "stun",
		[MIG_TRANSFER] = "transfer",
		[MIG_READY] = "ready",
		[MIG_LEASE] = "lease",
		[MIG_GO] = "go",
		[MIG_IN_DOUBT] = "in-doubt",
		[MIG_DONE] = "done",
		[MIG_FAILED] = "failed",
		[MIG_CANCELED] = "canceled",
		[MIG_COPY] = "copy",
		[MIG_ROUNDS] = "rounds",
		[MIG_VERIFY] = "verify",
		[MIG_SWITCH] = "switch",
		[MIG_CLEANUP] = "cleanup",
	};

	return p < MIG_PHASES ? names[p] : "?";
}

void jobs_init(void)
{
	spin_init(&jobs.lock, LOCK_MIG, "mig jobs");
	jobs.last = &jobs.first;
	jobs.next_id = 1;
	history_init();
}

/* Takes the oldest job that is over out of the list; NULL when none is. */
static struct mig_job *forget_locked(void)
{
	for (struct mig_job **p = &jobs.first; *p; p = &(*p)->next) {
		struct mig_job *j = *p;

		if (!j->over || j->settling || j->users)
			continue;
		*p = j->next;
		if (jobs.last == &j->next)
			jobs.last = p;
		jobs.count--;
		return j;
	}
	return NULL;
}

/* False when the list is full of jobs that are not over. */
static bool append(struct mig_job *j)
{
	unsigned long f = spin_lock(&jobs.lock);
	struct mig_job *old = jobs.count >= JOBS_KEPT ? forget_locked() : NULL;
	bool room = jobs.count < JOBS_KEPT;

	if (room) {
		j->st.id = jobs.next_id++;
		*jobs.last = j;
		jobs.last = &j->next;
		jobs.count++;
	}
	spin_unlock(&jobs.lock, f);
	free(old);
	return room;
}

struct mig_job *job_new(const struct mig_request *r, bool incoming, const uint8_t *id)
{
	struct mig_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	spin_init(&j->lock, LOCK_MIG + 1, "mig job");
	waitq_init(&j->changed, "mig job");
	mutex_init(&j->stream_lock, LOCK_MIG, "mig stream");
	if (r)
		j->req = *r;
	j->self = net_addr_is_loopback(&j->req.to);
	j->st.dry_run = j->req.dry_run;
	memcpy(j->id, id, sizeof(j->id));
	j->started_ns = j->progress_ns = j->heard_ns = time_ns();
	j->st.incoming = incoming;
	j->st.storage = j->req.storage;
	j->st.start_ns = j->started_ns;
	j->st.phase = MIG_QUEUED;
	strcpy(j->st.vm, j->req.vm);
	j->st.peer = j->req.to;
	j->users = 1; /* the caller's, then its world's */
	if (append(j))
		return j;
	free(j);
	return NULL;
}

struct mig_job *job_search(bool (*fn)(struct mig_job *j, void *arg), void *arg)
{
	unsigned long f = spin_lock(&jobs.lock);
	struct mig_job *j;

	for (j = jobs.first; j && !fn(j, arg); j = j->next)
		;
	if (j)
		j->users++;
	spin_unlock(&jobs.lock, f);
	return j;
}

void job_set_settling(struct mig_job *j, bool on)
{
	unsigned long f = spin_lock(&jobs.lock);

	j->settling = on;
	spin_unlock(&jobs.lock, f);
}

void job_put(struct mig_job *j)
{
	unsigned long f = spin_lock(&jobs.lock);

	tern_assert(j->users > 0);
	j->users--;
	spin_unlock(&jobs.lock, f);
}

static bool has_number(struct mig_job *j, void *arg)
{
	return j->st.id == *(const uint32_t *)arg;
}

struct mig_job *job_find(uint32_t id)
{
	return job_search(has_number, &id);
}

struct side {
	bool incoming;
	uint8_t id[WIRE_ID_BYTES];
};

static bool is_side(struct mig_job *j, void *arg)
{
	const struct side *s = arg;

	return j->st.incoming == s->incoming && !memcmp(j->id, s->id, WIRE_ID_BYTES);
}

static struct mig_job *find_side(const uint8_t id[WIRE_ID_BYTES], bool incoming)
{
	struct side s = { .incoming = incoming };

	memcpy(s.id, id, sizeof(s.id));
	return job_search(is_side, &s);
}

struct mig_job *job_find_wire_id(const uint8_t id[WIRE_ID_BYTES])
{
	return find_side(id, true);
}

struct mig_job *job_find_outgoing(const uint8_t id[WIRE_ID_BYTES])
{
	return find_side(id, false);
}

void job_changed_locked(struct mig_job *j)
{
	waitq_wake_all(&j->changed);
}

int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	return waitq_sleep(&j->changed, &j->lock, flags, deadline_ns);
}

void job_phase(struct mig_job *j, enum mig_phase p)
{
	unsigned long f = spin_lock(&j->lock);

	if (!j->over) /* an end is final, whoever was quicker */
		j->st.phase = p;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
}

void job_progress(struct mig_job *j, unsigned percent)
{
	unsigned long f = spin_lock(&j->lock);

	if (percent > j->st.percent)
		j->st.percent = percent;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	unsigned long f = spin_lock(&j->lock);
	va_list ap;

	va_start(ap, fmt);
	if (!j->st.error[0]) { /* the first cause counts */
		strncpy(j->st.error_code, code, sizeof(j->st.error_code) - 1);
		vsnprintf(j->st.error, sizeof(j->st.error), fmt, ap);
	}
	va_end(ap);
	spin_unlock(&j->lock, f);
}

/* How an incoming one that was complete here has ended. */
static void remember(const struct mig_job *j)
{
	struct wire_verdict v = {
		.verdict = j->dst == DST_OWNS ? VERDICT_RUNNING : VERDICT_DISCARDED,
		.started_ns = j->running.started_ns,
	};

	memcpy(v.id, j->id, sizeof(v.id));
	history_add(&v);
}

static const char *way(const struct mig_job *j)
{
	return j->req.storage ? "disks" : j->st.incoming ? "in" : "out";
}

void job_over(struct mig_job *j, enum mig_phase p)
{
	unsigned long list = spin_lock(&jobs.lock), f = spin_lock(&j->lock);
	bool before = j->over;

	if (!before) {
		j->st.total_ns = time_ns() - j->started_ns;
		j->st.phase = p;
		j->st.held = false;
		if (p == MIG_DONE)
			j->st.percent = 100;
		j->over = true; /* the caller holds the job: nobody forgets it yet */
		job_changed_locked(j);
	}
	spin_unlock(&j->lock, f);
	spin_unlock(&jobs.lock, list);
	if (before)
		return;
	if (j->complete)
		remember(j);
	log_line(p == MIG_DONE ? LOG_INFO : LOG_WARN, "mig", "job %u: %s %s %s%s in %u ms%s%s",
		 (unsigned)j->st.id, j->st.vm, way(j), mig_phase_name(p),
		 j->st.dry_run ? " (dry run)" : "", (unsigned)(j->st.total_ns / NSEC_PER_MSEC),
		 j->st.error[0] ? ": " : "", j->st.error);
}

static void snapshot(struct mig_job *j, struct mig_status *out)
{
	unsigned long f = spin_lock(&j->lock);

	*out = j->st;
	spin_unlock(&j->lock, f);
	if (!out->total_ns)
		out->total_ns = time_ns() - j->started_ns;
	job_put(j);
}

void job_abort_stream(struct mig_job *j)
{
	mutex_lock(&j->stream_lock);
	if (j->peer.s)
		stream_abort(j->peer.s);
	mutex_unlock(&j->stream_lock);
}

void job_close_stream(struct mig_job *j)
{
	struct stream *s;

	mutex_lock(&j->stream_lock);
	s = j->peer.s;
	j->peer.s = NULL;
	mutex_unlock(&j->stream_lock);
	if (s)
		stream_close(s);
}

void job_drop_vm(struct mig_job *j)
{
	struct vm *vm = j->vm;

	j->vm = NULL;
	if (!vm)
		return;
	if (j->woken)
		vm_lay_down(vm);
	j->woken = false;
	home_stay(vm);
	mutex_lock(&vm->lock);
	if (vm->mig == j) {
		vm->mig = NULL;
		vm->doing = NULL;
	}
	mutex_unlock(&vm->lock);
	vm_put(vm);
}

bool mig_status(uint32_t id, struct mig_status *out)
{
	struct mig_job *j = job_find(id);

	if (j)
		snapshot(j, out);
	return j != NULL;
}

static bool is_after(struct mig_job *j, void *arg)
{
	return j->st.id > *(const uint32_t *)arg;
}

bool mig_next(uint32_t *cursor, struct mig_status *out)
{
	struct mig_job *j = job_search(is_after, cursor);

	if (!j)
		return false;
	*cursor = j->st.id;
	snapshot(j, out);
	return true;
}

int mig_wait(uint32_t id, uint64_t deadline_ns)
{
	struct mig_job *j = job_find(id);
	unsigned long f;
	int err;

	if (!j)
		return 0;
	f = spin_lock(&j->lock);
	err = j->over ? 0 : job_wait_locked(j, &f, deadline_ns);
	spin_unlock(&j->lock, f);
	job_put(j);
	return err;
}
