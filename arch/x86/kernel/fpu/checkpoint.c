// SPDX-License-Identifier: GPL-2.0
/*
 * Floating point and vector registers, as checkpoint(2) saves and restart(2)
 * restores them: the standard format of XSAVE, which NT_X86_XSTATE has as well.
 */
#include <linux/checkpoint.h>
#include <linux/elf.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

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

/*
 * Registers that a program has to ask for: the tiles of AMX
 *
 * arch_prctl(ARCH_REQ_XCOMP_PERM) permits them to a process. A thread that uses
 * them for the first time gets room for them, and keeps it.
 */

/* CR_THREAD_XCOMP_* and CR_THREAD_XTILE_DATA of @task. */
u32 checkpoint_xcomp_flags(struct task_struct *task)
{
	struct fpu *fpu = x86_task_fpu(task->group_leader);
	u64 perm = READ_ONCE(fpu->perm.__state_perm);
	u64 guest = READ_ONCE(fpu->guest_perm.__state_perm);
	u32 flags = 0;

	if (!fpu_state_size_dynamic())
		return 0;
	if (perm & XFEATURE_MASK_XTILE_DATA)
		flags |= CR_THREAD_XCOMP_PERM;
	if (guest & XFEATURE_MASK_XTILE_DATA)
		flags |= CR_THREAD_XCOMP_GUEST_PERM;
	if (guest & FPU_GUEST_PERM_LOCKED)
		flags |= CR_THREAD_XCOMP_GUEST_LOCKED;
	if (x86_task_fpu(task)->fpstate->user_xfeatures & XFEATURE_MASK_XTILE_DATA)
		flags |= CR_THREAD_XTILE_DATA;
	return flags;
}

/* Whether no program could have these, on any processor. */
bool checkpoint_xcomp_unfit(u32 flags)
{
	return flags & CR_THREAD_XTILE_DATA && !(flags & CR_THREAD_XCOMP_PERM);
}

/* As arch_prctl(ARCH_REQ_XCOMP_PERM), which not every processor knows. */
int checkpoint_xcomp_check(u32 flags)
{
	BUILD_BUG_ON(XFEATURE_MASK_USER_DYNAMIC != XFEATURE_MASK_XTILE_DATA);

	if (flags & CHECKPOINT_XCOMP_FLAGS &&
	    !(fpu_user_cfg.max_features & XFEATURE_MASK_XTILE_DATA))
		return -EOPNOTSUPP;
	return 0;
}

/* What __xstate_request_perm() makes of @perm, or a process has without it. */
static void set_perm(struct fpu_state_perm *perm, u64 features, bool permitted)
{
	bool compacted = cpu_feature_enabled(X86_FEATURE_XCOMPACTED);

	if (permitted)
		features |= XFEATURE_MASK_XTILE_DATA;
	/* Pairs with the READ_ONCE() in xstate_get_group_perm(). */
	WRITE_ONCE(perm->__state_perm, features);
	perm->__state_size = xstate_calculate_size(features, compacted);
	perm->__user_state_size =
		xstate_calculate_size(features & XFEATURE_MASK_USER_SUPPORTED, false);
}

/**
 * checkpoint_altstack_fits - tell whether sigaltstack(2) takes a size
 * @size: bytes of the alternate stack
 * @flags: CR_THREAD_XCOMP_PERM if the process is permitted what does not fit into
 *	every frame of a signal
 *
 * What the current task is permitted does not matter: that ends with its memory.
 */
bool checkpoint_altstack_fits(u64 size, u32 flags)
{
	struct fpu_state_perm perm;

	if (!fpu_state_size_dynamic())
		perm = x86_task_fpu(current)->perm;
	else
		set_perm(&perm, fpu_kernel_cfg.default_features,
			 flags & CR_THREAD_XCOMP_PERM);
	return sigaltstack_size_permitted(size, &perm);
}

/*
 * Permits the process of the current task what checkpoint_xcomp_check() let pass,
 * and nothing else. Each thread of an image says the same.
 */
