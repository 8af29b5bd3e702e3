/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger's conversation. Its world is the only one that speaks and that touches the
 * VM; the ears, a world of their own, hand it the bytes that come, so that an
 * interrupt is heard while the guest runs. A vCPU that stops leaves word and wakes it.
 *
 * The VM has this session as its owner: it cannot be moved, dumped or stopped meanwhile.
 * However the session ends, the guest's bytes are put back and it goes on.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "gdb_session.h"

#define AT_BREAK 0x80000000u
#define HOLD_NS (5 * NSEC_PER_SEC)
#define WRITE_NS (10 * NSEC_PER_SEC)
#define LOOK_NS NSEC_PER_SEC /* has the VM ended meanwhile? */

static struct gdb_session *session_of(struct vm_debugger *d)
{
	return container_of(d, struct gdb_session, d);
}

/* ---- by others' worlds ---- */

static bool is_break(struct vm_debugger *d, uint64_t linear)
{
	return gdb_vm_is_break(session_of(d), linear);
}

/* The first counts; another comes to its breakpoint again when all go on. */
static void stopped(struct vm_debugger *d, struct vcpu *c, enum vm_trap why)
{
	struct gdb_session *s = session_of(d);
	uint32_t none = 0, word = (c->index + 1) | (why == TRAP_BREAK ? AT_BREAK : 0);

	(void)__atomic_compare_exchange_n(&s->stop, &none, word, false, __ATOMIC_SEQ_CST,
					  __ATOMIC_SEQ_CST);
	event_signal(&s->ev);
}

static void ears(void *arg)
{
	struct gdb_session *s = arg;
	ptrdiff_t n;

	while ((n = stream_read(s->stream, s->in, sizeof(s->in), NEVER_NS)) > 0) {
		__atomic_store_n(&s->fill, (uint32_t)n, __ATOMIC_RELEASE);
		event_signal(&s->ev);
		(void)event_wait(&s->taken, NEVER_NS);
		if (__atomic_load_n(&s->gone, __ATOMIC_ACQUIRE))
			return;
	}
	__atomic_store_n(&s->gone, 1, __ATOMIC_RELEASE);
	event_signal(&s->ev);
}

/* ---- the session's own ---- */

static void write_out(struct gdb_session *s, const char *bytes, size_t len)
{
	if (stream_write(s->stream, bytes, len, time_ns() + WRITE_NS))
		s->over = true;
	else
		stream_flush(s->stream);
}

static void reply(struct gdb_session *s)
{
	static const size_t most = GDB_FRAME_MAX;
	char *frame = malloc(most);

	if (!frame) {
		s->over = true;
		return;
	}
	write_out(s, frame, gdb_frame(&s->gdb, frame));
	free(frame);
}

/* All out of the guest; false: they do not come, or the VM has ended. */
static bool hold(struct gdb_session *s)
{
	vm_debug_hold(s->vm);
	s->running = vm_debug_wait(s->vm, time_ns() + HOLD_NS) != 0;
	return !s->running;
}

static void ended(struct gdb_session *s)
{
	s->gdb.reply_len = 0;
	gdb_say(&s->gdb, "W00");
	reply(s);
	s->over = true;
}

static void look_for_stop(struct gdb_session *s)
{
	uint32_t word = __atomic_load_n(&s->stop, __ATOMIC_SEQ_CST);

	if (!word) {
		if (s->vm->state != VM_RUNNING)
			ended(s);
		return;
	}
	if (!hold(s)) {
		ended(s);
		return;
	}
	gdb_stopped(&s->gdb, (word & ~AT_BREAK) - 1, GDB_SIGTRAP, word & AT_BREAK);
	reply(s);
}

static void interrupt(struct gdb_session *s)
{
	if (!s->running)
		return;
	if (!hold(s)) {
		ended(s);
		return;
	}
	if (__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		look_for_stop(s); /* it came first */
		return;
	}
	gdb_stopped(&s->gdb, s->gdb.thread, GDB_SIGINT, false);
	reply(s);
}

