/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --shares and --pin: of `vm create`, and by `vm set` of a VM that is there.
 *
 * A pin is a list of words between commas, one for each vCPU, the last one for
 * all that follow: a CPU ("1"), some ("0-3"), or "all".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/vm.h>

#include "shell_int.h"

#define WHY_MAX 160
#define PIN_FORM                                                                                   \
	"0,1: a CPU, a range of them like 0-3 or 'all' for each vCPU, the last for the rest"

/* One word of a pin, up to its end; false: not one. */
static bool pin_word(const char *word, size_t len, uint64_t *cpus)
{
	unsigned long first, last;
	char *end;

	*cpus = 0; /* all */
	if (len == 3 && !strncmp(word, "all", 3))
		return true;
	if (word[0] < '0' || word[0] > '9')
		return false;
	first = last = strtoul(word, &end, 10);
	if (*end == '-' && end[1] >= '0' && end[1] <= '9')
		last = strtoul(end + 1, &end, 10);
	if (end != word + len || first > last || last >= 64)
		return false;
	*cpus = ~0ull >> (63 - (last - first)) << first;
	return true;
}

static bool pin_parse(const char *text, unsigned vcpus, uint64_t cpus[VM_VCPUS_MAX])
{
	unsigned n = 0;

	for (;; text++) {
		size_t len = strcspn(text, ",");

		if (n == vcpus || !pin_word(text, len, &cpus[n]))
			return false;
		n++;
		text += len;
		if (!*text)
			break;
	}
	for (; n < vcpus; n++)
		cpus[n] = cpus[n - 1];
	return true;
}

bool cmd_sched_opts(struct shell *sh, const char *shares, const char *pin, unsigned vcpus,
		    struct vm_sched *s)
{
	uint64_t n = 0;

	if (shares && (parse_u64(shares, &n) || n < WORLD_SHARES_MIN || n > WORLD_SHARES_MAX)) {
		shell_error(sh, "invalid", "--shares %s is not a number from %u to %u (usually %u)",
			    shares, WORLD_SHARES_MIN, WORLD_SHARES_MAX, WORLD_SHARES);
		return false;
	}
	if (shares)
		s->shares = (uint32_t)n;
	if (pin && !pin_parse(pin, vcpus, s->cpus)) {
		shell_error(sh, "invalid", "--pin %s is not like " PIN_FORM, pin);
		return false;
	}
	return true;
}

/* "0-1", "1", "all". */
void cmd_cpus_text(uint64_t cpus, char out[CPUS_TEXT])
{
	unsigned first, last;

	if (!cpus) {
		(void)strcpy(out, "all");
		return;
	}
	first = (unsigned)__builtin_ctzll(cpus);
	last = 63 - (unsigned)__builtin_clzll(cpus);
	if (first == last)
		(void)snprintf(out, CPUS_TEXT, "%u", first);
	else
		(void)snprintf(out, CPUS_TEXT, "%u-%u", first, last);
}

static int vm_set_cmd(struct shell *sh, int argc, char **argv)
{
	const char *shares = shell_opt(&argc, argv, "--shares");
	const char *pin = shell_opt(&argc, argv, "--pin");
	char why[WHY_MAX] = "";
	struct vm_sched s;
	struct vm *vm;
	int err = -1;

	if (!shares && !pin)
		return shell_error(sh, "usage", "vm set NAME [--shares N] [--pin LIST]");
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	s = vm->cfg.sched;
	if (cmd_sched_opts(sh, shares, pin, vm->nr_vcpus, &s)) {
		err = vm_set_sched(vm, &s, why, sizeof(why));
		if (err)
			shell_error(sh, cmd_vm_code(err), "%s", why);
		else if (shell_json(sh)) {
			json_object(sh, NULL);
			json_str(sh, "vm", vm->cfg.name);
			json_sched(sh, vm);
			json_end(sh);
		}
	}
	vm_put(vm);
	return err ? 1 : 0;
}

/* Members "shares" and "pin" of the object that is open. */
void json_sched(struct shell *sh, const struct vm *vm)
{
	const struct vm_sched *s = &vm->cfg.sched;
	char text[CPUS_TEXT];

	json_u64(sh, "shares", s->shares ? s->shares : WORLD_SHARES);
	json_array(sh, "pin");
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		cmd_cpus_text(s->cpus[i], text);
		json_str(sh, NULL, text);
	}
	json_end(sh);
}

static const struct shell_cmd cmds[] = {
	{ "vm set", "NAME [--shares N] [--pin LIST]", "a VM's part of which CPUs, from now on",
	  vm_set_cmd, cmd_offer_vms },
};

void cmd_vm_sched_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
