// SPDX-License-Identifier: GPL-2.0
/*
 * Processes and threads as a tree: which tasks checkpoint(2) saves, and how
 * restart(2) makes them.
 *
 * Locking
 *
 * Walking a tree: tasklist_lock for reading. The list of tasks that are being
 * saved: claims_lock, inside of nothing.
 *
 * A worker is a task that restart(2) made. It sleeps, with no lock held, unless
 * the task that drives it waits for it, so that of both only one runs at a time.
 */
#include <linux/checkpoint.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hashtable.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/ptrace.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/tty.h>

/*
 * Looking at a tree
 */

/* The next place in @to for a task, with a reference. */
static bool found_task(struct task_struct *task, struct task_struct **to,
		       unsigned int max, unsigned int *nr)
{
	if (*nr == max)
		return false;
	to[(*nr)++] = get_task_struct(task);
	return true;
}

/* A process: its leader, then its other threads. */
static bool found_process(struct task_struct *leader, struct task_struct **to,
			  unsigned int max, unsigned int *nr)
{
	struct task_struct *thread;

	/* Somebody reaps it now. */
	if (leader->exit_state && leader->exit_state != EXIT_ZOMBIE)
		return true;
	if (!found_task(leader, to, max, nr))
		return false;
	for_each_thread(leader, thread) {
		/* A thread that has ended is nobody's. */
		if (thread == leader || thread->exit_state)
			continue;
		if (!found_task(thread, to, max, nr))
			return false;
	}
	return true;
}

/**
 * checkpoint_tree_find - find a process and all that it has descended to
 * @root: the leader of the process
 * @to: gets the tasks, with references: each after its parent, the threads of a
 *	process behind its leader, and children of one task in their order
 * @max: places in @to
 *
 * Return: how many there are; -ENOSPC if there are more than @max.
 */
int checkpoint_tree_find(struct task_struct *root, struct task_struct **to,
			 unsigned int max)
{
	struct task_struct *child;
	unsigned int nr = 0, i;
	bool fits;

	read_lock(&tasklist_lock);
	fits = found_process(root, to, max, &nr);
	for (i = 0; fits && i < nr; i++) {
		list_for_each_entry(child, &to[i]->children, sibling) {
			fits = found_process(child, to, max, &nr);
			if (!fits)
				break;
		}
	}
	read_unlock(&tasklist_lock);
	if (fits)
		return nr;
	while (nr)
		put_task_struct(to[--nr]);
	return -ENOSPC;
}

/**
 * checkpoint_kin_get - tell how a task is related to others
 * @task: the task, which stands still or has ended
 * @to: filled in
 */
void checkpoint_kin_get(struct task_struct *task, struct checkpoint_kin *to)
{
	struct pid_namespace *ns;

	*to = (struct checkpoint_kin){};
	rcu_read_lock();
	ns = task_active_pid_ns(task);
	if (ns) {
		to->pid = task_pid_nr_ns(task, ns);
		to->tgid = task_tgid_nr_ns(task, ns);
		to->pgid = task_pgrp_nr_ns(task, ns);
		to->sid = task_session_nr_ns(task, ns);
	}
	to->pid_ns = (unsigned long)ns;
	to->leader = (unsigned long)task->group_leader;
	to->parent = (unsigned long)rcu_dereference(task->real_parent);
	to->sighand = (unsigned long)rcu_access_pointer(task->sighand);
	to->exit_state = READ_ONCE(task->exit_state);
	if (to->exit_state)
		to->exit_code = READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT ?
			READ_ONCE(task->signal->group_exit_code) :
			READ_ONCE(task->exit_code);
	rcu_read_unlock();

	task_lock(task);
	to->mm = (unsigned long)task->mm;
	to->files = (unsigned long)task->files;
	to->fs = (unsigned long)task->fs;
	task_unlock(task);
}

/* Tells whether @task has ended, so far that nothing of it changes any more. */
bool checkpoint_has_ended(struct task_struct *task)
{
	return smp_load_acquire(&task->exit_state);
}

/**
 * checkpoint_pid_taken - tell whether anything has a number
 * @nr: the number, in the pid namespace of the caller
 * @by: gets the task that has it, with a reference; NULL if it is that of a
 *	process group or a session only
 */
bool checkpoint_pid_taken(pid_t nr, struct task_struct **by)
{
	struct pid *pid;

	guard(rcu)();
	pid = find_vpid(nr);
	*by = get_pid_task(pid, PIDTYPE_PID);
	return pid;
}

/*
 * Tasks that are being saved
 */

static DEFINE_HASHTABLE(claims, 8);
static DEFINE_SPINLOCK(claims_lock);

/**
 * checkpoint_claim - keep other checkpoints away from a task
 * @claim: who claims it
 * @task: the task
 *
 * Return: whether nobody else has, and checkpoint_unclaim() is to follow.
 */
bool checkpoint_claim(struct checkpoint_claim *claim, struct task_struct *task)
{
	struct checkpoint_claim *other;

	guard(spinlock)(&claims_lock);
	hash_for_each_possible(claims, other, node, (unsigned long)task)
		if (other->task == task)
			return false;
	claim->task = task;
	hash_add(claims, &claim->node, (unsigned long)task);
	return true;
}

