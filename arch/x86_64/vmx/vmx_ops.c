/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-x: the backend's face. */
#include "vmx.h"

static int vmx_vm_init(struct virt_vm *vm)
{
	vm->priv = NULL; /* nothing of its own: the MSR bitmap is shared, VPIDs belong to vCPUs */
	return 0;
}

static void vmx_vm_fini(struct virt_vm *vm)
{
	(void)vm;
}

const struct virt_ops vmx_ops = {
	.name = "vmx",
	.probe = vmx_probe,
	.cpu_on = vmx_cpu_on,
	.cpu_off = vmx_cpu_off,
	.vm_init = vmx_vm_init,
	.vm_fini = vmx_vm_fini,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_fini = vmx_vcpu_fini,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.run = vmx_run,
	.irq_window = vmx_irq_window,
	.nmi_window = vmx_nmi_window,
	.state_save = vmx_state_save,
	.state_check = vmx_state_check,
	.state_load = vmx_state_load,
	.debug = vmx_debug,
	.mode = vmx_mode,
	.set_cr = vmx_set_cr,
	.msr_get = vmx_msr_get,
	.msr_set = vmx_msr_set,
	.cpuid_limit = guest_cpuid_limit,
	.dirty_sync = NULL, /* PML goes to virt_vm.log at every exit, A and D are in the tables */
};
