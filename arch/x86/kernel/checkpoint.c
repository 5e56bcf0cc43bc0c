// SPDX-License-Identifier: GPL-2.0
/*
 * General registers of a task, and what else x86 keeps for one, as
 * checkpoint(2) saves and restart(2) restores them.
 *
 * The setters of regsets are for a task that is stopped. A restart gives
 * registers to the current task, so they are checked and set here.
 */
#include <linux/checkpoint.h>
#include <linux/delay.h>
#include <linux/elf.h>
#include <linux/futex.h>
#include <linux/mmu_context.h>
#include <linux/prctl.h>
#include <linux/processor.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/user.h>

#include <asm/desc.h>
#include <asm/fpu/xstate.h>
#include <asm/fsgsbase.h>
#include <asm/ia32.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <asm/segment.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#ifdef CONFIG_IA32_EMULATION
#include <asm/unistd_32_ia32.h>
#endif

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

/* Tells whether @task runs. Whoever was woken up that had been left to sleep stops at once. */
static bool checkpoint_runs(struct task_struct *task)
{
	unsigned int looks = 100;

	if (task == current)
		return false;
	while (READ_ONCE(task->on_cpu) && looks--)
		usleep_range(20, 40);
	return READ_ONCE(task->on_cpu);
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

	if (checkpoint_runs(task))
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

/*
 * Segments
 *
 * A descriptor of an image is taken if the call that makes such a one would
 * have made just this one. So it is never one of the kernel, a gate, or one of
 * 64-bit code, and the processor does not write to it, as it has been accessed.
 */

/* Whether @info is a request to clear an entry, or makes another one than @desc. */
static bool desc_differs(const struct desc_struct *desc,
			 const struct user_desc *info)
{
	struct desc_struct made = {};

	if (LDT_empty(info))
		return true;
	fill_ldt(&made, info);
	return memcmp(&made, desc, sizeof(made)) != 0;
}

static bool unfit_tls(u64 entry)
{
	struct user_desc info;
	struct desc_struct desc;

	if (!entry)
		return false;
	memcpy(&desc, &entry, sizeof(desc));
	fill_user_desc(&info, 0, &desc);
	return LDT_zero(&info) || !tls_desc_okay(&info) || desc_differs(&desc, &info);
}

#ifdef CONFIG_MODIFY_LDT_SYSCALL
static bool unfit_ldt(u64 entry)
{
	struct user_desc info;
	struct desc_struct desc;

	if (!entry)
		return false;
	memcpy(&desc, &entry, sizeof(desc));
	fill_user_desc(&info, 0, &desc);
	/* As write_ldt() has it: conforming code must not be present. */
	if (info.contents == 3 && !info.seg_not_present)
		return true;
	if (!info.seg_32bit && !allow_16bit_segments())
		return true;
	return desc_differs(&desc, &info);
}

/**
 * checkpoint_ldt_get - read what modify_ldt(2) made
 * @mm: an address space, on which the caller has a reference
 * @to: gets the descriptors
 * @max: places in @to
 *
 * Return: how many there are, which may be more than @max.
 */
unsigned int checkpoint_ldt_get(struct mm_struct *mm, u64 *to, unsigned int max)
{
	unsigned int nr = 0;

	mutex_lock(&mm->context.lock);
	if (mm->context.ldt) {
		nr = mm->context.ldt->nr_entries;
		memcpy(to, mm->context.ldt->entries, min(nr, max) * LDT_ENTRY_SIZE);
	}
	mutex_unlock(&mm->context.lock);
	return nr;
}

/**
 * checkpoint_ldt_set - give a new address space what modify_ldt(2) makes
 * @mm: an address space that no task has yet
 * @entries: descriptors that checkpoint_ldt_fit() found fit
 * @nr: how many
 *
 * Return: 0, or -ENOMEM.
 */
int checkpoint_ldt_set(struct mm_struct *mm, const u64 *entries, unsigned int nr)
{
	return nr ? ldt_init_context(mm, entries, nr) : 0;
}
#else
static bool unfit_ldt(u64 entry)
{
	return true;
}

unsigned int checkpoint_ldt_get(struct mm_struct *mm, u64 *to, unsigned int max)
{
	return 0;
}

int checkpoint_ldt_set(struct mm_struct *mm, const u64 *entries, unsigned int nr)
{
	return nr ? -EOPNOTSUPP : 0;
}
#endif

/**
 * checkpoint_ldt_fit - look for a descriptor that modify_ldt(2) does not make
 * @entries: descriptors
 * @nr: how many
 *
 * Return: how many come before the first such, @nr if there is none.
 */
unsigned int checkpoint_ldt_fit(const u64 *entries, unsigned int nr)
{
	unsigned int i;

	if (nr > LDT_ENTRIES)
		return 0;
	for (i = 0; i < nr && !unfit_ldt(entries[i]); i++)
		;
	return i;
}

/**
 * checkpoint_segments_get - read the segment registers of the current task
 * @segments: gets them, as they are for user mode
 */
void checkpoint_segments_get(struct checkpoint_segments *segments)
{
	preempt_disable();
	savesegment(ds, segments->ds);
	savesegment(es, segments->es);
	savesegment(fs, segments->fs);
	savesegment(gs, segments->gs);
	segments->fs_base = x86_fsbase_read_cpu();
	segments->gs_base = x86_gsbase_read_cpu_inactive();
	preempt_enable();
}

/**
 * checkpoint_segments_set - load the segment registers of the current task
 * @segments: as they shall be in user mode
 *
 * A selector that stands for no segment is loaded as 0, as by any switch of
 * tasks: the task has the descriptors that the selectors are about.
 */
void checkpoint_segments_set(const struct checkpoint_segments *segments)
{
	preempt_disable();
	loadsegment(ds, segments->ds);
	loadsegment(es, segments->es);
	loadsegment(fs, segments->fs);
	x86_fsbase_write_cpu(segments->fs_base);
	current->thread.fsbase = segments->fs_base;
	load_gs_index(segments->gs);
	x86_gsbase_write_cpu_inactive(segments->gs_base);
	current->thread.gsbase = segments->gs_base;
	preempt_enable();
}

/**
 * checkpoint_cpu_get - read the general registers of a task
 * @task: the task, which is current or does not run
 * @to: gets CHECKPOINT_NR_REGS registers
 *
 * The regset that a 32-bit program has is another one, so none is used.
 *
 * Return: 0, -EBUSY if the task runs, -ESRCH if it is gone.
 */
int checkpoint_cpu_get(struct task_struct *task, u64 *to)
{
	struct user_regs_struct *regs = (void *)to;
	const struct thread_struct *thread = &task->thread;
	struct checkpoint_segments segments;
	const struct pt_regs *from;

	if (checkpoint_runs(task))
		return -EBUSY;
	if (!try_get_task_stack(task))
		return -ESRCH;

	from = task_pt_regs(task);
	regs->r15 = from->r15;
	regs->r14 = from->r14;
	regs->r13 = from->r13;
	regs->r12 = from->r12;
	regs->bp = from->bp;
	regs->bx = from->bx;
	regs->r11 = from->r11;
	regs->r10 = from->r10;
	regs->r9 = from->r9;
	regs->r8 = from->r8;
	regs->ax = from->ax;
	regs->cx = from->cx;
	regs->dx = from->dx;
	regs->si = from->si;
	regs->di = from->di;
	regs->orig_ax = from->orig_ax;
	regs->ip = from->ip;
	regs->cs = from->cs;
	regs->flags = from->flags;
	/* Not the one of a debugger. */
	if (test_tsk_thread_flag(task, TIF_FORCED_TF))
		regs->flags &= ~X86_EFLAGS_TF;
	regs->sp = from->sp;
	regs->ss = from->ss;
	put_task_stack(task);

	if (task == current) {
		checkpoint_segments_get(&segments);
	} else {
		segments.ds = thread->ds;
		segments.es = thread->es;
		segments.fs = thread->fsindex;
		segments.gs = thread->gsindex;
		segments.fs_base = x86_fsbase_read_task(task);
		segments.gs_base = x86_gsbase_read_task(task);
	}
	regs->ds = segments.ds;
	regs->es = segments.es;
	regs->fs = segments.fs;
	regs->gs = segments.gs;
	regs->fs_base = segments.fs_base;
	regs->gs_base = segments.gs_base;

	memcpy(to + REGS_INDEX(cr_hdr_cpu, tls), thread->tls_array,
	       sizeof(thread->tls_array));
	return 0;
}

/* Whether the segment of a selector is one of those that user mode makes. */
static bool own_segment(u64 selector)
{
	unsigned int index = selector >> 3;

	return (selector & SEGMENT_TI_MASK) == SEGMENT_LDT ||
	       (index >= GDT_ENTRY_TLS_MIN && index <= GDT_ENTRY_TLS_MAX);
}

static bool unfit_data_selector(u64 value)
{
	/* All of these are loaded as 0. */
	if (value <= SEGMENT_RPL_MASK)
		return false;
	if (value > U16_MAX || (value & SEGMENT_RPL_MASK) != USER_RPL)
		return true;
	return value != __USER_DS && value != __USER_CS && value != __USER32_CS &&
	       value != __CPUNODE_SEG && !own_segment(value);
}

static bool unfit_stack_selector(u64 value)
{
	if (value > U16_MAX || (value & SEGMENT_RPL_MASK) != USER_RPL)
		return true;
	return value != __USER_DS && !own_segment(value);
}

static bool unfit_code_selector(u64 value)
{
	if (value == __USER_CS)
		return false;
#ifdef CONFIG_IA32_EMULATION
	if (value == __USER32_CS)
		return false;
#endif
	/* set_thread_area(2) makes none of code. */
	return value > U16_MAX || (value & SEGMENT_RPL_MASK) != USER_RPL ||
	       (value & SEGMENT_TI_MASK) != SEGMENT_LDT;
}

/**
 * checkpoint_cpu_unfit - find a register that user mode cannot have
 * @from: general registers, and descriptors of set_thread_area(2)
 *
 * Stricter than ptrace(2), which leaves it to IRET to fault. A selector of an
 * entry that modify_ldt(2) has not made faults there still.
 *
 * Return: the name of the register, NULL if all are fit for
 * checkpoint_cpu_set().
 */
const char *checkpoint_cpu_unfit(const u64 *from)
{
	const struct user_regs_struct *regs = (const void *)from;
	const u64 *tls = from + REGS_INDEX(cr_hdr_cpu, tls);
	unsigned int i;

	if (unfit_code_selector(regs->cs))
		return "cs";
	if (unfit_stack_selector(regs->ss))
		return "ss";
	if (unfit_data_selector(regs->ds))
		return "ds";
	if (unfit_data_selector(regs->es))
		return "es";
	if (unfit_data_selector(regs->fs))
		return "fs";
	if (unfit_data_selector(regs->gs))
		return "gs";
	/* No other code than that of the first selector is of 64 bits. */
	if (regs->ip >= TASK_SIZE_MAX || (regs->cs != __USER_CS && regs->ip > U32_MAX))
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
	for (i = 0; i < GDT_ENTRY_TLS_ENTRIES; i++)
		if (unfit_tls(tls[i]))
			return "tls";
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
	const struct checkpoint_segments segments = {
		.ds = regs->ds,
		.es = regs->es,
		.fs = regs->fs,
		.gs = regs->gs,
		.fs_base = regs->fs_base,
		.gs_base = regs->gs_base,
	};
	struct thread_struct *thread = &current->thread;
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
	to->csx = regs->cs;
	to->ssx = regs->ss;
	if (cpu_feature_enabled(X86_FEATURE_FRED)) {
		to->fred_ss.swevent = true;
		to->fred_ss.nmi = true;
	}

	/* Selectors may be about the descriptors, so these come first. */
	preempt_disable();
	memcpy(thread->tls_array, from + REGS_INDEX(cr_hdr_cpu, tls),
	       sizeof(thread->tls_array));
	load_TLS(thread, smp_processor_id());
	preempt_enable();
	checkpoint_segments_set(&segments);
}

/*
 * Programs of 32 bits
 *
 * A task has a flag that limits its address space, and one that its system call
 * came in as a 32-bit one, which is gone when it is back in user mode. What is
 * done with a call that was interrupted looks at the latter, and so do the calls
 * that go on with one. A program of 64 bits may have that one, too.
 */

/* CR_THREAD_* of @task. */
u32 checkpoint_thread_flags(struct task_struct *task)
{
	u32 flags = 0;

#ifdef CONFIG_IA32_EMULATION
	if (test_tsk_thread_flag(task, TIF_ADDR32))
		flags |= CR_THREAD_IA32;
	if (task->thread_info.status & TS_COMPAT)
		flags |= CR_THREAD_RESTART_COMPAT;
#endif
	return flags | checkpoint_xcomp_flags(task);
}

/* Whether a task could not have these. */
bool checkpoint_thread_flags_unfit(u32 flags)
{
	if (checkpoint_xcomp_unfit(flags))
		return true;
	flags &= ~CHECKPOINT_XCOMP_FLAGS;
	if (flags & ~(CR_THREAD_IA32 | CR_THREAD_RESTART_COMPAT))
		return true;
#ifdef CONFIG_IA32_EMULATION
	return flags && !ia32_enabled();
#else
	return flags;
#endif
}

/* Gives them to the current task, but for what comes with its address space. */
void checkpoint_thread_flags_set(u32 flags)
{
#ifdef CONFIG_IA32_EMULATION
	if (flags & CR_THREAD_RESTART_COMPAT)
		current_thread_info()->status |= TS_COMPAT;
	else
		current_thread_info()->status &= ~TS_COMPAT;
#endif
	checkpoint_xcomp_set(flags);
}

/* The value that a system call of @task returned or is about to return. */
long checkpoint_syscall_result(struct task_struct *task)
{
	long result = 0;

	if (try_get_task_stack(task)) {
		result = task_pt_regs(task)->ax;
#ifdef CONFIG_IA32_EMULATION
		/* As syscall_get_error() does. */
		if (task->thread_info.status & TS_COMPAT)
			result = (int)result;
#endif
		put_task_stack(task);
	}
	return result;
}

/**
 * checkpoint_sleep_result - tell what the system call returns in which a task sleeps
 * @task: the task, which sleeps, and can be interrupted
 *
 * A call that writes to memory when it is woken up is none of those.
 *
 * Return: -ERESTART*, if the call returns that to whatever interrupts it, and has had no
 * effect then, nor begun to count time; 0 if that is not known, or @task is in no call.
 */
long checkpoint_sleep_result(struct task_struct *task)
{
	struct pt_regs *regs = task_pt_regs(task);
	unsigned long args[6];

	/* As long as a call has not returned, this is what it would. */
	if (regs->ax != (unsigned long)-ENOSYS)
		return 0;
#ifdef CONFIG_IA32_EMULATION
	if (task->thread_info.status & TS_COMPAT)
		return 0;
#endif
	switch (syscall_get_nr(task, regs)) {
	case __NR_futex:
		syscall_get_arguments(task, regs, args);
		switch (args[1] & FUTEX_CMD_MASK) {
		case FUTEX_WAIT:
		case FUTEX_WAIT_BITSET:
			return args[3] ? 0 : -ERESTARTSYS;
		}
		return 0;
	case __NR_pause:
		return -ERESTARTNOHAND;
	}
	return 0;
}

/* What the system call returns that @task is in, as long as it sleeps there. */
void checkpoint_sleep_result_set(struct task_struct *task, long result)
{
	task_pt_regs(task)->ax = result;
}

/*
 * Lets the current task do its system call again, unless a signal is handled
 * before that: then the call answers EINTR, as if nothing had been.
 */
void checkpoint_syscall_again(void)
{
	task_pt_regs(current)->ax = -ERESTARTNOHAND;
}

#ifdef CONFIG_IA32_EMULATION
/* Of those in checkpoint_syscall_idempotent() the ones of 32-bit programs. */
static bool idempotent_ia32(int nr)
{
	switch (nr) {
	case __NR_ia32_read:
	case __NR_ia32_readv:
	case __NR_ia32_epoll_wait:
	case __NR_ia32_epoll_pwait:
	case __NR_ia32_epoll_pwait2:
	case __NR_ia32_io_getevents:
	case __NR_ia32_io_pgetevents:
	case __NR_ia32_io_pgetevents_time64:
	/* All that it stands for: of these some of the following can wait. */
	case __NR_ia32_socketcall:
	case __NR_ia32_accept4:
	case __NR_ia32_recvfrom:
	case __NR_ia32_recvmsg:
	case __NR_ia32_recvmmsg:
	case __NR_ia32_recvmmsg_time64:
	case __NR_ia32_connect:
	case __NR_ia32_sendto:
	case __NR_ia32_sendmsg:
	case __NR_ia32_sendmmsg:
	case __NR_ia32_rt_sigtimedwait:
	case __NR_ia32_rt_sigtimedwait_time64:
	/* Likewise. */
	case __NR_ia32_ipc:
	case __NR_ia32_semtimedop_time64:
	case __NR_ia32_msgrcv:
	case __NR_ia32_msgsnd:
	case __NR_ia32_futex_waitv:
		return true;
	}
	return false;
}
#endif

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
	int nr = syscall_get_nr(current, task_pt_regs(current));

#ifdef CONFIG_IA32_EMULATION
	if (in_ia32_syscall())
		return idempotent_ia32(nr);
#endif
	switch (nr) {
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

/* Its addresses are those of a 32-bit program, its code is of 64 bits. */
static bool is_x32(struct task_struct *task)
{
	return test_tsk_thread_flag(task, TIF_ADDR32) && task->mm &&
	       is_64bit_mm(task->mm);
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
	if (is_x32(task))
		return "an x32 program";
	if (has_shadow_stack(task))
		return "a shadow stack";
	if (has_debug_registers(&task->thread))
		return "a hardware breakpoint";
	if (has_io_permission(task))
		return "access to I/O ports";
	if (has_lam(task->mm))
		return "linear address masking";
	return NULL;
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

/* What the system call returns that the current task is in the middle of. */
void checkpoint_set_syscall_result(unsigned long result)
{
	current_pt_regs()->ax = result;
}

/*
 * A task that shares an address space cannot change how long addresses are any
 * more: see copy_thread(). What shares it for the time of a restart does not count.
 */
bool checkpoint_lam_locked(void)
{
	return test_bit(MM_CONTEXT_LOCK_LAM, &current->mm->context.flags);
}

void checkpoint_lam_unlock(void)
{
	clear_bit(MM_CONTEXT_LOCK_LAM, &current->mm->context.flags);
}
