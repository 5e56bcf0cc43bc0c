// SPDX-License-Identifier: GPL-2.0
/*
 * General registers of a task, and what else x86 keeps for one, as
 * checkpoint(2) saves and restart(2) restores them.
 *
 * The setters of regsets are for a task that is stopped. A restart gives
 * registers to the current task, so they are checked and set here.
 */
#include <linux/checkpoint.h>
#include <linux/elf.h>
#include <linux/mmu_context.h>
#include <linux/prctl.h>
#include <linux/processor.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/user.h>

#include <asm/fpu/xstate.h>
#include <asm/fsgsbase.h>
#include <asm/prctl.h>
#include <asm/segment.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

/* Both are structures of 64-bit registers with one name for each. */
#define REGS_INDEX(type, reg)	(offsetof(struct type, reg) / sizeof(u64))

/*
 * An image has the registers in the order of ptrace(PTRACE_GETREGSET), and then
 * the descriptors of set_thread_area(2).
 */
static_assert(offsetof(struct cr_hdr_cpu, tls) == sizeof(struct user_regs_struct));
static_assert(sizeof_field(struct cr_hdr_cpu, tls) ==
	      sizeof_field(struct thread_struct, tls_array));
static_assert(sizeof(struct desc_struct) == sizeof(u64));
static_assert(sizeof(struct cr_hdr_cpu) == CHECKPOINT_NR_REGS * sizeof(u64));
static_assert(REGS_INDEX(cr_hdr_cpu, r15) == REGS_INDEX(user_regs_struct, r15));
static_assert(REGS_INDEX(cr_hdr_cpu, bp) == REGS_INDEX(user_regs_struct, bp));
static_assert(REGS_INDEX(cr_hdr_cpu, bx) == REGS_INDEX(user_regs_struct, bx));
static_assert(REGS_INDEX(cr_hdr_cpu, r8) == REGS_INDEX(user_regs_struct, r8));
static_assert(REGS_INDEX(cr_hdr_cpu, ax) == REGS_INDEX(user_regs_struct, ax));
static_assert(REGS_INDEX(cr_hdr_cpu, di) == REGS_INDEX(user_regs_struct, di));
static_assert(REGS_INDEX(cr_hdr_cpu, orig_ax) == REGS_INDEX(user_regs_struct, orig_ax));
static_assert(REGS_INDEX(cr_hdr_cpu, ip) == REGS_INDEX(user_regs_struct, ip));
static_assert(REGS_INDEX(cr_hdr_cpu, cs) == REGS_INDEX(user_regs_struct, cs));
static_assert(REGS_INDEX(cr_hdr_cpu, flags) == REGS_INDEX(user_regs_struct, flags));
static_assert(REGS_INDEX(cr_hdr_cpu, sp) == REGS_INDEX(user_regs_struct, sp));
static_assert(REGS_INDEX(cr_hdr_cpu, ss) == REGS_INDEX(user_regs_struct, ss));
static_assert(REGS_INDEX(cr_hdr_cpu, fs_base) == REGS_INDEX(user_regs_struct, fs_base));
static_assert(REGS_INDEX(cr_hdr_cpu, gs_base) == REGS_INDEX(user_regs_struct, gs_base));
static_assert(REGS_INDEX(cr_hdr_cpu, ds) == REGS_INDEX(user_regs_struct, ds));
static_assert(REGS_INDEX(cr_hdr_cpu, gs) == REGS_INDEX(user_regs_struct, gs));

/* What user mode can set in the flags: as in ptrace.c, and by POPF. */
#define USER_FLAGS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF |	\
			 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_TF |	\
			 X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_NT |	\
			 X86_EFLAGS_RF | X86_EFLAGS_AC | X86_EFLAGS_ID)

static const struct user_regset *find_regset(struct task_struct *task,
					     unsigned int note)
{
	const struct user_regset_view *view = task_user_regset_view(task);
	unsigned int i;

	for (i = 0; i < view->n; i++)
		if (view->regsets[i].core_note_type == note)
			return &view->regsets[i];
	return NULL;
}

/*
 * Reads a whole regset of @task, which is current or does not run: -EBUSY if it
 * does, -ESRCH if it is gone.
 */
int checkpoint_regset_get(struct task_struct *task, unsigned int note,
			  void *to, unsigned int len)
{
	const struct user_regset *regset;
	int ret = -ENODEV;

	if (task != current && READ_ONCE(task->on_cpu))
		return -EBUSY;
	if (!try_get_task_stack(task))
		return -ESRCH;

	regset = find_regset(task, note);
	if (regset && regset->n) {
		ret = -EINVAL;
		if (regset->n * regset->size == len)
			ret = regset_get(task, regset, len, to);
		if (ret >= 0)
			ret = ret == len ? 0 : -EIO;
	}
	put_task_stack(task);
	return ret;
}

