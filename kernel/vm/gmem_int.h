/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory as its own files see it: gmem.c (life), gmem_back.c (backing, faults),
 * gmem_io.c (access, marks), gmem_move.c (what migration needs), gmem_give.c (what a guest gives
 * back), and dirty.c.
 */
#ifndef KERNEL_VM_GMEM_INT_H
#define KERNEL_VM_GMEM_INT_H

#include <tern/cpu.h>
#include <tern/dirty.h>
#include <tern/gmem.h>

#define BLOCK_PAGES 512u

/*
 * 2 MiB of RAM. Backing is one 2 MiB block, so that one leaf can map it, or, when
 * host memory is in pieces, 512 frames of their own listed in a page. A frame
 * is backed when its valid bit is set: only then are its contents defined; the
 * host memory of the others, if any, holds garbage.
 */
struct gmem_block {
	uint64_t base; /* [atom] hpa, 0 = none yet; | BLOCK_SMALL: of the page of frames */
	bool mapped;   /* [lock] the guest's tables have leaves here */
	uint64_t valid[BLOCK_PAGES / 64]; /* [atom], set after the contents */
};
#define BLOCK_SMALL 1ull

/* How the guest's writes are seen: trace.c. */
enum trace_kind {
	TRACE_NONE,
	TRACE_SCAN,    /* D bits, by a scan of all tables */
	TRACE_LOG,     /* D bits of the pages in the CPU's log (PML) */
	TRACE_PROTECT, /* first writes fault: a CPU without D bits */
};

struct gmem {
	uint32_t refs;		  /* [atom] */
	uint64_t ram_bytes;	  /* [const] */
	uint64_t low_bytes;	  /* [const] of them below GMEM_LOW_MAX */
	uint64_t rom_bytes;	  /* [const] below GMEM_ROM_END */
	uint64_t nr_blocks;	  /* [const] */
	struct gmem_block *block; /* [const] array; low memory first, then high, then ROM */
	struct mutex lock;	  /* guards backing and mapping: base, mapped, valid */
	uint32_t readers, gate;	  /* [atom] gmem_enter */
	struct slat slat;
	uint64_t backed;	  /* [atom] valid frames */
	uint64_t taken_bytes;	  /* [lock] host memory behind this RAM and ROM */
	uint64_t lent_bytes;	  /* [lock] not taken, and promised to nobody: a balloon's */
	uint64_t given_pages;	  /* [lock] ever given back by the guest */
	struct pageset marks;	  /* [atom] software dirty marks; all chunks present */
	uint32_t tracking;	  /* [atom] */
	enum trace_kind trace;	  /* [lock] how writes of the guest are seen while tracking */
	struct pageset log;	  /* [atom] TRACE_LOG: what the CPU logged; all chunks present */
	struct dirty_stats dirty; /* dirty.c: the harvester's */
};

/*
 * g->lock held, around the taking of host memory: may so much be taken, which may first have to be
 * promised again; it has been.
 */
MUST_CHECK bool gmem_may_take(struct gmem *g, uint64_t bytes);
void gmem_took(struct gmem *g, uint64_t bytes);

/*
 * Between these two a frame that was found valid stays where it is: who takes frames away closes
 * the gate and waits for those inside. They do not sleep there, and are in no interrupt handler.
 */
static inline void gmem_enter(struct gmem *g)
{
	for (;;) {
		__atomic_fetch_add(&g->readers, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&g->gate, __ATOMIC_SEQ_CST))
			return;
		__atomic_fetch_sub(&g->readers, 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&g->gate, __ATOMIC_ACQUIRE))
			cpu_pause();
	}
}

static inline void gmem_leave(struct gmem *g)
{
	__atomic_fetch_sub(&g->readers, 1, __ATOMIC_RELEASE);
}
/* RAM's or ROM's block and the frame's place in it; NULL: neither. */
struct gmem_block *gmem_block_of(const struct gmem *g, gfn_t n, unsigned *index);
/* Host memory of a frame, defined or not; false when there is none. */
bool gmem_host(const struct gmem_block *b, unsigned index, hpa_t *out);
bool gmem_valid(const struct gmem_block *b, unsigned index);
/* g->lock held: gives the frame host memory, contents undefined until gmem_set_valid. -ENOMEM. */
MUST_CHECK int gmem_take_locked(struct gmem *g, struct gmem_block *b, unsigned index, hpa_t *out);
void gmem_set_valid(struct gmem *g, struct gmem_block *b, unsigned index);
/* Backs the frame, with zeros when it was absent, and stays inside (gmem_enter) on success, so that
 * *out holds until gmem_leave. -EFAULT: neither RAM nor ROM. */
MUST_CHECK int gmem_back(struct gmem *g, gfn_t n, hpa_t *out);
extern enum trace_kind trace_forced; /* for self-tests; TRACE_NONE: choose */
/* trace.c. Starts, reads and ends the tracing; dirty.c says in which order. */
MUST_CHECK int trace_start(struct vm *vm, struct slat_flush *owed);
MUST_CHECK int trace_harvest(struct vm *vm, struct pageset *into, struct slat_flush *owed);
void trace_stop(struct vm *vm, struct slat_flush *owed);
void trace_end(struct vm *vm); /* after the flush of what trace_stop owes */
/* g->lock held: the rights that a new leaf gets, and a write to a leaf that is there. */
unsigned trace_rights(const struct gmem *g);
MUST_CHECK int trace_write_locked(struct gmem *g, gfn_t n);
/* After a store of the hypervisor's own. */
void gmem_mark(struct gmem *g, gfn_t n);

#endif
