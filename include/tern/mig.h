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
	MIG_IN_DOUBT, /* GO sent, answer unknown */
	MIG_DONE,
	MIG_FAILED,   /* source runs on */
	MIG_CANCELED, /* source runs on */
	MIG_PHASES
};
const char *mig_phase_name(enum mig_phase p);

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
};

struct mig_round {
	uint64_t pages, zero_pages, delta_pages, bytes, ns, dirtied;
};

struct mig_status {
	uint32_t id;
	bool incoming;
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
	char error_code[24]; /* "unreachable", "no-memory", ... */
	char error[160];     /* for people */
};

void mig_init(void); /* listener and its world */
/* 0 with the job's id, or an error with code and text. */
MUST_CHECK int mig_start(const struct mig_request *r, uint32_t *id, char *code, size_t code_len,
			 char *why, size_t why_len);
bool mig_status(uint32_t id, struct mig_status *out);
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
