/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types that every room shares: addresses by kind, page geometry, small
 * helpers. Guest-physical and host-physical addresses are distinct structs so
 * that the compiler refuses to mix them.
 */
#ifndef TERN_TYPES_H
#define TERN_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define PAGE_MASK (PAGE_SIZE - 1)
#define SIZE_2M (2ull << 20)
#define SIZE_1G (1ull << 30)

/* Guest-physical byte address. */
typedef struct {
	uint64_t v;
} gpa_t;

/* Host-physical byte address. */
typedef struct {
	uint64_t v;
} hpa_t;

/* Guest frame number: gpa >> PAGE_SHIFT. */
typedef uint64_t gfn_t;

#define GPA(x) ((gpa_t){ (uint64_t)(x) })
#define HPA(x) ((hpa_t){ (uint64_t)(x) })

static inline gfn_t gpa_gfn(gpa_t a)
{
	return a.v >> PAGE_SHIFT;
}

static inline gpa_t gfn_gpa(gfn_t n)
{
	return GPA(n << PAGE_SHIFT);
}

#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, n) (((x) + (n)-1) & ~((uint64_t)(n)-1))
#define ALIGN_DOWN(x, n) ((x) & ~((uint64_t)(n)-1))
#define BIT(n) (1ull << (n))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define NSEC_PER_USEC 1000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC 1000000000ull
/* A deadline that never comes. */
#define NEVER_NS UINT64_MAX

#endif
