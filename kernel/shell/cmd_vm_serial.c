/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm serial`: a guest's serial port at a TCP port, for several viewers at once
 * (kernel/debug/serial_server.c).
 */
#include <errno.h>
#include <stdio.h>

#include <tern/debug.h>

#include "shell_int.h"

static int show(struct shell *sh, const struct debug_serial *d)
{
	if (!shell_json(sh)) {
		shell_printf(sh, "serial port %u of %s at TCP port %u%s, %u viewer(s)\n", d->port,
			     d->vm, d->tcp_port, d->read_only ? ", for reading" : "", d->viewers);
		return 0;
	}
	json_object(sh, NULL);
	json_str(sh, "vm", d->vm);
	json_u64(sh, "port", d->port);
	json_u64(sh, "listen", d->tcp_port);
	json_bool(sh, "read_only", d->read_only);
	json_u64(sh, "viewers", d->viewers);
	json_end(sh);
	return 0;
}

static int begin(struct shell *sh, struct debug_serial *d, const char *listen)
{
	uint64_t n;
	int err;

	if (parse_u64(listen, &n) || !n || n > UINT16_MAX)
		return shell_error(sh, "invalid", "--listen %s is not a port: 1 to 65535", listen);
	d->tcp_port = (uint16_t)n;
	err = debug_serial_begin(d);
	if (!err)
		return show(sh, d);
	if (err == -EEXIST)
		return shell_error(sh, "exists", "port %u of %s is shown already: end it by --off",
				   d->port, d->vm);
	if (err == -ENOSPC)
		return shell_error(sh, "busy", "too many serial ports are shown here");
	return shell_error(sh, net_fault(err)->code, "TCP port %s: %s", listen,
			   net_fault(err)->text);
}

static int vm_serial_cmd(struct shell *sh, int argc, char **argv)
{
	const char *listen = shell_opt(&argc, argv, "--listen");
	struct debug_serial d = { .read_only = shell_flag(&argc, argv, "--read-only") };
	bool off = shell_flag(&argc, argv, "--off");
	struct vm *vm;

	if (!cmd_serial_port(sh, &argc, argv, &d.port))
		return 1;
	if ((off && listen) || (d.read_only && !listen))
		return shell_error(sh, "usage", "either --listen PORT [--read-only], or --off");
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	vm_put(vm);
	snprintf(d.vm, sizeof(d.vm), "%s", argv[1]);
	if (listen)
		return begin(sh, &d, listen);
	if (off ? debug_serial_end(d.vm, d.port) : debug_serial_get(d.vm, d.port, &d))
		return shell_error(sh, "not-found", "port %u of %s is not shown: --listen PORT",
				   d.port, d.vm);
	return off ? 0 : show(sh, &d);
}

static const struct shell_cmd cmds[] = {
	{ "vm serial", "NAME [--port N] [--listen PORT] [--read-only] [--off]",
	  "show a guest's serial port at a TCP port, to several viewers", vm_serial_cmd,
	  cmd_offer_vms },
};

void cmd_vm_serial_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