void checkpoint_unclaim(struct checkpoint_claim *claim)
{
	guard(spinlock)(&claims_lock);
	hash_del(&claim->node);
}

/*
 * Making a tree
 */

static void put_worker(struct checkpoint_worker *worker)
{
	if (!refcount_dec_and_test(&worker->refs))
		return;
	if (worker->task)
		put_task_struct(worker->task);
	kfree(worker);
}

static void put_gate(struct checkpoint_gate *gate)
{
	if (refcount_dec_and_test(&gate->refs))
		kfree(gate);
}

/* Not killable: whoever drives the worker ends it. */
static void worker_wait(struct completion *what)
{
	wait_for_completion_state(what, TASK_IDLE | TASK_FREEZABLE);
}

/* Counts one that is ready for user mode, and waits for the others. */
static void pass_gate(struct checkpoint_gate *gate)
{
	if (atomic_dec_and_test(&gate->left))
		complete_all(&gate->open);
	else
		worker_wait(&gate->open);

	/* Others have added signals that any thread may take. */
	spin_lock_irq(&current->sighand->siglock);
	recalc_sigpending();
	spin_unlock_irq(&current->sighand->siglock);
}

/* ret_from_fork() has a result of its own for a new task: this comes after it. */
static void worker_result(struct callback_head *work)
{
	struct checkpoint_worker *worker =
		container_of(work, struct checkpoint_worker, work);

	checkpoint_set_syscall_result(worker->result);
	put_worker(worker);
}

static int worker_main(void *data)
{
	struct checkpoint_worker *worker = data;

	smp_store_release(&worker->task, get_task_struct(current));
	for (;;) {
		worker->run(worker->arg);
		if (worker->next != CHECKPOINT_WORKER_RUN)
			break;
		complete(&worker->done);
		worker_wait(&worker->ready);
	}

	if (worker->next == CHECKPOINT_WORKER_EXIT) {
		int code = worker->code;

		put_worker(worker);
		do_exit(code);
	}

	pass_gate(worker->gate);
	put_gate(worker->gate);
	worker->result = regs_return_value(current_pt_regs());
	init_task_work(&worker->work, worker_result);
	if (task_work_add(current, &worker->work, TWA_RESUME))
		put_worker(worker);
	return 0;
}

/* What kills the current task ends what it waits for. */
static void await_worker(struct checkpoint_worker *worker)
{
	if (!wait_for_completion_state(&worker->done, TASK_KILLABLE | TASK_FREEZABLE))
		return;
	/* Of one that has not come to run, the first step is short. */
	if (smp_load_acquire(&worker->task))
		send_sig(SIGKILL, worker->task, 1);
	worker_wait(&worker->done);
}

/**
 * checkpoint_worker_create - make a child or another thread of the current task
 * @flags: CLONE_*
 * @pid: its number in the innermost pid namespace, 0 for one that is free
 * @run: called in the new task before this returns; the task sleeps then
 * @arg: for @run
 *
 * The task sends no signal to its parent when it ends.
 *
 * Return: the task, for checkpoint_worker_abort(), checkpoint_worker_exit() or
 * checkpoint_worker_release(), or the error of clone3(2).
 */
struct checkpoint_worker *checkpoint_worker_create(u64 flags, pid_t pid,
						   void (*run)(void *arg), void *arg)
{
	struct kernel_clone_args args = {
		.flags = flags | CLONE_UNTRACED,
		.fn = worker_main,
		.set_tid = pid ? &pid : NULL,
		.set_tid_size = pid ? 1 : 0,
	};
	struct checkpoint_worker *worker;
	sigset_t blocked = current->blocked, all;
	bool lam = checkpoint_lam_locked();
	pid_t ret;

	worker = kzalloc_obj(*worker, GFP_KERNEL_ACCOUNT);
	if (!worker)
		return ERR_PTR(-ENOMEM);
	refcount_set(&worker->refs, 2);
	init_completion(&worker->ready);
	init_completion(&worker->done);
	worker->run = run;
	worker->arg = arg;
	args.fn_arg = worker;

	/* A signal would end the call, and the new task shall see none. */
	sigfillset(&all);
	set_current_blocked(&all);
	ret = kernel_clone(&args);
	set_current_blocked(&blocked);
	if (ret < 0) {
		kfree(worker);
		return ERR_PTR(ret == -ERESTARTNOINTR ? -EINTR : ret);
	}
	if (!lam)
		checkpoint_lam_unlock();
	await_worker(worker);
	return worker;
}

/* Has a worker do something else, and waits for the end of that. */
void checkpoint_worker_run(struct checkpoint_worker *worker,
			   void (*run)(void *arg), void *arg)
{
	worker->run = run;
	worker->arg = arg;
	complete(&worker->ready);
	await_worker(worker);
}

/*
 * Waits until nothing of a worker that exits is left but, of a leader, a zombie.
 * That is soon: it has nothing that is not somebody else's, too.
 */
