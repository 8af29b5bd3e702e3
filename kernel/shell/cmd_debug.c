/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking into guests: `vm dump`, which sends an ELF core to where it is wanted, and
 * `vm gdb`, which lets debuggers in.
 */
#include <errno.h>

#include <tern/debug.h>
#include <tern/gmem.h>
#include <tern/page.h>
#include <tern/timer.h>

#include "shell_int.h"

#define WHY_MAX 160
#define CONNECT_NS (5 * NSEC_PER_SEC)
#define LOOK_NS (NSEC_PER_SEC / 5) /* how soon Ctrl-C is seen */

static bool port_opt(struct shell *sh, int *argc, char **argv, uint16_t *port)
{
	const char *text = shell_opt(argc, argv, "--port");
	uint64_t n;

	if (!text)
		return true;
	if (parse_u64(text, &n) || !n || n > UINT16_MAX) {
		shell_error(sh, "invalid", "--port %s is not a port: 1 to 65535", text);
		return false;
	}
	*port = (uint16_t)n;
	return true;
}

static bool is_interrupted(void *arg)
{
	return shell_interrupted(arg);
}

static struct stream *connect_to(struct shell *sh, const char *host, uint16_t port)
{
	struct net_addr to;
	struct stream *s;
	int err = cmd_resolve_host(host, &to);

	if (err) {
		shell_error(sh, "invalid", "'%s' is neither an address nor a host.%s of tern.conf",
			    host, host);
		return NULL;
	}
	err = stream_connect(&to, port, CONNECT_NS, &s);
	if (!err)
		return s;
	if (net_fault(err)->here)
		shell_error(sh, net_fault(err)->code, "%s", net_fault(err)->text);
	else
		shell_error(sh, "unreachable",
			    "nobody takes a dump at %s port %u: start a receiver there", host,
			    port);
	return NULL;
}

/* The first that comes gets it. */
static struct stream *wait_for_one(struct shell *sh, uint16_t port)
{
	struct listener *l;
	struct stream *s = NULL;
	int err = stream_listen(port, 1, &l);

	if (err) {
		shell_error(sh, net_fault(err)->code, "port %u: %s", port, net_fault(err)->text);
		return NULL;
	}
	shell_progress(sh, "waiting at port %u", port);
	while (stream_accept(l, time_ns() + LOOK_NS, &s))
		if (shell_interrupted(sh))
			break;
	listener_close(l);
	if (!s)
		shell_error(sh, "canceled", "interrupted");
	return s;
}

static void dump_json(struct shell *sh, const struct vm *vm, const struct debug_dump *d)
{
	json_object(sh, NULL);
	json_str(sh, "vm", vm->cfg.name);
	json_u64(sh, "bytes", d->bytes);
	json_u64(sh, "pages", d->pages);
	json_u64(sh, "segments", d->segments);
	json_u64(sh, "threads", d->threads);
	json_bool(sh, "whole", d->whole);
	json_end(sh);
}

static int dump_to(struct shell *sh, struct vm *vm, struct stream *s)
{
	struct debug_dump d;
	char why[WHY_MAX] = "";
	int err = debug_dump_vm(vm, s, is_interrupted, sh, &d, why, sizeof(why));

	if (err)
		return shell_error(sh,
				   err == -ECANCELED ? "canceled"
				   : err == -ENODATA ? "not-running"
				   : err == -EPIPE || err == -ECONNRESET || err == -ETIMEDOUT
					   ? "link"
					   : cmd_vm_code(err),
				   "%s", why);
	if (shell_json(sh))
		dump_json(sh, vm, &d);
	else
		shell_printf(sh, "%llu MiB, %llu pages in %u segments, %u thread(s)%s\n",
			     (unsigned long long)(d.bytes >> 20), (unsigned long long)d.pages,
			     d.segments, d.threads,
			     d.whole ? "" : "; not all that the guest's tables map");
	return 0;
}

