/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What homes stand on: a registry of a few VMs that are off, whose starts are counted, and a
 * platform that has nothing to take. fake_home_init before each test, fake_home_end after it.
 */
#ifndef TEST_FAKE_HOME_H
#define TEST_FAKE_HOME_H

#include <tern/vm.h>

#define FAKE_VMS 4u

extern struct vm fake_vms[FAKE_VMS]; /* registered while they have a name */
#define fake_vm fake_vms[0]	     /* the first that is made */
extern unsigned fake_starts;	     /* of all of them */

/* No VM is registered; homes have their platform. */
void fake_home_init(void);
/* No home is left of those that are there. */
void fake_home_end(void);

#endif
