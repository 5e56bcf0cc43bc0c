// SPDX-License-Identifier: GPL-2.0
/*
 * How a task is scheduled, as checkpoint(2) saves and restart(2) restores it.
 *
 * A restart changes the current task by the functions of the system calls, with
 * their checks and for the caller's credentials and limits. They can fail, so the
 * change comes before the commit, and can be undone: what it was before is noted,
 * and putting that back allocates nothing and asks nobody.
 *
 * Only leaving SCHED_DEADLINE could not be undone, as somebody else may have got
 * the bandwidth meanwhile. A caller that has that policy is refused.
 */
#include <linux/bitmap.h>
#include <linux/checkpoint.h>
#include <linux/cpuset.h>
#include <linux/iocontext.h>
#include <linux/ioprio.h>
#include <linux/sched/mm.h>
#include <linux/security.h>

#include <uapi/linux/membarrier.h>
#include <uapi/linux/sched/types.h>

#include "sched.h"

/**
 * struct checkpoint_sched - a change of how the current task is scheduled
 * @image: what it changes to
 * @cpus: likewise, NULL if sched_setaffinity(2) was not called
 * @own: what it was before, if @applied
 * @own_cpus: processors that it might run on, if @applied
 * @own_user_cpus: what it gave sched_setaffinity(2), NULL if nothing
 * @applied: the change was made, and has to be undone if the restart fails
 */
struct checkpoint_sched {
	struct cr_hdr_sched image;
	struct cpumask *cpus;
	struct cr_hdr_sched own;
	struct cpumask *own_cpus;
	struct cpumask *own_user_cpus;
	bool applied;
};

/* Flags of SCHED_DEADLINE that an image has, one for one. */
static const struct {
	u64 sched;
	u32 cr;
} dl_flags[] = {
	{ SCHED_FLAG_RECLAIM,		CR_SCHED_RECLAIM },
	{ SCHED_FLAG_DL_OVERRUN,	CR_SCHED_DL_OVERRUN },
};

/* SCHED_EXT, the rest, is up to a BPF program that another machine has not. */
static bool known_policy(u32 policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH ||
	       idle_policy(policy) || rt_policy(policy) || dl_policy(policy);
}

static unsigned int get_ioprio(struct task_struct *task)
{
	unsigned int ioprio = IOPRIO_DEFAULT;

	task_lock(task);
	if (task->io_context)
		ioprio = task->io_context->ioprio;
	task_unlock(task);
	return ioprio;
}

static bool shares_io_context(struct task_struct *task)
{
	bool ret = false;

#ifdef CONFIG_BLOCK
	task_lock(task);
	if (task->io_context)
		ret = atomic_read(&task->io_context->active_ref) > 1;
	task_unlock(task);
#endif
	return ret;
}

/* All but @affinity_len. */
static void describe(struct task_struct *task, struct cr_hdr_sched *to)
{
	struct sched_attr attr = {};
	int i;

	memset(to, 0, sizeof(*to));
	to->policy = task->policy;
	to->nice = PRIO_TO_NICE(task->static_prio);
	if (task->sched_reset_on_fork)
		to->flags |= CR_SCHED_RESET_ON_FORK;
	if (rt_policy(task->policy))
		to->priority = task->rt_priority;
	if (dl_policy(task->policy)) {
		__getparam_dl(task, &attr, 0);
		to->runtime = attr.sched_runtime;
		to->deadline = attr.sched_deadline;
		to->period = attr.sched_period;
		for (i = 0; i < ARRAY_SIZE(dl_flags); i++)
			if (attr.sched_flags & dl_flags[i].sched)
				to->flags |= dl_flags[i].cr;
	} else if (task->se.custom_slice) {
		/* Of SCHED_FIFO and SCHED_RR: what counts afterwards. */
		to->flags |= CR_SCHED_SLICE;
		to->runtime = task->se.slice;
	}
#ifdef CONFIG_UCLAMP_TASK
	if (task->uclamp_req[UCLAMP_MIN].user_defined) {
		to->flags |= CR_SCHED_UTIL_MIN;
		to->util_min = task->uclamp_req[UCLAMP_MIN].value;
	}
	if (task->uclamp_req[UCLAMP_MAX].user_defined) {
		to->flags |= CR_SCHED_UTIL_MAX;
		to->util_max = task->uclamp_req[UCLAMP_MAX].value;
	}
#endif
	to->ioprio = get_ioprio(task);
	to->timer_slack = task->timer_slack_ns;
	to->default_timer_slack = task->default_timer_slack_ns;
}

