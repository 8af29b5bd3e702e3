/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of kernel/vm share: the run state of a VM, the exit handlers'
 * face, guest linear memory, the CPUID table.
 */
#ifndef KERNEL_VM_VM_INT_H
#define KERNEL_VM_VM_INT_H

#include <tern/vmio.h>

#include "x86.h"

/* ---- run state: park.c, vcpu.c ---- */

#define PARKS_KEPT 64u

enum vm_request { REQ_NONE, REQ_RESET, REQ_OFF, REQ_ERROR };

/*
 * lock guards parks, live, request, stop_reason and vm->state; it is a spinlock
 * because handlers and vCPU worlds take it while vm->lock's holder waits for
 * them. vm->lock only puts life-cycle calls in a row.
 */
struct vm_run {
	struct spinlock lock; /* LOCK_VM */
	struct waitq changed; /* a vCPU parked or its world ended */
	unsigned parks;	      /* [lock] depth of vm_park */
	unsigned live;	      /* [lock] vCPU worlds that have not ended */
	unsigned leaving;     /* [lock] of them, those that have not begun to */
	bool unlaunched;      /* [lock] a world could not be made: the others end */
	uint32_t stop;	      /* [atom] worlds end at their next turn */
	uint32_t request;     /* [atom] enum vm_request; REQ_RESET is taken by vCPU 0 */
	bool held;	      /* [lock] the debugger's park is among them */
	bool settled;	      /* [lock] a park is complete: a reset waits for its end */
	bool used;	      /* [vm] memory has contents of a run */
	uint64_t base_tsc;    /* [parked] TSC and kvmclock at one moment: the line */
	uint64_t base_ns;     /* [parked] that all guest time lies on (vmtime.c) */
	uint64_t tsc_offset;  /* [parked] the line's TSC = host TSC (scaled) + offset */
	struct spinlock
		io_lock; /* guards vm->io and the sorted tables; LOCK_VDEV + 1 is free of others */
	struct io_table *io_table; /* [io_lock] */
	struct virt_state
		*incoming[VM_VCPUS_MAX]; /* [parked] from REC_VCPU until REC_XSAVE (vm_cpu.c) */
	uint64_t loaded_vcpus;		 /* [parked] bit per vCPU whose records were loaded */
	bool loaded_time;		 /* [parked] */
	uint64_t checked_xcr0;		 /* [parked] of the REC_CPUID that was checked last */
	uint32_t msr_seen[64];		 /* [io_lock] unknown MSRs already logged */
	unsigned nr_msr_seen;
	uint32_t pause_next;		/* [atom] vCPU to be looked at first for a turn */
	uint64_t parked_ns[PARKS_KEPT]; /* [lock] how long the last parks took, by count */
	uint64_t parks_done;		/* [lock] */
};

MUST_CHECK int vm_run_init(struct vm *vm);
void vm_run_fini(struct vm *vm);
/* Asks the vCPU worlds to end for this reason; the first reason of a run stays. */
void vm_stop_worlds(struct vm *vm, enum vm_request why, const char *reason);
void vm_wait_worlds(struct vm *vm); /* until all have ended */
/* Gives the VM this state; -ENOMEM leaves none. */
MUST_CHECK int vm_launch_worlds(struct vm *vm, enum vm_state state);
void vm_join_worlds(struct vm *vm);
const struct vm_platform *vm_platform(void);

/*
 * vm_make.c: a VM that is in no registry, with a reference for the caller. Its memory is shared, or
 * its own when that is NULL. model: of the CPU that the guest will see, NULL = this host's own.
 */
struct cpu_model;
MUST_CHECK int vm_build(const struct vm_config *cfg, const struct cpu_model *model,
			struct gmem *shared, struct vm **out, char *why, size_t len);
/* Memory that reads as zero again when a run has left contents. */
MUST_CHECK int vm_renew_memory(struct vm *vm);

/* park.c, by a vCPU's world; vm_park_ask_locked tells the vCPUs of run->parks. */
void vm_park_ask_locked(struct vm *vm);
void vm_kick_vcpus(struct vm *vm);
void vcpu_park_here(struct vcpu *c);
void vcpu_board(struct vcpu *c);   /* takes the CPU: state loaded */
void vcpu_unboard(struct vcpu *c); /* state in memory */
void vcpu_leave(struct vcpu *c);   /* the world ends */
bool vm_reset_due(struct vm *vm);  /* asked for, and no complete park in its way */
void vm_reset_by(
	struct vcpu *c); /* vCPU 0: all others out, devices and CPUs to reset, boots again */

/* debug.c: before and behind a vCPU's stay in the guest that is one of a debugger's steps. */
void debug_step_begin(struct vcpu *c);
void debug_step_end(struct vcpu *c, const struct vmexit *x, uint64_t rip_before);

