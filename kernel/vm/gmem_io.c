/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: the hypervisor's own accesses, and software dirty marks.
 * Invariants at the head of gmem.c.
 */
#include <errno.h>
#include <string.h>

#include "gmem_int.h"

/* ---- access ---- */

static size_t in_page(uint64_t a, size_t len)
{
	return (size_t)MIN(PAGE_SIZE - (a & PAGE_MASK), (uint64_t)len);
}

#define IN_RAM 1u
#define IN_ROM 2u

/* All of it there, in what may be accessed; so that a transfer is whole or not at all. */
static bool range_ok(const struct gmem *g, gpa_t a, size_t len, unsigned in)
{
	if (a.v + len < a.v)
		return false;
	for (uint64_t p = ALIGN_DOWN(a.v, PAGE_SIZE); p < a.v + len; p += PAGE_SIZE)
		if (!(in & IN_RAM && gmem_is_ram(g, GPA(p))) &&
		    !(in & IN_ROM && gmem_is_rom(g, GPA(p))))
			return false;
	return true;
}

static void read_page(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	unsigned index;
	const struct gmem_block *b = gmem_block_of(g, gpa_gfn(a), &index);
	hpa_t host;

	gmem_enter(g);
	if (gmem_valid(b, index) && gmem_host(b, index, &host))
		memcpy(buf, (const char *)hpa_ptr(host) + (a.v & PAGE_MASK), len);
	else
		memset(buf, 0, len);
	gmem_leave(g);
}

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	char *to = buf;

	if (!range_ok(g, a, len, IN_RAM | IN_ROM))
		return -EFAULT;
	while (len) {
		size_t n = in_page(a.v, len);

		read_page(g, a, to, n);
		a.v += n;
		to += n;
		len -= n;
	}
	return 0;
}

static int write_in(struct gmem *g, gpa_t a, const void *buf, size_t len, unsigned in)
{
	const char *from = buf;

	if (!range_ok(g, a, len, in))
		return -EFAULT;
	while (len) {
		size_t n = in_page(a.v, len);
		hpa_t host;
		int r = gmem_back(g, gpa_gfn(a), &host);

		if (r)
			return r;
		memcpy((char *)hpa_ptr(host) + (a.v & PAGE_MASK), from, n);
		gmem_leave(g);
		gmem_mark(g, gpa_gfn(a));
		a.v += n;
		from += n;
		len -= n;
	}
	return 0;
}

int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	return write_in(g, a, buf, len, IN_RAM);
}

int gmem_write_rom(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	return write_in(g, a, buf, len, IN_ROM);
}

int gmem_pin(struct gmem *g, gpa_t a, size_t len, bool for_write, void **out)
{
	hpa_t host;
	int r;

	if (!len || (a.v & PAGE_MASK) + len > PAGE_SIZE)
		return -EINVAL;
	if (for_write && gmem_is_rom(g, a))
		return -EFAULT;
	r = gmem_back(g, gpa_gfn(a), &host);
	if (r)
		return r;
	page_get(host);
	gmem_leave(g);
	if (for_write)
		gmem_mark(g, gpa_gfn(a));
	*out = (char *)hpa_ptr(host) + (a.v & PAGE_MASK);
	return 0;
}

void gmem_unpin(struct gmem *g, gpa_t a, void *p, bool for_write)
{
	if (for_write)
		gmem_mark(g, gpa_gfn(a));
	page_put(ptr_hpa((void *)ALIGN_DOWN((uint64_t)p, PAGE_SIZE)));
}

/* ---- marks ---- */

/* The fence pairs with gmem_track: either tracking is seen on here, or the store is seen by who
 * turned it on. */
void gmem_mark(struct gmem *g, gfn_t n)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&g->tracking, __ATOMIC_RELAXED))
		(void)pageset_mark(&g->marks, n);
}

void gmem_track(struct gmem *g, bool on)
{
	if (on)
		pageset_clear_all(&g->marks);
	__atomic_store_n(&g->tracking, on, __ATOMIC_SEQ_CST);
}

int gmem_drain_marks(struct gmem *g, struct pageset *into)
{
	return pageset_drain(into, &g->marks);
}