/**
 * checkpoint_sched_get - read how a task is scheduled
 * @task: the task, which is current or does not run
 * @to: filled in, but for @affinity_len
 *
 * Return: NULL, or a name for what no image has.
 */
const char *checkpoint_sched_get(struct task_struct *task, struct cr_hdr_sched *to)
{
	describe(task, to);
	if (!known_policy(task->policy))
		return "the scheduling policy";
	if (dl_policy(task->policy) && task->se.custom_slice)
		return "a time slice for after SCHED_DEADLINE";
	if (shares_io_context(task))
		return "an I/O context that is shared with another task";
	return NULL;
}

/**
 * checkpoint_affinity_get - read what a task gave sched_setaffinity(2)
 * @task: the task
 * @to: gets the mask, bit 0 of the first word is processor 0
 * @max: words of @to
 *
 * Return: words of the mask, 0 if that was not called; -ENOMEM; -E2BIG if @max
 * words are not enough.
 */
int checkpoint_affinity_get(struct task_struct *task, u64 *to, unsigned int max)
{
	const unsigned int words = DIV_ROUND_UP(nr_cpu_ids, 64);
	struct cpumask *mask;
	bool found;

	if (!READ_ONCE(task->user_cpus_ptr))
		return 0;
	if (words > max)
		return -E2BIG;
	mask = alloc_user_cpus_ptr(NUMA_NO_NODE);
	if (!mask)
		return -ENOMEM;

	/* Protects the pointer, and what it points to. */
	scoped_guard(raw_spinlock_irqsave, &task->pi_lock) {
		found = task->user_cpus_ptr;
		if (found)
			cpumask_copy(mask, task->user_cpus_ptr);
	}
	if (found)
		bitmap_to_arr64(to, cpumask_bits(mask), nr_cpu_ids);
	kfree(mask);
	return found ? words : 0;
}

/*
 * Nice value and slice of the current task for a policy that does not use them:
 * they count when it is of SCHED_OTHER again, and sched_setattr(2) leaves them
 * alone. With @check as by setpriority(2).
 */
static int set_unused(const struct cr_hdr_sched *hdr, bool check)
{
	struct task_struct *tsk = current;
	int ret = 0;

	if (check && task_nice(tsk) != hdr->nice) {
		if (hdr->nice < task_nice(tsk) && !can_nice(tsk, hdr->nice))
			return -EPERM;
		ret = security_task_setnice(tsk, hdr->nice);
	}
	if (!ret)
		set_user_nice(tsk, hdr->nice);
	return ret;
}

/* Whether the current task is what set_params() would make of it. */
static bool has_params(const struct cr_hdr_sched *hdr)
{
	struct cr_hdr_sched own;

	describe(current, &own);
	return own.policy == hdr->policy && own.nice == hdr->nice &&
	       own.priority == hdr->priority && own.flags == hdr->flags &&
	       own.runtime == hdr->runtime && own.deadline == hdr->deadline &&
	       own.period == hdr->period && own.util_min == hdr->util_min &&
	       own.util_max == hdr->util_max;
}

/*
 * Policy, nice value, slice and clamps of the current task. With @check as by
 * sched_setattr(2). A thread mostly has what its maker has, and nothing is done.
 */
