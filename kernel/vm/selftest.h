/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests of the virtualization backend and of dirty tracking, with guests
 * of a few instructions: "selftest = virt" in tern.conf. They use the faces of
 * virt.h, gmem.h and dirty.h only, so that they hold for every backend.
 */
#ifndef KERNEL_VM_SELFTEST_H
#define KERNEL_VM_SELFTEST_H

#include <tern/vm.h>

/* Runs those that list names, all of them for "virt"; one line "selftest: ok NAME" each. In a
 * world. */
void virt_selftest(const char *list);

#define TINY_IRQS_ON 0x202ull /* RFLAGS */
#define TINY_RAM (16ull << 20)
#define TINY_CODE 0x8000ull
#define TINY_STACK 0x10000ull
#define TINY_IDT 0x600000ull /* in a block that nothing else touches */
#define TINY_DEVICE 0xfed40000ull
#define TINY_OUTS 64u

/* A VM without devices, and what its guest told. */
struct tiny {
	struct vm vm;
	struct vcpu c;
	const char *why; /* what went wrong, first cause */
	struct {
		uint16_t port;
		uint32_t value;
	} out[TINY_OUTS];
	unsigned outs;
	uint64_t exits; /* all */
	uint64_t by_reason[EXIT_REASONS];
	uint64_t mmio_writes, mmio_reads, delivery_faults;
	bool refusal;	  /* an entry that fails is for on_exit to judge */
	uint32_t stop;	  /* [atom] the world ends at its next exit */
	uint32_t running; /* [atom] it has entered the guest */
	/* Called at every exit that the harness leaves open; true ends the run. */
	bool (*on_exit)(struct tiny *t, struct vmexit *x);
};

/* -ENOMEM and so on leave t->why set. entry is one of the guest_ symbols. */
bool tiny_create(struct tiny *t);
void tiny_destroy(struct tiny *t);
bool tiny_start_real(struct tiny *t, const char *entry);
bool tiny_start_protected(struct tiny *t, const char *entry);
bool tiny_start_long(struct tiny *t, const char *entry);
/* Runs the guest in a world on that CPU (-1: any) until HLT, on_exit or stop. */
struct world *tiny_launch(struct tiny *t, int cpu);
void tiny_run(struct tiny *t);
void tiny_fail(struct tiny *t, const char *why);
void tiny_set_gate(struct tiny *t, unsigned vector, const char *handler);
/* The guest's OUT number i, counted from 0, was this one. */
bool tiny_expect_out(struct tiny *t, unsigned i, uint16_t port, uint32_t value, const char *why);

/* Passes has on; the log says so where the CPU lacks it. */
bool tiny_present(bool has, const char *what);

struct tiny_test {
	const char *name;
	void (*run)(struct tiny *t);
};
/* End with a NULL name. */
extern const struct tiny_test tiny_cpu_tests[], tiny_mode_tests[], tiny_event_tests[],
	tiny_dirty_tests[], tiny_caps_tests[], tiny_pcid_tests[], tiny_xsave_tests[],
	tiny_refusal_tests[];

extern const char guest_code[], guest_code_end[], guest_real[], guest_basic[], guest_exits[],
	guest_spin[], guest_spin_some[], guest_wait[], guest_window[], guest_on_irq[],
	guest_on_fault[], guest_on_nmi[], guest_on_ud[], guest_ud[], guest_touch[],
	guest_sequence[], guest_vector[], guest_modes[], guest_protected[], guest_own_faults[],
	guest_own_int[], guest_on_own[], guest_step[], guest_on_step[], guest_tsc[], guest_store[],
	guest_once[], guest_tpr[], guest_apic[], guest_on_41[], guest_on_43[], guest_on_52[],
	guest_pcid[], guest_xsaves[];

#endif