/* vcpu_start.c: vCPU and its world. */
MUST_CHECK int vcpu_create(struct vm *vm, unsigned index);
void vcpu_fini(struct vcpu *c); /* the backend's part */
void vcpu_destroy(struct vcpu *c);
void vcpu_world(void *arg);
void vcpu_reset(struct vcpu *c);
/* INIT and SIPI that came: true while the vCPU has to wait for a SIPI. */
bool vcpu_take_init(struct vcpu *c);

/* vcpu_time.c: what the vCPU does from now on; by its world, and as it leaves and takes a CPU. */
void vcpu_doing(struct vcpu *c, enum vcpu_doing what);
void vcpu_off_cpu(struct vcpu *c);
void vcpu_on_cpu(struct vcpu *c);

/* sched.c */
MUST_CHECK int vm_sched_check(const struct vm_sched *s, char *why, size_t len);

/* trail.c: before and behind each stay in the guest; and the last ones into the log. */
void trail_enter(struct vcpu *c);
void trail_leave(struct vcpu *c, const struct vmexit *x);
void trail_log(struct vcpu *c, unsigned last);
/* "irq 236", "exception 14(2)", "-" */
void event_text(const struct virt_event *e, char *out, size_t len);
/* postmortem.c: of a vCPU that cannot go on, by its world. */
void vcpu_postmortem(struct vcpu *c);

/* ---- exits ---- */

enum exit_next {
	NEXT_RESUME,
	NEXT_RETRY_LATER, /* same instruction again after the world's turn (long string) */
	NEXT_FAIL,	  /* vcpu_fail was called: the VM stops */
};
typedef enum exit_next exit_handler(struct vcpu *c, struct vmexit *x);
extern exit_handler *const exit_table[EXIT_REASONS];

exit_handler exit_cpuid, exit_hlt, exit_msr_read, exit_msr_write, exit_pio, exit_slat_fault,
	exit_cr, exit_xsetbv, exit_hypercall, exit_debug, exit_pause;