static int set_params(const struct cr_hdr_sched *hdr, bool check)
{
	int (*set)(struct task_struct *p, const struct sched_attr *attr) =
		check ? sched_setattr : sched_setattr_nocheck;
	const u64 slice = hdr->flags & CR_SCHED_SLICE ? hdr->runtime : 0;
	struct sched_attr attr = { .size = sizeof(attr) };
	bool clamps = hdr->flags & (CR_SCHED_UTIL_MIN | CR_SCHED_UTIL_MAX);
	struct task_struct *tsk = current;
	int ret, i;

	if (has_params(hdr))
		return 0;
#ifdef CONFIG_UCLAMP_TASK
	clamps |= tsk->uclamp_req[UCLAMP_MIN].user_defined ||
		  tsk->uclamp_req[UCLAMP_MAX].user_defined;
#endif
	if (hdr->flags & CR_SCHED_RESET_ON_FORK)
		attr.sched_flags |= SCHED_FLAG_RESET_ON_FORK;
	attr.sched_nice = hdr->nice;
	attr.sched_runtime = slice;

	if (!fair_policy(hdr->policy) && slice != (tsk->se.custom_slice ? tsk->se.slice : 0)) {
		attr.sched_policy = SCHED_NORMAL;
		ret = set(tsk, &attr);
		if (ret)
			return ret;
	}

	attr.sched_policy = hdr->policy;
	attr.sched_priority = hdr->priority;
	/* -1 is what the policy has if nobody sets it. */
	if (clamps) {
		attr.sched_flags |= SCHED_FLAG_UTIL_CLAMP;
		attr.sched_util_min = hdr->flags & CR_SCHED_UTIL_MIN ? hdr->util_min : -1;
		attr.sched_util_max = hdr->flags & CR_SCHED_UTIL_MAX ? hdr->util_max : -1;
	}
	if (dl_policy(hdr->policy)) {
		attr.sched_runtime = hdr->runtime;
		attr.sched_deadline = hdr->deadline;
		attr.sched_period = hdr->period;
		for (i = 0; i < ARRAY_SIZE(dl_flags); i++)
			if (hdr->flags & dl_flags[i].cr)
				attr.sched_flags |= dl_flags[i].sched;
	}

	ret = set(tsk, &attr);
	if (!ret && !fair_policy(hdr->policy))
		ret = set_unused(hdr, check);
	return ret;
}

static int set_affinity(const struct cpumask *cpus)
{
	struct affinity_context ac = {
		.new_mask = cpu_possible_mask,
		.flags = SCA_USER,
	};
	int ret;

	if (cpus)
		return sched_setaffinity(0, cpus);
	if (!READ_ONCE(current->user_cpus_ptr))
		return 0;
	ret = __sched_setaffinity(current, &ac);
	/* What it replaced. */
	kfree(ac.user_mask);
	return ret;
}

static int set_ioprio(unsigned int ioprio)
{
	int ret;

	if (ioprio == get_ioprio(current))
		return 0;
	if (ioprio > U16_MAX)
		return -EINVAL;
	ret = ioprio_check_cap(ioprio);
#ifdef CONFIG_BLOCK
	if (!ret)
		ret = set_task_ioprio(current, ioprio);
#endif
	return ret;
}

/* Puts back what the current task had. This cannot fail. */
static void undo(struct checkpoint_sched *sched)
{
	struct affinity_context ac = {
		.new_mask = sched->own_cpus,
		.user_mask = sched->own_user_cpus,
		.flags = SCA_USER,
	};

	set_params(&sched->own, false);
	current->timer_slack_ns = sched->own.timer_slack;

	/* All of these processors may have gone offline meanwhile. */
	if (__set_cpus_allowed_ptr(current, &ac)) {
		ac.new_mask = cpu_possible_mask;
		__set_cpus_allowed_ptr(current, &ac);
	}
	kfree(ac.user_mask);
	kfree(sched->own_cpus);
	sched->own_user_cpus = NULL;
	sched->own_cpus = NULL;

#ifdef CONFIG_BLOCK
	task_lock(current);
	if (current->io_context)
		current->io_context->ioprio = sched->own.ioprio;
	task_unlock(current);
#endif
	sched->applied = false;
}

