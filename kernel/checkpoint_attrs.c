// SPDX-License-Identifier: GPL-2.0
/*
 * What setrlimit(2), prctl(2), setsid(2) and /proc/PID set for a task, as
 * checkpoint(2) saves and restart(2) restores it.
 *
 * Each part is checked first, by the rules of the call that sets it and for the
 * current task and its credentials; setting it then cannot fail.
 */
#include <linux/capability.h>
#include <linux/checkpoint.h>
#include <linux/fs.h>
#include <linux/oom.h>
#include <linux/pid.h>
#include <linux/posix-timers.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/security.h>
#include <linux/signal.h>
#include <linux/syscalls.h>

/* As in kernel/sys.c. */
#define PR_IO_FLUSHER	(PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE)

/*
 * Resource limits
 */

/* Reads the limits of the process of @task. */
void checkpoint_limits_get(struct task_struct *task, struct cr_hdr_limits *to)
{
	int i;

	BUILD_BUG_ON(RLIM_NLIMITS != CR_NR_LIMITS);

	task_lock(task->group_leader);
	for (i = 0; i < RLIM_NLIMITS; i++) {
		to->cur[i] = task->signal->rlim[i].rlim_cur;
		to->max[i] = task->signal->rlim[i].rlim_max;
	}
	task_unlock(task->group_leader);
}

/**
 * checkpoint_limits_check - tell whether the current task may set limits
 * @from: the limits
 * @which: gets the RLIMIT_* of what it may not
 *
 * Return: 0, or the error of setrlimit(2).
 */
int checkpoint_limits_check(const struct cr_hdr_limits *from, unsigned int *which)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < RLIM_NLIMITS; i++) {
		struct rlimit new = { from->cur[i], from->max[i] };
		struct rlimit *own = current->signal->rlim + i;
		bool raised;

		*which = i;
		if (new.rlim_cur > new.rlim_max)
			return -EINVAL;

		task_lock(current->group_leader);
		raised = new.rlim_max > own->rlim_max;
		task_unlock(current->group_leader);
		/* What it has already it may have, whatever the sysctl is now. */
		if (i == RLIMIT_NOFILE && raised && new.rlim_max > sysctl_nr_open)
			return -EPERM;
		if (raised && !capable(CAP_SYS_RESOURCE))
			return -EPERM;

		task_lock(current->group_leader);
		ret = security_task_setrlimit(current, i, &new);
		task_unlock(current->group_leader);
	}
	return ret;
}

/* Sets the limits of the current task. */
void checkpoint_limits_set(const struct cr_hdr_limits *from)
{
	int i;

	task_lock(current->group_leader);
	for (i = 0; i < RLIM_NLIMITS; i++) {
		current->signal->rlim[i].rlim_cur = from->cur[i];
		current->signal->rlim[i].rlim_max = from->max[i];
	}
	task_unlock(current->group_leader);
#ifdef CONFIG_POSIX_TIMERS
	if (from->cur[RLIMIT_CPU] != RLIM_INFINITY)
		update_rlimit_cpu(current, from->cur[RLIMIT_CPU]);
#endif
}

/*
 * Speculation controls
 */

#define SPEC_SETTINGS	(PR_SPEC_ENABLE | PR_SPEC_DISABLE | \
			 PR_SPEC_FORCE_DISABLE | PR_SPEC_DISABLE_NOEXEC)

static u32 spec_get(struct task_struct *task, unsigned long which)
{
	/* Nothing is known of it elsewhere than on x86, arm64 and powerpc. */
	return max(0, arch_prctl_spec_ctrl_get(task, which));
}

/**
 * spec_wanted - find how the current task gets a speculation control
 * @which: PR_SPEC_*
 * @saved: what PR_GET_SPECULATION_CTRL said of the task in an image
 *
 * What the program did not set, but the machine, is up to the machine; and so
 * is speculation that this one never allows. A caller that has given up
 * speculation for good stays without it.
 *
 * Return: what to set, 0 if nothing; -EINVAL if @saved is nothing that a task
 * has; -ENXIO if this machine leaves a program what @saved takes from it.
 */
