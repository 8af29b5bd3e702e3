/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A migration as a job: what the console sees, who waits for what, and the
 * commit's state on this side. Outgoing and incoming jobs are in one list.
 *
 * Legend: [const] after creation, [job] under job->lock, [own] by the job's world,
 * [list] under the registry's lock.
 */
#ifndef MIG_JOB_H
#define MIG_JOB_H

#include <tern/home.h>
#include <tern/lock.h>
#include <tern/mig.h>
#include <tern/world.h>

#include "acks.h"
#include "commit.h"
#include "gap.h"
#include "peer.h"
#include "steps.h"

#define JOBS_KEPT 64u

struct mig_job {
	struct mig_request req;	   /* [const] */
	uint8_t id[WIRE_ID_BYTES]; /* [const] of the migration, on both hosts */
	bool self;		   /* [const] the other host is this one: both its jobs are here */
	struct spinlock lock;
	struct waitq changed;	     /* anything below under [job] changed */
	struct mig_status st;	     /* [job] */
	uint64_t started_ns;	     /* [const] */
	bool cancel;		     /* [job] asked for */
	bool no_return;		     /* [job] and not to be had any more */
	bool go_on;		     /* [job] continue after a hold */
	bool stays;		     /* [job] of disks: the operator says so */
	bool may_stay;		     /* [job] of disks: and may, for the old home can be written */
	enum source_state src;	     /* [job] outgoing */
	enum dest_state dst;	     /* [job] incoming */
	uint32_t replies;	     /* [job] bit per wire_type that came from the destination */
	int link_error;		     /* [job] why the stream ended, 0 = it is up */
	struct acks acks;	     /* [job] outgoing: batches under way */
	uint64_t acked_ns;	     /* [job] when the last of them was heard of */
	uint16_t version;	     /* [job] of the stream, from HELLO on; outgoing */
	uint8_t there[16];	     /* [job] the destination, as leases name it, from ACCEPT on */
	uint64_t probe_sent_ns;	     /* [job] of the clock probe that is out; 0: none */
	struct gap gap;		     /* [job] destination's clock minus ours */
	struct wire_running running; /* [job] */
	uint64_t rtt_ns;	     /* [job] best of the probes */
	struct vm *vm;		     /* [own] with a reference */
	enum vm_state was;	 /* [own] of the VM when it was claimed or offered: it ends so */
	struct vm_end end;	 /* [own] incoming: of one that is off, its last run's */
	bool woken;		 /* [own] outgoing: vm_wake */
	struct vm *instead;	 /* [own] incoming: stepped aside for vm, see dest_vm.c; or NULL */
	struct vm *former;	 /* [own] incoming, self: runs until vm does; with a reference */
	struct journal *journal; /* [job] of a move with copied disks; NULL: none */
	bool noted_go;		 /* [own] outgoing: the record may say so */
	bool unsure;		 /* [own] outgoing: and may not, though it is as if GO were said */
	unsigned unknown;	 /* [own] by settle.c: so often the peer knew nothing of it */
	bool stopped;		 /* [own] outgoing: it runs nowhere, its disks are here */
	struct leftover *left;	 /* [own] of a move that a crash ended: instead of vm */
	bool behind; /* [own] ... some of what it names is on datastores that are not mounted */
	struct peer peer; /* [own]; peer.s under stream_lock for others' aborts */
	struct mutex stream_lock;
	bool settling;		       /* [list] the settle world has work with it */
	bool asking;		       /* [job] it is talking to the peer: the operator waits */
	bool resolving;		       /* [job] and the operator decides: it waits */
	bool complete;		       /* [job] incoming: READY may have been said */
	bool disks_came;	       /* [job] incoming: its disks have, or had, a stream */
	struct blk_receiver *disks_in; /* [job] incoming: takes its disks' contents; NULL: nobody */
	bool taking;		       /* [job] incoming: its leases are being accepted just now */
	bool parting;		       /* [job] incoming: its copy is being taken apart */
	bool accepted;		       /* [one world, taking] incoming: they are this host's */
	uint64_t progress_ns; /* [job] incoming: when its source last brought something new */
	uint64_t heard_ns;    /* [job] incoming: when its source last said anything */
	bool give_way;	      /* [job] incoming: it is to end, another needs its place */
	struct {
		struct {
			enum mig_step step;
			uint64_t ns;
		} at[MIG_STEPS_MAX];
		unsigned count, said;
	} steps;	      /* [job] see steps.h */
	bool over;	      /* [list, job] may be forgotten when the list is full */
	unsigned users;	      /* [list] job_new, job_find and the like, until job_put */
	uint8_t uuid[16];     /* [own] incoming: of vm, valid while vm is set */
	struct mig_job *next; /* [list] */
};

