/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terndisk: datastores of Tern, from Linux: make one in a file or on a disk, copy
 * virtual disks in and out, look at it, mend it. It is built from the hypervisor's own sources, and
 * takes leases as a host does, so it may be used beside running hosts.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/terndisk/terndisk.h"

static const struct command {
	const char *name;
	int (*run)(struct options *o, int argc, char **argv);
	int args_min, args_max;
	const char *usage, *help;
} commands[] = {
	{ "mkfs", cmd_mkfs, 1, 1, "IMAGE --name NAME [--size SIZE] [--force]",
	  "make a datastore; with --size the file too" },
	{ "ls", cmd_ls, 1, 2, "IMAGE [PREFIX] [--json]", "files, space, hosts" },
	{ "df", cmd_df, 1, 1, "IMAGE [--json]", "space, and what thin files may still ask for" },
	{ "import", cmd_import, 3, 3, "IMAGE FILE NAME [--kind flat|thin|plain]",
	  "copy a file in; qcow2 and other formats by qemu-img" },
	{ "export", cmd_export, 3, 3, "IMAGE NAME FILE",
	  "copy a file out; '-' is standard output" },
	{ "push", cmd_push, 3, 3, "HOST[:PORT] FILE /ds/NAME/FILE [--kind flat|thin|plain]",
	  "copy a file to a host that runs, after its 'datastore listen on'" },
	{ "rm", cmd_rm, 2, 2, "IMAGE NAME", "remove a file" },
	{ "mv", cmd_mv, 3, 3, "IMAGE NAME NEW", "rename a file" },
	{ "check", cmd_check, 1, 1, "IMAGE [--repair]",
	  "compare all metadata; to repair, no host may have it mounted" },
	{ "lease", cmd_lease, 1, 2, "IMAGE [NAME] [--json|--take]",
	  "who may write what; take a dead host's, and give it up" },
};

static void usage(FILE *to)
{
	fputs("Usage: terndisk COMMAND IMAGE ...   (IMAGE: a file or a block device; "
	      "see terndisk(1))\n\n",
	      to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-7s %-45s %s\n", commands[i].name, commands[i].usage,
			commands[i].help);
	fputs("\nmkfs also takes --slots N (hosts at most, 16), --lease MS (10000), --beat MS "
	      "(2000),\n--io-timeout MS (5000), --table N (files at most).\n",
	      to);
}

bool parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return false;
	if (unit) {
		unsigned shift = 10 * (unsigned)(unit - units + 1);

		if (*out > UINT64_MAX >> shift)
			return false;
		*out <<= shift;
	}
	return true;
}

static bool parse_u32(const char *text, uint32_t *out)
{
	uint64_t v;

	if (!parse_size(text, &v) || v == 0 || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

static const struct option longs[] = {
	{ "name", required_argument, NULL, 'n' },
	{ "size", required_argument, NULL, 's' },
	{ "kind", required_argument, NULL, 'k' },
	{ "slots", required_argument, NULL, 'S' },
	{ "beat", required_argument, NULL, 'b' },
	{ "lease", required_argument, NULL, 'l' },
	{ "io-timeout", required_argument, NULL, 'i' },
	{ "table", required_argument, NULL, 't' },
	{ "force", no_argument, NULL, 'f' },
	{ "json", no_argument, NULL, 'j' },
	{ "repair", no_argument, NULL, 'r' },
	{ "take", no_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* False after a message. */
static bool take_option(struct options *o, int c)
{
	bool ok = true;

	switch (c) {
	case 'n':
		o->name = optarg;
		break;
	case 'k':
		o->kind = optarg;
		break;
	case 's':
		ok = parse_size(optarg, &o->size) && o->size;
		break;
	case 'S':
		ok = parse_u32(optarg, &o->slots);
		break;
	case 'b':
		ok = parse_u32(optarg, &o->beat_ms);
		break;
	case 'l':
		ok = parse_u32(optarg, &o->lease_ms);
		break;
	case 'i':
		ok = parse_u32(optarg, &o->io_timeout_ms);
		break;
	case 't':
		ok = parse_u32(optarg, &o->table_blocks);
		break;
	case 'f':
		o->force = true;
		break;
	case 'j':
		o->json = true;
		break;
	case 'r':
		o->repair = true;
		break;
	case 'T':
		o->take = true;
		break;
	default:
		return false; /* getopt has said it */
	}
	if (!ok)
		fprintf(stderr, "terndisk: '%s' is no size or count\n", optarg);
	return ok;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct options o = { .name = NULL };
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;
	int opt;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		usage(stdout);
		return 0;
	}
	if (!c) {
		if (argc > 1)
			fprintf(stderr, "terndisk: no command '%s'\n", argv[1]);
		usage(stderr);
		return 2;
	}
	while ((opt = getopt_long(argc - 1, argv + 1, "h", longs, NULL)) != -1) {
		if (opt == 'h') {
			printf("Usage: terndisk %s %s\n%s\n", c->name, c->usage, c->help);
			return 0;
		}
		if (!take_option(&o, opt))
			return 2;
	}
	argc -= 1 + optind;
	argv += 1 + optind;
	if (argc < c->args_min || argc > c->args_max) {
		fprintf(stderr, "Usage: terndisk %s %s\n", c->name, c->usage);
		return 2;
	}
	return c->run(&o, argc, argv);
}
