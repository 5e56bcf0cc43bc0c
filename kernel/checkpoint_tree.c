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
#include <linux/freezer.h>
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
 * checkpoint_process_of - get the process of a task
 * @task: the task
 *
 * An execve(2) of another thread gives the process another leader; this stays.
 *
 * Return: a reference; NULL if the process is gone.
 */
struct pid *checkpoint_process_of(struct task_struct *task)
{
	return get_task_pid(task, PIDTYPE_TGID);
}

/* The process that has a task with a number in the pid namespace of the caller. */
struct pid *checkpoint_process_find(pid_t nr)
{
	struct task_struct *task;

	guard(rcu)();
	task = find_task_by_vpid(nr);
	return task ? get_task_pid(task, PIDTYPE_TGID) : NULL;
}

/**
 * checkpoint_tree_find - find a process and all that it has descended to
 * @process: the process
 * @to: gets the tasks, with references: each after its parent, the threads of a
 *	process behind its leader, and children of one task in their order
 * @max: places in @to
 *
 * Return: how many there are; -ENOSPC if there are more than @max, -ESRCH if the
 * process is gone.
 */
int checkpoint_tree_find(struct pid *process, struct task_struct **to,
			 unsigned int max)
{
	struct task_struct *root, *child;
	unsigned int nr = 0, i;
	bool fits;

	read_lock(&tasklist_lock);
	root = pid_task(process, PIDTYPE_TGID);
	fits = !root || found_process(root, to, max, &nr);
	for (i = 0; fits && i < nr; i++) {
		list_for_each_entry(child, &to[i]->children, sibling) {
			fits = found_process(child, to, max, &nr);
			if (!fits)
				break;
		}
	}
	read_unlock(&tasklist_lock);
	if (fits)
		return nr ?: -ESRCH;
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
	if (thread_group_leader(task))
		to->flags = checkpoint_job_flags(task);

	task_lock(task);
	to->mm = (unsigned long)task->mm;
	to->files = (unsigned long)task->files;
	to->fs = (unsigned long)task->fs;
#ifdef CONFIG_SYSVIPC
	to->sysvsem = (unsigned long)task->sysvsem.undo_list;
#endif
	task_unlock(task);
}

/* Tells whether @task has ended, so far that nothing of it changes any more. */
bool checkpoint_has_ended(struct task_struct *task)
{
	/* What it did before is seen by who sees that. */
	return smp_load_acquire(&task->exit_state);
}

/*
 * Tells whether @task has been killed: it is going to end without coming to user
 * mode again, even if that takes a while, as a core dump does.
 */
bool checkpoint_is_killed(struct task_struct *task)
{
	return READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT ||
	       __fatal_signal_pending(task);
}

/**
 * checkpoint_rest_of - tell whether a task stands still at the edge of user mode
 * @task: the task, which has been asked to
 * @arrived: whether it has come
 *
 * Return: CHECKPOINT_REST_*.
 */
int checkpoint_rest_of(struct task_struct *task, bool arrived)
{
	unsigned int state = arrived ? TASK_UNINTERRUPTIBLE : __TASK_STOPPED;

	/*
	 * A state that does not match, as that of a task which has not come to
	 * its sleep yet, is an answer at once; for one that is frozen this would
	 * wait until it thaws, were that not asked for, too.
	 */
	if (!wait_task_inactive(task, state | TASK_FROZEN))
		return CHECKPOINT_REST_NONE;
	/* Stopped by job control, or at the place for the frozen in get_signal(). */
	if (arrived || READ_ONCE(task->jobctl) & (JOBCTL_STOPPED | CHECKPOINT_JOBCTL_EDGE))
		return CHECKPOINT_REST_EDGE;
	/* The freezer catches many that wait in a system call right there. */
	return frozen(task) ? CHECKPOINT_REST_MIDWAY : CHECKPOINT_REST_NONE;
}