void jobs_init(void);
/* A new job in the list, held until job_put; NULL when there is no memory or 64 are unfinished. */
struct mig_job *job_new(const struct mig_request *r, bool incoming, const uint8_t *id);
/* These find a job and hold it in memory until job_put; NULL when there is none. */
struct mig_job *job_find(uint32_t id);
/* An incoming one; of a move to this host itself there are two of an id. */
struct mig_job *job_find_wire_id(const uint8_t id[WIRE_ID_BYTES]);
struct mig_job *job_find_outgoing(const uint8_t id[WIRE_ID_BYTES]);
/* The first, oldest before newer, for which fn is true. */
struct mig_job *job_search(bool (*fn)(struct mig_job *j, void *arg), void *arg);
void job_put(struct mig_job *j);
void job_set_settling(struct mig_job *j, bool on);

void job_phase(struct mig_job *j, enum mig_phase p);
void job_progress(struct mig_job *j, unsigned percent); /* never goes back */
void job_error(struct mig_job *j, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Final: phase, total time; the job may be forgotten when nobody holds it. The first call counts.
 */
void job_over(struct mig_job *j, enum mig_phase p);
void job_changed_locked(struct mig_job *j);
/* Sleeps until something changed or the deadline; j->lock held. */
int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns);

/* source.c */
void source_world(void *arg);
/* dest.c: one accepted stream (arg). */
void dest_world(void *arg);
/* dest_end.c */
/* Runs a held incoming VM, or gives it up; by its stream, the settle protocol or the operator. */
/*
 * 0 it runs here. -EPERM the copy is gone. With leases as vdisks_accept: -EAGAIN, -ESTALE, others.
 */
MUST_CHECK int dest_take(struct mig_job *j);
void dest_discard(struct mig_job *j);
/*
 * What the verdict DISCARDED promises: a copy that is not complete never will
 * be. Its world, which is told, takes it apart (true); a held one goes here.
 */
bool dest_forbid(struct mig_job *j, bool held_too);
/* The operator's word for a held copy: as source_resolve. */
MUST_CHECK int dest_resolve(struct mig_job *j, bool here);
/* Asks the incoming job that has been idle longest to end; false when none is idle enough. */
bool dest_give_way(void);
/* Without its stream, what do the leases say of a held copy? Takes it, ends it, or neither yet. */
void dest_look(struct mig_job *j);
/* Answers a SETTLE message of a source. */
void dest_settle(const struct wire_settle *m, struct wire_verdict *v);
/* settle.c: unresolved outcomes are told or asked until the peer answers. */
void settle_init(void);
void settle_add(struct mig_job *j);

/* Wakes whoever waits on the job's stream with -ECANCELED; the stream's owner closes it. */
void job_abort_stream(struct mig_job *j);
void job_close_stream(struct mig_job *j);
/* Does the VM run while it moves, and after it? Else it is off or suspended. */
static inline bool job_moves_running(const struct mig_job *j)
{
	return j->was == VM_RUNNING;
}

/* Ends the job's hold on its VM, which lives on. */
void job_drop_vm(struct mig_job *j);

/* The record of a move of which nothing is in doubt any more goes. After each step that may be the
 * last. False: it stays for the next mount, so the other host must be there to be asked. */
bool job_journal_end(struct mig_job *j);
void job_journal_keep(struct mig_job *j); /* it goes, the file stays */
/* The record of an incoming one that was kept: its source will not ask any more. */
void job_journal_forget(const uint8_t id[WIRE_ID_BYTES]);
/* What a description of its VM says while it is open. */
void job_mark(const struct mig_job *j, struct home_mark *out);
void job_mark_of(const struct net_addr *peer, const uint8_t id[WIRE_ID_BYTES],
		 struct home_mark *out);

/* recover.c: of a move that a crash of this host ended, the end: vm is NULL. */
void recover_end(struct mig_job *j, bool gone);
void recover_keep(struct mig_job *j); /* gone or not, the files stay */

/* source_commit.c */
/*
 * Whose is a VM whose leases were given? Takes them back if that is still possible: COMMIT_RUN. Or
 * COMMIT_FREE, and COMMIT_ASK while the datastore does not say. Of a VM with copied disks, too,
 * that are not to go before it is known that they have come: as long as `gone` does not say that
 * its copy there never ran and never will. Then it runs nowhere (j->stopped).
 */
enum commit_action source_ask_leases(struct mig_job *j, bool gone);
/* GO was not said after all: before the VM goes on a crash must find that again. */
MUST_CHECK int source_note_nothing(struct mig_job *j);
/* Before GO is said again a crash must find it. False: the record cannot be written now. */
bool source_go_is_noted(struct mig_job *j);

/*
 * source_resolve.c: the operator's word on a VM in doubt. -EPERM: it has just been settled. -EBUSY:
 * leases decide. Others: its record cannot be written, so it stays in doubt.
 */
MUST_CHECK int source_resolve(struct mig_job *j, bool here);

/* source_end.c: what follows a commit action on the source. */
void source_resume(struct mig_job *j); /* COMMIT_RUN: the VM goes on here */
void source_resume_all(
	struct mig_job *j);		/* the same for a VM in doubt: devices and tracking too */
void source_release(struct mig_job *j); /* COMMIT_FREE: the VM lives elsewhere, this copy ends */

#endif