void checkpoint_xcomp_set(u32 flags)
{
	struct fpu *fpu = x86_task_fpu(current->group_leader);
	struct fpu_state_perm *guest = &fpu->guest_perm;

	if (!fpu_state_size_dynamic())
		return;
	spin_lock_irq(&current->sighand->siglock);
	set_perm(&fpu->perm, fpu_kernel_cfg.default_features,
		 flags & CR_THREAD_XCOMP_PERM);
	set_perm(guest, guest_default_cfg.features,
		 flags & CR_THREAD_XCOMP_GUEST_PERM);
	if (flags & CR_THREAD_XCOMP_GUEST_LOCKED)
		WRITE_ONCE(guest->__state_perm,
			   guest->__state_perm | FPU_GUEST_PERM_LOCKED);
	spin_unlock_irq(&current->sighand->siglock);
}

/**
 * checkpoint_fpstate_alloc - make room for the registers of a thread that uses tiles
 *
 * Return: what checkpoint_xstate_set() or checkpoint_fpstate_free() takes, NULL if
 * there is no memory.
 */
struct fpstate *checkpoint_fpstate_alloc(void)
{
	const unsigned int offset = ALIGN(offsetof(struct fpstate, regs), 64);
	struct fpu_state_perm perm;
	struct fpstate *fpstate;

	set_perm(&perm, fpu_kernel_cfg.default_features, true);
	fpstate = __vmalloc(offset + perm.__state_size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!fpstate)
		return NULL;

	/* As fpstate_realloc() has it. */
	fpstate->size = perm.__state_size;
	fpstate->user_size = perm.__user_state_size;
	fpstate->is_valloc = true;
	fpstate->xfeatures = fpu_kernel_cfg.default_features | XFEATURE_MASK_XTILE_DATA;
	fpstate->user_xfeatures = fpu_user_cfg.default_features | XFEATURE_MASK_XTILE_DATA;
	fpstate->xfd = init_fpstate.xfd & ~XFEATURE_MASK_XTILE_DATA;
	xstate_init_xcomp_bv(&fpstate->regs.xsave, fpstate->xfeatures);
	return fpstate;
}

void checkpoint_fpstate_free(struct fpstate *fpstate)
{
	vfree(fpstate);
}

/*
 * Lets the current task have its registers in @fpstate, or where a task has them
 * that does not use tiles. What is in the registers stays there.
 */
static void replace_fpstate(struct fpu *fpu, struct fpstate *fpstate)
{
	struct fpstate *old = fpu->fpstate;

	if (!fpstate)
		fpstate = &fpu->__fpstate;
	if (fpstate == old)
		return;

	/* The layout is another one. */
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		fpregs_restore_userregs();
	fpu->fpstate = fpstate;
	xfd_update_state(fpstate);
	fpregs_unlock();

	if (old->is_valloc)
		vfree(old);
}

/**
 * checkpoint_xstate_check - find out whether the current task can have registers
 * @from: registers, in the standard format
 * @len: bytes of it
 * @flags: CR_THREAD_XTILE_DATA if there is going to be room for tiles
 *
 * Makes sure of all that copy_uabi_from_kernel_to_xstate() refuses, so that
 * checkpoint_xstate_set() cannot fail.
 *
 * Return: NULL, or what is wrong.
 */
const char *checkpoint_xstate_check(const void *from, unsigned int len, u32 flags)
{
	const u64 mask = XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM;
	const struct xregs_state *xsave = from;
	const struct xstate_header *hdr = &xsave->header;
	u64 features = fpu_user_cfg.default_features;

	if (!use_xsave())
		return "the processor has no XSAVE";
	if (len != fpu_user_cfg.max_size)
		return "another length than the processor's";
	if (flags & CR_THREAD_XTILE_DATA)
		features |= XFEATURE_MASK_XTILE_DATA;
	if (hdr->xfeatures & ~features)
		return "features that the thread does not have";
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
 * @fpstate: where they are put if it uses tiles, which is the task's from here on
 */
void checkpoint_xstate_set(const void *from, struct fpstate *fpstate)
{
	struct fpu *fpu = x86_task_fpu(current);
	u32 pkru = 0;

	replace_fpstate(fpu, fpstate);

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