/*
 * Sleepers
 *
 * A task that waits for a futex or a signal for as long as it takes need not come to
 * the edge of user mode to stand still: the way there is through no code of the call but
 * what returns -ERESTART*. So its registers have that value as long as it is looked at,
 * and it sleeps on. What it has is that of a task which was interrupted. Whoever wakes it
 * up from then on has it come to the edge, where its task work is.
 */

/* With the lock of its queue, where it has one: it sleeps as long as this looks at it. */
static long sleep_result(struct task_struct *task)
{
	if (!(READ_ONCE(task->__state) & TASK_INTERRUPTIBLE) || task_curr(task))
		return 0;
	return checkpoint_sleep_result(task);
}

static int sleeps(struct task_struct *task, void *unused)
{
	return sleep_result(task) != 0;
}

/* Tells whether @task sleeps in a system call in which it can be left. */
bool checkpoint_sleeps(struct task_struct *task)
{
	return task_call_func(task, sleeps, NULL);
}

static int sleep_begin(struct task_struct *task, void *unused)
{
	long result = sleep_result(task);

	/* Without it, it is running it. */
	if (!result || !task_work_pending(task))
		return false;
	checkpoint_sleep_result_set(task, result);
	return true;
}

/**
 * checkpoint_sleep_begin - have a task that sleeps look as if it had been interrupted
 * @task: the task, which has task work to be stopped by
 *
 * Return: whether @task sleeps as checkpoint_sleeps() says. checkpoint_sleep_end() is to
 * follow then, before the task work is taken back or lets it go.
 */
bool checkpoint_sleep_begin(struct task_struct *task)
{
	return task_call_func(task, sleep_begin, NULL);
}

static int sleep_end(struct task_struct *task, void *unused)
{
	/*
	 * What runs is about to get, or has got, the real one. So has what has come to
	 * run its task work, where it may sleep again.
	 */
	if (READ_ONCE(task->__state) & (TASK_INTERRUPTIBLE | TASK_FROZEN) &&
	    !task_curr(task) && task_work_pending(task))
		checkpoint_sleep_result_set(task, -ENOSYS);
	return 0;
}

/* Ends that. */
void checkpoint_sleep_end(struct task_struct *task)
{
	task_call_func(task, sleep_end, NULL);
}

/* Interrupts a task, to have it run its task work. */
void checkpoint_rouse(struct task_struct *task)
{
	set_notify_signal(task);
}

/*
 * Freezes the current task in get_signal(), where nothing of the kernel is in the
 * middle of anything: its task work is run before anything else when it thaws.
 */
void checkpoint_freeze(void)
{
	spin_lock_irq(&current->sighand->siglock);
	current->jobctl |= CHECKPOINT_JOBCTL_EDGE;
	spin_unlock_irq(&current->sighand->siglock);
	try_to_freeze();
	spin_lock_irq(&current->sighand->siglock);
	current->jobctl &= ~CHECKPOINT_JOBCTL_EDGE;
	spin_unlock_irq(&current->sighand->siglock);
}

/* Tells whether @child ends what vfork(2) of @task waits for. Takes task_lock(). */
static bool vforks(struct task_struct *task, struct task_struct *child)
{
	unsigned long done, stack;

	if (!READ_ONCE(child->vfork_done))
		return false;
	task_lock(child);
	done = (unsigned long)child->vfork_done;
	task_unlock(child);
	stack = (unsigned long)task_stack_page(task);
	return stack && done - stack < THREAD_SIZE;
}

/**
 * checkpoint_vfork_child - find what the vfork(2) of a task waits for
 * @task: the task, which lives and is not current
 *
 * Unless the child has told that it is done, @task is between making it and waiting.
 *
 * Return: the child, which may be another thread or of the same parent; NULL if @task
 * does not wait for any. It is a mere name.
 */
struct task_struct *checkpoint_vfork_child(struct task_struct *task)
{
	const unsigned int state = READ_ONCE(task->__state) | READ_ONCE(task->saved_state);
	struct task_struct *child, *found = NULL;

