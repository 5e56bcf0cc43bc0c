// SPDX-License-Identifier: GPL-2.0
/*
 * What belongs to one task, as checkpoint(2) saves and restart(2) restores it:
 * signals, and what the kernel keeps for a thread. Registers are in arch/.
 */
#include <linux/checkpoint.h>
#include <linux/futex.h>
#include <linux/hrtimer.h>
#include <linux/io_uring.h>
#include <linux/ipc_namespace.h>
#include <linux/nsproxy.h>
#include <linux/personality.h>
#include <linux/pid_namespace.h>
#include <linux/posix-timers.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/rseq.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/signal.h>
#include <linux/syscall_user_dispatch.h>
#include <linux/task_work.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/uprobes.h>

/*
 * What is checked and not restored
 */

static void found(struct checkpoint_obstacles *to, const char *what)
{
	if (to->nr < ARRAY_SIZE(to->what))
		to->what[to->nr++] = what;
}

/*
 * A task sees the namespaces of the restarter afterwards. Its time namespace may be
 * another one now, because an image has the clocks as it sees them.
 */
static void ns_obstacles(struct task_struct *task, struct checkpoint_obstacles *to)
{
	const struct nsproxy *own = current->nsproxy;
	const struct nsproxy *ns;

	task_lock(task);
	ns = task->nsproxy;
	if (ns && ns->uts_ns != own->uts_ns)
		found(to, "another UTS namespace than the caller's");
	if (ns && ns->ipc_ns != own->ipc_ns)
		found(to, "another IPC namespace than the caller's");
	if (ns && ns->mnt_ns != own->mnt_ns)
		found(to, "another mount namespace than the caller's");
	if (ns && ns->net_ns != own->net_ns)
		found(to, "another network namespace than the caller's");
	if (ns && ns->cgroup_ns != own->cgroup_ns)
		found(to, "another cgroup namespace than the caller's");
	if (ns && ns->pid_ns_for_children != task_active_pid_ns(task))
		found(to, "a pid namespace for its children");
	if (ns && ns->time_ns_for_children != ns->time_ns)
		found(to, "a time namespace for its children");
	task_unlock(task);
}

/* How many tasks have the signal handlers of @task. */
unsigned int checkpoint_sighand_users(struct task_struct *task)
{
	struct sighand_struct *sighand;
	unsigned int users = 0;

	rcu_read_lock();
	sighand = rcu_dereference(task->sighand);
	if (sighand)
		users = refcount_read(&sighand->count);
	rcu_read_unlock();
	return users;
}

/* The signal handlers of the current task, with a reference, for __cleanup_sighand(). */
struct sighand_struct *checkpoint_sighand_get(void)
{
	struct sighand_struct *sighand = current->sighand;

	refcount_inc(&sighand->count);
	return sighand;
}

/**
 * checkpoint_sighand_join - give the current process the signal handlers of another
 * @sighand: those, on which the caller has a reference of its own
 *
 * See unshare_sighand(). There is one lock of both processes' signals then.
 *
 * Return: 0, -EINVAL if the process has more than one thread.
 */
int checkpoint_sighand_join(struct sighand_struct *sighand)
{
	struct sighand_struct *old = current->sighand;

	if (old == sighand)
		return 0;
	if (!thread_group_empty(current))
		return -EINVAL;
	refcount_inc(&sighand->count);
	write_lock_irq(&tasklist_lock);
	spin_lock(&old->siglock);
	rcu_assign_pointer(current->sighand, sighand);
	spin_unlock(&old->siglock);
	write_unlock_irq(&tasklist_lock);
	__cleanup_sighand(old);
	return 0;
}

/* Tells whether @task has, or had, a ring that may write to its memory later. */
bool checkpoint_uses_io_uring(struct task_struct *task)
{
#ifdef CONFIG_IO_URING
	return task->io_uring || task->io_uring_restrict;
#else
	return false;
#endif
}

/**
 * checkpoint_task_obstacles - find what a task has that no image has
 * @task: the task, which stands still, so that what it alone can change does not
 * @to: gets a name for each
 */
