/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a record (journal.h). It goes when nothing of its move is in doubt any more, and not
 * before the description that it names, which it alone can settle, says no more that the VM moves:
 * else it stays for the next mount, when mig_recover finds it.
 */
#include <string.h>

#include <tern/home.h>

#include "job.h"
#include "journal.h"

static bool may_be_forgotten(const struct journal_record *r)
{
	enum home_end end = r->step == JOURNAL_OWNS ? HOME_HERE : HOME_NOT_COME;
	struct home_mark m;

	job_mark_of(&r->peer, r->id, &m);
	return !r->disks || !home_settled(r->disk[r->disks - 1], &m, end);
}

void job_journal_forget(const uint8_t id[WIRE_ID_BYTES])
{
	journal_forget(id, may_be_forgotten);
}

static struct journal *take(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);
	bool doubt = !j->st.incoming && (j->settling || j->src == SRC_GO_SENT);
	struct journal *k = doubt ? NULL : j->journal;

	if (k)
		j->journal = NULL;
	spin_unlock(&j->lock, f);
	return k;
}

static enum home_end end_of(const struct mig_job *j)
{
	if (j->st.incoming)
		return j->dst == DST_OWNS ? HOME_HERE : HOME_NOT_COME;
	return j->src == SRC_RELEASED && !j->stopped ? HOME_NOBODYS : HOME_HERE;
}

bool job_journal_end(struct mig_job *j)
{
	struct journal *k = take(j);
	const char *last = k ? journal_last(k) : NULL;
	struct home_mark m;

	if (!k)
		return true;
	job_mark(j, &m);
	if (!j->behind && (!last || !home_settled(last, &m, end_of(j))))
		return journal_end(k);
	journal_keep(k);
	return false;
}

void job_journal_keep(struct mig_job *j)
{
	struct journal *k = take(j);

	if (k)
		journal_keep(k);
}

void job_mark_of(const struct net_addr *peer, const uint8_t id[WIRE_ID_BYTES],
		 struct home_mark *out)
{
	*out = (struct home_mark){ .host = "" };
	net_addr_format(peer, out->host, sizeof(out->host));
	memcpy(out->id, id, sizeof(out->id));
}

void job_mark(const struct mig_job *j, struct home_mark *out)
{
	job_mark_of(&j->st.peer, j->id, out);
}
