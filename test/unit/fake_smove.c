/* SPDX-License-Identifier: BSD-2-Clause */
/* A Storage vMotion that is about to switch (fake_smove.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "test/unit/fake_smove.h"

#define OVERHEAD_BYTES 4096u

struct vm vm, heir;
struct mig_job job;
struct smove s;
struct fake_smove fake;

void fake_smove_begin(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&job, 0, sizeof(job));
	memset(&s, 0, sizeof(s));
	vm = (struct vm){ .state = VM_RUNNING, .mig = &job };
	strcpy(vm.cfg.name, "g");
	strcpy(job.st.vm, "g");
	job.vm = &vm;
	s.j = &job;
	s.nr = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(s.disk); i++)
		s.disk[i].s = &s;
}

/* ---- the job and its disks ---- */

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (j->st.error[0])
		return;
	va_start(ap, fmt);
	snprintf(j->st.error_code, sizeof(j->st.error_code), "%s", code);
	vsnprintf(j->st.error, sizeof(j->st.error), fmt, ap);
	va_end(ap);
}

void job_phase(struct mig_job *j, enum mig_phase p)
{
	j->st.phase = p;
}

struct ds_file *vdisk_file(struct vdisk *d)
{
	return NULL;
}

bool disk_copy_left(const struct disk_copy *c, uint64_t most, uint64_t *uncompared)
{
	return false;
}

uint64_t smove_little(const struct smove *m)
{
	return 0;
}

int smove_disk_verify(struct smove_disk *d)
{
	return 0;
}

void pace_hurry(struct pace *p)
{
}

int bulk_ends(struct bulk *b)
{
	return fake.ends;
}

int bulk_marked(struct bulk *b)
{
	return fake.rest;
}

int bulk_flush(struct bulk *b)
{
	return 0;
}

int mirror_error(struct mirror *m)
{
	return 0;
}

void smove_disk_failed(struct smove_disk *d, int err)
{
	job_error(d->s->j, "io", "disk");
}

int smove_disk_adopt(struct smove_disk *d)
{
	if (fake.adopt)
		job_error(d->s->j, "io", "adopt");
	return fake.adopt;
}

int smove_new_config(const struct smove *m, struct vm_config *cfg)
{
	*cfg = vm.cfg;
	return fake.config;
}

/* ---- the instances ---- */

void vm_set_state(struct vm *v, enum vm_state state)
{
	v->state = state;
}

void vm_disown(struct vm *v)
{
	assert_ptr_equal(v->mig, &job);
	v->mig = NULL;
}

int vm_stop(struct vm *v, char *why, size_t len)
{
	assert_ptr_equal(v, &heir);
	return 0;
}

void vm_put(struct vm *v)
{
	assert_ptr_equal(v, &heir);
	fake.heirs--;
}

uint64_t vm_overhead_bytes(const struct vm_config *cfg)
{
	return OVERHEAD_BYTES;
}

uint64_t page_spare_bytes(void)
{
	return 0;
}

int page_promise(uint64_t bytes)
{
	fake.promised += bytes;
	return 0;
}

void page_unpromise(uint64_t bytes)
{
	fake.promised -= bytes;
}

int vm_create_heir(struct vm *v, const struct vm_config *cfg, struct vm **out, char *why,
		   size_t len)
{
	assert_int_equal(fake.promised, OVERHEAD_BYTES); /* nobody else is given that meanwhile */
	if (fake.create) {
		snprintf(why, len, "no heir");
		return fake.create;
	}
	heir = (struct vm){ .cfg = *cfg, .state = VM_INCOMING };
	fake.heirs++;
	*out = &heir;
	return 0;
}

int stun_hand_over(struct vm *v, struct vm *h, char *why, size_t len)
{
	if (fake.hand_over)
		snprintf(why, len, "no records");
	return fake.hand_over;
}

int vm_prepare_incoming(struct vm *v)
{
	assert_ptr_equal(v, &heir);
	assert_int_equal(fake.promised, OVERHEAD_BYTES);
	return fake.prepare;
}

int vm_inherit(struct vm *v, struct vm *h)
{
	fake.inherited++;
	h->state = VM_SUSPENDED;
	return 0;
}

void vdevs_resume(struct vm *v)
{
}

void vm_run_incoming(struct vm *v)
{
	assert_ptr_equal(v, &heir);
	v->state = VM_RUNNING;
	fake.heir_runs++;
}

int stun(struct vm *v, char *why, size_t len)
{
	if (fake.stun)
		return fake.stun;
	v->state = VM_STUNNED;
	fake.parked++;
	return 0;
}

void stun_end(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	v->state = VM_RUNNING;
	fake.parked--;
	fake.runs++;
}