void checkpoint_task_obstacles(struct task_struct *task, struct checkpoint_obstacles *to)
{
	const char *what;

	to->nr = 0;
	if (task->ptrace)
		found(to, "a traced task");
	if (checkpoint_uses_io_uring(task))
		found(to, "io_uring");
#ifdef CONFIG_PERF_EVENTS
	if (task->perf_event_ctxp)
		found(to, "a perf event");
#endif
#ifdef CONFIG_UPROBES
	if (task->utask && (task->utask->active_uprobe || task->utask->depth))
		found(to, "an active uprobe");
#endif
	ns_obstacles(task, to);
	checkpoint_cred_obstacles(task, to);
	what = checkpoint_cpu_obstacle(task);
	if (what)
		found(to, what);
}

/*
 * Ends what the current task has and the restored process has not, but for timers:
 * see checkpoint_timers_add().
 */
void checkpoint_task_reset(void)
{
	clear_syscall_work_syscall_user_dispatch(current);
}

/*
 * Threads of execution
 */

static ktime_t checkpoint_clock(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
		return ktime_get_real();
	case CLOCK_BOOTTIME:
		return ktime_get_boottime();
	case CLOCK_TAI:
		return ktime_get_clocktai();
	default:
		return ktime_get();
	}
}

static s64 checkpoint_time_left(ktime_t expires, clockid_t clock)
{
	return max(0, ktime_to_ns(ktime_sub(expires, checkpoint_clock(clock))));
}

static ktime_t checkpoint_expires(s64 left, clockid_t clock)
{
	return ktime_add_safe(checkpoint_clock(clock), ns_to_ktime(left));
}

