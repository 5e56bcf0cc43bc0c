// SPDX-License-Identifier: GPL-2.0
/*
 * What parents and shells know of processes, as checkpoint(2) saves and
 * restart(2) restores it: groups, sessions, their terminal, and what was used up.
 */
#include <linux/checkpoint.h>
#include <linux/mm.h>
#include <linux/sched/cputime.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/task_io_accounting_ops.h>
#include <linux/tty.h>

/*
 * Groups and sessions
 */

/* What of a terminal the process of @task has. */
static u32 tty_flags(struct task_struct *task)
{
	struct tty_struct *tty = NULL;
	unsigned long irq;
	u32 flags = 0;

	if (lock_task_sighand(task, &irq)) {
		tty = tty_kref_get(task->signal->tty);
		unlock_task_sighand(task, &irq);
	}
	if (!tty)
		return 0;

	flags |= CR_TASK_TTY;
	rcu_read_lock();
	spin_lock_irqsave(&tty->ctrl.lock, irq);
	if (tty->ctrl.session == task_session(task) &&
	    tty->ctrl.pgrp == task_pgrp(task))
		flags |= CR_TASK_FOREGROUND;
	spin_unlock_irqrestore(&tty->ctrl.lock, irq);
	rcu_read_unlock();
	tty_kref_put(tty);
	return flags;
}

/* CR_TASK_*, but for CR_TASK_OUTLIVED, of a process by its leader. */
u32 checkpoint_job_flags(struct task_struct *leader)
{
	u32 flags = tty_flags(leader);

	if (leader->signal->autoreap)
		flags |= CR_TASK_AUTOREAP;
	rcu_read_lock();
	if (leader->exit_signal != SIGCHLD &&
	    leader->parent_exec_id !=
	    READ_ONCE(rcu_dereference(leader->real_parent)->self_exec_id))
		flags |= CR_TASK_STRANGER;
	rcu_read_unlock();
	return flags;
}

/*
 * The process that leads the group of @task, or its session, with a reference.
 * NULL if it is gone: then the number is that of the group or session only.
 */
struct task_struct *checkpoint_job_leader(struct task_struct *task, bool session)
{
	struct task_struct *leader;

	guard(rcu)();
	leader = pid_task(session ? task_session(task) : task_pgrp(task), PIDTYPE_TGID);
	return leader ? get_task_struct(leader) : NULL;
}

/* Takes its controlling terminal from the process of a worker. */
void checkpoint_tty_drop(struct task_struct *task)
{
	struct tty_struct *tty;

	spin_lock_irq(&task->sighand->siglock);
	tty = task->signal->tty;
	task->signal->tty = NULL;
	spin_unlock_irq(&task->sighand->siglock);
	tty_kref_put(tty);
}

/**
 * checkpoint_foreground - hand the terminal on to another process group
 * @task: a worker of that group
 *
 * Only what is in the foreground itself can do that, as by tcsetpgrp(3).
 */
void checkpoint_foreground(struct task_struct *task)
{
	struct tty_struct *tty = get_current_tty();
	unsigned long irq;

	if (!tty)
		return;
	read_lock(&tasklist_lock);
	spin_lock_irqsave(&tty->ctrl.lock, irq);
	if (tty->ctrl.session == task_session(current) &&
	    tty->ctrl.session == task_session(task) &&
	    tty->ctrl.pgrp == task_pgrp(current)) {
		put_pid(tty->ctrl.pgrp);
		tty->ctrl.pgrp = get_pid(task_pgrp(task));
	}
	spin_unlock_irqrestore(&tty->ctrl.lock, irq);
	read_unlock(&tasklist_lock);
	tty_kref_put(tty);
}

/**
 * checkpoint_end_set - say how the parent of a process hears of its end
 * @leader: the leader of the process
 * @exit_signal: the signal
 * @flags: CR_TASK_*
 */
void checkpoint_end_set(struct task_struct *leader, int exit_signal, u32 flags)
{
	write_lock_irq(&tasklist_lock);
	leader->exit_signal = exit_signal;
	if (flags & CR_TASK_STRANGER)
		leader->parent_exec_id = READ_ONCE(leader->real_parent->self_exec_id) - 1;
	if (flags & CR_TASK_AUTOREAP)
		leader->signal->autoreap = 1;
	write_unlock_irq(&tasklist_lock);
}

/*
 * What was used up
 */

/* More than anybody uses, and less than what makes a sum wrap around. */
#define USAGE_MAX	BIT_ULL(58)