/* Notes what the current task has, for undo(). */
static int note_own(struct checkpoint_sched *sched)
{
	struct cpumask *cpus = alloc_user_cpus_ptr(NUMA_NO_NODE);
	struct cpumask *user_cpus = NULL;

	if (!cpus)
		return -ENOMEM;
	if (READ_ONCE(current->user_cpus_ptr)) {
		user_cpus = alloc_user_cpus_ptr(NUMA_NO_NODE);
		if (!user_cpus) {
			kfree(cpus);
			return -ENOMEM;
		}
	}

	describe(current, &sched->own);
	scoped_guard(raw_spinlock_irqsave, &current->pi_lock) {
		cpumask_copy(cpus, &current->cpus_mask);
		if (user_cpus)
			cpumask_copy(user_cpus, current->user_cpus_ptr ?: cpus);
	}
	sched->own_cpus = cpus;
	sched->own_user_cpus = user_cpus;
	return 0;
}

/**
 * checkpoint_sched_apply - make the change
 * @sched: what checkpoint_sched_prepare() returned
 * @what: gets the name of what failed
 *
 * Return: 0, or the error of the system call that does the same; then nothing
 * has changed.
 */
int checkpoint_sched_apply(struct checkpoint_sched *sched, const char **what)
{
	int ret;

	*what = "scheduling";
	if (sched->applied)
		return 0;
	ret = note_own(sched);
	if (ret)
		return ret;
	sched->applied = true;

	/* Admission to SCHED_DEADLINE looks at the processors. */
	*what = "affinity";
	ret = set_affinity(sched->cpus);
	if (!ret) {
		*what = "scheduling policy";
		ret = set_params(&sched->image, true);
	}
	if (!ret) {
		*what = "I/O priority";
		ret = set_ioprio(sched->image.ioprio);
	}
	if (ret)
		undo(sched);
	return ret;
}

/**
 * checkpoint_sched_prepare - get ready to change how current is scheduled
 * @image: what an image says
 * @cpus: the mask of sched_setaffinity(2), of @image->affinity_len bytes
 * @res: gets the change, which checkpoint_sched_put() takes
 * @what: gets the name of what is wrong
 *
 * The change is tried: who may not have it learns that before any memory is
 * read, but is not held up by a policy that is slower than its own.
 *
 * Return: 0, or an error, after which current is as it was.
 */
int checkpoint_sched_prepare(const struct cr_hdr_sched *image, const u64 *cpus,
			     struct checkpoint_sched **res, const char **what)
{
	const unsigned int nbits = 8 * image->affinity_len;
	struct checkpoint_sched *sched;
	int ret;

	*what = "the caller is SCHED_DEADLINE";
	if (dl_policy(current->policy))
		return -EINVAL;
	*what = "scheduling policy";
	if (!known_policy(image->policy) || image->nice < MIN_NICE || image->nice > MAX_NICE)
		return -EINVAL;

	*what = "scheduling";
	sched = kzalloc_obj(*sched, GFP_KERNEL_ACCOUNT);
	if (!sched)
		return -ENOMEM;
	sched->image = *image;
	if (image->affinity_len) {
		sched->cpus = alloc_user_cpus_ptr(NUMA_NO_NODE);
		if (!sched->cpus) {
			ret = -ENOMEM;
			goto err;
		}
		/* Processors that this machine cannot have are left out. */
		cpumask_clear(sched->cpus);
		bitmap_from_arr64(cpumask_bits(sched->cpus), cpus,
				  min(nbits, nr_cpu_ids));
	}

