/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's description as anybody may have put it on a datastore. What is taken can be written,
 * and what is written is taken again and means the same; what is not is refused with a line.
 */
// SOURCES: kernel/home/desc*.c kernel/lib/text.c kernel/lib/name.c kernel/vm/trouble.c
#include <stdlib.h>
#include <string.h>

#include <tern/home.h>

void vm_request_reset(struct vm *vm)
{
	abort();
}

void vm_request_off(struct vm *vm, const char *reason, bool error)
{
	abort();
}

static void init(struct vm_desc *d)
{
	vm_desc_init(d);
	strcpy(d->cfg.name, "v");
	strcpy(d->cfg.home, "d");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first[VM_DESC_BYTES_MAX], second[VM_DESC_BYTES_MAX];
	static struct vm_desc d, back;
	char why[224] = "";
	int n;

	init(&d);
	if (vm_desc_parse(&d, (const char *)data, size, why, sizeof(why))) {
		if (!why[0] || strlen(why) >= sizeof(why))
			abort();
		return 0;
	}
	n = vm_desc_write(&d, first, sizeof(first));
	init(&back);
	if (n < 0 || vm_desc_parse(&back, first, (size_t)n, why, sizeof(why)))
		abort();
	if (vm_desc_write(&back, second, sizeof(second)) != n || strcmp(first, second))
		abort();
	return 0;
}
