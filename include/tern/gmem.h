/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory's only door. A gmem is an object of its own with a reference
 * count: frames, nested tables and software dirty marks; a VM holds it.
 *
 * Every frame has a state: absent (never touched or given back, reads as zero, costs
 * nothing), backed, later swapped and remote. Access from the hypervisor goes
 * through gmem_read, gmem_write or a pin, may block the world or fail, and
 * writes mark the page dirty in software, for the CPU sets D only for the
 * guest's own accesses. No caller holds a lock across these calls.
 */
#ifndef TERN_GMEM_H
#define TERN_GMEM_H

#include <tern/pageset.h>
#include <tern/slat.h>
#include <tern/types.h>

struct gmem;

/*
 * RAM of ram_bytes (2 MiB multiple). Up to GMEM_LOW_MAX of it lies at 0, the
 * rest at 4 GiB (Q35: 32-bit hole from 0xb0000000). ROM of rom_bytes (likewise, may be
 * none) ends at 4 GiB: the guest reads and executes it, its stores are a device's.
 * Nothing is backed yet; refuses when host memory could not hold all of it: -ENOMEM.
 */
#define GMEM_LOW_MAX 0xb0000000ull
#define GMEM_ROM_END 0x100000000ull
MUST_CHECK int gmem_create(uint64_t ram_bytes, uint64_t rom_bytes, const struct slat_format *fmt,
			   struct gmem **out);
void gmem_get(struct gmem *g);
void gmem_put(struct gmem *g); /* the last put frees all */

struct slat *gmem_slat(struct gmem *g);
uint64_t gmem_ram_bytes(const struct gmem *g);
/* One past the highest frame of RAM or ROM; page sets of this memory have this size. */
uint64_t gmem_max_gfn(const struct gmem *g);
bool gmem_is_ram(const struct gmem *g, gpa_t a);
bool gmem_is_rom(const struct gmem *g, gpa_t a);

/* -EFAULT where there is no RAM or ROM; partial transfers do not happen for RAM ranges checked
 * first. */
MUST_CHECK int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len);
MUST_CHECK int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len);
/* All of it ROM: the host's way to its contents. -EFAULT. */
MUST_CHECK int gmem_write_rom(struct gmem *g, gpa_t a, const void *buf, size_t len);

/* Host address of [a, a+len) within one page, backed and held until gmem_unpin; for_write marks it
 * dirty now and at unpin, and takes RAM only. */
MUST_CHECK int gmem_pin(struct gmem *g, gpa_t a, size_t len, bool for_write, void **out);
void gmem_unpin(struct gmem *g, gpa_t a, void *p, bool for_write);

/* Nested page fault on RAM: backs and maps the frame (2 MiB at once when it can). -EFAULT:
 * neither RAM, nor ROM that is not written. */
MUST_CHECK int gmem_fault(struct gmem *g, gpa_t a, bool write, bool fetch);

/* Frames ever backed: next run at or after from. */
bool gmem_next_backed(struct gmem *g, gfn_t from, uint64_t max, gfn_t *first, uint64_t *count);
uint64_t gmem_backed_pages(const struct gmem *g);
/* Host page of a backed frame with a reference on it (page_put ends it), for zero-copy send; false
 * = absent. */
bool gmem_frame(struct gmem *g, gfn_t n, hpa_t *out);
/* Migration target: backs the frame without clearing and gives its host page to be filled. Unmapped
 * for vCPUs that do not run yet. */
MUST_CHECK int gmem_receive(struct gmem *g, gfn_t n, hpa_t *out);
/* Migration target: this frame is zero (absent again when it was never backed). */
MUST_CHECK int gmem_receive_zero(struct gmem *g, gfn_t n);

/*
 * What a guest does not use becomes absent: it reads as zero, costs no memory, and is backed again
 * when it is used again. A frame stays as it is when the stream of a migration still holds the
 * 2 MiB that it is part of. Returns how many frames were given back, or -ENOMEM: none. The caller
 * is a world.
 */
struct vm;
MUST_CHECK int64_t gmem_give_back(struct vm *vm, const struct pageset *set);
uint64_t gmem_given_pages(const struct gmem *g); /* ever given back */
uint64_t gmem_lent_bytes(const struct gmem *g);
/*
 * Of what is not taken so much in all is lent: promised to other VMs, if they ask. It is promised
 * again when it is taken, if it then can be, or by gmem_call_back: -ENOMEM, others have it.
 */
void gmem_lend(struct gmem *g, uint64_t total);
MUST_CHECK int gmem_call_back(struct gmem *g, uint64_t bytes);

/* Software dirty marks since the last drain, while tracking is on (dirty.h). */
void gmem_track(struct gmem *g, bool on);
MUST_CHECK int gmem_drain_marks(struct gmem *g, struct pageset *into);

#endif
