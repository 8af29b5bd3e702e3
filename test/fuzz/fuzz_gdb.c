/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger's bytes are anybody's who reaches the port: whatever comes, the packet code
 * stays within its buffers, asks the target for nothing outside of what it offers, and
 * each reply is a whole packet.
 */
// SOURCES: kernel/debug/gdb_packet.c kernel/debug/gdb_cmd.c kernel/debug/gdb_query.c
// SOURCES: kernel/debug/gdb_regs.c
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel/debug/gdb.h"

#define THREADS 3u

static uint8_t file[GDB_REGS_BYTES], memory[8192];

static int read_regs(void *arg, unsigned thread, uint8_t regs[GDB_REGS_BYTES])
{
	assert(thread < THREADS);
	memcpy(regs, file, sizeof(file));
	return 0;
}

static int write_regs(void *arg, unsigned thread, const uint8_t regs[GDB_REGS_BYTES])
{
	assert(thread < THREADS);
	memcpy(file, regs, sizeof(file));
	return 0;
}

static int read_memory(void *arg, unsigned thread, uint64_t at, void *buf, size_t len)
{
	assert(thread < THREADS && len <= GDB_MEMORY_MAX);
	if (at > sizeof(memory) || len > sizeof(memory) - at)
		return -1;
	memcpy(buf, memory + at, len);
	return 0;
}

static int write_memory(void *arg, unsigned thread, uint64_t at, const void *buf, size_t len)
{
	assert(thread < THREADS && len <= GDB_MEMORY_MAX);
	if (at > sizeof(memory) || len > sizeof(memory) - at)
		return -1;
	memcpy(memory + at, buf, len);
	return 0;
}

static int set_break(void *arg, unsigned thread, uint64_t at, bool on)
{
	assert(thread < THREADS);
	return at % 3 ? 0 : -1;
}

static const struct gdb_target target = {
	.threads = THREADS,
	.read_regs = read_regs,
	.write_regs = write_regs,
	.read_memory = read_memory,
	.write_memory = write_memory,
	.set_break = set_break,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char frame[GDB_FRAME_MAX];
	static struct gdb g;

	gdb_init(&g, &target);
	for (size_t i = 0; i < size; i++) {
		size_t n;

		/* A sum that fits is found for it: else hardly a packet would come through. */
		uint8_t byte = g.state == GDB_SUM1   ? "0123456789abcdef"[g.sum >> 4]
			       : g.state == GDB_SUM2 ? "0123456789abcdef"[g.sum & 15]
						     : data[i];

		if (gdb_feed(&g, byte) != GDB_PACKET)
			continue;
		assert(g.len <= GDB_PACKET_MAX);
		(void)gdb_command(&g);
		assert(g.reply_len <= GDB_PACKET_MAX && g.thread < THREADS && g.stepped < THREADS);
		n = gdb_frame(&g, frame);
		assert(n >= 4 && n <= sizeof(frame) && frame[n - 3] == '#');
	}
	return 0;
}
