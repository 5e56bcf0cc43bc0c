// SPDX-License-Identifier: GPL-2.0
/*
 * seccomp(2), as checkpoint(2) saves and restart(2) restores it.
 */
#include <linux/capability.h>
#include <linux/checkpoint.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/user_namespace.h>

/* SECCOMP_MODE_* of @task, which is current or does not run. */
unsigned int checkpoint_seccomp_mode(struct task_struct *task)
{
	return seccomp_mode(&task->seccomp);
}

#ifdef CONFIG_SECCOMP_FILTER

/*
 * The filter of @task that was installed last, with a reference that keeps it
 * and all before it; NULL if there is none. It is not to be looked into.
 */
struct seccomp_filter *checkpoint_filters_hold(struct task_struct *task)
{
	return seccomp_filter_hold(task);
}

/* Gives that reference back. */
void checkpoint_filters_put(struct seccomp_filter *filter)
{
	seccomp_filter_put(filter);
}

/**
 * checkpoint_filter_look - look at a filter
 * @filter: the filter
 * @seen: gets what it is; its program stays as long as the filter does
 *
 * Return: the filter that was installed before, NULL if there is none.
 */
struct seccomp_filter *checkpoint_filter_look(struct seccomp_filter *filter,
					      struct checkpoint_filter *seen)
{
	const struct sock_fprog_kern *program;
	bool listener;

	*seen = (struct checkpoint_filter) {};
	program = seccomp_filter_program(filter, &seen->log, &listener);
	if (listener) {
		seen->refused = "a seccomp filter with a listener";
	} else if (!program) {
		seen->refused = "a seccomp filter without its classic program";
	} else {
		/* struct sock_filter is a word. */
		BUILD_BUG_ON(sizeof(struct sock_filter) != sizeof(u64));
		seen->insns = (const u64 *)program->filter;
		seen->nr_insns = program->len;
	}
	return seccomp_filter_before(filter);
}

/* What the caller's filters count for, see checkpoint_filter_prepare(). */
unsigned long checkpoint_filter_total(void)
{
	return seccomp_filter_total();
}

/**
 * checkpoint_filter_prepare - make a filter that the current task gets later
 * @insns: its program, as struct sock_filter
 * @nr_insns: instructions
 * @log: SECCOMP_FILTER_FLAG_LOG
 * @prev: the filter that was made before; NULL for the first, which comes behind
 *	those that the task has
 * @total: checkpoint_filter_total() for the first, for the others what the one
 *	before has made of it
 *
 * Return: the filter, which owns @prev; an error pointer, as seccomp(2), after
 * which @prev is the caller's still.
 */
struct seccomp_filter *checkpoint_filter_prepare(const u64 *insns,
						 unsigned int nr_insns, bool log,
						 struct seccomp_filter *prev,
						 unsigned long *total)
{
	const struct sock_fprog_kern program = {
		.len = nr_insns,
		.filter = (struct sock_filter *)insns,
	};
	struct seccomp_filter *filter;
	bool first = !prev;

	if (!nr_insns || nr_insns > BPF_MAXINSNS)
		return ERR_PTR(-EINVAL);
	if (first) {
		/* The task keeps its own reference until the commit. */
		get_seccomp_filter(current);
		prev = current->seccomp.filter;
	}
	filter = seccomp_filter_restore(&program, log, prev, total);
	if (IS_ERR(filter) && first && prev)
		seccomp_filter_drop(prev);
	return filter;
}

/* Gives a filter that was made another owner. @total: what all up to it count for. */
void checkpoint_filter_share(struct seccomp_filter *filter, unsigned long *total)
{
	seccomp_filter_share(filter, total);
}

/* Gives back the filter that was made last, and with it all before. */
void checkpoint_filter_drop(struct seccomp_filter *filter)
{
	seccomp_filter_drop(filter);
}

/* Gives the current task @nr filters, of which @filter was made last. */
void checkpoint_filter_commit(struct seccomp_filter *filter, unsigned int nr)
{
	seccomp_filter_install(filter, nr);
}

#else /* CONFIG_SECCOMP_FILTER */

struct seccomp_filter *checkpoint_filters_hold(struct task_struct *task)
{
	return NULL;
}

void checkpoint_filters_put(struct seccomp_filter *filter)
{
}

struct seccomp_filter *checkpoint_filter_look(struct seccomp_filter *filter,
					      struct checkpoint_filter *seen)
{
	return NULL;
}

unsigned long checkpoint_filter_total(void)
{
	return 0;
}

struct seccomp_filter *checkpoint_filter_prepare(const u64 *insns,
						 unsigned int nr_insns, bool log,
						 struct seccomp_filter *prev,
						 unsigned long *total)
{
	return ERR_PTR(-EINVAL);
}

void checkpoint_filter_share(struct seccomp_filter *filter, unsigned long *total)
{
}

void checkpoint_filter_drop(struct seccomp_filter *filter)
{
}

void checkpoint_filter_commit(struct seccomp_filter *filter, unsigned int nr)
{
}

#endif /* CONFIG_SECCOMP_FILTER */

/*
 * Tells whether the current task may install filters: seccomp(2) wants that no
 * program gains privileges, or CAP_SYS_ADMIN. @no_new_privs says that the first
 * will be so before they are installed.
 */
bool checkpoint_may_filter(bool no_new_privs)
{
	return no_new_privs || task_no_new_privs(current) ||
	       ns_capable_noaudit(current_user_ns(), CAP_SYS_ADMIN);
}

/* Tells whether there is a strict mode that the current task may enter. */
bool checkpoint_may_be_strict(void)
{
	return IS_ENABLED(CONFIG_SECCOMP) &&
	       seccomp_mode(&current->seccomp) == SECCOMP_MODE_DISABLED;
}

/* Has the current task enter strict mode, after checkpoint_may_be_strict(). */
void checkpoint_be_strict(void)
{
#ifdef CONFIG_SECCOMP
	seccomp_set_mode_strict();
#endif
}
