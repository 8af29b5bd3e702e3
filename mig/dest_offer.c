/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination's answers until a VM is accepted (dest_int.h): versions, whether such
 * a VM can come, what this host's processor is, how an earlier migration ended.
 */
#include <errno.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/home.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "dest_int.h"
#include "history.h"
#include "phase.h"
#include "query.h"

int dest_on_hello(struct dest *d, const void *body, size_t len)
{
	struct wire_hello h, mine = { .version = WIRE_VERSION, .version_min = WIRE_VERSION_MIN };
	const char *name = config_get("hostname");

	memcpy(&h, body, len);
	if (wire_hello_check(&h))
		return dest_refuse(d, -EBADMSG, "bad-stream", "the hello is not one");
	d->version = wire_version_with(&h);
	if (!d->version)
		return dest_refuse(
			d, -ENOTSUP, "version",
			"the source speaks protocol %u to %u, this host %u to %u: update the "
			"older one",
			h.version_min, h.version, WIRE_VERSION_MIN, WIRE_VERSION);
	memcpy(d->id, h.id, sizeof(d->id));
	memcpy(mine.id, h.id, sizeof(mine.id));
	strncpy(mine.host, name ? name : "tern", sizeof(mine.host) - 1);
	d->talk = T_OFFER;
	return peer_send(&d->peer, WIRE_HELLO, &mine, sizeof(mine));
}

/* Also while its copy is taken apart: the VM's name is free when that is over. */
static bool holds_uuid(struct mig_job *j, void *arg)
{
	return j->st.incoming && (j->vm || (j->dst == DST_GONE && !j->over)) &&
	       !memcmp(j->uuid, arg, sizeof(j->uuid));
}

static bool is_complete_locked(const struct mig_job *j)
{
	return j->dst == DST_HELD || j->dst == DST_OWNS;
}

/*
 * What an earlier attempt of the same VM left here. A complete copy stays, whoever
 * offers: its id alone, which nobody can guess, or the operator ends it. One that is
 * being filled stays while its source is heard of; but it may be that this has just given it
 * up, and it is being taken apart.
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
	if (time_since_ns(old->heard_ns) > SILENT_NS)
		dest_forbid(old, false);
	id = old->st.id;
	f = spin_lock(&old->lock);
	while (!old->over && !is_complete_locked(old) && !job_wait_locked(old, &f, deadline))
		;
	gone = old->over;
	spin_unlock(&old->lock, f);
	job_put(old);
	if (gone)
		return 0;
	return dest_refuse(
		d, -EEXIST, "exists",
		"job %u there has a copy of '%s' from an earlier attempt: try again when it is "
		"over ('tasks' there)",
		(unsigned)id, d->offer.cfg.name);
}

/*
 * Of a move to this host itself the instance that runs, with a reference; else NULL. Its source's
 * job is here, and nobody else knows the id.
 */
static struct vm *runs_here(const struct dest *d)
{
	struct mig_job *source = job_find_outgoing(d->id);
	struct vm *vm = source && source->self ? vm_find(d->offer.cfg.name) : NULL;

	if (vm && (vm->mig != source || memcmp(vm->uuid, d->offer.uuid, sizeof(vm->uuid)))) {
		vm_put(vm);
		vm = NULL;
	}
	if (source)
		job_put(source);
	return vm;
}

/* What is this host's alone, and so in no offer, stays with the VM. */
static void keep_ours(struct vm_config *cfg, const struct vm *vm)
{
	memcpy(cfg->home, vm->cfg.home, sizeof(cfg->home));
	cfg->sched = vm->cfg.sched;
}

static int check_name(struct dest *d)
{
	struct vm *vm = vm_find(d->offer.cfg.name);
	bool same = vm && home_gives_way(vm, &d->offer.home);

	if (vm)
		vm_put(vm);
	if (!vm || same)
		return 0;
	return dest_refuse(d, -EEXIST, "exists", "the destination has a VM named '%s' already",
			   d->offer.cfg.name);
}

/* All that goes to one datastore: each of it alone has a place. */
static int check_disk_room(struct dest *d)
{
	struct ds_room room = { 0 };
	char why[WIRE_TEXT] = "";
	int err;

	vdisks_room(&d->offer.cfg, d->offer.disk, &room);
	home_sent_room(&d->offer.sent, &room);
	err = ds_room_check(&room, " there", why, sizeof(why));
	return err ? dest_refuse(d, err, ds_error_code(err), "%s", why) : 0;
}

