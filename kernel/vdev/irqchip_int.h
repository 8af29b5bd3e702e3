/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt controllers among themselves. One spinlock for a VM's LAPICs,
 * IOAPIC and PIC, taken from any context. What is found to need a vCPU's
 * attention is collected in chip->kick and done by chip_unlock, after the lock
 * is free. Functions ending in _locked are called with it held.
 *
 * Legend: [lock] under chip->lock, [own] by the vCPU's world, [const].
 */
#ifndef KERNEL_VDEV_IRQCHIP_INT_H
#define KERNEL_VDEV_IRQCHIP_INT_H

#include <tern/log.h>
#include <tern/timer.h>

#include "device.h"
#include "irqchip.h"

#define APIC_REGS 8u /* 32-bit words of a 256-bit vector register */
#define LVT_COUNT 6u
enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR };

#define LVT_MASKED BIT32(16)
#define BIT32(n) (1u << (n))

#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_X2 BIT(10)
#define APIC_BASE_ON BIT(11)

/* Delivery modes, as in the ICR, MSI data and redirection entries. [SDM 3A 10.6.1] */
enum delivery {
	DELIVER_FIXED,
	DELIVER_LOWEST,
	DELIVER_SMI,
	DELIVER_NMI = 4,
	DELIVER_INIT,
	DELIVER_SIPI,
	DELIVER_EXTINT
};

struct irqchip;

struct lapic {
	struct vdev dev;	    /* REC_LAPIC, instance = vCPU index */
	struct irqchip *chip;	    /* [const] */
	struct vcpu *vcpu;	    /* [const] */
	uint64_t base;		    /* [lock] IA32_APIC_BASE */
	uint32_t tpr;		    /* [own] bits 7:4 follow vcpu->v.cr8 */
	uint32_t ldr, dfr, svr;	    /* [lock] */
	uint32_t esr, esr_next;	    /* [lock] shown; gathered since */
	uint32_t icr_low, icr_high; /* [lock] */
	uint32_t lvt[LVT_COUNT];    /* [lock] */
	uint32_t irr[APIC_REGS], isr[APIC_REGS],
		tmr[APIC_REGS]; /* [lock]; irr is peeked at without */
	uint32_t init_count;	/* [lock] */
	uint32_t divide;	/* [lock] register value */
	uint64_t expiry_ns;	/* [lock] guest time of the count's end, NEVER_NS = not counting */
	uint64_t deadline_tsc;	/* [lock] guest TSC, 0 = not armed */
	struct timer timer;
	bool extint;	   /* [own] the vector offered last came from the PIC */
	bool word_lent;	   /* [own] during run(): the guest may end a vector by its word */
	uint64_t word_msr; /* [own] where that word is, and whether; lapic_word.c */
};

#define IOAPIC_MASKED BIT(16)
#define IOAPIC_LEVEL BIT(15)
#define IOAPIC_REMOTE_IRR BIT(14)

struct ioapic {
	struct vdev dev;
	struct irqchip *chip;
	struct io_region region;
	uint32_t select;	     /* [lock] */
	uint32_t id;		     /* [lock] */
	uint32_t lines;		     /* [lock] level of each pin */
	uint64_t entry[IOAPIC_PINS]; /* [lock] */
};

struct pic8259 {
	uint8_t irr, imr, isr; /* [lock] */
	uint8_t lines;	       /* [lock] */
	uint8_t elcr;	       /* [lock] level-triggered inputs */
	uint8_t base;	       /* [lock] vector of input 0 */
	uint8_t init_step;     /* [lock] 0 = ready, 2..4 = next ICW */
	uint8_t lowest;	       /* [lock] input of lowest priority */
	bool icw4, auto_eoi, rotate_auto, read_isr, poll, special_mask, special_nested; /* [lock] */
};

struct pic {
	struct vdev dev;
	struct irqchip *chip;
	struct io_region region[3];
	struct pic8259 half[2]; /* master, slave on its input 2 */
};

struct irqchip {
	struct spinlock lock;
	struct vm *vm;
	struct lapic *lapic[VM_VCPUS_MAX];
	struct ioapic *ioapic;
	struct pic *pic;
	uint64_t kick;	 /* [lock] vCPUs to kick at unlock */
	uint32_t lowest; /* [lock] where the last lowest-priority interrupt went */
	struct io_region lapic_region;
	struct msr_region msr_x2, msr_base, msr_deadline, msr_word;
};

/* irqchip.c */
static inline struct irqchip *chip_of(struct vm *vm)
{
	struct lapic *l = vm->vcpu[0]->lapic;

	return l->chip;
}
MUST_CHECK unsigned long chip_lock(struct irqchip *chip);
void chip_unlock(struct irqchip *chip, unsigned long flags);