/* The bytes of a regset of @task, 0 if there is none. */
unsigned int checkpoint_regset_len(struct task_struct *task, unsigned int note)
{
	const struct user_regset *regset;
	unsigned int len = 0;

	if (!try_get_task_stack(task))
		return 0;
	regset = find_regset(task, note);
	if (regset)
		len = regset->n * regset->size;
	put_task_stack(task);
	return len;
}

/* Reads the general registers of @task, which is current or does not run. */
int checkpoint_cpu_get(struct task_struct *task, u64 *to)
{
	return checkpoint_regset_get(task, NT_PRSTATUS, to,
				     CHECKPOINT_NR_REGS * sizeof(*to));
}

static bool unfit_selector(u64 value)
{
	return value > U16_MAX ||
	       (value != 0 && (value & SEGMENT_RPL_MASK) != USER_RPL);
}

/**
 * checkpoint_cpu_unfit - find a register that user mode cannot have
 * @from: general registers
 *
 * Stricter than ptrace(2), which leaves it to IRET to fault: an image that says
 * that a 64-bit program was elsewhere than in its own address space is wrong.
 *
 * Return: the name of the register, NULL if all are fit for
 * checkpoint_cpu_set().
 */
const char *checkpoint_cpu_unfit(const u64 *from)
{
	const struct user_regs_struct *regs = (const void *)from;

	if (regs->cs != __USER_CS)
		return "cs";
	if (regs->ss != __USER_DS)
		return "ss";
	if (unfit_selector(regs->ds))
		return "ds";
	if (unfit_selector(regs->es))
		return "es";
	if (unfit_selector(regs->fs))
		return "fs";
	if (unfit_selector(regs->gs))
		return "gs";
	if (regs->ip >= TASK_SIZE_MAX)
		return "ip";
	if (regs->sp >= TASK_SIZE_MAX)
		return "sp";
	if (regs->fs_base >= TASK_SIZE_MAX)
		return "fs_base";
	if (regs->gs_base >= TASK_SIZE_MAX)
		return "gs_base";
	if (!(regs->flags & X86_EFLAGS_IF) ||
	    regs->flags & ~(USER_FLAGS | X86_EFLAGS_IF | X86_EFLAGS_FIXED))
		return "flags";
	return NULL;
}

/**
 * checkpoint_cpu_set - give the current task its general registers
 * @from: registers in which checkpoint_cpu_unfit() finds nothing
 *
 * The system call returns to user mode with these, by IRET unless they are such
 * that SYSRET does as well. Its return value has to be that of ax.
 */
void checkpoint_cpu_set(const u64 *from)
{
	const struct user_regs_struct *regs = (const void *)from;
	struct pt_regs *to = current_pt_regs();

	to->r15 = regs->r15;
	to->r14 = regs->r14;
	to->r13 = regs->r13;
	to->r12 = regs->r12;
	to->bp = regs->bp;
	to->bx = regs->bx;
	to->r11 = regs->r11;
	to->r10 = regs->r10;
	to->r9 = regs->r9;
	to->r8 = regs->r8;
	to->ax = regs->ax;
	to->cx = regs->cx;
	to->dx = regs->dx;
	to->si = regs->si;
	to->di = regs->di;
	to->orig_ax = regs->orig_ax;
	to->ip = regs->ip;
	to->sp = regs->sp;
	to->flags = (regs->flags & USER_FLAGS) | X86_EFLAGS_IF | X86_EFLAGS_FIXED;

	/* As execve(2) does, see start_thread_common(). */
	to->csx = __USER_CS;
	to->ssx = __USER_DS;
	if (cpu_feature_enabled(X86_FEATURE_FRED)) {
		to->fred_ss.swevent = true;
		to->fred_ss.nmi = true;
	}

	/* A selector that stands for no segment is loaded as 0. */
	preempt_disable();
	loadsegment(ds, regs->ds);
	loadsegment(es, regs->es);
	loadsegment(fs, regs->fs);
	x86_fsbase_write_cpu(regs->fs_base);
	current->thread.fsbase = regs->fs_base;
	load_gs_index(regs->gs);
	x86_gsbase_write_cpu_inactive(regs->gs_base);
	current->thread.gsbase = regs->gs_base;
	preempt_enable();
}

/* The value that a system call of @task returned or is about to return. */
long checkpoint_syscall_result(struct task_struct *task)
{
	long result = 0;

	if (try_get_task_stack(task)) {
		result = task_pt_regs(task)->ax;
		put_task_stack(task);
	}
	return result;
}

/*
 * Lets the current task do its system call again, unless a signal is handled
 * before that: then the call answers EINTR, as if nothing had been.
 */
void checkpoint_syscall_again(void)
{
	task_pt_regs(current)->ax = -ERESTARTNOHAND;
}

