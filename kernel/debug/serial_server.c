/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's serial port over TCP, as a terminal server gives it: whoever connects gets the
 * kept output and then what comes, and types into the port unless that is for reading only.
 *
 * Each viewer reads the kept log at its own offset, so the guest and the other viewers
 * never wait for one: who is slower than the log is long loses bytes of its own, and
 * finds a mark in their place. Two worlds serve it, one for each direction; they hold no
 * VM while they wait for the network. The server's world lets viewers in, buries them, and
 * ends with the VM's name on this host: a move sends the viewers away, a suspend does not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/debug.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/timer.h>
#include <tern/vdev.h>
#include <tern/world.h>

#define SERVERS_MAX 8u
#define STACK_BYTES (32u << 10)
#define LOOK_NS (NSEC_PER_SEC / 5) /* is it to end, is the VM here? */
#define GIVE_UP_NS (5 * NSEC_PER_SEC)
#define RETRY_NS (20 * NSEC_PER_MSEC) /* of keys that the port did not take */
#define CHUNK 1024u
#define AHEAD (16u << 10) /* bytes under way to a viewer; the stream alone would hold megabytes */

struct server;
struct viewer {
	struct server *of;	/* [const] */
	struct stream *s;	/* NULL: free; the server's world's */
	struct world *out, *in; /* the server's world's */
	uint32_t gone;		/* [atom] the other side has ended, or its stream has */
};

struct server {
	struct debug_serial what; /* what.vm empty: free */
	uint8_t uuid[16];	  /* of the VM: another may get its name */
	struct listener *listener;
	uint32_t ending; /* [atom] */
	struct viewer viewer[DEBUG_SERIAL_VIEWERS];
};

/* guards what.vm, what.viewers and ending: 1 is set by one who then waits for the name to go */
static struct spinlock lock = SPINLOCK_INIT(LOCK_VM, "serial servers");
static struct waitq freed = { .guard = SPINLOCK_INIT(LOCK_WAITQ, "serial servers") };
static struct server servers[SERVERS_MAX];

static bool over(const struct viewer *v)
{
	return __atomic_load_n(&v->gone, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&v->of->ending, __ATOMIC_ACQUIRE);
}

/* The other world of this viewer may wait for the network. */
static void leave(struct viewer *v)
{
	__atomic_store_n(&v->gone, 1, __ATOMIC_RELEASE);
	stream_abort(v->s);
}

/* With a reference; NULL when it is not here any more. */
static struct vm *vm_of(const struct server *v)
{
	struct vm *vm = vm_find(v->what.vm);

	if (!vm || !memcmp(vm->uuid, v->uuid, sizeof(v->uuid)))
		return vm;
	vm_put(vm);
	return NULL;
}

/* ---- from the guest ---- */

/* What there is past *at, or waits for it a while; -ENOENT when the VM is not here. */
static ptrdiff_t take(struct viewer *v, uint64_t *at, char *buf, size_t len)
{
	const struct debug_serial *d = &v->of->what;
	struct vm *vm = vm_of(v->of);
	size_t n;

	if (!vm)
		return -ENOENT;
	n = serial_log_read(vm, d->port, at, buf, len);
	if (!n)
		(void)serial_log_wait(vm, d->port, *at, time_ns() + LOOK_NS);
	vm_put(vm);
	return (ptrdiff_t)n;
}

static int tell_lost(struct viewer *v, uint64_t bytes)
{
	char mark[48];
	int n = snprintf(mark, sizeof(mark), "\r\n[tern: %llu bytes lost]\r\n",
			 (unsigned long long)bytes);

	return stream_write(v->s, mark, (size_t)n, NEVER_NS);
}

/* Sends, and after AHEAD bytes waits until the viewer has them: what it misses it misses here. */
static int pass_on(struct viewer *v, const char *buf, size_t n, size_t *ahead)
{
	int err = stream_write(v->s, buf, n, NEVER_NS);

	if (err)
		return err;
	stream_flush(v->s);
	*ahead += n;
	if (*ahead < AHEAD)
		return 0;
	*ahead = 0;
	return stream_drain(v->s, NEVER_NS);
}

static void out_world(void *arg)
{
	struct viewer *v = arg;
	uint64_t at = 0, next;
	char buf[CHUNK];
	size_t ahead = 0;
	ptrdiff_t n;
	int err = 0;

	while (!err && !over(v)) {
		next = at;
		n = take(v, &next, buf, sizeof(buf));
		if (n < 0)
			break;
		if (n && at && next - (uint64_t)n != at)
			err = tell_lost(v, next - (uint64_t)n - at);
		at = next;
		if (n && !err)
			err = pass_on(v, buf, (size_t)n, &ahead);
	}
	leave(v);
}

/* ---- to the guest ---- */

/* -ENOENT when the VM is not here; one that is off takes all, to nobody. */
static ptrdiff_t give(struct viewer *v, const char *keys, size_t len)
{
	const struct debug_serial *d = &v->of->what;
	struct vm *vm = vm_of(v->of);
	size_t n = len;

	if (!vm)
		return -ENOENT;
	if (vm->state != VM_OFF && vm->state != VM_STOPPED_ERROR)
		n = serial_input(vm, d->port, keys, len);
	vm_put(vm);
	return (ptrdiff_t)n;
}

static void type(struct viewer *v, const char *keys, size_t len)
{
	uint64_t until_ns = time_ns() + GIVE_UP_NS;
	ptrdiff_t n = 0;

	/* Then they are lost: who waits for the port does not see that its viewer has gone. */
	while (len && n >= 0 && !over(v) && time_ns() < until_ns) {
		n = give(v, keys, len);
		if (n > 0) {
			keys += n;
			len -= (size_t)n;
		} else if (!n) {
			world_sleep_ns(RETRY_NS);
		}
	}
}

