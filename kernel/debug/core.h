/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF core of a guest, as bytes: what is in front of the memory's contents. In order of
 * use: core_init, core_backed for each run of backed frames and core_map for each
 * mapping, core_finish, core_head; core_prstatus and core_fpregs make the notes.
 */
#ifndef KERNEL_DEBUG_CORE_H
#define KERNEL_DEBUG_CORE_H

#include <tern/types.h>
#include <tern/virt.h>

#define CORE_SEGMENTS_MAX 60000u /* e_phnum has 16 bits, 0xffff of them is an escape */
#define CORE_PRSTATUS_BYTES 336u
#define CORE_FPREGS_BYTES 512u
/* Notes of one vCPU: two heads with the name "CORE", two contents. */
#define CORE_THREAD_BYTES (2u * 20u + CORE_PRSTATUS_BYTES + CORE_FPREGS_BYTES)

struct core_segment {
	uint64_t vaddr, paddr, bytes;
	uint64_t offset; /* of the contents, from where they begin; CORE_HOLE: there are none */
};
#define CORE_HOLE (~0ull)

struct core {
	struct core_segment *seg; /* mappings first, then memory by guest-physical address */
	unsigned nr, room, nr_backed;
	struct core_segment *backed; /* runs in order; room_backed of them */
	unsigned room_backed;
	uint64_t data_bytes;
	unsigned threads;
};

void core_init(struct core *c, unsigned threads);
void core_fini(struct core *c);
/* A run of backed frames, in rising order. -ENOMEM, -E2BIG. */
MUST_CHECK int core_backed(struct core *c, uint64_t gpa, uint64_t bytes);
/* Linear to guest-physical; parts that are not backed become holes. After all core_backed. */
MUST_CHECK int core_map(struct core *c, uint64_t linear, uint64_t gpa, uint64_t bytes);
/* Guest-physical memory by itself, behind the mappings: [gpa, gpa + bytes) is RAM. */
MUST_CHECK int core_ram(struct core *c, uint64_t gpa, uint64_t bytes);
/* Bytes before the contents, a multiple of a page. */
uint64_t core_head_bytes(const struct core *c);
/* Writes all of these but the notes, whose place it gives. head: core_head_bytes, zeroed. */
uint8_t *core_head(const struct core *c, uint8_t *head);
/* One vCPU's CORE_THREAD_BYTES, thread number from 1. */
void core_thread(uint8_t *at, unsigned thread, const struct virt_state *s);

#endif