/* The clock that an interrupted wait for a futex looks at. */
static clockid_t checkpoint_futex_clock(unsigned int op)
{
	return op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

static const char *checkpoint_restart_get(struct task_struct *task,
					  struct cr_hdr_thread *to)
{
	const struct restart_block *restart = &task->restart_block;
	unsigned int op;

	to->restart_kind = CR_RESTART_NONE;
	if (checkpoint_syscall_result(task) != -ERESTART_RESTARTBLOCK)
		return NULL;

	if (restart->fn == do_no_restart_syscall) {
		;
	} else if (restart->fn == hrtimer_nanosleep_restart) {
		to->restart_kind = CR_RESTART_NANOSLEEP;
		to->restart_args[0] = restart->nanosleep.clockid;
		/* Of both types it is a pointer in a union. */
		if (restart->nanosleep.type != TT_NONE)
			to->restart_args[2] = (uintptr_t)restart->nanosleep.rmtp;
		to->restart_args[3] = restart->nanosleep.type == TT_COMPAT;
		to->restart_left = checkpoint_time_left(restart->nanosleep.expires,
							restart->nanosleep.clockid);
#ifdef CONFIG_FUTEX
	} else if (restart->fn == futex_wait_restart) {
		op = futex_restart_op(restart);
		to->restart_kind = CR_RESTART_FUTEX;
		to->restart_args[0] = (uintptr_t)restart->futex.uaddr;
		to->restart_args[1] = restart->futex.val;
		to->restart_args[2] = op;
		to->restart_args[3] = restart->futex.bitset;
		to->restart_left = checkpoint_time_left(restart->futex.time,
							checkpoint_futex_clock(op));
#endif
	} else if (restart->fn == do_restart_poll) {
		to->restart_kind = CR_RESTART_POLL;
		to->restart_args[0] = (uintptr_t)restart->poll.ufds;
		to->restart_args[1] = (u32)restart->poll.nfds;
		to->restart_left = restart->poll.has_timeout ?
			checkpoint_time_left(timespec64_to_ktime(restart->poll.end_time),
					     CLOCK_MONOTONIC) : CR_NO_TIMEOUT;
#ifdef CONFIG_EPOLL
	} else if (restart->fn == do_restart_epoll) {
		to->restart_kind = CR_RESTART_EPOLL;
		to->restart_args[0] = restart->futex.val;
		to->restart_args[1] = (uintptr_t)restart->futex.uaddr;
		to->restart_args[2] = restart->futex.flags;
		to->restart_left = checkpoint_time_left(restart->futex.time,
							CLOCK_MONOTONIC);
#endif
	} else {
		return "the system call that was interrupted";
	}
	return NULL;
}

/*
 * Dispatch of system calls
 */

/* A name for what no image has, or NULL. */
static const char *dispatch_get(struct task_struct *task, struct cr_hdr_thread *to)
{
#ifdef CONFIG_SYSCALL_USER_DISPATCH
	const struct syscall_user_dispatch *from = &task->syscall_dispatch;

	if (!test_task_syscall_work(task, SYSCALL_USER_DISPATCH))
		return NULL;
	/* What untags it is of the address space, which comes later. */
	if (from->selector && !access_ok(from->selector, sizeof(*from->selector)))
		return "prctl(PR_SET_SYSCALL_USER_DISPATCH) with a tagged address";
	to->flags |= CR_THREAD_DISPATCH;
	to->dispatch_selector = (uintptr_t)from->selector;
	to->dispatch_offset = from->offset;
	to->dispatch_len = from->len;
#endif
	return NULL;
}

/**
 * checkpoint_dispatch_check - tell whether the current task may have its system calls
 *	dispatched
 * @from: what an image says
 *
 * Return: 0, or the error of prctl(PR_SET_SYSCALL_USER_DISPATCH).
 */
int checkpoint_dispatch_check(const struct cr_hdr_thread *from)
{
#ifdef CONFIG_SYSCALL_USER_DISPATCH
	const struct syscall_user_dispatch own = current->syscall_dispatch;
	const bool on = test_task_syscall_work(current, SYSCALL_USER_DISPATCH);
	const unsigned long offset = from->dispatch_offset, len = from->dispatch_len;
	char __user *selector = u64_to_user_ptr(from->dispatch_selector);
	int ret;

	if (!(from->flags & CR_THREAD_DISPATCH))
		return 0;
	if (selector && !access_ok(selector, sizeof(*selector)))
		return -EFAULT;
	/* What is not dispatched, or what is: see task_set_syscall_user_dispatch(). */
	if (!offset || offset + len > offset)
		ret = set_syscall_user_dispatch(PR_SYS_DISPATCH_EXCLUSIVE_ON, offset, len,
						selector);
	else
		ret = set_syscall_user_dispatch(PR_SYS_DISPATCH_INCLUSIVE_ON, offset + len,
						-len, selector);
	current->syscall_dispatch = own;
	if (on)
		set_task_syscall_work(current, SYSCALL_USER_DISPATCH);
	else
		clear_task_syscall_work(current, SYSCALL_USER_DISPATCH);
	return ret;
#else
	return from->flags & CR_THREAD_DISPATCH ? -EINVAL : 0;
#endif
}

static void dispatch_set(const struct cr_hdr_thread *from)
{
#ifdef CONFIG_SYSCALL_USER_DISPATCH
	if (!(from->flags & CR_THREAD_DISPATCH))
		return;
	current->syscall_dispatch = (struct syscall_user_dispatch){
		.selector = u64_to_user_ptr(from->dispatch_selector),
		.offset = from->dispatch_offset,
		.len = from->dispatch_len,
	};
	set_task_syscall_work(current, SYSCALL_USER_DISPATCH);
#endif
}

/**
 * checkpoint_thread_get - read what the kernel keeps for a task
 * @task: the task, which is current or does not run
 * @to: zeros; gets all but @xstate_len
 *
 * Return: NULL, or a name for what no image has.
 */
const char *checkpoint_thread_get(struct task_struct *task,
				  struct cr_hdr_thread *to)
{
	const char *what;

	to->clear_child_tid = (uintptr_t)task->clear_child_tid;
	to->altstack_sp = task->sas_ss_sp;
	to->altstack_size = task->sas_ss_size;
	to->altstack_flags = task->sas_ss_flags;
	to->personality = task->personality;
	to->flags = checkpoint_thread_flags(task);
#ifdef CONFIG_FUTEX
	to->robust_list = (uintptr_t)task->futex.robust_list;
#ifdef CONFIG_COMPAT
	to->compat_robust_list = (uintptr_t)task->futex.compat_robust_list;
#endif
#endif
#ifdef CONFIG_RSEQ
	to->rseq = (uintptr_t)task->rseq.usrptr;
	to->rseq_len = task->rseq.len;
	to->rseq_sig = task->rseq.sig;
#ifdef CONFIG_RSEQ_SLICE_EXTENSION
	if (task->rseq.slice.state.enabled)
		return "prctl(PR_RSEQ_SLICE_EXTENSION)";
#endif
#endif
	what = dispatch_get(task, to);
	return what ?: checkpoint_restart_get(task, to);
}

static bool checkpoint_restart_unfit(const struct cr_hdr_thread *from)
{
	const u64 *args = from->restart_args;

	switch (from->restart_kind) {
	case CR_RESTART_NONE:
		return false;
	case CR_RESTART_NANOSLEEP:
		return (args[0] != CLOCK_MONOTONIC && args[0] != CLOCK_REALTIME &&
			args[0] != CLOCK_BOOTTIME && args[0] != CLOCK_TAI) ||
		       args[1] || from->restart_left < 0 ||
		       args[3] > IS_ENABLED(CONFIG_COMPAT_32BIT_TIME);
#ifdef CONFIG_FUTEX
	case CR_RESTART_FUTEX:
		return args[1] > U32_MAX ||
		       args[2] & ~(u64)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME) ||
		       args[3] > U32_MAX || from->restart_left < 0;
#endif
	case CR_RESTART_POLL:
		return args[1] > U32_MAX || args[2] || args[3];
#ifdef CONFIG_EPOLL
	case CR_RESTART_EPOLL:
		return args[0] > INT_MAX || args[2] > INT_MAX || args[3] ||
		       from->restart_left < 0;
#endif
	}
	return true;
}

