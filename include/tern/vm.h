/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual machines: life cycle, vCPU worlds, clocks, the CPU's part of a checkpoint. What one is
 * made of is in vmconfig.h, the dispatch of its accesses in vmio.h, a debugger's hold on it in
 * vmdebug.h. Devices hang on a VM through vdev.h; the platform (which devices, which boot
 * protocol) is registered by main.c, so that this room knows no device.
 *
 * Legend: [const] after create, [vm] under vm->lock, [atom] atomic, [own] by
 * the vCPU's world, [parked] readable by others when all vCPUs are parked.
 */
#ifndef TERN_VM_H
#define TERN_VM_H

#include <tern/gmem.h>
#include <tern/lock.h>
#include <tern/rec.h>
#include <tern/timer.h>
#include <tern/types.h>
#include <tern/virt.h>
#include <tern/vmconfig.h>
#include <tern/world.h>

enum vm_state {
	VM_OFF, /* defined, no contents */
	VM_RUNNING,
	VM_PAUSED,	  /* by the user */
	VM_STUNNED,	  /* parked by a migration, short */
	VM_IN_DOUBT,	  /* parked: whose it is, or which files, is unknown (migrate resolve) */
	VM_INCOMING,	  /* skeleton on a migration's destination */
	VM_SUSPENDED,	  /* state loaded, no worlds: goes on when it is restored */
	VM_STOPPED_ERROR, /* stopped after a guest error; reason in vm->stop_reason */
	VM_STATES
};
const char *vm_state_name(enum vm_state s);
static inline bool vm_state_is_off(enum vm_state s)
{
	return s == VM_OFF || s == VM_STOPPED_ERROR;
}

struct vm;
struct vcpu;

struct vcpu_stats {
	uint64_t exits[EXIT_REASONS];
	uint64_t injected, halts;
	uint64_t ipis;	     /* sent by it */
	uint64_t spins;	     /* for which its turn ended */
	uint64_t given;	     /* of these, turns that went to one of its VM */
	uint64_t turns_lost; /* it had to give way while it ran */
};

/* What a vCPU does with its time. */
enum vcpu_doing {
	VCPU_GUEST,  /* in the guest */
	VCPU_HOST,   /* on a CPU, for its exits */
	VCPU_READY,  /* waits for a CPU: to the guest, stolen time */
	VCPU_HALTED, /* in HLT, or not started yet */
	VCPU_HELD,   /* parked, off, or waits for the host */
	VCPU_DOINGS
};
struct vcpu_times {
	uint32_t seq;		  /* odd while it changes */
	uint8_t doing;		  /* enum vcpu_doing */
	uint8_t off_as;		  /* what it will be doing once it leaves its CPU */
	uint64_t since_ns;	  /* up to here ns has it */
	uint64_t ns[VCPU_DOINGS]; /* since the VM was made here */
};

/* A vCPU's last stays in the guest, the newest at [(count - 1) % TRAIL_STAYS] (kernel/vm/trail.c).
 */
#define TRAIL_STAYS 8u
struct trail_stay {
	uint64_t rip;		   /* where the guest left */
	uint64_t what;		   /* MSR, port or guest address, by the reason */
	struct virt_event entered; /* what the entry delivered */
	struct virt_event cut;	   /* whose delivery the exit cut short */
	uint8_t reason;		   /* enum exit_reason */
	uint16_t cpu;
};
struct vcpu_trail {
	uint64_t count; /* ever */
	struct trail_stay stay[TRAIL_STAYS];
};
/* "msr_write" */
const char *exit_name(unsigned reason);

struct vcpu {
	struct virt_vcpu v;	 /* [own] */
	struct vm *vm;		 /* [const] */
	unsigned index;		 /* [const] */
	struct world *world;	 /* [vm] */
	struct event wake;	 /* HLT ends, park ends */
	uint32_t park_asked;	 /* [atom] */
	uint32_t parked;	 /* [atom] out of guest, will not enter until unpark */
	uint32_t nmi_pending;	 /* [atom] */
	uint32_t init_asked;	 /* [atom] INIT came; 1 + vector of a SIPI in sipi_asked */
	uint32_t sipi_asked;	 /* [atom] */
	uint32_t sleeping;	 /* [atom] its world waits for wake: a kick signals it */
	bool loaded;		 /* [own] the switch hooks load and put it */
	bool window;		 /* [own] irq_window is asked for */
	struct vcpu_msrs *msrs;	 /* [parked] MSRs that the kernel keeps (kernel/vm/exit_msr.c) */
	bool halted;		 /* [parked] guest is in HLT */
	bool waiting_sipi;	 /* [parked] application processor not started */
	bool stepping;		 /* [parked] for the debugger, which the others wait for */
	uint8_t step_op;	 /* [own] what the step's instruction may leave of RFLAGS.TF */
	void *lapic;		 /* [const] vdev's */
	struct pvclock *clock;	 /* [own] kvmclock state */
	struct vcpu_stats stats; /* [own], read racily for display */
	struct vcpu_trail trail; /* [own], likewise */
	struct vcpu_times times; /* [own], read by vcpu_times_get */
	uint32_t preempted;	 /* [atom] waits for a CPU since its turn ended */
	uint32_t spinning;	 /* [atom] waits for a CPU since it spun (kernel/vm/pause.c) */
};