static int spec_wanted(unsigned long which, u32 saved)
{
	const u32 own = spec_get(current, which);
	const u32 setting = saved & ~PR_SPEC_PRCTL;
	bool restricts;

	if (setting & ~SPEC_SETTINGS || hweight32(setting) > 1)
		return -EINVAL;
	if (!(saved & PR_SPEC_PRCTL))
		return 0;
	if (!setting ||
	    (setting == PR_SPEC_FORCE_DISABLE && which == PR_SPEC_L1D_FLUSH) ||
	    (setting == PR_SPEC_DISABLE_NOEXEC && which != PR_SPEC_STORE_BYPASS))
		return -EINVAL;

	if (setting == (own & ~PR_SPEC_PRCTL))
		return 0;
	if (own & PR_SPEC_PRCTL)
		return own & PR_SPEC_FORCE_DISABLE ? 0 : setting;

	/* The cache is what is flushed if this is enabled. */
	if (which == PR_SPEC_L1D_FLUSH)
		return setting == PR_SPEC_ENABLE ? -ENXIO : 0;
	restricts = setting != PR_SPEC_ENABLE;
	return restricts && own == PR_SPEC_ENABLE ? -ENXIO : 0;
}

static int spec_check(unsigned long which, u32 saved)
{
	return min(0, spec_wanted(which, saved));
}

static void spec_set(unsigned long which, u32 saved)
{
	int wanted = spec_wanted(which, saved);

	if (wanted > 0)
		arch_prctl_spec_ctrl_set(current, which, wanted);
}

/*
 * Attributes
 */

static u32 get_flags(struct task_struct *task)
{
	u32 flags = checkpoint_cpu_attrs(task);

	if (task->signal->is_child_subreaper)
		flags |= CR_ATTR_SUBREAPER;
	if (!(~task->flags & PR_IO_FLUSHER))
		flags |= CR_ATTR_IO_FLUSHER;
	if (task->flags & PF_MCE_PROCESS) {
		flags |= CR_ATTR_MCE_SET;
		if (task->flags & PF_MCE_EARLY)
			flags |= CR_ATTR_MCE_EARLY;
	}
	if (checkpoint_core_sched_get(task))
		flags |= CR_ATTR_CORE_SCHED;
	return flags;
}

/**
 * checkpoint_attrs_get - read what prctl(2) and /proc set for a task
 * @task: the task, which is current or does not run
 * @to: gets all but what is of audit and of security modules
 */
void checkpoint_attrs_get(struct task_struct *task, struct cr_hdr_task_attrs *to)
{
	to->oom_score_adj = task->signal->oom_score_adj;
	to->oom_score_adj_min = task->signal->oom_score_adj_min;
	to->pdeath_signal = task->pdeath_signal;
	to->flags = get_flags(task);
	to->spec_store_bypass = spec_get(task, PR_SPEC_STORE_BYPASS);
	to->spec_indirect_branch = spec_get(task, PR_SPEC_INDIRECT_BRANCH);
	to->spec_l1d_flush = spec_get(task, PR_SPEC_L1D_FLUSH);
}

static bool oom_adj_valid(s32 adj)
{
	return adj >= OOM_SCORE_ADJ_MIN && adj <= OOM_SCORE_ADJ_MAX;
}

/*
 * Below the least that it may have, or with less of a least, is for
 * CAP_SYS_RESOURCE, as in __set_oom_adj(). More of one takes something away.
 */
static int oom_check(s32 adj, s32 min)
{
	const struct signal_struct *signal = current->signal;

	if (!oom_adj_valid(adj) || !oom_adj_valid(min))
		return -EINVAL;
	if (min >= signal->oom_score_adj_min &&
	    (adj >= signal->oom_score_adj_min || adj == signal->oom_score_adj))
		return 0;
	return capable(CAP_SYS_RESOURCE) ? 0 : -EACCES;
}

/**
 * checkpoint_attrs_check - tell whether the current task may have attributes
 * @from: the attributes
 * @what: gets the name of what it may not have
 *
 * Return: 0, or the error of the call that sets them.
 */
