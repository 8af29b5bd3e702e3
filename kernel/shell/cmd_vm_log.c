/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's serial ports: their kept output (vm log) and a live connection
 * (vm console).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/timer.h>
#include <tern/vdev.h>
#include <tern/vm.h>

#include "shell_int.h"

#define LOG_CHUNK 4096u
#define KEY_LEAVE 0x1d /* Ctrl-] */
#define CONSOLE_POLL_NS (20 * NSEC_PER_MSEC)

static bool port_opt(struct shell *sh, int *argc, char **argv, unsigned *port)
{
	const char *text = shell_opt(argc, argv, "--port");
	uint64_t n = 0;

	if (text && (parse_u64(text, &n) || n >= SERIAL_LOGS)) {
		shell_error(sh, "invalid",
			    "--port %s: a VM has serial ports 0 and 1, and 2, its virtio console",
			    text);
		return false;
	}
	*port = (unsigned)n;
	return true;
}

static void log_json(struct shell *sh, struct vm *vm, unsigned port, uint64_t from)
{
	uint64_t start = from, end = serial_log_end(vm, port);
	size_t cap = end > from ? MIN(end - from, 1u << 20) : 0, len = 0;
	char *text = malloc(cap + 1);

	if (!text) {
		shell_error(sh, "no-memory", "no memory to copy the log");
		return;
	}
	if (cap)
		len = serial_log_read(vm, port, &from, text, cap);
	json_object(sh, NULL);
	json_u64(sh, "offset", from);
	json_u64(sh, "lost", len ? from - len - start : 0);
	json_strn(sh, "text", text, len);
	json_end(sh);
	free(text);
}

static void log_plain(struct shell *sh, struct vm *vm, unsigned port, uint64_t from)
{
	char buf[LOG_CHUNK], line[LOG_CHUNK];
	uint64_t end = serial_log_end(vm, port);
	size_t n, out;

	while (from < end && (n = serial_log_read(vm, port, &from, buf, sizeof(buf)))) {
		out = 0;
		for (size_t i = 0; i < n; i++)
			if (buf[i] != '\r')
				line[out++] = buf[i];
		shell_write(sh, line, out);
	}
}

/* Offset of the start of the last n lines. */
static uint64_t tail_offset(struct vm *vm, unsigned port, uint64_t lines)
{
	uint64_t end = serial_log_end(vm, port), at = 0, *starts;
	uint64_t seen = 0;
	char buf[256];
	size_t n;

	if (!lines)
		return end;
	starts = calloc(lines, sizeof(*starts));
	if (!starts)
		return 0;
	while (at < end && (n = serial_log_read(vm, port, &at, buf, sizeof(buf))))
		for (size_t i = 0; i < n; i++)
			if (buf[i] == '\n' && at - n + i + 1 < end)
				starts[seen++ % lines] = at - n + i + 1;
	at = seen >= lines ? starts[seen % lines] : 0;
	free(starts);
	return at;
}

#define TAIL_MAX 10000u

static int vm_log_cmd(struct shell *sh, int argc, char **argv)
{
	const char *since = shell_opt(&argc, argv, "--since"),
		   *tail = shell_opt(&argc, argv, "--tail");
	uint64_t from = 0, lines;
	struct vm *vm;
	unsigned port;

	if (!port_opt(sh, &argc, argv, &port))
		return 1;
	if (since && parse_u64(since, &from))
		return shell_error(sh, "invalid", "--since %s is not a byte offset", since);
	if (tail && (parse_u64(tail, &lines) || lines > TAIL_MAX))
		return shell_error(sh, "invalid", "--tail %s is not a number of lines up to %u",
				   tail, TAIL_MAX);
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	if (tail)
		from = tail_offset(vm, port, lines);
	if (shell_json(sh))
		log_json(sh, vm, port, from);
	else
		log_plain(sh, vm, port, from);
	vm_put(vm);
	return 0;
}

/* One that was deleted or has moved away would else be kept by its watcher. */
static bool still_here(struct vm *vm)
{
	struct vm *now = vm_find(vm->cfg.name);

	if (now)
		vm_put(now);
	return now == vm;
}

static void console_loop(struct shell *sh, struct vm *vm, unsigned port)
{
	uint64_t at = tail_offset(vm, port, 20);
	char keys[64], text[1024];
	size_t n;

	while (still_here(vm)) {
		while ((n = serial_log_read(vm, port, &at, text, sizeof(text))))
			shell_write(sh, text, n);
		n = shell_read(sh, keys, sizeof(keys), time_ns() + CONSOLE_POLL_NS);
		if (n && memchr(keys, KEY_LEAVE, n))
			return;
		if (n)
			serial_input(vm, port, keys, n);
	}
	shell_printf(sh, "\r\n%s is not on this host any more", vm->cfg.name);
}

static int vm_console_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm *vm;
	unsigned port;

	if (sh->framed)
		return shell_error(sh, "unsupported",
				   "vm console needs a person's console; programs use vm log "
				   "and vm type");
	if (!port_opt(sh, &argc, argv, &port))
		return 1;
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	shell_printf(sh, "serial port %u of %s; Ctrl-] leaves\n", port, vm->cfg.name);
	sh->raw = true;
	console_loop(sh, vm, port);
	sh->raw = false;
	shell_write(sh, "\n", 1);
	vm_put(vm);
	return 0;
}

/* vm type NAME TEXT...: the words and a newline go to the guest's serial port. */
static int vm_type_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm *vm;
	unsigned port;

	if (!port_opt(sh, &argc, argv, &port))
		return 1;
	if (argc < 3)
		return shell_error(sh, "usage", "vm type NAME TEXT...");
	vm = cmd_find_vm(sh, 2, argv);
	if (!vm)
		return 1;
	for (int i = 2; i < argc; i++) {
		serial_input(vm, port, argv[i], strlen(argv[i]));
		serial_input(vm, port, i + 1 < argc ? " " : "\r", 1);
	}
	vm_put(vm);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "vm log", "NAME [--port N] [--tail LINES | --since OFFSET]",
	  "a guest's kept serial output", vm_log_cmd, cmd_offer_vms },
	{ "vm console", "NAME [--port N]", "talk to a guest's serial port; Ctrl-] leaves",
	  vm_console_cmd, cmd_offer_vms },
	{ "vm type", "NAME TEXT... [--port N]", "type a line into a guest's serial port",
	  vm_type_cmd, cmd_offer_vms },
};

void cmd_vm_log_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