/**
 * checkpoint_thread_unfit - find what the current task cannot have
 * @from: what an image says
 *
 * The rules are those of the system calls that set each of these.
 *
 * Return: the name of a field, NULL if all are fit for
 * checkpoint_thread_set().
 */
const char *checkpoint_thread_unfit(const struct cr_hdr_thread *from)
{
	const unsigned int mode = from->altstack_flags & ~SS_FLAG_BITS;
	bool fits = true;

	if (checkpoint_thread_flags_unfit(from->flags & ~CR_THREAD_DISPATCH))
		return "flags";
	/* A 32-bit system call sets it. */
	if (from->compat_robust_list > U32_MAX ||
	    (from->compat_robust_list && !IS_ENABLED(CONFIG_COMPAT)))
		return "compat_robust_list";
	if (from->rseq) {
#ifdef CONFIG_RSEQ
		if (!rseq_restorable(from->rseq, from->rseq_len))
			return "rseq";
#else
		return "rseq";
#endif
	}
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return "altstack_flags";
	if (from->altstack_size || from->altstack_sp) {
		if (mode == SS_DISABLE || from->altstack_size < MINSIGSTKSZ)
			return "altstack_size";
#ifdef CONFIG_DYNAMIC_SIGFRAME
		fits = checkpoint_altstack_fits(from->altstack_size, from->flags);
#endif
		if (!fits)
			return "altstack_size";
	}
	if (checkpoint_restart_unfit(from))
		return "restart_args";
	return NULL;
}

static void checkpoint_restart_set(const struct cr_hdr_thread *from)
{
	struct restart_block *restart = &current->restart_block;
	const u64 *args = from->restart_args;
	const s64 left = from->restart_left;

	switch (from->restart_kind) {
	case CR_RESTART_NANOSLEEP:
		restart->nanosleep.clockid = args[0];
		restart->nanosleep.type = !args[2] ? TT_NONE :
					  args[3] ? TT_COMPAT : TT_NATIVE;
		restart->nanosleep.rmtp = u64_to_user_ptr(args[2]);
		restart->nanosleep.expires = checkpoint_expires(left, args[0]);
		set_restart_fn(restart, hrtimer_nanosleep_restart);
		break;
#ifdef CONFIG_FUTEX
	case CR_RESTART_FUTEX:
		restart->futex.uaddr = u64_to_user_ptr(args[0]);
		restart->futex.val = args[1];
		restart->futex.bitset = args[3];
		restart->futex.time =
			checkpoint_expires(left, checkpoint_futex_clock(args[2]));
		futex_restart_set_op(restart, args[2]);
		set_restart_fn(restart, futex_wait_restart);
		break;
#endif
	case CR_RESTART_POLL:
		restart->poll.ufds = u64_to_user_ptr(args[0]);
		restart->poll.nfds = args[1];
		restart->poll.has_timeout = left >= 0;
		if (left >= 0)
			restart->poll.end_time =
				ktime_to_timespec64(checkpoint_expires(left, CLOCK_MONOTONIC));
		set_restart_fn(restart, do_restart_poll);
		break;
#ifdef CONFIG_EPOLL
	case CR_RESTART_EPOLL:
		restart->futex.val = args[0];
		restart->futex.uaddr = u64_to_user_ptr(args[1]);
		restart->futex.flags = args[2];
		restart->futex.time = checkpoint_expires(left, CLOCK_MONOTONIC);
		set_restart_fn(restart, do_restart_epoll);
		break;
#endif
	default:
		restart->fn = do_no_restart_syscall;
	}
}