	/* Few do, and this is asked of all. */
	if (!(state & TASK_UNINTERRUPTIBLE))
		return NULL;
	read_lock(&tasklist_lock);
	/* Whatever it has made is there, as long as it is. */
	if (!pid_alive(task))
		goto out;
	list_for_each_entry(child, &task->children, sibling)
		if (vforks(task, child))
			found = child;
	list_for_each_entry(child, &task->real_parent->children, sibling)
		if (!found && vforks(task, child))
			found = child;
	for_each_thread(task, child)
		if (!found && vforks(task, child))
			found = child;
out:
	read_unlock(&tasklist_lock);
	return found;
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
 * Tasks that are being saved, or restarted
 */

static DEFINE_HASHTABLE(claims, 8);
static DEFINE_SPINLOCK(claims_lock);

static void claim_add(struct checkpoint_claim *claim, struct task_struct *task, bool restart)
{
	claim->task = task;
	claim->restart = restart;
	hash_add(claims, &claim->node, (unsigned long)task);
}

/**
 * checkpoint_claim - keep checkpoints, other checkpoints, away from a task
 * @claim: who claims it
 * @task: the task
 * @restart: whether it is being restarted
 *
 * Return: 0, and checkpoint_unclaim() is to follow; -EBUSY if a checkpoint has
 * claimed it, -EAGAIN if a restart has.
 */
int checkpoint_claim(struct checkpoint_claim *claim, struct task_struct *task, bool restart)
{
	struct checkpoint_claim *other;

	guard(spinlock)(&claims_lock);
	hash_for_each_possible(claims, other, node, (unsigned long)task)
		if (other->task == task)
			return other->restart ? -EAGAIN : -EBUSY;
	claim_add(claim, task, restart);
	return 0;
}

/* Ends that; there may have been none. */
void checkpoint_unclaim(struct checkpoint_claim *claim)
{
	guard(spinlock)(&claims_lock);
	if (hash_hashed(&claim->node))
		hash_del(&claim->node);
}

/* Has the current task do its system call again, behind its task work. */
void checkpoint_restart_syscall(void)
{
	set_notify_signal(current);
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
	if (!refcount_dec_and_test(&gate->refs))
		return;
	if (gate->ending)
		put_task_struct(gate->ending);
	kfree(gate);
}

/* Not killable: whoever drives the worker ends it. */
static void worker_wait(struct completion *what)
{
	wait_for_completion_state(what, TASK_IDLE | TASK_FREEZABLE);
}

/* Counts one that has become what the image says. */
static void gate_ready(struct checkpoint_gate *gate)
{
	if (atomic_dec_and_test(&gate->left))
		complete_all(&gate->ready);
}

/* Counts one that has begun what it had to when all were ready. */
static void gate_started(struct checkpoint_gate *gate)
{
	if (atomic_dec_and_test(&gate->starting))
		complete_all(&gate->open);
}

/*
 * Waits for the end of the caller, which comes soon, and which no one tells of. Others
 * wait for the first that looks.
 */
static void await_caller(struct checkpoint_gate *gate)
{
	if (atomic_xchg(&gate->watched, 1)) {
		worker_wait(&gate->ended);
		return;
	}
	while (!checkpoint_has_ended(gate->ending))
		usleep_range_state(20, 50, TASK_IDLE | TASK_FREEZABLE);
	complete_all(&gate->ended);
}

/* Waits until all may go to user mode. */
static void pass_gate(struct checkpoint_gate *gate)
{
	worker_wait(&gate->open);
	if (gate->ending && gate->ending != current)
		await_caller(gate);

	/* Others have added signals that any thread may take. */
	spin_lock_irq(&current->sighand->siglock);
	recalc_sigpending();
	/* The parent is yet to be told, by get_signal(). */
	if (current->signal->flags & SIGNAL_CLD_MASK)
		set_tsk_thread_flag(current, TIF_SIGPENDING);
	spin_unlock_irq(&current->sighand->siglock);
}

/* Has @child, which has not passed the gate, tell at its execve(2) or its end. */
static void vfork_begin(struct task_struct *child, struct completion *vfork)
{
	init_completion(vfork);
	task_lock(child);
	child->vfork_done = vfork;
	task_unlock(child);
}

/* Goes on with vfork(2), and returns what that returns. Drops the reference. */
static pid_t vfork_end(struct task_struct *child, struct completion *vfork)
{
	pid_t pid = task_pid_vnr(child);

	wait_for_vfork_done(child, vfork);
	return pid;
}

/* ret_from_fork() has a result of its own for a new task: this comes after it. */
static void worker_result(struct callback_head *work)
{
	struct checkpoint_worker *worker =
		container_of(work, struct checkpoint_worker, work);

	checkpoint_set_syscall_result(worker->result);
	put_worker(worker);
}

/* Ends, when all are ready if there is a gate. */
static void __noreturn worker_exit(struct checkpoint_worker *worker)
{
	struct checkpoint_gate *gate = worker->gate;
	int code = worker->code;

	if (gate) {
		gate_ready(gate);
		worker_wait(&gate->ready);
		put_gate(gate);
	}
	worker->start(worker->arg);
	checkpoint_unclaim(&worker->claim);
	put_worker(worker);
	do_exit(code);
}

/*
 * An allocation of the driver that is to fail (Documentation/fault-injection) may be one
 * of those that a worker makes while it waits.
 */
static void pass_fault(struct checkpoint_worker *worker)
{
#ifdef CONFIG_FAULT_INJECTION
	if (worker->next == CHECKPOINT_WORKER_RUN)
		swap(current->fail_nth, worker->driver->fail_nth);
#endif
}

static int worker_main(void *data)
{
	struct checkpoint_worker *worker = data;
	struct checkpoint_gate *gate;
	struct task_struct *child;
	struct completion vfork;

	/* If somebody was faster, that waits until this is in user mode. */
	checkpoint_claim(&worker->claim, current, true);
	/* Of its maker, which may have become a program of 32 bits. */
	if (thread_group_leader(current))
		clear_thread_flag(TIF_ADDR32);
	/* Pairs with that of who kills it. */
	smp_store_release(&worker->task, get_task_struct(current));
	for (;;) {
		pass_fault(worker);
		worker->run(worker->arg);
		pass_fault(worker);
		if (worker->next != CHECKPOINT_WORKER_RUN)
			break;
		complete(&worker->done);
		worker_wait(&worker->ready);
	}

	if (worker->next == CHECKPOINT_WORKER_EXIT)
		worker_exit(worker);

	gate = worker->gate;
	child = worker->vfork;
	if (!worker->starts)
		worker->start(worker->arg);
	gate_ready(gate);
	if (worker->starts) {
		worker_wait(&gate->ready);
		worker->start(worker->arg);
		if (child)
			vfork_begin(child, &vfork);
		gate_started(gate);
	}
	pass_gate(gate);
	put_gate(gate);
	checkpoint_unclaim(&worker->claim);
	worker->result = regs_return_value(current_pt_regs());
	if (child)
		worker->result = vfork_end(child, &vfork);
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
	/* It is known by its task as soon as it has come to run. */
	while (!smp_load_acquire(&worker->task))
		schedule_timeout_idle(1);
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
	worker->driver = current;
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
	worker->driver = current;
	complete(&worker->ready);
	await_worker(worker);
}

/*
 * Tells whether nothing is left of a task that is about to end, for which it does
 * what wait4(2) does. Who traces it, which can have begun at any time, is not
 * waited for, and learns nothing.
 */
static bool bury(struct task_struct *task)
{
	bool is_zombie;

	write_lock_irq(&tasklist_lock);
	is_zombie = task->exit_state == EXIT_ZOMBIE;
	if (is_zombie)
		task->exit_state = EXIT_DEAD;
	write_unlock_irq(&tasklist_lock);
	if (is_zombie)
		release_task(task);
	return is_zombie || !pid_alive(task);
}

/**
 * checkpoint_worker_leave - let a worker end when all others are ready
 * @worker: the worker, for checkpoint_worker_left(), which leads its group
 * @run: called in it, at once
 * @start: called in it when all others are ready
 * @arg: for both
 * @code: as wait4(2) is going to report it
 * @gate: what the others pass
 */
void checkpoint_worker_leave(struct checkpoint_worker *worker, void (*run)(void *arg),
			     void (*start)(void *arg), void *arg, int code,
			     struct checkpoint_gate *gate)
{
	if (gate)
		refcount_inc(&gate->refs);
	worker->gate = gate;
	worker->run = run;
	worker->start = start;
	worker->arg = arg;
	worker->code = code;
	worker->next = CHECKPOINT_WORKER_EXIT;
	complete(&worker->ready);
}

/**
 * checkpoint_worker_left - wait for the end of a worker
 * @worker: the worker, which must not be used again
 * @exit_signal: which signal its end is told with; none is sent
 * @flags: CR_TASK_*
 * @stats: what it had used up, NULL if that is counted already
 * @others: what others had that count for it
 */
void checkpoint_worker_left(struct checkpoint_worker *worker, int exit_signal, u32 flags,
			    const struct cr_hdr_task_stats *stats,
			    const struct cr_hdr_usage *others)
{
	struct task_struct *task = get_task_struct(worker->task);

	put_worker(worker);
	/*
	 * That is soon: it has nothing that is not somebody else's, too. A thread
	 * leaves nothing.
	 */
	while (READ_ONCE(task->exit_state) != EXIT_ZOMBIE &&
	       (thread_group_leader(task) || pid_alive(task)))
		usleep_range(20, 50);
	if (thread_group_leader(task)) {
		/* The last of its time is counted when it has left the processor. */
		while (!wait_task_inactive(task, TASK_DEAD))
			usleep_range(20, 50);
		if (stats)
			checkpoint_usage_set(task, stats, others, true);
		checkpoint_end_set(task, exit_signal, flags);
	}
	put_task_struct(task);
}

/**
 * checkpoint_worker_exit - let a worker end, as a zombie if it leads its group
 * @worker: the worker, which must not be used again
 * @run: called in it before
 * @start: called in it behind @run
 * @arg: for both
 * @code: as wait4(2) is going to report it
 * @exit_signal: which signal that is with; none is sent
 * @flags: CR_TASK_*
 * @stats: what it had used up
 * @others: what others had that count for it
 */
void checkpoint_worker_exit(struct checkpoint_worker *worker, void (*run)(void *arg),
			    void (*start)(void *arg), void *arg, int code,
			    int exit_signal, u32 flags,
			    const struct cr_hdr_task_stats *stats,
			    const struct cr_hdr_usage *others)
{
	checkpoint_worker_leave(worker, run, start, arg, code, NULL);
	checkpoint_worker_left(worker, exit_signal, flags, stats, others);
}

/* Nothing is to begin. */
static void no_start(void *arg)
{
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

	checkpoint_worker_leave(worker, run, no_start, arg, 0, NULL);
	put_worker(worker);
	while (!bury(task))
		usleep_range(20, 50);
	put_task_struct(task);
}

/* A gate that opens when the caller and @nr workers have come to it. */
struct checkpoint_gate *checkpoint_gate_create(unsigned int nr)
{
	struct checkpoint_gate *gate = kzalloc_obj(*gate, GFP_KERNEL_ACCOUNT);