struct irq_message {
	uint32_t dest;
	uint8_t vector;
	uint8_t mode; /* enum delivery */
	bool logical, level, assert_level;
	int8_t shorthand;   /* 0 none, 1 self, 2 all, 3 all but self */
	struct lapic *from; /* for shorthands */
};
/* True when at least one LAPIC took it. */
bool irq_route_locked(struct irqchip *chip, const struct irq_message *m);

/* lapic.c */
MUST_CHECK int lapic_create(struct irqchip *chip, struct vcpu *c);
int lapic_pending(struct vcpu *c);
void lapic_accept(struct vcpu *c, int vector);
void lapic_init(struct vcpu *c); /* INIT */
bool lapic_fixed_locked(struct lapic *l, uint8_t vector, bool level);
void lapic_error_locked(struct lapic *l, uint32_t bits);
void lapic_eoi_locked(struct lapic *l);
bool lapic_accepts_extint_locked(const struct lapic *l);
uint32_t lapic_ppr(const struct lapic *l);
void lapic_sync_tpr(struct lapic *l);
int vec_highest(const uint32_t r[APIC_REGS]); /* -1 = none set */
static inline bool lapic_on(const struct lapic *l)
{
	return (l->base & APIC_BASE_ON) != 0;
}
static inline bool lapic_x2(const struct lapic *l)
{
	return (l->base & APIC_BASE_X2) != 0;
}
static inline bool lapic_enabled(const struct lapic *l)
{
	return lapic_on(l) && (l->svr & 0x100);
}
/* lapic_lend.c */
bool lapic_by_cpu(struct vcpu *c);
void lapic_enter(struct vcpu *c);
void lapic_leave(struct vcpu *c);
void lapic_ended(struct vcpu *c, uint8_t vector);
/* lapic_word.c: around run(), where the CPU does not deliver. */
bool lapic_word_ok(uint64_t msr);
void lapic_word_lend(struct lapic *l);
void lapic_word_return(struct lapic *l);
/* lapic_state.c */
void lapic_reset_state(struct lapic *l);
extern const struct vdev_ops lapic_vdev_ops;
/* lapic_regs.c: registers by number (MMIO offset >> 4), as both ways of access see them. By the
 * vCPU's world. */
MUST_CHECK int lapic_reg_read(struct lapic *l, unsigned reg,
			      uint32_t *value); /* -EINVAL: no such register */
MUST_CHECK int lapic_reg_write(struct lapic *l, unsigned reg, uint32_t value);
void lapic_send_icr(struct lapic *l, uint32_t low, uint32_t dest);
/* lapic_mmio.c, lapic_msr.c */
extern const struct io_ops lapic_mmio_ops;
extern const struct msr_ops lapic_msr_ops;
/* lapic_timer.c */
#define TIMER_ONESHOT 0u
#define TIMER_PERIODIC 1u
#define TIMER_DEADLINE 2u
unsigned lapic_divisor(uint32_t divide);
uint32_t lapic_count_left(uint64_t expiry_ns, uint64_t now_ns, unsigned divisor);
/* First expiry of a periodic count after now, on the grid of the one that is over. */
uint64_t lapic_next_expiry(uint64_t expiry_ns, uint64_t period_ns, uint64_t now_ns);
void lapic_timer_setup(struct lapic *l);
void lapic_timer_start_locked(struct lapic *l); /* initial count was written */
void lapic_timer_mode_locked(struct lapic *l, uint32_t old_lvt);
void lapic_timer_deadline_locked(struct lapic *l, uint64_t tsc);
void lapic_timer_arm_locked(struct lapic *l); /* after load or resume */
void lapic_timer_stop_locked(struct lapic *l);
uint32_t lapic_timer_count_locked(const struct lapic *l);

/* ioapic.c */
MUST_CHECK int ioapic_create(struct irqchip *chip);
void ioapic_set_pin_locked(struct ioapic *io, unsigned pin, bool level);
/* A LAPIC was switched on: level interrupts that nobody took are sent again. */
void ioapic_again_locked(struct ioapic *io);
void ioapic_eoi_locked(struct ioapic *io, uint8_t vector);

/* pic.c, pic_model.c: one chip each; pic_* are the pair with its I/O. */
MUST_CHECK int pic_create(struct irqchip *chip);
void pic_set_line_locked(struct pic *p, unsigned irq, bool level);
bool pic_output_locked(const struct pic *p);
int pic_vector_locked(const struct pic *p); /* the one an acknowledge would give */
void pic_acknowledge_locked(struct pic *p);

int pic8259_pending(const struct pic8259 *c); /* input that asks, -1 = none */
void pic8259_set(struct pic8259 *c, unsigned input, bool level);
void pic8259_acknowledge(struct pic8259 *c, unsigned input);
void pic8259_write(struct pic8259 *c, unsigned port, uint8_t v); /* port 0 command, 1 data */
uint8_t pic8259_read(struct pic8259 *c, unsigned port);

#endif