/* Gives the current task what checkpoint_thread_unfit() let pass. */
void checkpoint_thread_set(const struct cr_hdr_thread *from)
{
	struct task_struct *t = current;

	t->clear_child_tid = u64_to_user_ptr(from->clear_child_tid);
	t->personality = from->personality;
#ifdef CONFIG_FUTEX
	t->futex.robust_list = u64_to_user_ptr(from->robust_list);
#ifdef CONFIG_COMPAT
	t->futex.compat_robust_list = u64_to_user_ptr(from->compat_robust_list);
#endif
#endif
	spin_lock_irq(&t->sighand->siglock);
	t->sas_ss_sp = from->altstack_sp;
	t->sas_ss_size = from->altstack_size;
	t->sas_ss_flags = from->altstack_flags;
	spin_unlock_irq(&t->sighand->siglock);
#ifdef CONFIG_RSEQ
	rseq_restore(from->rseq, from->rseq_len, from->rseq_sig);
#endif
	dispatch_set(from);
	/* A restart block keeps of what kind the call is. */
	checkpoint_thread_flags_set(from->flags);
	checkpoint_restart_set(from);
}

/*
 * Lets the current task do its system call again if nothing but task work
 * interrupted it and a program is not to see that.
 */
void checkpoint_reissue_interrupted(void)
{
	if (!task_sigpending(current) &&
	    checkpoint_syscall_result(current) == -EINTR &&
	    checkpoint_syscall_idempotent())
		checkpoint_syscall_again();
}

/*
 * Lets the exit to user mode see to a system call that is to be done again, and
 * to a mask of signals that is to be put back.
 */
void checkpoint_finish_syscall(void)
{
	set_notify_signal(current);
}

/*
 * Signals
 */

/* What sigaction(2) takes, and what it notes of how it was called. */
#ifdef SA_IA32_ABI
#define CHECKPOINT_SA_FLAGS	(UAPI_SA_FLAGS | SA_IA32_ABI | SA_X32_ABI)
static_assert(SA_IA32_ABI == CR_SA_IA32 && SA_X32_ABI == CR_SA_X32);
#else
#define CHECKPOINT_SA_FLAGS	UAPI_SA_FLAGS
#endif

/* Returns how many there are, of which @max are in @to at most. */
static int checkpoint_pending_get(struct sigpending *pending,
				  u64 (*to)[1 + CHECKPOINT_SIGINFO_WORDS], int max)
{
	sigset_t rest = pending->signal;
	struct sigqueue *q;
	siginfo_t info;
	int sig, nr = 0;
	u32 timer;

	list_for_each_entry(q, &pending->list, list) {
		u64 kind = 0;

		sigdelset(&rest, q->info.si_signo);
		if (q->flags & SIGQUEUE_PREALLOC) {
			/* The signal of a timer that was set anew is dropped. */
			if (!checkpoint_timer_sent(q, &timer))
				continue;
			kind |= CHECKPOINT_PENDING_TIMER |
				(u64)timer << CHECKPOINT_PENDING_ID_SHIFT;
		}
		if (nr < max) {
			copy_siginfo_to_external(&info, &q->info);
			to[nr][0] = kind;
			memcpy(&to[nr][1], &info, sizeof(info));
		}
		nr++;
	}

	/* No memory was left for what is known of these: see collect_signal(). */
	for (sig = 1; sig <= _NSIG; sig++) {
		if (!sigismember(&rest, sig))
			continue;
		if (nr < max) {
			memset(&info, 0, sizeof(info));
			info.si_signo = sig;
			info.si_code = SI_USER;
			to[nr][0] = 0;
			memcpy(&to[nr][1], &info, sizeof(info));
		}
		nr++;
	}
	return nr;
}