int checkpoint_attrs_check(const struct cr_hdr_task_attrs *from, const char **what)
{
	const u32 changed = from->flags ^ get_flags(current);
	int ret;

	*what = "oom_score_adj";
	ret = oom_check(from->oom_score_adj, from->oom_score_adj_min);
	if (ret)
		return ret;

	*what = "prctl(PR_SET_PDEATHSIG)";
	if (!valid_signal(from->pdeath_signal))
		return -EINVAL;
	*what = "prctl(PR_MCE_KILL)";
	if (from->flags & CR_ATTR_MCE_EARLY && !(from->flags & CR_ATTR_MCE_SET))
		return -EINVAL;
	*what = "prctl(PR_SET_IO_FLUSHER)";
	if (changed & CR_ATTR_IO_FLUSHER && !capable(CAP_SYS_RESOURCE))
		return -EPERM;

	*what = "PR_SPEC_STORE_BYPASS of prctl(PR_SET_SPECULATION_CTRL)";
	ret = spec_check(PR_SPEC_STORE_BYPASS, from->spec_store_bypass);
	if (ret)
		return ret;
	*what = "PR_SPEC_INDIRECT_BRANCH of prctl(PR_SET_SPECULATION_CTRL)";
	ret = spec_check(PR_SPEC_INDIRECT_BRANCH, from->spec_indirect_branch);
	if (ret)
		return ret;
	*what = "PR_SPEC_L1D_FLUSH of prctl(PR_SET_SPECULATION_CTRL)";
	ret = spec_check(PR_SPEC_L1D_FLUSH, from->spec_l1d_flush);
	if (ret)
		return ret;

	return checkpoint_cpu_attrs_check(from->flags, what);
}

static void set_task_flag(unsigned int mask, bool on)
{
	if (on)
		current->flags |= mask;
	else
		current->flags &= ~mask;
}

/* Gives the current task what checkpoint_attrs_check() let pass. */
void checkpoint_attrs_set(const struct cr_hdr_task_attrs *from)
{
	struct signal_struct *signal = current->signal;

	mutex_lock(&oom_adj_mutex);
	signal->oom_score_adj = from->oom_score_adj;
	signal->oom_score_adj_min = from->oom_score_adj_min;
	mutex_unlock(&oom_adj_mutex);

	current->pdeath_signal = from->pdeath_signal;
	signal->is_child_subreaper = !!(from->flags & CR_ATTR_SUBREAPER);
	/* Children of the caller stay, and may have some of their own. */
	if (signal->is_child_subreaper)
		walk_process_tree(current, propagate_has_child_subreaper, NULL);

	set_task_flag(PR_IO_FLUSHER, from->flags & CR_ATTR_IO_FLUSHER);
	set_task_flag(PF_MCE_PROCESS, from->flags & CR_ATTR_MCE_SET);
	set_task_flag(PF_MCE_EARLY, from->flags & CR_ATTR_MCE_EARLY);

	spec_set(PR_SPEC_STORE_BYPASS, from->spec_store_bypass);
	spec_set(PR_SPEC_INDIRECT_BRANCH, from->spec_indirect_branch);
	spec_set(PR_SPEC_L1D_FLUSH, from->spec_l1d_flush);
	checkpoint_cpu_attrs_set(from->flags);
}

/*
 * Job control
 */

/* Makes the current task the leader of its process group, as setpgid(2). */
static void lead_group(void)
{
	struct pid *pids[PIDTYPE_MAX] = { 0 };
	struct task_struct *tsk = current;

	write_lock_irq(&tasklist_lock);
	if (thread_group_leader(tsk) && !tsk->signal->leader &&
	    task_pgrp(tsk) != task_pid(tsk) &&
	    !security_task_setpgid(tsk, task_pid_vnr(tsk)))
		change_pid(pids, tsk, PIDTYPE_PGID, task_pid(tsk));
	write_unlock_irq(&tasklist_lock);
	free_pids(pids);
}

/**
 * checkpoint_lead - let the current task lead what the one in an image led
 * @session: its session
 * @group: its process group
 *
 * A task with a controlling terminal stays where it is: which group is in the
 * foreground is the business of whoever made it one. Likewise one that leads a
 * group, which setsid(2) refuses.
 */
void checkpoint_lead(bool session, bool group)
{
	if (current->signal->tty)
		return;
	if (session)
		ksys_setsid();
	if (group)
		lead_group();
}
