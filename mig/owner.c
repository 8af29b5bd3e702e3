/* SPDX-License-Identifier: BSD-2-Clause */
/* Which leases say whose a VM is (owner.h). */
#include <tern/home.h>
#include <tern/vdev.h>

#include "owner.h"

bool owner_leased(struct vm *vm)
{
	return home_leased(vm) || vdisks_leased(vm);
}

int owner_give(struct vm *vm, const uint8_t host[16], char *why, size_t why_len)
{
	int err = vdisks_give(vm, host, why, why_len);

	return err ? err : home_give(vm, host, why, why_len);
}

int owner_take_back(struct vm *vm)
{
	int err = home_take_back(vm);

	return err ? err : vdisks_take_back(vm, home_leased(vm));
}

int owner_accept(struct vm *vm)
{
	bool decided = home_leased(vm); /* until it is accepted */
	int err = home_accept(vm);

	return err ? err : vdisks_accept(vm, decided);
}