/* Ends the instruction: rip behind it. known is used when the CPU gave no length, 0 = decode. */
void vcpu_skip(struct vcpu *c, struct vmexit *x, uint8_t known);
/* As RDMSR: -ENOENT nobody has it, -EINVAL #GP. */
MUST_CHECK int vcpu_msr_read(struct vcpu *c, uint32_t index, uint64_t *value);
/* Exceptions; folded into a double fault when another is under delivery. */
void vcpu_raise(struct vcpu *c, uint8_t vector, bool has_error, uint32_t error);
void vcpu_raise_event(struct vcpu *c, const struct virt_event *e);
static inline void vcpu_raise_gp(struct vcpu *c)
{
	vcpu_raise(c, EXC_GP, true, 0);
}
/* Guest error that ends the VM; logged once with where. */
enum exit_next vcpu_fail(struct vcpu *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- guest linear memory: walk.c, linear.c ---- */

#define WALK_WRITE 1u
#define WALK_FETCH 2u
#define WALK_USER 4u /* CPL 3 */
#define WALK_AC 8u   /* RFLAGS.AC: SMAP does not bite */

struct walk {
	struct gmem *mem;
	const struct virt_mode *mode;
	unsigned phys_bits;
	unsigned access; /* WALK_* */
};
/* Form of the tables that a mode with paging uses. */
struct walk_shape {
	unsigned levels;
	unsigned bits;	/* of an index */
	unsigned entry; /* bytes */
};
struct walk_shape walk_shape(const struct virt_mode *m);
#define WALK_PTE_P BIT(0)
#define WALK_PTE_PS BIT(7)
#define WALK_ADDR_MASK 0x000ffffffffff000ull
/* Linear to guest-physical. -EFAULT with the page fault's error code. Sets A and D in the guest's
 * tables. */
MUST_CHECK int walk_linear(const struct walk *w, uint64_t linear, gpa_t *out, uint32_t *error);

static inline bool mode_long(const struct virt_mode *m)
{
	return (m->efer & G_EFER_LMA) != 0;
}

static inline bool mode_code64(const struct virt_mode *m)
{
	return mode_long(m) && (m->seg[SEG_CS].attr & SEG_ATTR_L);
}

/* Base to add to an offset in that segment: 0 in 64-bit code but for FS and GS. */
uint64_t linear_base(const struct virt_mode *m, unsigned seg);
/*
 * Guest data access at a linear address, over page edges, to RAM or devices.
 * -EFAULT: *fault is the page fault to raise, and nothing was written.
 * -EIO: the access lies where neither RAM nor device is possible (tables in a hole).
 */
MUST_CHECK int linear_read(struct vcpu *c, const struct virt_mode *m, uint64_t linear, void *buf,
			   size_t len, struct virt_event *fault);
MUST_CHECK int linear_write(struct vcpu *c, const struct virt_mode *m, uint64_t linear,
			    const void *buf, size_t len, struct virt_event *fault);
/* Could linear_write store there now? The first byte's address in *out. */
MUST_CHECK int linear_check(struct vcpu *c, const struct virt_mode *m, uint64_t linear, size_t len,
			    gpa_t *out, struct virt_event *fault);
/* Instruction at rip: decodes, fetching what the CPU did not give. 0, -EFAULT with *fault, -EINVAL
 * undefined. */
struct insn;
MUST_CHECK int linear_decode(struct vcpu *c, const struct vmexit *x, const struct virt_mode *m,
			     struct insn *out, struct virt_event *fault);

/* ---- emulation: alu.c, exit_mem.c, string.c ---- */

#include <tern/decode.h>

uint64_t size_mask(unsigned size); /* bytes */
/* a op b of that size; *flags gets the arithmetic flags. */
uint64_t alu_compute(enum insn_alu op, unsigned size, uint64_t a, uint64_t b, uint64_t *flags);
/* Does the condition of SETcc, CMOVcc (its four bits) hold? */
bool alu_condition(unsigned cond, uint64_t flags);
uint64_t gpr_get(const struct vcpu *c, unsigned reg, unsigned size, bool high_byte);
void gpr_set(struct vcpu *c, unsigned reg, unsigned size, bool high_byte, uint64_t value);
/* rep movs, stos, lods, ins, outs: element by element with registers kept up to date. */
enum exit_next string_mem(struct vcpu *c, struct vmexit *x, const struct insn *i);
enum exit_next string_pio(struct vcpu *c, struct vmexit *x);
/* A memory instruction with its operand at a linear address: 0, -EFAULT with *fault, -ENOTSUP. */
MUST_CHECK int emulate_mem(struct vcpu *c, const struct virt_mode *m, const struct insn *i,
			   uint64_t linear, struct virt_event *fault);

/* emulate_rare.c: stack, vector registers, wide compare; always by linear address. -ENOTSUP:
 * others. */
MUST_CHECK int emulate_rare(struct vcpu *c, const struct virt_mode *m, const struct insn *i,
			    uint64_t linear, struct virt_event *fault);

/* ---- io.c ---- */

void io_read(struct vcpu *c, enum io_space space, uint64_t addr, unsigned size, uint64_t *value);
void io_write(struct vcpu *c, enum io_space space, uint64_t addr, unsigned size, uint64_t value);
MUST_CHECK int io_init(struct vm *vm);
void io_fini(struct vm *vm);

/* ---- cpuid.c, cpuid_bits.c ---- */

#include "cpuid.h"

/* ---- MSRs that the kernel keeps: msr_list.c ---- */

#define MSR_KEPT_MAX 64u /* no more than VIRT_MSRS_MAX */
struct vcpu_msrs {
	uint64_t value[MSR_KEPT_MAX]; /* by place in msr_list */
};
void msr_list_reset(struct vcpu_msrs *m);
/* -ENOENT: none of these; -EINVAL: #GP. */
MUST_CHECK int msr_list_get(const struct vcpu_msrs *m, uint32_t index, uint64_t *value);
MUST_CHECK int msr_list_set(struct vcpu_msrs *m, uint32_t index, uint64_t value);
/* Could a guest have made it so? -EINVAL, -ENOENT likewise. */
MUST_CHECK int msr_list_check(uint32_t index, uint64_t value);
unsigned msr_list_count(void);
uint32_t msr_list_index(unsigned i);

/* ---- time: vmtime.c, pvclock.c ---- */

/* Guest TSC is 0 and kvmclock 0 now. */
void vm_time_start(struct vm *vm);
/* The line goes on from what it showed at t->host_ns; each vCPU's TSC is the line's. */
void vm_time_continue(struct vm *vm, const struct vm_time *t);
/* How far a vCPU's own TSC is ahead of the line's. */
uint64_t vcpu_tsc_ahead(const struct vcpu *c);

struct pvclock {
	uint64_t system_msr; /* guest address | 1 when on */
	uint64_t wall_msr;
	bool stopped; /* tell the guest that it was paused */
};
struct pvclock_scale {
	uint32_t mul;
	int8_t shift;
};
struct pvclock_scale pvclock_scale(uint32_t tsc_khz);
uint64_t pvclock_ns(struct pvclock_scale s, uint64_t tsc_delta);
/* -ENOENT: not a clock MSR. */
MUST_CHECK int pvclock_msr_get(struct vcpu *c, uint32_t index, uint64_t *value);
MUST_CHECK int pvclock_msr_set(struct vcpu *c, uint32_t index, uint64_t value);
/* Writes the vCPU's page again when its clock is on. */
void pvclock_update(struct vcpu *c);

#endif
