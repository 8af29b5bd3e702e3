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

bool cmd_serial_port(struct shell *sh, int *argc, char **argv, unsigned *port)
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

	if (!cmd_serial_port(sh, &argc, argv, &port))
		return 1;
	if (since && parse_u64(since, &from))
		return shell_error(sh, "invalid", "--since %s is not a byte offset", since);
	if (tail && (parse_u64(tail, &lines) || lines > TAIL_MAX))
		return shell_error(sh, "invalid", "--tail %s is not a number of lines up to %u",
				   tail, TAIL_MAX);
	if (tail && since)
		return shell_error(sh, "usage", "either --tail LINES or --since OFFSET");
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

/* Keys that the port has not taken yet: it does not while its VM is between two hosts. */
struct keys {
	char at[256];
	size_t len;
};

/* Reads what a person typed; false when it was Ctrl-]. What there is no room for rings the bell. */
static bool read_keys(struct shell *sh, struct keys *k)
{
	char more[64];
	size_t n = shell_read(sh, more, sizeof(more), time_ns() + CONSOLE_POLL_NS);
	size_t taken = MIN(n, sizeof(k->at) - k->len);

	if (n && memchr(more, KEY_LEAVE, n))
		return false;
	memcpy(k->at + k->len, more, taken);
	k->len += taken;
	if (taken < n)
		shell_write(sh, "\a", 1);
	return true;
}

static void type_keys(struct vm *vm, unsigned port, struct keys *k)
{
	size_t n = serial_input(vm, port, k->at, k->len);

	k->len -= n;
	memmove(k->at, k->at + n, k->len);
}

static void console_loop(struct shell *sh, struct vm *vm, unsigned port)
{
	uint64_t at = tail_offset(vm, port, 20);
	struct keys keys = { .len = 0 };
	char text[1024];
	size_t n;

	while (vm_is_registered(vm)) { /* another would be kept by its watcher */
		while ((n = serial_log_read(vm, port, &at, text, sizeof(text))))
			shell_write(sh, text, n);
		if (!read_keys(sh, &keys))
			break;
		if (keys.len)
			type_keys(vm, port, &keys);
	}
	if (!vm_is_registered(vm))
		shell_printf(sh, "\r\n%s is not on this host any more", vm->cfg.name);
	if (keys.len)
		shell_printf(sh, "\r\n%u typed characters did not reach it", (unsigned)keys.len);
}

static int vm_console_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm *vm;
	unsigned port;

	if (sh->framed)
		return shell_error(sh, "unsupported",
				   "vm console needs a person's console; programs use vm log "
				   "and vm type");
	if (!cmd_serial_port(sh, &argc, argv, &port))
		return 1;
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	shell_printf(sh, "serial port %u of %s; Ctrl-] leaves\n", port, vm->cfg.name);
	sh->raw = true;
	console_loop(sh, vm, port);
	sh->raw = false;
	cmd_console_mend(sh);
	shell_write(sh, "\n", 1);
	vm_put(vm);
	return 0;
}

/* The words and a carriage return; they fit, because the command's line was no longer. */
static size_t join_line(char *to, char **words, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++) {
		size_t n = strlen(words[i]);

		memcpy(to + len, words[i], n);
		len += n;
		to[len++] = i + 1 < count ? ' ' : '\r';
	}
	return len;
}

static void typed_json(struct shell *sh, size_t taken)
{
	if (!shell_json(sh))
		return;
	json_object(sh, NULL);
	json_u64(sh, "typed", taken);
	json_end(sh);
}

/* What is typed into a VM that is off would be nobody's: a start clears its ports. */
static bool is_on(struct shell *sh, const struct vm *vm)
{
	if (vm->state != VM_OFF && vm->state != VM_STOPPED_ERROR)
		return true;
	shell_error(sh, "not-running", "%s is %s: 'vm start %s' powers it on", vm->cfg.name,
		    vm_state_name(vm->state), vm->cfg.name);
	return false;
}

/* vm type NAME TEXT...: the words, whatever they look like, go to the guest's serial port. */
static int vm_type_cmd(struct shell *sh, int argc, char **argv)
{
	char line[SHELL_LINE_MAX + 2];
	int count;
	char **text = shell_text(sh, &count);
	size_t len, taken;
	struct vm *vm;
	unsigned port;

	if (!cmd_serial_port(sh, &argc, argv, &port))
		return 1;
	if (count < 2)
		return shell_error(sh, "usage", "vm type [--port N] NAME TEXT...");
	vm = cmd_find_vm(sh, 2, text - 1);
	if (!vm)
		return 1;
	if (!is_on(sh, vm)) {
		vm_put(vm);
		return 1;
	}
	len = join_line(line, text + 1, count - 1);
	taken = serial_input(vm, port, line, len);
	vm_put(vm);
	if (taken == len) {
		typed_json(sh, taken);
		return 0;
	}
	return shell_error(sh, "busy",
			   "%s took %u of %u characters: it is between two hosts, or does not read "
			   "its port; type the rest when 'vm list' shows it running",
			   text[0], (unsigned)taken, (unsigned)len);
}

static const struct shell_cmd cmds[] = {
	{ "vm log", "NAME [--port N] [--tail LINES | --since OFFSET]",
	  "a guest's kept serial output", vm_log_cmd, cmd_offer_vms },
	{ "vm console", "NAME [--port N]", "talk to a guest's serial port; Ctrl-] leaves",
	  vm_console_cmd, cmd_offer_vms },
	{ "vm type", "[--port N] NAME TEXT...",
	  "type a line into a guest's serial port; all behind NAME is text", vm_type_cmd,
	  cmd_offer_vms },
};

void cmd_vm_log_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
