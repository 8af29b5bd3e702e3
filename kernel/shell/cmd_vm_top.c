/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm top`: what VMs and their vCPUs do just now, in parts of one CPU over the
 * last second. Two samples make a picture: a VM that is in one of them only is
 * left out, one that came back under its name shows no less than nothing.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/gmem.h>
#include <tern/timer.h>
#include <tern/vm.h>

#include "shell_int.h"

#define INTERVAL_NS NSEC_PER_SEC
#define KEY_QUIT 'q'
#define KEY_INTERRUPT 0x03 /* Ctrl-C */

struct top_vcpu {
	uint64_t ns[VCPU_DOINGS];
	uint64_t exits;
};

struct top_vm {
	char name[VM_NAME_MAX];
	enum vm_state state;
	uint64_t mem_bytes, backed_bytes;
	unsigned vcpus;
	struct top_vcpu vcpu[VM_VCPUS_MAX];
	struct top_vm *next;
};

struct sample {
	uint64_t at_ns;
	struct top_vm *first, **end;
};

static void sample_vm(void *arg, struct vm *vm)
{
	struct sample *s = arg;
	struct top_vm *t = calloc(1, sizeof(*t));

	if (!t)
		return; /* shown again when there is memory */
	memcpy(t->name, vm->cfg.name, sizeof(t->name));
	t->state = vm->state;
	t->mem_bytes = vm->cfg.mem_bytes;
	t->backed_bytes = gmem_backed_pages(vm->mem) * PAGE_SIZE;
	t->vcpus = vm->nr_vcpus;
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		vcpu_times_get(vm->vcpu[i], t->vcpu[i].ns);
		for (unsigned r = 0; r < EXIT_REASONS; r++)
			t->vcpu[i].exits += vm->vcpu[i]->stats.exits[r];
	}
	*s->end = t;
	s->end = &t->next;
}

static void sample_take(struct sample *s)
{
	s->at_ns = time_ns();
	s->first = NULL;
	s->end = &s->first;
	vm_for_each(sample_vm, s);
}

static void sample_free(struct sample *s)
{
	while (s->first) {
		struct top_vm *next = s->first->next;

		free(s->first);
		s->first = next;
	}
}

static const struct top_vm *sample_find(const struct sample *s, const struct top_vm *t)
{
	const struct top_vm *v = s->first;

	while (v && (strcmp(v->name, t->name) || v->vcpus != t->vcpus))
		v = v->next;
	return v;
}

static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* What v did between the samples: percents of one CPU, exits a second. */
struct top_load {
	uint64_t percent[VCPU_DOINGS], exits;
};

static struct top_load load_of(const struct top_vcpu *now, const struct top_vcpu *then,
			       uint64_t over_ns)
{
	struct top_load l;

	for (unsigned d = 0; d < VCPU_DOINGS; d++)
		l.percent[d] = (since(now->ns[d], then->ns[d]) * 100 + over_ns / 2) / over_ns;
	l.exits = mul_div64(since(now->exits, then->exits), NSEC_PER_SEC, over_ns);
	return l;
}

static void load_add(struct top_load *sum, const struct top_load *l)
{
	for (unsigned d = 0; d < VCPU_DOINGS; d++)
		sum->percent[d] += l->percent[d];
	sum->exits += l->exits;
}

static void load_json(struct shell *sh, const struct top_load *l)
{
	json_u64(sh, "guest_percent", l->percent[VCPU_GUEST]);
	json_u64(sh, "host_percent", l->percent[VCPU_HOST]);
	json_u64(sh, "ready_percent", l->percent[VCPU_READY]);
	json_u64(sh, "halted_percent", l->percent[VCPU_HALTED]);
	json_u64(sh, "exits_per_s", l->exits);
}

static void load_plain(struct shell *sh, const struct top_load *l)
{
	shell_printf(sh, " %6llu %6llu %6llu %6llu %9llu",
		     (unsigned long long)l->percent[VCPU_GUEST],
		     (unsigned long long)l->percent[VCPU_HOST],
		     (unsigned long long)l->percent[VCPU_READY],
		     (unsigned long long)l->percent[VCPU_HALTED], (unsigned long long)l->exits);
}

static void vm_json(struct shell *sh, const struct top_vm *now, const struct top_load *sum,
		    const struct top_load *each)
{
	json_object(sh, NULL);
	json_str(sh, "name", now->name);
	json_str(sh, "state", vm_state_name(now->state));
	json_u64(sh, "mem_bytes", now->mem_bytes);
	json_u64(sh, "backed_bytes", now->backed_bytes);
	load_json(sh, sum);
	json_array(sh, "vcpus");
	for (unsigned i = 0; i < now->vcpus; i++) {
		json_object(sh, NULL);
		json_u64(sh, "index", i);
		load_json(sh, &each[i]);
		json_end(sh);
	}
	json_end(sh);
	json_end(sh);
}

static void vm_plain(struct shell *sh, const struct top_vm *now, const struct top_load *sum,
		     const struct top_load *each)
{
	shell_printf(sh, "%-20s", now->name);
	load_plain(sh, sum);
	shell_printf(sh, "  %s, %llu of %llu MiB backed\n", vm_state_name(now->state),
		     (unsigned long long)now->backed_bytes >> 20,
		     (unsigned long long)now->mem_bytes >> 20);
	for (unsigned i = 0; i < now->vcpus; i++) {
		shell_printf(sh, "  vCPU %-13u", i);
		load_plain(sh, &each[i]);
		shell_printf(sh, "\n");
	}
}

static void show_vm(struct shell *sh, const struct top_vm *now, const struct top_vm *then,
		    uint64_t over_ns)
{
	struct top_load each[VM_VCPUS_MAX], sum = { 0 };

	for (unsigned i = 0; i < now->vcpus; i++) {
		each[i] = load_of(&now->vcpu[i], &then->vcpu[i], over_ns);
		load_add(&sum, &each[i]);
	}
	if (shell_json(sh))
		vm_json(sh, now, &sum, each);
	else
		vm_plain(sh, now, &sum, each);
}

static void show(struct shell *sh, const struct sample *now, const struct sample *then)
{
	uint64_t over_ns = now->at_ns - then->at_ns;

	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_u64(sh, "interval_ns", over_ns);
		json_array(sh, "vms");
	} else {
		shell_printf(sh, "%-20s %6s %6s %6s %6s %9s\n", "", "guest%", "host%", "ready%",
			     "halt%", "exits/s");
	}
	for (const struct top_vm *v = now->first; v; v = v->next) {
		const struct top_vm *before = sample_find(then, v);

		if (before)
			show_vm(sh, v, before, over_ns);
	}
	if (shell_json(sh)) {
		json_end(sh);
		json_end(sh);
	}
}

/* Keys until the next picture is due; true: one of them leaves. */
static bool wait_keys(struct shell *sh, uint64_t until_ns)
{
	char keys[16];

	while (time_ns() < until_ns) {
		size_t n = shell_read(sh, keys, sizeof(keys), until_ns);

		for (size_t i = 0; i < n; i++)
			if (keys[i] == KEY_QUIT || keys[i] == KEY_INTERRUPT)
				return true;
	}
	return false;
}

static void refresh(struct shell *sh, struct sample *last)
{
	static const char clear[] = "\x1b[H\x1b[J";

	sh->raw = true;
	while (!wait_keys(sh, last->at_ns + INTERVAL_NS)) {
		struct sample now;

		sample_take(&now);
		shell_write(sh, clear, sizeof(clear) - 1);
		show(sh, &now, last);
		shell_printf(sh, "q leaves\n");
		sample_free(last);
		last->first = now.first;
		last->at_ns = now.at_ns;
	}
	sh->raw = false;
}

static int vm_top_cmd(struct shell *sh, int argc, char **argv)
{
	bool once = shell_flag(&argc, argv, "--once") || sh->framed || shell_json(sh);
	struct sample last, now;

	if (argc > 1)
		return shell_error(sh, "usage", "vm top [--once]");
	sample_take(&last);
	if (once) {
		world_sleep_ns(INTERVAL_NS);
		sample_take(&now);
		show(sh, &now, &last);
		sample_free(&now);
	} else {
		refresh(sh, &last);
	}
	sample_free(&last);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "vm top", "[--once]", "what VMs and their processors do just now", vm_top_cmd, NULL },
};

void cmd_vm_top_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