static bool checkpoint_is_dying(struct task_struct *task)
{
	return sigismember(&task->pending.signal, SIGKILL) ||
	       task->signal->flags & SIGNAL_GROUP_EXIT;
}

/* What job control did to a process, and what its parent knows of that. */
static void checkpoint_stop_get(struct task_struct *leader, struct cr_hdr_process *to)
{
	const struct signal_struct *signal = leader->signal;
	struct task_struct *thread;

	to->flags = 0;
	to->stop_signal = 0;
	for_each_thread(leader, thread) {
		if (thread->exit_state || !(signal->flags & SIGNAL_STOP_STOPPED ||
					    thread->jobctl & JOBCTL_STOP_PENDING))
			continue;
		to->flags = CR_PROCESS_STOPPED;
		to->stop_signal = SIGSTOP;
		if (thread->jobctl & JOBCTL_STOP_SIGMASK) {
			to->stop_signal = thread->jobctl & JOBCTL_STOP_SIGMASK;
			break;
		}
	}
	if (to->flags && signal->flags & SIGNAL_STOP_STOPPED) {
		to->flags |= CR_PROCESS_STOP_TOLD;
		if (signal->group_exit_code)
			to->stop_signal = signal->group_exit_code;
		else
			to->flags |= CR_PROCESS_STOP_SEEN;
		return;
	}
	if (signal->flags & SIGNAL_STOP_CONTINUED)
		to->flags |= CR_PROCESS_CONTINUED;
	if (signal->flags & SIGNAL_CLD_CONTINUED)
		to->flags |= CR_PROCESS_TELL_CONTINUED;
	else if (signal->flags & SIGNAL_CLD_STOPPED)
		to->flags |= CR_PROCESS_TELL_STOPPED;
}

/**
 * checkpoint_process_get - read the signal state that the threads of a process have
 *	in common
 * @leader: the leader of the process, of which no thread runs but the caller
 * @to: gets what job control did to it: @flags and @stop_signal
 * @actions: gets _NSIG actions
 * @pending: gets the signals that wait for any thread, each behind
 *	CHECKPOINT_PENDING_*
 * @max: places in @pending
 * @itimers: gets the timers of setitimer(2) at the same moment: what they have
 *	sent is pending, and nothing else
 *
 * Return: how many signals are pending, which may be more than @max; -ESRCH if
 * the process is about to die.
 */
int checkpoint_process_get(struct task_struct *leader, struct cr_hdr_process *to,
			   u64 (*actions)[CHECKPOINT_SIGACTION_WORDS],
			   u64 (*pending)[1 + CHECKPOINT_SIGINFO_WORDS], int max,
			   struct cr_hdr_timers *itimers)
{
	struct sighand_struct *sighand;
	unsigned long irq;
	int nr, i;

	for (;;) {
		sighand = lock_task_sighand(leader, &irq);
		if (!sighand)
			return -ESRCH;
		if (!checkpoint_itimer_fires(leader))
			break;
		/* It may be waiting for the lock, or have sent its signal. */
		unlock_task_sighand(leader, &irq);
		hrtimer_cancel_wait_running(&leader->signal->real_timer);
	}

	checkpoint_itimers_get(leader, itimers);
	checkpoint_stop_get(leader, to);
	for (i = 0; i < _NSIG; i++) {
		const struct sigaction *sa = &sighand->action[i].sa;

		actions[i][0] = (uintptr_t)sa->sa_handler;
		actions[i][1] = sa->sa_flags & CHECKPOINT_SA_FLAGS;
		actions[i][2] = (uintptr_t)sa->sa_restorer;
		actions[i][3] = sa->sa_mask.sig[0];
	}
	nr = checkpoint_pending_get(&leader->signal->shared_pending, pending, max);
	if (checkpoint_is_dying(leader))
		nr = -ESRCH;
	unlock_task_sighand(leader, &irq);
	return nr;
}