struct vdev;
struct io_region;
struct irqchip_ops;
struct msr_region;
struct vm_debugger;

struct vm {
	struct vm_config cfg;		   /* [const], but disk is [vm] while it is off */
	uint32_t refs;			   /* [atom] */
	struct mutex lock;		   /* guards [vm] fields; LOCK_VM */
	enum vm_state state;		   /* [vm], read racily for display */
	struct virt_vm virt;		   /* [const] */
	struct gmem *mem;		   /* [const] */
	unsigned nr_vcpus;		   /* [const] */
	struct vcpu *vcpu[VM_VCPUS_MAX];   /* [const] */
	const struct irqchip_ops *irqchip; /* [const] */
	void *platform;			   /* [const] vdev's: all devices of the VM */
	struct vdev *devs;		   /* [const] after create: list in order of creation */
	struct io_region *io;		   /* [vm]: dispatch table */
	struct msr_region *msrs;	   /* [const] */
	struct cpuid_table *cpuid; /* [const] what CPUID shows, fixed at create or by the stream */
	struct hyperv *hyperv;	   /* [const] NULL without cfg.hyperv */
	uint32_t tsc_khz;	   /* [const] the guest's TSC frequency */
	int64_t clock_offset_ns;   /* [parked] kvmclock system time = time_ns() + offset */
	uint8_t uuid[16];	   /* [const] */
	uint8_t came_by[16];	   /* [vm] id of the migration that brought it; zeros: made here */
	char stop_reason[96];	   /* [vm] */
	uint32_t troubles[VM_TROUBLES]; /* [atom] how often each has happened */
	bool exited;			/* [vm] the guest gave an exit code, and so ended its run */
	uint32_t exit_code;		/* [vm] */
	bool ended_here;    /* [vm] its vCPUs are as a run's end on this host left them */
	struct vm_run *run; /* [const] parking and life of the vCPU worlds (kernel/vm/park.c) */
	void *mig;	    /* [vm] what owns it now, as a migration does, or NULL */
	const char *doing;  /* [vm] ... with it, for people; NULL: "being moved" */
	struct vm_debugger *debugger; /* [parked] or NULL */
	struct vm *next;	      /* [registry] */
};

/* Registered once by main.c: builds and tears down the devices. */
struct vm_platform {
	/* Can such a VM be made here? The reason in why. May be NULL. */
	int (*check)(const struct vm_config *cfg, char *why, size_t why_len);
	int (*create)(struct vm *vm); /* devices, irqchip; no guest memory contents */
	void (*destroy)(struct vm *vm);
	/*
	 * Around a run: takes what the devices need from outside, as disks with their
	 * leases, and gives it back; each may come twice. Whoever releases is a world.
	 */
	int (*acquire)(struct vm *vm, char *why, size_t why_len);
	void (*release)(struct vm *vm);
	int (*reset)(struct vm *vm); /* devices to power-on state */
	/* Loads firmware or kernel and sets vCPU 0's start state. Error text in why. */
	int (*boot)(struct vm *vm, char *why, size_t why_len);
};
void vm_set_platform(const struct vm_platform *p);

/* Errors come with a text for people in why (96 bytes or more). VMs returned have a reference for
 * the caller. */
MUST_CHECK int vm_create(const struct vm_config *cfg, struct vm **out, char *why, size_t why_len);
/* What vm_create would say of it, before anything is made. */
MUST_CHECK int vm_check(const struct vm_config *cfg, char *why, size_t why_len);
/* What an instance of such a VM takes at most beside its memory. */
uint64_t vm_overhead_bytes(const struct vm_config *cfg);
/*
 * Migration's skeleton: like vm_create but VM_INCOMING, named in the registry, no boot. instead,
 * or NULL: the VM of this name, off and the caller's (vm_claim), whose place it takes; the
 * registry's reference to that is the caller's then, who puts it once the new one runs, or gives
 * the place back.
 */
MUST_CHECK int vm_create_incoming(const struct vm_config *cfg, struct vm *instead, struct vm **out,
				  char *why, size_t why_len);
