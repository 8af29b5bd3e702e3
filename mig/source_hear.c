/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the source hears. A world of its own reads the stream all the time, so
 * that a refusal, an acknowledgement or the link's end is known at once,
 * whatever the sending world is doing.
 */
#include <errno.h>
#include <string.h>

#include <tern/log.h>

#include "phase.h"
#include "source.h"

/* Another answer than to the probe that is out says nothing. */
static void heard_clock(struct mig_job *j, const struct wire_clock *c)
{
	uint64_t now = time_ns();

	if (j->probe_sent_ns && c->sent_ns == j->probe_sent_ns) {
		gap_probe(&j->gap, c->sent_ns, c->there_ns, now);
		j->st.rtt_ns = j->rtt_ns = MIN(j->rtt_ns, now - c->sent_ns);
	}
	j->probe_sent_ns = 0;
}

static int heard_hello(struct mig_job *j, const void *body)
{
	struct wire_hello h;

	memcpy(&h, body, sizeof(h));
	if (wire_hello_check(&h))
		return -EBADMSG;
	j->version = wire_version_with(&h);
	if (j->version)
		return 0;
	job_error(j, "version",
		  "the destination speaks protocol %u to %u, this host %u to %u: update the older "
		  "one",
		  h.version_min, h.version, WIRE_VERSION_MIN, WIRE_VERSION);
	return -ECONNABORTED;
}

static int heard(struct mig_job *j, const struct wire_head *h, const void *body)
{
	const struct wire_text *words;
	unsigned long f;
	int err = peer_last_words(h, body, &words);

	if (err == -ECONNABORTED)
		job_error(j, words->code, "%s", words->text);
	if (!err && h->type == WIRE_HELLO)
		err = heard_hello(j, body);
	if (!err && h->type == WIRE_ACCEPT)
		err = wire_accept_check(h->length, j->version);
	if (err)
		return err;
	f = spin_lock(&j->lock);
	switch (h->type) {
	case WIRE_ACCEPT:
		memcpy(j->there, body, h->length);
		break;
	case WIRE_ACK:
		err = acks_heard(&j->acks, ((const struct wire_ack *)body)->seq);
		j->acked_ns = time_ns();
		break;
	case WIRE_CLOCK_REPLY:
		heard_clock(j, body);
		break;
	case WIRE_RUNNING:
		memcpy(&j->running, body, sizeof(j->running));
		break;
	default:
		break;
	}
	j->replies |= 1u << h->type;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
	return err;
}

void source_ears(void *arg)
{
	struct mig_job *j = arg;
	uint8_t buf[256];
	struct wire_head h;
	unsigned long f;
	void *body;
	int err;

	do {
		err = peer_recv(&j->peer, &h, buf, sizeof(buf), &body, time_ns() + LINK_TIMEOUT_NS);
		if (!err)
			err = heard(j, &h, body);
	} while (!err);
	f = spin_lock(&j->lock);
	j->link_error = err;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
}

/* Says ALIVE when a second has gone by in a wait. The lock is let go for it. */
static int stay_alive(struct mig_job *j, unsigned long *f, uint64_t deadline_ns)
{
	uint64_t next = time_ns() + ALIVE_EVERY_NS;
	int err = job_wait_locked(j, f, MIN(next, deadline_ns));

	if (err != -ETIMEDOUT)
		return 0;
	if (time_ns() >= deadline_ns)
		return -ETIMEDOUT;
	if (!j->peer.s) /* held before the connection was made */
		return 0;
	spin_unlock(&j->lock, *f);
	err = peer_send(&j->peer, WIRE_ALIVE, NULL, 0);
	*f = spin_lock(&j->lock);
	return err;
}

int source_wait(struct mig_job *j, enum wire_type type, uint64_t deadline_ns)
{
	unsigned long f = spin_lock(&j->lock);
	int err = 0;

	while (!err && !(j->replies & 1u << type)) {
		if (j->link_error)
			err = j->link_error;
		else if (j->cancel && j->src != SRC_GO_SENT)
			err = -ECANCELED;
		else
			err = stay_alive(j, &f, deadline_ns);
	}
	j->replies &= ~(1u << type);
	spin_unlock(&j->lock, f);
	return err;
}

int source_until(struct mig_job *j, bool (*so)(const void *arg), const void *arg,
		 uint64_t deadline_ns)
{
	unsigned long f = spin_lock(&j->lock);
	int err = 0;

	while (!err && !so(arg)) {
		if (j->link_error)
			err = j->link_error;
		else if (j->cancel)
			err = -ECANCELED;
		else
			err = stay_alive(j, &f, deadline_ns);
	}
	spin_unlock(&j->lock, f);
	return err;
}

static bool never(const void *arg)
{
	(void)arg;
	return false;
}

int source_pause(struct mig_job *j, uint64_t until_ns)
{
	int err = source_until(j, never, NULL, until_ns);

	return err == -ETIMEDOUT && time_ns() >= until_ns ? 0 : err;
}

int source_hold(struct mig_job *j, enum mig_phase p)
{
	unsigned long f;
	int err = 0;

	job_phase(j, p);
	f = spin_lock(&j->lock);
	j->st.held = j->req.hold == p && p != MIG_QUEUED;
	while (!err && j->st.held && !j->go_on) {
		if (j->link_error)
			err = j->link_error;
		else if (j->cancel)
			err = -ECANCELED;
		else
			err = stay_alive(j, &f, NEVER_NS);
	}
	if (j->cancel)
		err = -ECANCELED;
	j->st.held = false;
	spin_unlock(&j->lock, f);
	return err;
}

int source_probe(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);
	struct wire_clock c = { .sent_ns = time_ns() };
	bool out = j->probe_sent_ns;

	if (!out)
		j->probe_sent_ns = c.sent_ns;
	spin_unlock(&j->lock, f);
	return out ? 0 : peer_send(&j->peer, WIRE_CLOCK, &c, sizeof(c));
}

int source_clock(struct mig_job *j)
{
	uint64_t enough_ns = time_ns() + CLOCK_MORE_NS;
	int err = 0;

	j->rtt_ns = UINT64_MAX;
	for (unsigned i = 0; !err; i++) {
		if (i >= CLOCK_PROBES && (j->rtt_ns <= CLOCK_GOOD_NS || time_ns() >= enough_ns))
			break;
		err = source_probe(j);
		if (!err)
			err = source_wait(j, WIRE_CLOCK_REPLY, time_ns() + LINK_TIMEOUT_NS);
	}
	if (!err && j->rtt_ns == UINT64_MAX)
		err = -EBADMSG; /* it answered, but never what was asked */
	return err;
}

int64_t source_gap_ns(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);
	int64_t ns = gap_ns(&j->gap);

	spin_unlock(&j->lock, f);
	return ns;
}