/* Reads what of @task is in no counter of its own. */
void checkpoint_usage_get(struct task_struct *task, u64 *threads, u64 *children)
{
	struct signal_struct *signal = task->signal;
	unsigned long maxrss;
	struct mm_struct *mm;
	unsigned int seq;

	if (thread_group_leader(task)) {
		do {
			seq = read_seqbegin(&signal->stats_lock);
			threads[CR_USAGE_UTIME] = signal->utime;
			threads[CR_USAGE_STIME] = signal->stime;
			threads[CR_USAGE_GTIME] = signal->gtime;
			threads[CR_USAGE_NVCSW] = signal->nvcsw;
			threads[CR_USAGE_NIVCSW] = signal->nivcsw;
			threads[CR_USAGE_MIN_FLT] = signal->min_flt;
			threads[CR_USAGE_MAJ_FLT] = signal->maj_flt;
			threads[CR_USAGE_INBLOCK] = signal->inblock;
			threads[CR_USAGE_OUBLOCK] = signal->oublock;
			threads[CR_USAGE_MAXRSS] = signal->maxrss;
			threads[CR_USAGE_RUNTIME] = signal->sum_sched_runtime;
			children[CR_USAGE_UTIME] = signal->cutime;
			children[CR_USAGE_STIME] = signal->cstime;
			children[CR_USAGE_GTIME] = signal->cgtime;
			children[CR_USAGE_NVCSW] = signal->cnvcsw;
			children[CR_USAGE_NIVCSW] = signal->cnivcsw;
			children[CR_USAGE_MIN_FLT] = signal->cmin_flt;
			children[CR_USAGE_MAJ_FLT] = signal->cmaj_flt;
			children[CR_USAGE_INBLOCK] = signal->cinblock;
			children[CR_USAGE_OUBLOCK] = signal->coublock;
			children[CR_USAGE_MAXRSS] = signal->cmaxrss;
		} while (read_seqretry(&signal->stats_lock, seq));
	}

	threads[CR_USAGE_INBLOCK] += task_io_get_inblock(task);
	threads[CR_USAGE_OUBLOCK] += task_io_get_oublock(task);
	threads[CR_USAGE_RUNTIME] += task->se.sum_exec_runtime;
	mm = get_task_mm(task);
	if (mm) {
		maxrss = threads[CR_USAGE_MAXRSS];
		setmax_mm_hiwater_rss(&maxrss, mm);
		threads[CR_USAGE_MAXRSS] = maxrss;
		mmput(mm);
	}
}

/* Forgets what a worker that has ended has used up itself. */
static void forget_usage(struct task_struct *task)
{
	struct signal_struct *signal = task->signal;

	lockdep_assert_held(&signal->stats_lock.lock);
	task->utime = 0;
	task->stime = 0;
	task->gtime = 0;
	task->nvcsw = 0;
	task->nivcsw = 0;
	task->min_flt = 0;
	task->maj_flt = 0;
	task->se.sum_exec_runtime = 0;
	task_io_accounting_init(&task->ioac);
	signal->prev_cputime.utime = 0;
	signal->prev_cputime.stime = 0;
	signal->maxrss = 0;
}

/**
 * checkpoint_usage_set - count what a task of an image had used up
 * @task: a worker
 * @from: what it was
 * @others: likewise of threads that have ended, and of children
 * @dead: it has ended and runs no more, so that nothing else counts
 *
 * It counts as that of a thread that has ended. No timer of the process is armed.
 */
void checkpoint_usage_set(struct task_struct *task, const struct cr_hdr_task_stats *from,
			  const struct cr_hdr_usage *others, bool dead)
{
	const bool leads = thread_group_leader(task);
	struct signal_struct *signal = task->signal;
	u64 threads[CR_NR_USAGE], children[CR_NR_USAGE];
	const u64 own[CR_NR_USAGE] = {
		[CR_USAGE_UTIME] = from->utime,
		[CR_USAGE_STIME] = from->stime,
		[CR_USAGE_GTIME] = from->gtime,
		[CR_USAGE_NVCSW] = from->nvcsw,
		[CR_USAGE_NIVCSW] = from->nivcsw,
		[CR_USAGE_MIN_FLT] = from->min_flt,
		[CR_USAGE_MAJ_FLT] = from->maj_flt,
	};
	int i;

	for (i = 0; i < CR_NR_USAGE; i++) {
		threads[i] = min(own[i], USAGE_MAX) + min(others->threads[i], USAGE_MAX);
		children[i] = leads ? min(others->children[i], USAGE_MAX) : 0;
	}

	write_seqlock_irq(&signal->stats_lock);
	if (dead)
		forget_usage(task);
	signal->utime += threads[CR_USAGE_UTIME];
	signal->stime += threads[CR_USAGE_STIME];
	signal->gtime += threads[CR_USAGE_GTIME];
	signal->nvcsw += threads[CR_USAGE_NVCSW];
	signal->nivcsw += threads[CR_USAGE_NIVCSW];
	signal->min_flt += threads[CR_USAGE_MIN_FLT];
	signal->maj_flt += threads[CR_USAGE_MAJ_FLT];
	signal->inblock += threads[CR_USAGE_INBLOCK];
	signal->oublock += threads[CR_USAGE_OUBLOCK];
	signal->maxrss = max_t(u64, signal->maxrss, threads[CR_USAGE_MAXRSS]);
	signal->sum_sched_runtime += threads[CR_USAGE_RUNTIME];
	signal->cutime += children[CR_USAGE_UTIME];
	signal->cstime += children[CR_USAGE_STIME];
	signal->cgtime += children[CR_USAGE_GTIME];
	signal->cnvcsw += children[CR_USAGE_NVCSW];
	signal->cnivcsw += children[CR_USAGE_NIVCSW];
	signal->cmin_flt += children[CR_USAGE_MIN_FLT];
	signal->cmaj_flt += children[CR_USAGE_MAJ_FLT];
	signal->cinblock += children[CR_USAGE_INBLOCK];
	signal->coublock += children[CR_USAGE_OUBLOCK];
	signal->cmaxrss = max_t(u64, signal->cmaxrss, children[CR_USAGE_MAXRSS]);
	write_sequnlock_irq(&signal->stats_lock);
}
