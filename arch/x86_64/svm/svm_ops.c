/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V: the backend's face. */
#include "svm.h"

static int svm_vm_init(struct virt_vm *vm)
{
	vm->priv = NULL; /* nothing of its own: maps are shared, ASIDs belong to pCPUs */
	return 0;
}

static void svm_vm_fini(struct virt_vm *vm)
{
	(void)vm;
}

const struct virt_ops svm_ops = {
	.name = "svm",
	.probe = svm_probe,
	.cpu_on = svm_cpu_on,
	.cpu_off = svm_cpu_off,
	.vm_init = svm_vm_init,
	.vm_fini = svm_vm_fini,
	.vcpu_init = svm_vcpu_init,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_fini = svm_vcpu_fini,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.run = svm_run,
	.irq_window = svm_irq_window,
	.nmi_window = svm_nmi_window,
	.state_save = svm_state_save,
	.state_check = guest_state_check,
	.state_load = svm_state_load,
	.debug = svm_debug,
	.mode = svm_mode,
	.set_cr = svm_set_cr,
	.msr_get = svm_msr_get,
	.msr_set = svm_msr_set,
	.cpuid_limit = guest_cpuid_limit,
	.dirty_sync = NULL, /* A and D bits are in the tables themselves */
};
