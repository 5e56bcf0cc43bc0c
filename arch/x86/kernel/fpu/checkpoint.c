// SPDX-License-Identifier: GPL-2.0
/*
 * Floating point and vector registers, as checkpoint(2) saves and restart(2)
 * restores them: the standard format of XSAVE, which NT_X86_XSTATE has as well.
 */
#include <linux/checkpoint.h>
#include <linux/elf.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <asm/fpu/api.h>
#include <asm/fpu/regset.h>
#include <asm/fpu/signal.h>
#include <asm/pkru.h>

#include "context.h"
#include "internal.h"
#include "legacy.h"
#include "xstate.h"

/* The bytes of the registers of @task, 0 if the processor has no XSAVE. */
unsigned int checkpoint_xstate_len(struct task_struct *task)
{
	return use_xsave() ? checkpoint_regset_len(task, NT_X86_XSTATE) : 0;
}

/* Reads the registers of @task, which is current or does not run. */
int checkpoint_xstate_get(struct task_struct *task, void *to, unsigned int len)
{
	struct xregs_state *xsave = to;
	int ret;

	/* Of the current task it is up to date in the register only. */
	if (task == current)
		task->thread.pkru = read_pkru();

	ret = checkpoint_regset_get(task, NT_X86_XSTATE, to, len);
	if (ret)
		return ret;

	/*
	 * Whether PKRU is in its initial state was noted when the other
	 * registers were saved, and it may have been written since then.
	 */
	if (cpu_feature_enabled(X86_FEATURE_OSPKE)) {
		void __user *pkru = get_xsave_addr_user((void __user *)to, XFEATURE_PKRU);

		*(u32 *)(__force void *)pkru = task->thread.pkru;
		xsave->header.xfeatures |= XFEATURE_MASK_PKRU;
	}
	return 0;
}

/**
 * checkpoint_xstate_check - find out whether the current task can have registers
 * @from: registers, in the standard format
 * @len: bytes of it
 *
 * Makes sure of all that copy_uabi_from_kernel_to_xstate() refuses, so that
 * checkpoint_xstate_set() cannot fail.
 *
 * Return: NULL, or what is wrong.
 */
const char *checkpoint_xstate_check(const void *from, unsigned int len)
{
	const u64 mask = XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM;
	const struct xregs_state *xsave = from;
	const struct xstate_header *hdr = &xsave->header;

	if (!use_xsave())
		return "the processor has no XSAVE";
	if (len != fpu_user_cfg.max_size)
		return "another length than the processor's";
	if (hdr->xfeatures & ~x86_task_fpu(current)->fpstate->user_xfeatures)
		return "features that the caller does not have";
	if (hdr->xcomp_bv)
		return "the compacted format";
	if (memchr_inv(hdr->reserved, 0, sizeof(hdr->reserved)))
		return "reserved bits in the header";
	if (hdr->xfeatures & mask && xsave->i387.mxcsr & ~mxcsr_feature_mask)
		return "reserved bits in MXCSR";
	return NULL;
}

/**
 * checkpoint_xstate_set - give the current task its registers
 * @from: registers that passed checkpoint_xstate_check()
 */
void checkpoint_xstate_set(const void *from)
{
	struct fpu *fpu = x86_task_fpu(current);
	u32 pkru = 0;

	/*
	 * From here on the registers are loaded from memory on the way to user
	 * mode, and a switch of tasks does not save them there. States of the
	 * supervisor are kept.
	 */
	fpregs_lock();
	if (!test_thread_flag(TIF_NEED_FPU_LOAD)) {
		if (xfeatures_mask_supervisor())
			os_xsave(fpu->fpstate);
		set_thread_flag(TIF_NEED_FPU_LOAD);
	}
	__fpu_invalidate_fpregs_state(fpu);
	__cpu_invalidate_fpregs_state();
	fpregs_unlock();

	/* Nothing in it can be refused any more. */
	WARN_ON_ONCE(copy_uabi_from_kernel_to_xstate(fpu->fpstate, from, &pkru));

	/* Not in thread.pkru: a switch of tasks reads it from the register. */
	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		write_pkru(pkru);
}

/* A name for what no image has of the registers of @task, NULL if there is none. */
const char *checkpoint_xstate_obstacle(struct task_struct *task)
{
	struct fpu *fpu = x86_task_fpu(task->group_leader);
	u64 perm = READ_ONCE(fpu->perm.__state_perm);

	if (perm & fpu_user_cfg.max_features & ~fpu_user_cfg.default_features)
		return "arch_prctl(ARCH_REQ_XCOMP_PERM)";
	return NULL;
}