static int vm_dump_cmd(struct shell *sh, int argc, char **argv)
{
	const char *to = shell_opt(&argc, argv, "--to");
	bool listen = shell_flag(&argc, argv, "--listen");
	uint16_t port = DEBUG_DUMP_PORT;
	struct stream *s;
	struct vm *vm;
	int err = 1;

	if (!port_opt(sh, &argc, argv, &port))
		return 1;
	if (!to == !listen)
		return shell_error(sh, "usage", "either --to HOST or --listen is needed");
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	s = to ? connect_to(sh, to, port) : wait_for_one(sh, port);
	if (s) {
		err = dump_to(sh, vm, s);
		stream_close(s);
	}
	vm_put(vm);
	return err;
}

static int gdb_off(struct shell *sh, const char *name)
{
	if (debug_gdb_end(name))
		return shell_error(sh, "not-found", "nobody waits for debuggers of '%s'", name);
	return 0;
}

static int gdb_on(struct shell *sh, const char *name, uint16_t port)
{
	int err = debug_gdb_begin(name, port);

	if (err == -EEXIST)
		return shell_error(sh, "exists",
				   "debuggers of '%s' are waited for already: end it "
				   "by --off",
				   name);
	if (err == -ENOSPC)
		return shell_error(sh, "busy", "too many VMs are open to debuggers");
	if (err)
		return shell_error(sh, net_fault(err)->code, "port %u: %s", port,
				   net_fault(err)->text);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", name);
		json_u64(sh, "port", port);
		json_end(sh);
	} else {
		shell_printf(sh, "gdb: target remote ADDRESS:%u, until 'vm gdb %s --off'\n", port,
			     name);
	}
	return 0;
}

static int vm_gdb_cmd(struct shell *sh, int argc, char **argv)
{
	bool off = shell_flag(&argc, argv, "--off");
	uint16_t port = DEBUG_GDB_PORT;
	struct vm *vm;

	if (!port_opt(sh, &argc, argv, &port))
		return 1;
	if (off && argc == 2)
		return gdb_off(sh, argv[1]);
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	vm_put(vm);
	return gdb_on(sh, argv[1], port);
}

static int vm_frame_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm *vm = argc == 3 ? cmd_find_vm(sh, 2, argv) : NULL;
	uint64_t gpa;
	void *p;
	int err;

	if (argc != 3)
		return shell_error(sh, "usage", "vm frame NAME GUEST-PHYSICAL-ADDRESS");
	if (!vm)
		return 1;
	err = parse_size(argv[2], &gpa);
	if (!err)
		err = gmem_pin(vm->mem, GPA(ALIGN_DOWN(gpa, PAGE_SIZE)), PAGE_SIZE, false, &p);
	if (!err) {
		gmem_unpin(vm->mem, GPA(ALIGN_DOWN(gpa, PAGE_SIZE)), p, false);
		if (shell_json(sh)) {
			json_object(sh, NULL);
			json_u64(sh, "host_physical", ptr_hpa(p).v);
			json_end(sh);
		} else {
			shell_printf(sh, "%#llx\n", (unsigned long long)ptr_hpa(p).v);
		}
	}
	vm_put(vm);
	return err ? shell_error(sh, "invalid", "no memory of the VM is at %s", argv[2]) : 0;
}

static const struct shell_cmd cmds[] = {
	{ "vm gdb", "NAME [--port N] [--off]", "let debuggers of a VM in, at a TCP port",
	  vm_gdb_cmd, cmd_offer_vms },
	{ "vm frame", "NAME GUEST-PHYSICAL-ADDRESS", "where in the host's memory it is",
	  vm_frame_cmd, cmd_offer_vms },
	{ "vm dump", "NAME --to HOST | --listen [--port N]",
	  "send a VM's memory and registers as an ELF core", vm_dump_cmd, cmd_offer_vms },
};

void cmd_debug_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
