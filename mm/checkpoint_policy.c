// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA memory policies, for checkpoint(2) and restart(2).
 *
 * A policy is set by the functions behind mbind(2), set_mempolicy(2) and
 * set_mempolicy_home_node(2), with their checks.
 *
 * Locking: that of a mapping is looked at under mmap_lock for reading, that of a
 * task under task_lock(). Setting is up to the system calls.
 */
#include <linux/bitmap.h>
#include <linux/checkpoint.h>
#include <linux/cpuset.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/sched/task.h>

#ifdef CONFIG_NUMA
/* Describes @pol as the program gave it. It cannot change meanwhile. */
static void describe_policy(struct mempolicy *pol, struct cr_hdr_policy *to)
{
	BUILD_BUG_ON(sizeof(to->nodes) * BITS_PER_BYTE < MAX_NUMNODES);

	to->mode = pol->mode;
	to->flags = pol->flags & MPOL_MODE_FLAGS;
	to->home_node = -1;
	if (pol->mode == MPOL_BIND || pol->mode == MPOL_PREFERRED_MANY)
		to->home_node = pol->home_node;
	/* The nodes of a local policy are not set. */
	if (pol->mode != MPOL_LOCAL)
		bitmap_to_arr64(to->nodes, pol->flags & MPOL_USER_NODEMASK_FLAGS ?
				nodes_addr(pol->w.user_nodemask) : nodes_addr(pol->nodes),
				MAX_NUMNODES);
}

/**
 * checkpoint_policy_find() - Describe the policy of the first mapping that has one.
 * @mm: the address space, on which the caller has a reference
 * @addr: the mapping ends above it
 * @found: filled in if there is one
 *
 * Return: 1 if there is one, 0 if there is none, -EINTR on a fatal signal.
 */
int checkpoint_policy_find(struct mm_struct *mm, unsigned long addr,
			   struct cr_hdr_policy *found)
{
	VMA_ITERATOR(vmi, mm, addr);
	struct vm_area_struct *vma;
	int ret = 0;

	memset(found, 0, sizeof(*found));
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for_each_vma(vmi, vma) {
		struct mempolicy *pol = vma_policy(vma);

		if (!pol)
			continue;
		found->start = vma->vm_start;
		found->end = vma->vm_end;
		describe_policy(pol, found);
		ret = 1;
		break;
	}
	mmap_read_unlock(mm);
	return ret;
}

/**
 * checkpoint_task_policy() - Describe the policy of a task.
 * @task: the task
 * @found: filled in if it has one
 *
 * Return: whether it has one.
 */
bool checkpoint_task_policy(struct task_struct *task, struct cr_hdr_policy *found)
{
	struct mempolicy *pol;

	memset(found, 0, sizeof(*found));
	task_lock(task);
	pol = task->mempolicy;
	if (pol)
		describe_policy(pol, found);
	task_unlock(task);
	return pol;
}

/*
 * Makes of @policy what the system calls take. Nodes that this machine or this
 * task has not are left out by them, unless that is what the flags ask for; a
 * process that knows what nodes it has must not have less.
 */
static int read_policy(const struct cr_hdr_policy *policy, int *mode, unsigned short *flags,
		       nodemask_t *nodes)
{
	nodemask_t here;
	int ret;

	for (int i = MAX_NUMNODES; i < sizeof(policy->nodes) * BITS_PER_BYTE; i++) {
		if (policy->nodes[i / 64] & BIT_ULL(i % 64))
			return -EINVAL;
	}
	if (policy->mode >= MPOL_MAX || policy->flags & ~MPOL_MODE_FLAGS)
		return -EINVAL;
	*mode = policy->mode | policy->flags;
	ret = sanitize_mpol_flags(mode, flags);
	if (ret)
		return ret;

	bitmap_from_arr64(nodes_addr(*nodes), policy->nodes, MAX_NUMNODES);
	nodes_and(here, cpuset_current_mems_allowed, node_states[N_MEMORY]);
	if (!(*flags & MPOL_USER_NODEMASK_FLAGS) && !nodes_subset(*nodes, here))
		return -EINVAL;
	return 0;
}