static void await_end(struct task_struct *task)
{
	while (thread_group_leader(task) ? READ_ONCE(task->exit_state) != EXIT_ZOMBIE :
					   pid_alive(task))
		usleep_range(20, 50);
}

/**
 * checkpoint_worker_exit - let a worker end, as a zombie if it leads its group
 * @worker: the worker, which must not be used again
 * @run: called in it before
 * @arg: for @run
 * @code: as wait4(2) is going to report it
 * @exit_signal: which signal that is with; none is sent
 */
void checkpoint_worker_exit(struct checkpoint_worker *worker,
			    void (*run)(void *arg), void *arg, int code,
			    int exit_signal)
{
	struct task_struct *task = worker->task;

	worker->run = run;
	worker->arg = arg;
	worker->code = code;
	worker->next = CHECKPOINT_WORKER_EXIT;
	complete(&worker->ready);
	await_end(task);
	if (thread_group_leader(task)) {
		write_lock_irq(&tasklist_lock);
		task->exit_signal = exit_signal;
		write_unlock_irq(&tasklist_lock);
	}
	put_worker(worker);
}

/**
 * checkpoint_worker_abort - undo checkpoint_worker_create()
 * @worker: the worker, which has no children and is no leader of other threads
 * @run: called in it before it ends
 * @arg: for @run
 *
 * Nobody is told of its end, and what it has used up counts for nobody.
 */
void checkpoint_worker_abort(struct checkpoint_worker *worker,
			     void (*run)(void *arg), void *arg)
{
	struct task_struct *task = get_task_struct(worker->task);

	checkpoint_worker_exit(worker, run, arg, 0, 0);
	/* As wait4(2): only one can do this. */
	if (thread_group_leader(task) &&
	    cmpxchg(&task->exit_state, EXIT_ZOMBIE, EXIT_DEAD) == EXIT_ZOMBIE)
		release_task(task);
	put_task_struct(task);
}

/* A gate that opens when the caller and @nr workers have come to it. */
struct checkpoint_gate *checkpoint_gate_create(unsigned int nr)
{
	struct checkpoint_gate *gate = kzalloc_obj(*gate, GFP_KERNEL_ACCOUNT);

	if (!gate)
		return NULL;
	atomic_set(&gate->left, nr + 1);
	refcount_set(&gate->refs, 1);
	init_completion(&gate->open);
	return gate;
}

/**
 * checkpoint_worker_release - let a worker go to user mode
 * @worker: the worker, which must not be used again
 * @run: called in it, at once
 * @arg: for @run
 * @gate: where it waits after that
 */
void checkpoint_worker_release(struct checkpoint_worker *worker,
			       void (*run)(void *arg), void *arg,
			       struct checkpoint_gate *gate)
{
	refcount_inc(&gate->refs);
	worker->gate = gate;
	worker->run = run;
	worker->arg = arg;
	worker->next = CHECKPOINT_WORKER_RELEASE;
	complete(&worker->ready);
	put_worker(worker);
}

/* Passes a gate, which must not be used again, and drops it. */
void checkpoint_gate_pass(struct checkpoint_gate *gate)
{
	pass_gate(gate);
	put_gate(gate);
}

/* Drops a gate that nobody was sent to. */
void checkpoint_gate_drop(struct checkpoint_gate *gate)
{
	put_gate(gate);
}

/* The signal that the current task sends its parent when it ends. */
void checkpoint_exit_signal_set(int signal)
{
	write_lock_irq(&tasklist_lock);
	current->exit_signal = signal;
	write_unlock_irq(&tasklist_lock);
}

/* Gives @task, a worker, the namespaces of the caller. */
void checkpoint_share_namespaces(struct task_struct *task)
{
	struct nsproxy *own = current->nsproxy;

	if (task->nsproxy == own)
		return;
	get_nsproxy(own);
	switch_task_namespaces(task, own);
}

/**
 * checkpoint_join_jobs - make a process one of a group and a session
 * @task: the leader of the process, a worker
 * @group: a task of the process that led or leads the group, or is one of it
 * @group_leads: whether it is the first
 * @session: likewise for the session
 * @session_leads: likewise
 */
void checkpoint_join_jobs(struct task_struct *task, struct task_struct *group,
			  bool group_leads, struct task_struct *session,
			  bool session_leads)
{
	struct pid *pids[PIDTYPE_MAX] = {};
	struct pid *pgrp, *sid;

	write_lock_irq(&tasklist_lock);
	pgrp = group_leads ? task_pid(group) : task_pgrp(group);
	sid = session_leads ? task_pid(session) : task_session(session);
	if (task_session(task) != sid) {
		change_pid(pids, task, PIDTYPE_SID, sid);
		/* A terminal comes with the session. */
		spin_lock(&task->sighand->siglock);
		task->signal->leader = session_leads && session == task;
		if (task->signal->tty) {
			tty_kref_put(task->signal->tty);
			task->signal->tty = NULL;
		}
		spin_unlock(&task->sighand->siglock);
	}
	if (task_pgrp(task) != pgrp)
		change_pid(pids, task, PIDTYPE_PGID, pgrp);
	write_unlock_irq(&tasklist_lock);
	free_pids(pids);
}