/**
 * checkpoint_signals_get - read the signal state of a thread
 * @task: the task, which is current or does not run
 * @masks: gets the blocked signals, and those to be blocked after the call
 * @flags: gets CR_SIGNALS_*
 * @pending: gets the signals that wait for this thread, each behind
 *	CHECKPOINT_PENDING_*
 * @max: places in @pending
 *
 * Return: as checkpoint_process_get().
 */
int checkpoint_signals_get(struct task_struct *task, u64 *masks, u32 *flags,
			   u64 (*pending)[1 + CHECKPOINT_SIGINFO_WORDS], int max)
{
	unsigned long irq;
	int nr;

	BUILD_BUG_ON(sizeof(siginfo_t) != CHECKPOINT_SIGINFO_WORDS * sizeof(u64));
	BUILD_BUG_ON(sizeof(sigset_t) != sizeof(u64));

	if (!lock_task_sighand(task, &irq))
		return -ESRCH;
	*flags = 0;
	masks[0] = task->blocked.sig[0];
	masks[1] = 0;
	if (test_tsk_restore_sigmask(task)) {
		*flags |= CR_SIGNALS_RESTORE_MASK;
		masks[1] = task->saved_sigmask.sig[0];
	}
	nr = checkpoint_pending_get(&task->pending, pending, max);
	if (checkpoint_is_dying(task) || task->flags & PF_EXITING)
		nr = -ESRCH;
	unlock_task_sighand(task, &irq);
	return nr;
}

/* A signal that can be queued to the current task; NULL if it has too many. */
struct sigqueue *checkpoint_sigqueue_alloc(const u64 *info)
{
	struct sigqueue *q;
	siginfo_t from;

	memcpy(&from, info, sizeof(from));
	q = sigqueue_alloc(from.si_signo, current, GFP_KERNEL_ACCOUNT, 0);
	if (q) {
		clear_siginfo(&q->info);
		/* The kernel's has the user's at its beginning. */
		memcpy(&q->info, &from, sizeof_field(struct sigqueue, info));
	}
	return q;
}

void checkpoint_sigqueue_free(struct sigqueue *q)
{
	__sigqueue_free(q);
}

/* Where a signal says which process has sent it, NULL if it does not. */
pid_t *checkpoint_sigqueue_sender(struct sigqueue *q)
{
	switch (siginfo_layout(q->info.si_signo, q->info.si_code)) {
	case SIL_KILL:
	case SIL_RT:
	case SIL_CHLD:
		return &q->info.si_pid;
	default:
		return NULL;
	}
}

static void checkpoint_drop_pending(struct sigpending *pending, struct list_head *to)
{
	bool kill = sigismember(&pending->signal, SIGKILL);

	list_splice_tail_init(&pending->list, to);
	sigemptyset(&pending->signal);
	if (kill)
		sigaddset(&pending->signal, SIGKILL);
}

static void checkpoint_set_action(struct k_sigaction *to, const u64 *from)
{
	if (to->sa.sa_flags & SA_IMMUTABLE)
		return;
	to->sa.sa_handler = (__sighandler_t)u64_to_user_ptr(from[0]);
	to->sa.sa_flags = from[1] & CHECKPOINT_SA_FLAGS;
	to->sa.sa_restorer = (__sigrestore_t)u64_to_user_ptr(from[2]);
	to->sa.sa_mask.sig[0] = from[3];
	sigdelsetmask(&to->sa.sa_mask, sigmask(SIGKILL) | sigmask(SIGSTOP));
}

/*
 * Stops the process before any thread of it is back in user mode: as
 * do_signal_stop(), or as task_join_group_stop() if the parent has been told.
 */
static void checkpoint_stop(const struct cr_hdr_process *from)
{
	const bool told = from->flags & CR_PROCESS_STOP_TOLD;
	struct signal_struct *signal = current->signal;
	unsigned long jobctl = from->stop_signal | JOBCTL_STOP_PENDING;
	struct task_struct *thread;

	signal->group_exit_code =
		from->flags & CR_PROCESS_STOP_SEEN ? 0 : from->stop_signal;
	signal->group_stop_count = 0;
	if (told)
		signal_set_stop_flags(signal, SIGNAL_STOP_STOPPED);
	else
		jobctl |= JOBCTL_STOP_CONSUME;
	for_each_thread(current, thread) {
		if (!task_set_jobctl_pending(thread, jobctl))
			continue;
		if (!told)
			signal->group_stop_count++;
		signal_wake_up(thread, false);
	}
}