/**
 * checkpoint_policy_set() - Give memory a policy, as mbind(2).
 * @policy: the policy, and where
 *
 * Return: 0, -EINVAL also if it is for nodes that are not there, or another
 * error of mbind(2) and set_mempolicy_home_node(2).
 */
int checkpoint_policy_set(const struct cr_hdr_policy *policy)
{
	unsigned long len = policy->end - policy->start;
	unsigned short flags;
	nodemask_t nodes;
	int mode, ret;

	ret = read_policy(policy, &mode, &flags, &nodes);
	if (!ret)
		ret = do_mbind(policy->start, len, mode, flags, &nodes, 0);
	if (!ret && policy->home_node != -1)
		ret = set_mempolicy_home_node(policy->start, len, policy->home_node, 0);
	return ret;
}

/**
 * checkpoint_policy_begin() - Give current another policy, as set_mempolicy(2).
 * @policy: the policy, NULL for that of a task which never called it
 * @swap: filled in on success, for checkpoint_policy_abort() or
 *	checkpoint_policy_commit()
 *
 * Return: 0, -EINVAL also if it is for nodes that are not there, or another
 * error of set_mempolicy(2).
 */
int checkpoint_policy_begin(const struct cr_hdr_policy *policy,
			    struct checkpoint_policy_swap *swap)
{
	struct mempolicy *old = current->mempolicy;
	short il_prev = current->il_prev;
	u8 il_weight = current->il_weight;
	unsigned short flags = 0;
	nodemask_t nodes = NODE_MASK_NONE;
	int mode = MPOL_DEFAULT, ret = 0;

	if (policy && policy->home_node != -1)
		return -EINVAL;
	if (policy)
		ret = read_policy(policy, &mode, &flags, &nodes);
	if (ret)
		return ret;
	/* Only current replaces its own. */
	if (old)
		mpol_get(old);
	ret = do_set_mempolicy(mode, flags, &nodes);
	if (ret) {
		mpol_put(old);
		return ret;
	}
	swap->old = old;
	swap->il_prev = il_prev;
	swap->il_weight = il_weight;
	return 0;
}

/**
 * checkpoint_policy_abort() - Give current its own policy back.
 * @swap: what checkpoint_policy_begin() filled in
 */
void checkpoint_policy_abort(struct checkpoint_policy_swap *swap)
{
	struct mempolicy *new;

	task_lock(current);
	new = current->mempolicy;
	current->mempolicy = swap->old;
	current->il_prev = swap->il_prev;
	current->il_weight = swap->il_weight;
	task_unlock(current);
	mpol_put(new);
}

/**
 * checkpoint_policy_commit() - Let current keep its new policy.
 * @swap: what checkpoint_policy_begin() filled in
 */
void checkpoint_policy_commit(struct checkpoint_policy_swap *swap)
{
	mpol_put(swap->old);
}
#else
int checkpoint_policy_find(struct mm_struct *mm, unsigned long addr,
			   struct cr_hdr_policy *found)
{
	return 0;
}

bool checkpoint_task_policy(struct task_struct *task, struct cr_hdr_policy *found)
{
	return false;
}

int checkpoint_policy_set(const struct cr_hdr_policy *policy)
{
	return -EINVAL;
}

int checkpoint_policy_begin(const struct cr_hdr_policy *policy,
			    struct checkpoint_policy_swap *swap)
{
	return policy ? -EINVAL : 0;
}

void checkpoint_policy_abort(struct checkpoint_policy_swap *swap)
{
}

void checkpoint_policy_commit(struct checkpoint_policy_swap *swap)
{
}
#endif /* CONFIG_NUMA */
