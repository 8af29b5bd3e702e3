/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving VMs, as the console sees it. Each migration is a job with an id; its
 * source world drives the nine steps (mig/phase.h), a receiver world on the
 * other host answers.
 */
#ifndef TERN_MIG_H
#define TERN_MIG_H

#include <tern/cpumodel.h>
#include <tern/net.h>
#include <tern/types.h>
#include <tern/vm.h>

#define MIG_PORT 8902
#define MIG_MAX_ROUNDS 64

enum mig_phase {
	MIG_QUEUED,
	MIG_PREFLIGHT,
	MIG_SKELETON,
	MIG_PRECOPY,
	MIG_STUN,     /* save checkpoint: park, drain, final harvest */
	MIG_TRANSFER, /* remaining pages, records */
	MIG_READY,    /* waiting for the destination's READY */
	MIG_LEASE,    /* disks' leases are given */
	MIG_GO,	      /* GO sent: no way back */
	MIG_IN_DOUBT, /* GO sent, answer unknown; or a switch of datastores, likewise */
	MIG_DONE,
	MIG_FAILED,   /* source runs on */
	MIG_CANCELED, /* source runs on */
	/* Of Storage vMotion, which begins with QUEUED and PREFLIGHT too. */
	MIG_COPY,    /* the disks, once over */
	MIG_ROUNDS,  /* what was written meanwhile, until little is left */
	MIG_VERIFY,  /* where that is asked for: the sides are compared */
	MIG_SWITCH,  /* the VM stands still and goes on with the new disks */
	MIG_CLEANUP, /* the old ones are removed */
	MIG_PHASES
};
const char *mig_phase_name(enum mig_phase p);

/* Disks that move to other datastores of the same host (Storage vMotion). */
enum mig_disk_kind { MIG_DISK_KEEP, MIG_DISK_THIN, MIG_DISK_FLAT };
struct mig_disks {
	char to[VM_DISKS_MAX][32]; /* datastore of each; "": `all` says */
	char all[32];		   /* of the others, but those that are only read; "": they stay */
	enum mig_disk_kind kind;   /* what they are there */
	bool cbt;		   /* by changed blocks, not by a mirror */
	bool verify;		   /* both sides are compared before the switch */
};

struct mig_request {
	char vm[VM_NAME_MAX];
	struct net_addr to;
	uint32_t budget_ms;   /* stun budget, 0 = 300 */
	uint32_t bw_mbit;     /* 0 = no limit */
	uint32_t batch_pages; /* 0 = 512 */
	uint32_t max_rounds;  /* 0 = 30 */
	enum mig_phase
		hold; /* stop at the start of this phase until mig_continue; MIG_QUEUED = none */
	bool dry_run;
	bool hipri;
	bool storage; /* `disks` says what moves, `to` says nothing */
	struct mig_disks disks;
};

struct mig_round {
	uint64_t pages, zero_pages, delta_pages, bytes, ns, dirtied;
};

struct mig_disk_figures {
	unsigned disks;			    /* that move; 0: no Storage vMotion */
	char to[32];			    /* the first one's datastore */
	uint64_t total_bytes, copied_bytes; /* of the disks; of that copied, rounds included */
	uint64_t skipped_bytes;		    /* holes, and zeros */
	uint64_t mirrored_bytes;	    /* written by the guest to both sides */
	uint64_t held, held_ns;		    /* its requests that waited for a copy */
	/* What that took: */
	uint64_t requests, wakes;		   /* of the copy to the disks; of its world */
	uint64_t memory_copied_bytes;		   /* from memory to memory, here alone */
	uint64_t buffer_bytes;			   /* taken at the begin, nothing later */
	uint64_t compared_bytes, uncompared_bytes; /* with verify; the latter at the switch */
	uint64_t before_ns, during_ns, after_ns; /* its requests, on average; 0: there were none */
	char waits_for[64];			 /* why it is queued */
	char whole[48]; /* of the disks, those of the host: what they held stays on them */
};

struct mig_status {
	uint32_t id;
	bool incoming;
	bool storage; /* its disks change datastores of this host: no peer */
	char vm[VM_NAME_MAX];
	struct net_addr peer;
	enum mig_phase phase;
	bool held;
	bool dry_run;	  /* ends after preflight: nothing moves */
	unsigned percent; /* never goes back */
	unsigned rounds;
	struct mig_round round[MIG_MAX_ROUNDS];
	uint64_t start_ns, total_ns, blackout_ns, predicted_blackout_ns;
	/* Blackout split. */
	uint64_t park_ns, harvest_ns, pages_ns, state_ns, ready_ns, lease_ns, go_ns, first_run_ns;
	uint64_t bytes_sent, pages_sent, zero_sent, resent, copied_bytes;
	uint64_t delta_pages,
		delta_bytes;   /* pages sent as what changed in them, and the bytes of that */
	uint64_t pages_hinted; /* not sent, since the guest said that it does not use them */
	uint64_t base_pages;   /* most pages kept for it at a time */
	uint64_t rate_bytes_s, dirty_pages_s;
	uint64_t rtt_ns; /* best round trip of the clocks' exchange; half of it bounds its error */
	struct mig_disk_figures disk;
	char error_code[24]; /* "unreachable", "no-memory", ... */
	char error[160];     /* for people */
};

/* In a world, after each mount of datastores: what a crash has left of moves is settled. */
void mig_recover(void);
void mig_init(void); /* listener and its world */
/* 0 with the job's id, or an error with code and text. */
MUST_CHECK int mig_start(const struct mig_request *r, uint32_t *id, char *code, size_t code_len,
			 char *why, size_t why_len);
/* Storage vMotion, the same way: r->vm, budget_ms, bw_mbit, hold and disks count. */
MUST_CHECK int mig_storage_start(const struct mig_request *r, uint32_t *id, char *code,
				 size_t code_len, char *why, size_t why_len);
bool mig_status(uint32_t id, struct mig_status *out);
/* What it did on this side to decide whose the VM is; the first ones of more. How many. */
#define MIG_STEPS_MAX 32u
struct mig_step_told {
	const char *words;
	uint64_t ns; /* since the job began */
};
unsigned mig_steps(uint32_t id, struct mig_step_told out[MIG_STEPS_MAX]);
/* Jobs, newest last, from *cursor (0 to start). */
bool mig_next(uint32_t *cursor, struct mig_status *out);
/* Waits for an end or a change of progress: 0, or -ETIMEDOUT. */
int mig_wait(uint32_t id, uint64_t deadline_ns);
MUST_CHECK int mig_cancel(uint32_t id, char *why, size_t why_len);
MUST_CHECK int mig_continue(uint32_t id, char *why, size_t why_len);
/* here: this host runs the VM; otherwise this host's copy is given up. */
MUST_CHECK int mig_resolve(const char *vm, bool here, char *why, size_t why_len);

/* The VM, as records, into a fresh instance of itself that waits, without a copy of its memory;
 * and on from there. As vm_start: -EBUSY and others with a text for people in why. */
MUST_CHECK int mig_suspend(struct vm *vm, char *why, size_t why_len);
MUST_CHECK int mig_restore(struct vm *vm, char *why, size_t why_len);

/* What another host says of itself, before any VM is meant to move. */
struct mig_host {
	char name[32];
	uint64_t free_bytes;
	uint32_t tsc_khz;
	struct cpu_model cpu; /* that guests can be given there */
};
/* 0, or an error with code and text, as mig_start. */
MUST_CHECK int mig_query(const struct net_addr *to, struct mig_host *out, char *code,
			 size_t code_len, char *why, size_t why_len);
void mig_host_self(struct mig_host *h);

#endif
