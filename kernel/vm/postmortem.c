/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is left of a guest whose CPU shut itself down: into the log go the vCPU's last
 * exits, the last one of each other vCPU, and how far the guest's own tables lead from
 * the addresses that the CPU needed (code, stack, descriptor tables), entry by entry.
 * Each guest address on the way is looked up in the nested tables as well: they must
 * lead where the memory map does. Nothing is marked or changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "vm_int.h"

#define LEVELS_MAX 5u

struct path {
	struct vcpu *c;
	const struct virt_mode *mode;
	char text[LEVELS_MAX * 20 + 48];
	size_t used;
	unsigned astray; /* guest addresses that the nested tables have elsewhere */
};

static void say(struct path *p, const char *what, uint64_t value)
{
	int n = snprintf(p->text + p->used, sizeof(p->text) - p->used, " %s%llx", what,
			 (unsigned long long)value);

	p->used = MIN(p->used + (size_t)n, sizeof(p->text) - 1);
}

/* An address without a nested leaf is no error: it faults and gets one. */
static void check_nested(struct path *p, gpa_t a)
{
	struct gmem *g = p->c->vm->mem;
	struct slat_leaf leaf;
	void *host;

	if (!slat_lookup(gmem_slat(g), a, &leaf) || gmem_pin(g, a, 1, false, &host))
		return;
	p->astray += leaf.hpa.v + (a.v - leaf.gpa.v) != ptr_hpa(host).v;
	gmem_unpin(g, a, host, false);
}

/* True: a leaf, whose address is in *at. */
static bool step(struct path *p, uint64_t linear, unsigned level, uint64_t *at)
{
	struct walk_shape sh = walk_shape(p->mode);
	unsigned shift = PAGE_SHIFT + (level - 1) * sh.bits;
	uint64_t e = 0, base = sh.entry == 8 ? WALK_ADDR_MASK : 0xfffff000ull;
	gpa_t slot = GPA(*at + (linear >> shift & (BIT(sh.bits) - 1)) * sh.entry);

	check_nested(p, slot);
	*at = 0;
	if (gmem_read(p->c->vm->mem, slot, &e, sh.entry)) {
		say(p, "not RAM: ", slot.v);
		return false;
	}
	say(p, "", e);
	if (!(e & WALK_PTE_P))
		return false;
	if (level == 1 || (level <= 3 && (e & WALK_PTE_PS))) {
		*at = (e & base & ~(BIT(shift) - 1)) | (linear & (BIT(shift) - 1));
		return true;
	}
	*at = e & base;
	return false;
}

static void log_path(struct vcpu *c, const struct virt_mode *m, const char *what, uint64_t linear)
{
	struct path p = { .c = c, .mode = m };
	struct walk_shape sh = walk_shape(m);
	uint64_t at = m->cr3 & (sh.levels == 3 ? 0xffffffe0ull : WALK_ADDR_MASK);
	bool leaf = !(m->cr0 & G_CR0_PG);

	if (leaf)
		at = linear;
	for (unsigned level = sh.levels; !leaf && level && at; level--)
		leaf = step(&p, linear, level, &at);
	if (leaf)
		check_nested(&p, GPA(at));
	log_error("vm", "%s %llx:%s, %s %llx%s", what, (unsigned long long)linear, p.text,
		  leaf ? "guest address" : "not mapped", (unsigned long long)(leaf ? at : linear),
		  p.astray ? "; the nested tables lead elsewhere" : "");
}

static void log_paths(struct vcpu *c, const struct virt_state *s)
{
	struct virt_mode m = { 0 };
	char event[32];

	event_text(&c->v.event, event, sizeof(event));
	log_error("vm", "vCPU %u: event under way: %s, cr2 %llx, idt %llx/%x, gdt %llx/%x, gs %llx",
		  c->index, event, (unsigned long long)s->cr2, (unsigned long long)s->idtr.base,
		  s->idtr.limit, (unsigned long long)s->gdtr.base, s->gdtr.limit,
		  (unsigned long long)s->seg[SEG_GS].base);
	virt->mode(&c->v, &m);
	log_path(c, &m, "code", s->seg[SEG_CS].base + s->rip);
	log_path(c, &m, "stack", s->seg[SEG_SS].base + s->gpr[GPR_RSP]);
	log_path(c, &m, "idt", s->idtr.base);
	log_path(c, &m, "gdt", s->gdtr.base);
	log_path(c, &m, "tss", s->seg[SEG_TR].base);
}

void vcpu_postmortem(struct vcpu *c)
{
	struct virt_state *s = malloc(sizeof(*s));

	trail_log(c, TRAIL_STAYS);
	for (unsigned i = 0; i < c->vm->nr_vcpus; i++)
		if (c->vm->vcpu[i] != c)
			trail_log(c->vm->vcpu[i], 1);
	if (!s)
		return;
	virt->state_save(&c->v, s);
	log_paths(c, s);
	free(s);
}