/* vm, which is off, is not registered any more, instead is again, and nobody's. */
void vm_give_place_back(struct vm *vm, struct vm *instead);
/*
 * A second instance of vm for its state to be loaded into: same name and identity, the same
 * memory object, no worlds, not in the registry. cfg is vm's, but that its files may be on other
 * paths. vm stays parked and quiet while there are both: the memory has one user at a time.
 */
MUST_CHECK int vm_create_heir(struct vm *vm, const struct vm_config *cfg, struct vm **out,
			      char *why, size_t why_len);
/* The heir takes vm's place in the registry, suspended. -ENOENT: vm is not there any more. */
MUST_CHECK int vm_inherit(struct vm *vm, struct vm *heir);
/*
 * The same with memory of its own, incoming: vm runs until the other has its contents. cfg has
 * vm's name.
 */
MUST_CHECK int vm_create_twin(const struct vm_config *cfg, struct vm **out, char *why,
			      size_t why_len);
/* The twin, which is about to run, takes vm's place in the registry. As vm_inherit. */
MUST_CHECK int vm_take_place(struct vm *vm, struct vm *twin);
/* cfg's paths, of disks, of what it starts from and of its home, while it is off: else -EBUSY. For
 * its owner. */
MUST_CHECK int vm_set_files(struct vm *vm, const struct vm_config *cfg);
struct vm *vm_find(const char *name); /* with a reference, or NULL */
void vm_get(struct vm *vm);
void vm_put(struct vm *vm);
/* Is it what its name means now? One that was found may have been deleted, or made anew, since. */
static inline bool vm_is_registered(const struct vm *vm)
{
	struct vm *now = vm_find(vm->cfg.name);

	if (now)
		vm_put(now);
	return now == vm;
}
/* Calls fn with each VM; a reference is held during the call. */
void vm_for_each(void (*fn)(void *arg, struct vm *vm), void *arg);

MUST_CHECK int vm_start(struct vm *vm, char *why, size_t why_len); /* OFF -> RUNNING */
/* As the reset button does: asked for here, done by the VM's own world. */
MUST_CHECK int vm_reset(struct vm *vm, char *why, size_t why_len);
MUST_CHECK int vm_stop(struct vm *vm, char *why, size_t why_len); /* power off at once */
/* How the last run of a VM that is off has ended; without a reason: there was none. */
struct vm_end {
	bool error, exited;
	uint32_t exit_code;
	char reason[96];
};
void vm_ended(const struct vm *vm, struct vm_end *out);
/* An error has ended its run, and its registers are those of that moment. */
bool vm_shows_error(const struct vm *vm);
/*
 * vm_stop by its owner, whose it is no more, of one that has come from elsewhere and has not run
 * here: its last run ended so.
 */
MUST_CHECK int vm_stop_as(struct vm *vm, const struct vm_end *end, char *why, size_t why_len);
MUST_CHECK int vm_pause(struct vm *vm, char *why, size_t why_len);
MUST_CHECK int vm_resume(struct vm *vm, char *why, size_t why_len);
MUST_CHECK int vm_delete(struct vm *vm, char *why, size_t why_len); /* OFF or stopped only */
/* From inside an exit handler or device: the guest powered off, or must be stopped. Asynchronous.
 */
void vm_request_off(struct vm *vm, const char *reason, bool error);
void vm_request_reset(struct vm *vm);
bool vm_reset_asked(const struct vm *vm); /* and not done yet */
/* It is counted, logged, and done about it what cfg.on says. Any context. True: a reset comes. */
bool vm_trouble(struct vm *vm, enum vm_trouble what);
const char *vm_trouble_name(enum vm_trouble what); /* "panic", "crash", "watchdog" */
const char *vm_policy_name(enum vm_policy p);	   /* "keep", "reset", "stop" */
/* The guest ends its run with this code. */
void vm_request_exit(struct vm *vm, uint32_t code);

/* Stun: every vCPU out of the guest and staying out; returns when all are. Nests by
 * count. -ETIMEDOUT, or -ESRCH when the VM ended instead (state says how). */
MUST_CHECK int vm_park(struct vm *vm, uint64_t deadline_ns);
void vm_unpark(struct vm *vm);
/* Moves between RUNNING, STUNNED, IN_DOUBT, INCOMING for migration; parks are the caller's. */
void vm_set_state(struct vm *vm, enum vm_state s);
/* Makes the vCPU worlds of an INCOMING VM whose state is loaded; they are parked. */
MUST_CHECK int vm_prepare_incoming(struct vm *vm);
/* Lets them go: needs no memory, cannot fail. */
void vm_run_incoming(struct vm *vm);
/* Undoes vm_prepare_incoming's park where that failed: the VM is suspended as before. */
void vm_hold_suspended(struct vm *vm);
/* An INCOMING VM whose state is loaded, and that has no worlds, waits for vm_restore. */
void vm_suspend_incoming(struct vm *vm);
/*
 * For the owner of a VM that is off (vm_claim): its devices have what they need from outside, and
 * do nothing; then it is off as before.
 */