	if (!gate)
		return NULL;
	atomic_set(&gate->left, nr + 1);
	atomic_set(&gate->starting, 1);
	refcount_set(&gate->refs, 1);
	init_completion(&gate->ready);
	init_completion(&gate->open);
	init_completion(&gate->ended);
	return gate;
}

/**
 * checkpoint_worker_release - let a worker go to user mode
 * @worker: the worker, which must not be used again
 * @run: called in it, at once
 * @start: called in it after that
 * @arg: for both
 * @starts: @start is to be called when all others are ready
 * @vfork: the task that its system call waits for, a worker that goes to user mode,
 *	too; NULL if it does not. Otherwise @starts is true.
 * @gate: where it waits
 */
void checkpoint_worker_release(struct checkpoint_worker *worker, void (*run)(void *arg),
			       void (*start)(void *arg), void *arg, bool starts,
			       struct task_struct *vfork, struct checkpoint_gate *gate)
{
	refcount_inc(&gate->refs);
	if (starts)
		atomic_inc(&gate->starting);
	worker->gate = gate;
	worker->run = run;
	worker->start = start;
	worker->arg = arg;
	worker->starts = starts;
	worker->vfork = vfork ? get_task_struct(vfork) : NULL;
	worker->next = CHECKPOINT_WORKER_RELEASE;
	complete(&worker->ready);
	put_worker(worker);
}

/* Waits until all workers have become what the image says, as the caller has. */
void checkpoint_gate_ready(struct checkpoint_gate *gate)
{
	gate_ready(gate);
	worker_wait(&gate->ready);
}

/*
 * Lets the caller go on with vfork(2) when restart(2) is over, and has given back all
 * that it had of the image.
 */
static void caller_vforks(struct callback_head *work)
{
	struct checkpoint_gate *gate = container_of(work, struct checkpoint_gate, work);
	struct task_struct *child = gate->vfork;
	const pid_t pid = task_pid_vnr(child);
	struct completion done;
	bool waits;

	/* On the stack is where checkpoint_vfork_child() looks. */
	init_completion(&done);
	task_lock(child);
	waits = child->vfork_done == &gate->vfork_done;
	if (waits)
		child->vfork_done = &done;
	task_unlock(child);
	put_gate(gate);
	if (waits)
		wait_for_vfork_done(child, &done);
	else
		put_task_struct(child);
	checkpoint_set_syscall_result(pid);
}

/**
 * checkpoint_gate_pass - let all go
 * @gate: the gate, with which all are ready; it must not be used again
 * @vfork: the task that the system call of the caller waits for, NULL if it does not.
 *	The caller waits where it would go to user mode.
 */
void checkpoint_gate_pass(struct checkpoint_gate *gate, struct task_struct *vfork)
{
	if (vfork) {
		gate->vfork = get_task_struct(vfork);
		vfork_begin(vfork, &gate->vfork_done);
		init_task_work(&gate->work, caller_vforks);
		refcount_inc(&gate->refs);
		/* The caller does not exit. */
		WARN_ON_ONCE(task_work_add(current, &gate->work, TWA_RESUME));
	}
	gate_started(gate);
	pass_gate(gate);
	put_gate(gate);
}

static void caller_ends(struct callback_head *work)
{
	struct checkpoint_gate *gate = container_of(work, struct checkpoint_gate, work);
	int code = gate->code;

	checkpoint_unclaim(&gate->claim);
	put_gate(gate);
	do_exit(code);
}

/**
 * checkpoint_gate_end - let the caller end where it would go to user mode
 * @gate: the gate, which is passed after this: nobody else does before that end
 * @code: how it ends; if other threads of its process live, that is seen in /proc only
 *
 * Up to then it is what it was made of, so that it must not be saved.
 */
void checkpoint_gate_end(struct checkpoint_gate *gate, int code)
{
	gate->code = code;
	gate->ending = get_task_struct(current);
	/* Besides that of restart(2), which ends before. */
	scoped_guard(spinlock, &claims_lock)
		claim_add(&gate->claim, current, true);
	init_task_work(&gate->work, caller_ends);
	refcount_inc(&gate->refs);
	/* The caller does not exit. */
	WARN_ON_ONCE(task_work_add(current, &gate->work, TWA_RESUME));
}

/* Drops a gate that nobody was sent to. */
void checkpoint_gate_drop(struct checkpoint_gate *gate)
{
	put_gate(gate);
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
