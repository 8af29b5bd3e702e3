/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU from nothing to its first instruction: memory, reset, INIT and SIPI. [SDM 3A 10.4 "MP
 * Initialization"] */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm_int.h"

#define SEG_CODE16 0x9bu /* present, code, read, accessed */

int vcpu_create(struct vm *vm, unsigned index)
{
	struct vcpu *c = calloc(1, sizeof(*c));
	int err = -ENOMEM;

	if (!c)
		return -ENOMEM;
	c->vm = vm;
	c->index = index;
	c->parked = 1;
	c->v.vm = &vm->virt;
	c->v.index = index;
	c->v.cpu = -1;
	c->times = (struct vcpu_times){ .doing = VCPU_HELD,
					.off_as = VCPU_READY,
					.since_ns = time_ns() };
	event_init(&c->wake, "vcpu");
	c->msrs = calloc(1, sizeof(*c->msrs));
	c->clock = calloc(1, sizeof(*c->clock));
	if (c->msrs && c->clock)
		err = virt->vcpu_init(&c->v);
	if (err) {
		free(c->msrs);
		free(c->clock);
		free(c);
		return err;
	}
	vm->vcpu[index] = c;
	return 0;
}

void vcpu_fini(struct vcpu *c)
{
	if (c->v.priv)
		virt->vcpu_fini(&c->v);
	c->v.priv = NULL;
}

void vcpu_destroy(struct vcpu *c)
{
	vcpu_fini(c);
	free(c->msrs);
	free(c->clock);
	free(c);
}

/* Power-on or INIT, except for what INIT leaves alone (MSRs, clock). */
static void reset_cpu(struct vcpu *c)
{
	virt->vcpu_reset(&c->v);
	c->v.event.type = EV_NONE;
	c->nmi_pending = 0;
	c->halted = false;
	c->window = false;
	c->waiting_sipi = c->index != 0;
}

void vcpu_reset(struct vcpu *c)
{
	reset_cpu(c);
	c->init_asked = c->sipi_asked = 0;
	msr_list_reset(c->msrs);
	memset(c->clock, 0, sizeof(*c->clock));
}

/* Real mode at vector:0000. */
static int start_at(struct vcpu *c, uint8_t vector)
{
	struct virt_state *s = malloc(sizeof(*s));
	uint64_t offset = c->v.tsc_offset;
	int err;

	if (!s)
		return -ENOMEM;
	virt->state_save(&c->v, s);
	s->seg[SEG_CS].selector = (uint16_t)(vector << 8);
	s->seg[SEG_CS].base = (uint64_t)vector << 12;
	s->seg[SEG_CS].limit = 0xffff;
	s->seg[SEG_CS].attr = SEG_CODE16;
	s->rip = 0;
	err = virt->state_load(&c->v, s);
	c->v.tsc_offset = offset;
	free(s);
	return err;
}

bool vcpu_take_init(struct vcpu *c)
{
	uint32_t sipi;

	if (__atomic_load_n(&c->init_asked, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&c->init_asked, 0, __ATOMIC_SEQ_CST)) {
		uint64_t offset = c->v.tsc_offset;

		if (!c->index) {
			vm_request_reset(
				c->vm); /* the boot CPU starts at the reset vector: as a reset */
			return false;
		}
		reset_cpu(c);
		c->v.tsc_offset = offset;
		c->vm->irqchip->init(c);
	}
	if (!c->waiting_sipi)
		return false;
	sipi = __atomic_exchange_n(&c->sipi_asked, 0, __ATOMIC_SEQ_CST);
	if (!sipi)
		return true;
	if (start_at(c, (uint8_t)(sipi - 1)))
		(void)vcpu_fail(c, "the vCPU could not be started");
	c->waiting_sipi = false;
	return false;
}