static int check_disks(struct dest *d)
{
	char why[WIRE_TEXT] = "";

	if (d->offer.home.store[0] &&
	    home_check(d->offer.cfg.name, &d->offer.home, why, sizeof(why)))
		return dest_refuse(d, -ENOENT, "disk", "%s", why);
	if (d->offer.sent.store[0] &&
	    home_sent_check(&d->offer.cfg, &d->offer.sent, why, sizeof(why)))
		return dest_refuse(d, -ENOENT, "disk", "%s", why);
	if (vdisks_check(&d->offer.cfg, d->offer.disk, why, sizeof(why)))
		return dest_refuse(d, -ENOENT, "disk", "%s", why);
	return check_disk_room(d);
}

static int check_room(struct dest *d, const struct vm *former)
{
	uint64_t spare = page_spare_bytes(), beside = vm_overhead_bytes(&d->offer.cfg);
	char why[WIRE_TEXT] = "";
	int err;

	if (!former && check_name(d))
		return -EEXIST;
	err = check_disks(d);
	if (err)
		return err;
	if (vm_check(&d->offer.cfg, why, sizeof(why)))
		return dest_refuse(d, -ENOENT, "not-found", "%s", why);
	if (spare < d->offer.cfg.mem_bytes + beside)
		return dest_refuse(d, -ENOMEM, "no-memory",
				   former ? "the VM's %u MiB, and %u MiB beside, are needed twice "
					    "for a while, this host has %u MiB free"
					  : "the VM takes %u MiB, and %u MiB beside, the "
					    "destination has %u MiB free",
				   (unsigned)(d->offer.cfg.mem_bytes >> 20),
				   (unsigned)((beside + (1u << 20) - 1) >> 20),
				   (unsigned)(spare >> 20));
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

static int begin(struct dest *d)
{
	struct mig_request r = { 0 };
	struct stream_info info;

	stream_info(d->peer.s, &info);
	memcpy(r.vm, d->offer.cfg.name, sizeof(r.vm));
	r.to = info.peer;
	d->j = job_new(&r, true, d->id);
	return d->j ? 0
		    : dest_refuse(d, -ENOMEM, "no-memory",
				  "the destination has no memory for another job");
}

int dest_on_offer(struct dest *d, const void *body, size_t len)
{
	struct wire_accept yes;
	char why[WIRE_TEXT] = "";
	struct vm *former;
	int err = offer_read(body, len, &d->offer);

	if (err)
		return dest_refuse(d, err, err == -ENOMEM ? "no-memory" : "bad-stream",
				   err == -ENOMEM ? "the destination has no memory for the offer"
						  : "the offer is malformed");
	if (!virt)
		return dest_refuse(d, -ENOTSUP, "no-virtualization", "%s", virt_absent_reason());
	err = offer_check(&d->offer, why, sizeof(why));
	if (err)
		return dest_refuse(d, err, "cpu", "%s", why);
	if (offered_before(d->id))
		return dest_refuse(d, -EBADMSG, "bad-stream",
				   "this migration has been offered before");
	former = runs_here(d);
	if (former)
		keep_ours(&d->offer.cfg, former);
	err = check_earlier(d);
	if (!err)
		err = check_room(d, former);
	if (!err)
		err = begin(d);
	if (err && former)
		vm_put(former);
	if (err)
		return err;
	d->j->former = former;
	d->j->was = d->offer.state;
	d->j->end = d->offer.end;
	d->j->peer = d->peer; /* for aborts from outside; this world uses its own */
	job_phase(d->j, MIG_PREFLIGHT);
	d->talk = T_ACCEPTED;
	vdisks_host(yes.host);
	return peer_send(&d->peer, WIRE_ACCEPT, &yes,
			 d->version < WIRE_VERSION_DISKS ? 0 : sizeof(yes));
}

int dest_on_query(struct dest *d, const void *body, size_t len)
{
	(void)body;
	(void)len;
	if (!virt)
		return dest_refuse(d, -ENOTSUP, "no-virtualization", "%s", virt_absent_reason());
	d->talk = T_OVER;
	return query_answer(&d->peer);
}

int dest_on_settle(struct dest *d, const void *body, size_t len)
{
	struct wire_settle m;
	struct wire_verdict v;

	memcpy(&m, body, len);
	if (m.reserved || m.outcome < OUTCOME_ABORTED || m.outcome > OUTCOME_CLOSED)
		return dest_refuse(d, -EBADMSG, "bad-stream", "settle with an unknown outcome");
	if (memcmp(m.id, d->id, sizeof(m.id)))
		return dest_refuse(d, -EBADMSG, "bad-stream",
				   "settle names another migration than hello");
	dest_settle(&m, &v);
	d->talk = T_OVER;
	return peer_send(&d->peer, WIRE_VERDICT, &v, sizeof(v));
}