static void go(struct gdb_session *s, bool step)
{
	__atomic_store_n(&s->stop, 0, __ATOMIC_SEQ_CST);
	s->running = true;
	if (step)
		vm_debug_step(s->vm->vcpu[s->gdb.stepped]);
	else
		vm_debug_go(s->vm);
}

static void command(struct gdb_session *s)
{
	enum gdb_next next;

	if (!s->gdb.no_ack)
		write_out(s, "+", 1);
	if (s->running)
		return; /* nothing can be asked while it runs */
	next = gdb_command(&s->gdb);
	switch (next) {
	case GDB_GO:
	case GDB_STEP:
		go(s, next == GDB_STEP);
		return;
	case GDB_END:
		s->over = true;
		return;
	case GDB_DETACH:
		s->over = true;
		break;
	default:
		break;
	}
	reply(s);
}

static void hear(struct gdb_session *s)
{
	uint32_t n = __atomic_load_n(&s->fill, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n && !s->over; i++) {
		enum gdb_event what = gdb_feed(&s->gdb, s->in[i]);

		if (what == GDB_PACKET)
			command(s);
		else if (what == GDB_INTERRUPT)
			interrupt(s);
		else if (what == GDB_DAMAGED && !s->gdb.no_ack)
			write_out(s, "-", 1);
	}
	if (!n)
		return;
	__atomic_store_n(&s->fill, 0, __ATOMIC_RELEASE);
	event_signal(&s->taken);
}

static bool is_over(const struct gdb_session *s)
{
	return s->over || __atomic_load_n(&s->gone, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(s->ending, __ATOMIC_ACQUIRE);
}

static void converse(struct gdb_session *s)
{
	while (!is_over(s)) {
		(void)event_wait(&s->ev, time_ns() + LOOK_NS);
		if (s->running)
			look_for_stop(s);
		hear(s);
	}
}

/* The guest as it was, and on its way. */
static void leave(struct gdb_session *s)
{
	if (s->running && !hold(s) && s->vm->state == VM_RUNNING)
		log_error("debug", "%s: its processors do not stop for the debugger's end",
			  s->vm->cfg.name);
	gdb_vm_clear(s);
	vm_debug_detach(s->vm);
}

static void with_ears(struct gdb_session *s)
{
	struct world_opts o = { .name = "gdb-ears", .prio = WORLD_NORMAL, .cpu = -1 };
	struct world *w;

	if (world_create(&w, &o, ears, s))
		return;
	converse(s);
	if (stream_drain(s->stream, time_ns() + LOOK_NS))
		log_debug("debug", "the debugger may not have heard the last word");
	__atomic_store_n(&s->gone, 1, __ATOMIC_RELEASE);
	stream_abort(s->stream);
	event_signal(&s->taken);
	world_join(w);
}

void gdb_session_run(struct vm *vm, struct stream *stream, const uint32_t *ending)
{
	struct gdb_session *s = calloc(1, sizeof(*s));
	char why[96] = "no memory for a debugger";

	if (!s || vm_claim(vm, s, "being debugged", why, sizeof(why))) {
		log_warn("debug", "a debugger is turned away: %s", why);
		free(s);
		return;
	}
	s->vm = vm;
	s->stream = stream;
	s->ending = ending;
	s->d = (struct vm_debugger){ .is_break = is_break, .stopped = stopped };
	event_init(&s->ev, "gdb");
	event_init(&s->taken, "gdb ears");
	gdb_vm_init(s);
	if (vm->state != VM_RUNNING || vm_debug_attach(vm, &s->d, time_ns() + HOLD_NS)) {
		log_warn("debug", "%s does not run: a debugger is turned away", vm->cfg.name);
	} else {
		log_info("debug", "%s: a debugger is here", vm->cfg.name);
		with_ears(s);
		leave(s);
		log_info("debug", "%s: the debugger is gone", vm->cfg.name);
	}
	vm_disown(vm);
	free(s);
}