/**
 * checkpoint_syscall_idempotent - tell whether a call can be done again
 *
 * These system calls answer EINTR to anything that interrupts them, be it a
 * signal or not (see signal(7)), and have had no effect when they do. A time
 * limit that is relative begins anew.
 *
 * Return: true if the current task is in one of them.
 */
bool checkpoint_syscall_idempotent(void)
{
	switch (syscall_get_nr(current, task_pt_regs(current))) {
	/* Files: inotify and some devices. */
	case __NR_read:
	case __NR_readv:
	case __NR_epoll_wait:
	case __NR_epoll_pwait:
	case __NR_epoll_pwait2:
	case __NR_io_getevents:
	case __NR_io_pgetevents:
	/* Sockets with SO_RCVTIMEO or SO_SNDTIMEO. */
	case __NR_accept:
	case __NR_accept4:
	case __NR_recvfrom:
	case __NR_recvmsg:
	case __NR_recvmmsg:
	case __NR_connect:
	case __NR_sendto:
	case __NR_sendmsg:
	case __NR_sendmmsg:
	/* Signals, System V IPC, futexes. */
	case __NR_rt_sigtimedwait:
	case __NR_semop:
	case __NR_semtimedop:
	case __NR_msgrcv:
	case __NR_msgsnd:
	case __NR_futex_waitv:
		return true;
	}
	return false;
}

static bool is_32bit(struct task_struct *task)
{
	bool ret = true;

	if (try_get_task_stack(task)) {
		ret = test_tsk_thread_flag(task, TIF_ADDR32) ||
		      !user_64bit_mode(task_pt_regs(task));
		put_task_stack(task);
	}
	return ret;
}

static bool has_tls(const struct thread_struct *thread)
{
	return memchr_inv(thread->tls_array, 0, sizeof(thread->tls_array));
}

static bool has_debug_registers(const struct thread_struct *thread)
{
#ifdef CONFIG_HAVE_HW_BREAKPOINT
	return memchr_inv(thread->ptrace_bps, 0, sizeof(thread->ptrace_bps)) ||
	       thread->ptrace_dr7;
#else
	return false;
#endif
}

static bool has_io_permission(struct task_struct *task)
{
#ifdef CONFIG_X86_IOPL_IOPERM
	return task->thread.io_bitmap || task->thread.iopl_emul ||
	       test_tsk_thread_flag(task, TIF_IO_BITMAP);
#else
	return false;
#endif
}

static bool has_shadow_stack(struct task_struct *task)
{
#ifdef CONFIG_X86_USER_SHADOW_STACK
	return task->thread.features || task->thread.features_locked;
#else
	return false;
#endif
}

static bool has_ldt(struct mm_struct *mm)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	return mm && READ_ONCE(mm->context.ldt);
#else
	return false;
#endif
}

static bool has_lam(struct mm_struct *mm)
{
#ifdef CONFIG_ADDRESS_MASKING
	return mm && mm_lam_cr3_mask(mm);
#else
	return false;
#endif
}

/* A name for what x86 keeps for @task and no image has, NULL if there is none. */
const char *checkpoint_cpu_obstacle(struct task_struct *task)
{
	if (is_32bit(task))
		return "a 32-bit program";
	if (has_shadow_stack(task))
		return "a shadow stack";
	if (has_debug_registers(&task->thread))
		return "a hardware breakpoint";
	if (has_io_permission(task))
		return "access to I/O ports";
	if (has_tls(&task->thread))
		return "a segment of set_thread_area(2)";
	if (has_ldt(task->mm))
		return "a segment of modify_ldt(2)";
	if (has_lam(task->mm))
		return "linear address masking";
	return checkpoint_xstate_obstacle(task);
}

/*
 * Instructions that a task has given up: CR_ATTR_NO_TSC, CR_ATTR_NO_CPUID
 */

u32 checkpoint_cpu_attrs(struct task_struct *task)
{
	u32 flags = 0;

	if (test_tsk_thread_flag(task, TIF_NOTSC))
		flags |= CR_ATTR_NO_TSC;
	if (test_tsk_thread_flag(task, TIF_NOCPUID))
		flags |= CR_ATTR_NO_CPUID;
	return flags;
}

/* As arch_prctl(ARCH_SET_CPUID), which not every processor knows. */
int checkpoint_cpu_attrs_check(u32 flags, const char **what)
{
	*what = "arch_prctl(ARCH_SET_CPUID)";
	if (flags & CR_ATTR_NO_CPUID && !boot_cpu_has(X86_FEATURE_CPUID_FAULT))
		return -ENODEV;
	return 0;
}

/* Lets the current task have them, or not. */
void checkpoint_cpu_attrs_set(u32 flags)
{
	set_tsc_mode(flags & CR_ATTR_NO_TSC ? PR_TSC_SIGSEGV : PR_TSC_ENABLE);
	set_cpuid_mode(!(flags & CR_ATTR_NO_CPUID));
}