	ret = checkpoint_sched_apply(sched, what);
	if (ret)
		goto err;
	undo(sched);
	*res = sched;
	return 0;

err:
	kfree(sched->cpus);
	kfree(sched);
	return ret;
}

/* Drops a change, and undoes it if it was made. */
void checkpoint_sched_put(struct checkpoint_sched *sched)
{
	if (sched->applied)
		undo(sched);
	kfree(sched->cpus);
	kfree(sched);
}

/* Keeps a change that was made. */
void checkpoint_sched_commit(struct checkpoint_sched *sched)
{
	current->timer_slack_ns = sched->image.timer_slack;
	current->default_timer_slack_ns = sched->image.default_timer_slack;
	kfree(sched->own_user_cpus);
	kfree(sched->own_cpus);
	sched->applied = false;
	checkpoint_sched_put(sched);
}

/*
 * Core scheduling
 *
 * A cookie means nothing but who may share a core with whom. Tasks of an image
 * that had one get a new one, as by PR_SCHED_CORE_CREATE, and share it as they did.
 */

unsigned long checkpoint_core_sched_get(struct task_struct *task)
{
#ifdef CONFIG_SCHED_CORE
	return task->core_cookie;
#else
	return 0;
#endif
}

/* A new cookie, which is not 0. -ENODEV if this machine has no use for one. */
int checkpoint_cookie_alloc(unsigned long *cookie)
{
#ifdef CONFIG_SCHED_CORE
	if (!sched_smt_active())
		return -ENODEV;
	*cookie = sched_core_alloc_cookie();
	return *cookie ? 0 : -ENOMEM;
#else
	return -ENODEV;
#endif
}

void checkpoint_cookie_put(unsigned long cookie)
{
#ifdef CONFIG_SCHED_CORE
	sched_core_put_cookie(cookie);
#endif
}

/* Gives the current task a cookie. */
void checkpoint_cookie_set(unsigned long cookie)
{
#ifdef CONFIG_SCHED_CORE
	__sched_core_set(current, cookie);
#endif
}

/*
 * membarrier(2)
 */

static const struct {
	int state;
	int flags;
	u32 cmd;
} membarriers[] = {
	{ MEMBARRIER_STATE_PRIVATE_EXPEDITED, 0,
	  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED },
	{ MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_FLAG_SYNC_CORE,
	  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE },
	{ MEMBARRIER_STATE_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_FLAG_RSEQ,
	  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ },
};

/* The registrations of @mm, as MEMBARRIER_CMD_GET_REGISTRATIONS reports them. */
u32 checkpoint_membarrier_get(struct mm_struct *mm)
{
	u32 ret = 0;
#ifdef CONFIG_MEMBARRIER
	const int state = atomic_read(&mm->membarrier_state);
	int i;

	if (state & MEMBARRIER_STATE_GLOBAL_EXPEDITED)
		ret |= MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	for (i = 0; i < ARRAY_SIZE(membarriers); i++)
		if (state & membarriers[i].state)
			ret |= membarriers[i].cmd;
#endif
	return ret;
}

/**
 * checkpoint_membarrier_set - register the address space of current
 * @cmds: what checkpoint_membarrier_get() returned
 *
 * Return: 0, or the error of membarrier(2): -EINVAL if there is no such command.
 */
int checkpoint_membarrier_set(u32 cmds)
{
	int ret = 0;
#ifdef CONFIG_MEMBARRIER
	int i;

	if (cmds & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) {
		ret = membarrier_register_global_expedited();
		cmds &= ~MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	}
	for (i = 0; !ret && i < ARRAY_SIZE(membarriers); i++) {
		if (cmds & membarriers[i].cmd) {
			ret = membarrier_register_private_expedited(membarriers[i].flags);
			cmds &= ~membarriers[i].cmd;
		}
	}
#endif
	if (!ret && cmds)
		ret = -EINVAL;
	return ret;
}
