/* SPDX-License-Identifier: BSD-2-Clause */
/* Which leases say whose a VM is (owner.h). */
#include <tern/home.h>
#include <tern/vdev.h>

#include "owner.h"

bool owner_leased(const struct mig_job *j)
{
	return !j->self && (home_leased(j->vm) || vdisks_leased(j->vm));
}

int owner_give(const struct mig_job *j, const uint8_t host[16], char *why, size_t why_len)
{
	int err = vdisks_give(j->vm, host, why, why_len);

	return err ? err : home_give(j->vm, host, why, why_len);
}

int owner_take_back(const struct mig_job *j)
{
	int err = home_take_back(j->vm);

	return err ? err : vdisks_take_back(j->vm, home_leased(j->vm));
}

int owner_accept(const struct mig_job *j)
{
	bool decided = home_leased(j->vm); /* until it is accepted */
	int err;

	if (j->self)
		return 0;
	err = home_accept(j->vm);
	return err ? err : vdisks_accept(j->vm, decided);
}