/* Does what job control had done, unless the process is killed anyway. */
static void checkpoint_jobs_set(const struct cr_hdr_process *from)
{
	struct signal_struct *signal = current->signal;
	unsigned int flags = 0;

	lockdep_assert_held(&current->sighand->siglock);
	if (signal->flags & SIGNAL_GROUP_EXIT)
		return;
	if (from->flags & CR_PROCESS_CONTINUED)
		flags |= SIGNAL_STOP_CONTINUED;
	if (from->flags & CR_PROCESS_TELL_STOPPED)
		flags |= SIGNAL_CLD_STOPPED;
	if (from->flags & CR_PROCESS_TELL_CONTINUED)
		flags |= SIGNAL_CLD_CONTINUED;
	signal_set_stop_flags(signal, flags);
	if (from->flags & CR_PROCESS_STOPPED)
		checkpoint_stop(from);
}

static void checkpoint_queue(struct sigpending *pending, struct sigqueue **queue, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		list_add_tail(&queue[i]->list, &pending->list);
		sigaddset(&pending->signal, queue[i]->info.si_signo);
	}
}

static void checkpoint_free_dropped(struct list_head *dropped)
{
	struct sigqueue *q, *next;

	list_for_each_entry_safe(q, next, dropped, list) {
		list_del_init(&q->list);
		__sigqueue_free(q);
	}
}

/**
 * checkpoint_process_set - give the current process a signal state
 * @from: what job control did to it: @flags and @stop_signal
 * @actions: _NSIG actions, NULL if they stay what they are
 * @queue: signals that wait for any thread, in order, NULL if there are none
 * @nr: how many
 *
 * Signals that are pending are dropped, except SIGKILL. No other thread of the
 * process is in user mode.
 */
void checkpoint_process_set(const struct cr_hdr_process *from,
			    const u64 (*actions)[CHECKPOINT_SIGACTION_WORDS],
			    struct sigqueue **queue, int nr)
{
	struct task_struct *t = current;
	LIST_HEAD(dropped);
	int i;

	spin_lock_irq(&t->sighand->siglock);
	checkpoint_drop_pending(&t->signal->shared_pending, &dropped);
	for (i = 0; actions && i < _NSIG; i++)
		if (!sig_kernel_only(i + 1))
			checkpoint_set_action(&t->sighand->action[i], actions[i]);
	checkpoint_queue(&t->signal->shared_pending, queue, nr);
	checkpoint_jobs_set(from);
	recalc_sigpending();
	spin_unlock_irq(&t->sighand->siglock);
	checkpoint_free_dropped(&dropped);
}

/**
 * checkpoint_signals_set - give the current thread a signal state
 * @masks: blocked signals, and those to be blocked after the call
 * @flags: CR_SIGNALS_*
 * @queue: signals that wait for this thread, in order, NULL if there are none
 * @nr: how many
 *
 * Signals that are pending are dropped, except SIGKILL.
 */
void checkpoint_signals_set(const u64 *masks, u32 flags, struct sigqueue **queue,
			    int nr)
{
	struct task_struct *t = current;
	LIST_HEAD(dropped);

	spin_lock_irq(&t->sighand->siglock);
	checkpoint_drop_pending(&t->pending, &dropped);
	t->blocked.sig[0] = masks[0];
	sigdelsetmask(&t->blocked, sigmask(SIGKILL) | sigmask(SIGSTOP));
	clear_restore_sigmask();
	if (flags & CR_SIGNALS_RESTORE_MASK) {
		t->saved_sigmask.sig[0] = masks[1];
		sigdelsetmask(&t->saved_sigmask, sigmask(SIGKILL) | sigmask(SIGSTOP));
		set_restore_sigmask();
	}
	checkpoint_queue(&t->pending, queue, nr);
	recalc_sigpending();
	spin_unlock_irq(&t->sighand->siglock);

	if (flags & CR_SIGNALS_RESTORE_MASK)
		set_notify_signal(t);
	checkpoint_free_dropped(&dropped);
}