MUST_CHECK int vm_wake(struct vm *vm, char *why, size_t why_len);
void vm_lay_down(struct vm *vm);
/* Between the two: devices and vCPUs are as when its power comes. Of its last run memory stays. */
MUST_CHECK int vm_forget_run(struct vm *vm);

/* Other shares, other CPUs, from the vCPUs' next turns on. -EINVAL: the reason in why. */
MUST_CHECK int vm_set_sched(struct vm *vm, const struct vm_sched *s, char *why, size_t why_len);
/* A copy of each, up to now; guest, host, ready and halted ones never go back by much. */
void vcpu_times_get(const struct vcpu *c, uint64_t ns[VCPU_DOINGS]);
/* How long parking all vCPUs took, of the last of these. */
struct vm_park_times {
	uint64_t count; /* ever */
	uint64_t last_ns, median_ns, max_ns;
};
void vm_park_times(struct vm *vm, struct vm_park_times *t);

/* Makes a vCPU look at its interrupts: wakes it from HLT or makes it leave the guest. Any context.
 */
void vcpu_kick(struct vcpu *c);
/* Interrupts that go around the IRR, sent by a LAPIC. Any context; the vCPU takes them at its next
 * turn. */
void vcpu_send_nmi(struct vcpu *c);
void vcpu_send_init(struct vcpu *c);
void vcpu_send_sipi(struct vcpu *c, uint8_t vector);

/* Consumes a flush token: kicks, waits until every vCPU inside the guest has flushed to it. */
void vm_flush(struct vm *vm, struct slat_flush owed);

/*
 * For whoever owns the VM (vm->mig): the stretches of linear addresses that the guest's tables map,
 * in order, each as long as linear and guest-physical addresses rise together. fn says false to
 * end it. False as well when the tables are more than a guest has need of: they may point at
 * themselves. Without paging there are none.
 */
struct vm_mapping {
	uint64_t linear, bytes;
	gpa_t at;
};
bool vm_mappings(struct gmem *mem, const struct virt_mode *m,
		 bool (*fn)(void *arg, const struct vm_mapping *run), void *arg);
/* Makes it one owner's, when it has none: -EBUSY with why. The owner's alone to give back. */
MUST_CHECK int vm_claim(struct vm *vm, void *owner, const char *doing, char *why, size_t why_len);
void vm_disown(struct vm *vm);

/* Guest time: TSC value this vCPU would read now, and kvmclock's nanoseconds. */
uint64_t vcpu_guest_tsc(struct vcpu *c);
uint64_t vm_guest_ns(const struct vm *vm);
/* The VM's clocks and the host's at one moment: TSC (what a vCPU's shows unless the guest wrote
 * it), kvmclock, time_ns(). */
struct vm_time {
	uint64_t tsc, ns, host_ns;
};
void vm_time_read(const struct vm *vm, struct vm_time *t);
/* Host time at which the guest's TSC reaches value (LAPIC deadline timer). */
uint64_t vcpu_tsc_deadline_ns(struct vcpu *c, uint64_t guest_tsc);

/*
 * Checkpoint of the CPU part: REC_CPUID, REC_TIME, REC_VCPU, REC_XSAVE of every
 * vCPU. All parked. check refuses what this host could not run, before any
 * load; why says what (for people).
 */
void vm_cpu_save(struct vm *vm, struct rec_writer *w);
MUST_CHECK int vm_cpu_check(struct vm *vm, struct rec_reader *r, char *why, size_t why_len);
/*
 * clock_delta_ns: this host's time_ns() minus the source's at one moment. Guest
 * clocks go on from the source's last reading plus all the time since, the
 * blackout included. Called for each of the four record types, reader standing
 * at the record; others: -ENOENT.
 */
MUST_CHECK int vm_cpu_load(struct vm *vm, struct rec_reader *r, int64_t clock_delta_ns);
/* What preflight needs of it: the REC_CPUID record alone, to be read by cpu_model_load, and
 * REC_HYPERV, where the VM has it. */
void vm_cpuid_save(struct vm *vm, struct rec_writer *w);
void vm_hyperv_save(struct vm *vm, struct rec_writer *w);
MUST_CHECK int vm_hyperv_offered(struct rec_reader *r);
/* Can this host keep a guest's TSC at this frequency? 0, or -ENOTSUP with the reason. */
MUST_CHECK int vm_tsc_check(uint32_t khz, char *why, size_t why_len);

#endif
