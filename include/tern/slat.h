/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested paging (EPT, NPT): one walker, two leaf formats. Leaves of 4 KiB,
 * 2 MiB and 1 GiB, accessed and dirty bits, split and merge.
 *
 * Every change that a TLB may have cached a stale copy of gives a flush token,
 * which the caller must hand to vm_flush() (kernel/vm/flush.c): it makes every
 * pCPU that runs the VM invalidate, and waits for each. Dropping a token is a
 * bug; tokens merge.
 *
 * Locks: slat->lock (LOCK_SLAT) guards the structure of the tree. Hardware sets A and D
 * in leaves at any time: leaves are read and changed by atomic operations only.
 * [APM2 15.25 "Nested Paging"] [SDM 3C "The Extended Page Table Mechanism (EPT)"]
 */
#ifndef TERN_SLAT_H
#define TERN_SLAT_H

#include <tern/lock.h>
#include <tern/page.h>
#include <tern/pageset.h>
#include <tern/types.h>

#define SLAT_R 1u
#define SLAT_W 2u
#define SLAT_X 4u

/* The bits of one vendor's tables. present is what makes any entry valid. */
struct slat_format {
	const char *name;    /* "npt", "ept" */
	uint64_t table_bits; /* of an entry that points to a table */
	uint64_t present;    /* an entry with any of these is valid */
	uint64_t read, write, exec, no_exec;
	uint64_t large;		  /* leaf above the lowest level */
	uint64_t accessed, dirty; /* 0 when the CPU keeps none */
	uint64_t memtype_wb;	  /* leaf bits for ordinary memory */
	bool has_1g;
};

struct slat {
	hpa_t root;		       /* [const] */
	const struct slat_format *fmt; /* [const] */
	struct spinlock lock;
	uint64_t gen;		 /* [atom] last flush asked for */
	uint64_t table_pages;	 /* [lock] memory the tables take */
	uint64_t splits, merges; /* [lock] */
	hpa_t grave; /* [lock] tables that a merge took out, until slat_reap; 0 = none */
};

/* A debt: pages may be stale until every pCPU has flushed to gen. */
struct slat_flush {
	uint64_t gen; /* 0 = nothing owed */
};

static inline void slat_flush_merge(struct slat_flush *into, struct slat_flush t)
{
	if (t.gen > into->gen)
		into->gen = t.gen;
}

/* A debt for a change that was made before, in the tables or beside them. */
void slat_owe(struct slat *s, struct slat_flush *owed);

MUST_CHECK int slat_init(struct slat *s, const struct slat_format *fmt);
void slat_fini(struct slat *s); /* frees tables, not what they map */

/* Leaf of size PAGE_SIZE, SIZE_2M or SIZE_1G. -EEXIST when something is there, -ENOMEM. New
 * mappings owe no flush. */
MUST_CHECK int slat_map(struct slat *s, gpa_t a, hpa_t to, uint64_t size, unsigned prot);
/* Takes out all leaves of [a, a+len), splitting at the edges. */
MUST_CHECK int slat_unmap(struct slat *s, gpa_t a, uint64_t len, struct slat_flush *owed);
/* Sets protection of the present leaves of [a, a+len): write-protect tracing and its end. */
MUST_CHECK int slat_protect(struct slat *s, gpa_t a, uint64_t len, unsigned prot,
			    struct slat_flush *owed);

struct slat_leaf {
	hpa_t hpa; /* of the leaf's first byte */
	gpa_t gpa;
	uint64_t size;
	unsigned prot;
	bool accessed, dirty;
};
/* The leaf that maps a; false when none. */
bool slat_lookup(struct slat *s, gpa_t a, struct slat_leaf *out);

/* Splits large leaves that overlap the range to 4 KiB; A and D go to all children. */
MUST_CHECK int slat_split(struct slat *s, gpa_t a, uint64_t len, struct slat_flush *owed);
/*
 * Merges back where a 2 MiB or 1 GiB range is contiguous in host memory with
 * equal protection; a merged leaf has the A and D of its parts. Not while dirty
 * tracking is on: a CPU may still set D in a table that was taken out. Such
 * tables are kept until slat_reap() is told that their token has been flushed.
 */
void slat_merge(struct slat *s, gpa_t a, uint64_t len, struct slat_flush *owed);
void slat_reap(struct slat *s, struct slat_flush done);

/*
 * Reads and clears D of every leaf in the range and adds the pages to out
 * (all pages of a dirty large leaf; such leaves are then split when split is
 * set, so that the next round is finer). The pages' contents may be read only
 * after *owed has been flushed. -ENOMEM: what was found so far is in out and
 * no D bit that is not in out was cleared.
 */
MUST_CHECK int slat_harvest_dirty(struct slat *s, gpa_t a, uint64_t len, bool split,
				  struct pageset *out, struct slat_flush *owed);
/* Calls fn for every present leaf with its A and D bits, clearing A when clear_accessed. */
void slat_scan(struct slat *s, gpa_t a, uint64_t len, bool clear_accessed,
	       void (*fn)(void *arg, const struct slat_leaf *leaf), void *arg,
	       struct slat_flush *owed);

#endif