static void in_world(void *arg)
{
	struct viewer *v = arg;
	char keys[64];
	ptrdiff_t n;

	while (!over(v)) {
		n = stream_read(v->s, keys, sizeof(keys), time_ns() + LOOK_NS);
		if (n <= 0 && n != -ETIMEDOUT)
			break;
		if (n > 0 && !v->of->what.read_only)
			type(v, keys, (size_t)n);
	}
	leave(v);
}

/* ---- the server ---- */

static void count(struct server *v, int more)
{
	unsigned long flags = spin_lock(&lock);

	v->what.viewers += (unsigned)more;
	spin_unlock(&lock, flags);
}

static void bury(struct viewer *w)
{
	leave(w);
	if (w->out)
		world_join(w->out);
	if (w->in)
		world_join(w->in);
	stream_close(w->s);
	w->s = NULL;
	w->out = w->in = NULL;
	count(w->of, -1);
}

static struct viewer *place(struct server *v)
{
	for (unsigned i = 0; i < DEBUG_SERIAL_VIEWERS; i++)
		if (!v->viewer[i].s)
			return &v->viewer[i];
	return NULL;
}

static void let_in(struct server *v, struct stream *s)
{
	struct world_opts o = {
		.name = "serial", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = STACK_BYTES
	};
	struct viewer *w = place(v);

	if (!w) {
		log_warn("debug", "%s has %u viewers: one more was sent away", v->what.vm,
			 DEBUG_SERIAL_VIEWERS);
		stream_close(s);
		return;
	}
	*w = (struct viewer){ .of = v, .s = s };
	count(v, 1);
	if (world_create(&w->out, &o, out_world, w))
		w->out = NULL;
	if (!w->out || world_create(&w->in, &o, in_world, w)) {
		w->in = NULL;
		log_warn("debug", "no memory for a viewer of %s", v->what.vm);
		bury(w);
	}
}

static bool is_here(const struct server *v)
{
	struct vm *vm = vm_of(v);

	if (vm)
		vm_put(vm);
	return vm != NULL;
}

static void bury_all(struct server *v, bool all)
{
	for (unsigned i = 0; i < DEBUG_SERIAL_VIEWERS; i++)
		if (v->viewer[i].s && (all || over(&v->viewer[i])))
			bury(&v->viewer[i]);
}

static void give_back(struct server *v)
{
	unsigned long flags = spin_lock(&lock);

	v->what.vm[0] = '\0';
	waitq_wake_all(&freed);
	spin_unlock(&lock, flags);
}

static void server_world(void *arg)
{
	struct server *v = arg;
	struct stream *s;

	while (!__atomic_load_n(&v->ending, __ATOMIC_ACQUIRE) && is_here(v)) {
		int err = stream_accept(v->listener, time_ns() + LOOK_NS, &s);

		bury_all(v, false);
		if (!err)
			let_in(v, s);
	}
	bury_all(v, true);
	listener_close(v->listener);
	log_info("debug", "%s: its serial port %u is not at port %u any more", v->what.vm,
		 v->what.port, v->what.tcp_port);
	give_back(v);
}

static struct server *find_locked(const char *vm, unsigned port)
{
	for (unsigned i = 0; i < SERVERS_MAX; i++)
		if (!strcmp(servers[i].what.vm, vm) && (!*vm || servers[i].what.port == port))
			return &servers[i];
	return NULL;
}

static int reserve(const struct debug_serial *d, struct server **out)
{
	unsigned long flags = spin_lock(&lock);
	struct server *v = find_locked("", 0);
	int err = find_locked(d->vm, d->port) ? -EEXIST : v ? 0 : -ENOSPC;

	if (!err) {
		v->what = *d;
		v->what.viewers = 0;
		v->ending = 0;
	}
	spin_unlock(&lock, flags);
	*out = v;
	return err;
}

static int set_up(struct server *v)
{
	struct world_opts o = { .name = "serial-server", .prio = WORLD_NORMAL, .cpu = -1 };
	struct vm *vm = vm_find(v->what.vm);
	int err;

	if (!vm)
		return -ENOENT;
	memcpy(v->uuid, vm->uuid, sizeof(v->uuid));
	vm_put(vm);
	err = stream_listen(v->what.tcp_port, DEBUG_SERIAL_VIEWERS, &v->listener);
	if (err)
		return err;
	err = world_create(NULL, &o, server_world, v);
	if (err)
		listener_close(v->listener);
	return err;
}

int debug_serial_begin(const struct debug_serial *d)
{
	struct server *v;
	int err = reserve(d, &v);

	if (err)
		return err;
	err = set_up(v);
	if (err)
		give_back(v);
	return err;
}

int debug_serial_end(const char *vm, unsigned port)
{
	unsigned long flags = spin_lock(&lock);
	struct server *v = find_locked(vm, port);
	int err = v ? 0 : -ENOENT;

	if (v)
		__atomic_store_n(&v->ending, 1, __ATOMIC_RELEASE);
	while (v && find_locked(vm, port) == v && v->ending)
		(void)waitq_sleep(&freed, &lock, &flags, NEVER_NS);
	spin_unlock(&lock, flags);
	return err;
}

int debug_serial_get(const char *vm, unsigned port, struct debug_serial *out)
{
	unsigned long flags = spin_lock(&lock);
	struct server *v = find_locked(vm, port);

	if (v)
		*out = v->what;
	spin_unlock(&lock, flags);
	return v ? 0 : -ENOENT;
}
