/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GDB's remote serial protocol, as far as it needs no host: bytes to packets
 * (gdb_packet.c), packets to calls of the target's operations (gdb_cmd.c,
 * gdb_query.c), registers (gdb_regs.c). Whatever comes in, it stays within its buffers and makes
 * only calls that the table allows. Threads are vCPUs, numbered from 1; all stop, all go.
 *
 * [GDB manual, Appendix "GDB Remote Serial Protocol"]
 */
#ifndef KERNEL_DEBUG_GDB_H
#define KERNEL_DEBUG_GDB_H

#include <tern/types.h>
#include <tern/virt.h>

#define GDB_PACKET_MAX 4096u /* of contents, both ways */
#define GDB_MEMORY_MAX ((GDB_PACKET_MAX - 16) / 2)

/* ---- registers: the target description's order ---- */

#define GDB_REGS_BYTES 340u
#define GDB_REGS_COUNT 48u
/* Place and size of register n; false: there is none. */
bool gdb_reg_place(unsigned n, unsigned *at, unsigned *bytes);
void gdb_regs_get(uint8_t regs[GDB_REGS_BYTES], const struct virt_state *s);
/* Of control registers nothing is taken: a debugger that writes all back changes none. */
void gdb_regs_set(struct virt_state *s, const uint8_t regs[GDB_REGS_BYTES]);
/* The description, as XML; length of all of it. */
size_t gdb_target_xml(char *to, size_t room);

/* ---- the target ---- */

struct gdb_target {
	unsigned threads; /* at least 1 */
	/* 0 or an error. thread: from 0. */
	int (*read_regs)(void *arg, unsigned thread, uint8_t regs[GDB_REGS_BYTES]);
	int (*write_regs)(void *arg, unsigned thread, const uint8_t regs[GDB_REGS_BYTES]);
	int (*read_memory)(void *arg, unsigned thread, uint64_t at, void *buf, size_t len);
	int (*write_memory)(void *arg, unsigned thread, uint64_t at, const void *buf, size_t len);
	int (*set_break)(void *arg, unsigned thread, uint64_t at, bool on);
	void *arg;
};

enum gdb_next {
	GDB_STAY,   /* a reply is there, or nothing is to be said */
	GDB_GO,	    /* let all go */
	GDB_STEP,   /* let g->thread go for one instruction */
	GDB_DETACH, /* a reply is there; all go on without a debugger */
	GDB_END,    /* the connection ends; all go on */
};

struct gdb {
	const struct gdb_target *target;
	unsigned thread;  /* that registers and memory are read of; which stopped last */
	unsigned stepped; /* that a step was asked for */
	bool no_ack;	  /* neither side acknowledges packets any more */
	/* in */
	enum { GDB_IDLE, GDB_BODY, GDB_ESCAPE, GDB_SUM1, GDB_SUM2 } state;
	uint8_t sum, sum_told;
	size_t len;
	char packet[GDB_PACKET_MAX + 1];
	/* out */
	size_t reply_len;
	bool replied; /* an empty reply says "not supported" */
	char reply[GDB_PACKET_MAX + 1];
};

void gdb_init(struct gdb *g, const struct gdb_target *t);

enum gdb_event { GDB_NOTHING, GDB_PACKET, GDB_DAMAGED, GDB_INTERRUPT };
/* One byte that came. GDB_PACKET: it is in g->packet, g->len bytes and a NUL. */
enum gdb_event gdb_feed(struct gdb *g, uint8_t byte);
/* The reply as it goes out: at most 2 x GDB_PACKET_MAX + 4 bytes. */
#define GDB_FRAME_MAX (2 * GDB_PACKET_MAX + 4)
size_t gdb_frame(const struct gdb *g, char out[GDB_FRAME_MAX]);

/* Does what g->packet says. */
enum gdb_next gdb_command(struct gdb *g);
#define GDB_SIGINT 2u
#define GDB_SIGTRAP 5u
/* Replies "stopped" for this thread, by that signal; at a breakpoint or not. */
void gdb_stopped(struct gdb *g, unsigned thread, unsigned signal, bool at_break);

/* ---- for the files of gdb_*.c ---- */

void gdb_say(struct gdb *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
void gdb_say_hex(struct gdb *g, const void *bytes, size_t len);
/* Hexadecimal digits at *at, which goes behind them; false: none, or more than 16. */
bool gdb_number(const char **at, uint64_t *v);
/* len bytes as hexadecimal digits; false: they are not. */
bool gdb_bytes(const char *from, uint8_t *to, size_t len);
/* A thread's id: -1 and 0 are any; *thread from 0. False: there is no such thread. */
bool gdb_thread(struct gdb *g, const char **at, unsigned *thread);
void gdb_query(struct gdb *g);
enum gdb_next gdb_vcont(struct gdb *g);

#endif
