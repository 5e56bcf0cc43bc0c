// SPDX-License-Identifier: GPL-2.0
/*
 * What semop(2) with SEM_UNDO has left to undo: lists of it, and how it is done again.
 *
 * Locking: none is held here. A list and the sets in it change at any time, by
 * semctl(2) of others.
 */
#include <linux/checkpoint.h>
#include <linux/ipc_namespace.h>
#include <linux/nsproxy.h>
#include <linux/sched/signal.h>
#include <linux/sem.h>
#include <linux/syscalls.h>

#ifdef CONFIG_SYSVIPC

/* Whether there is something to undo when @task ends. */
bool checkpoint_undo_pending(struct task_struct *task)
{
	return sem_undo_pending(task);
}

/* How many tasks have the list for SEM_UNDO of @task, which stands still. */
unsigned int checkpoint_undo_users(struct task_struct *task)
{
	return sem_undo_users(task);
}

/**
 * checkpoint_undo_share - give current the list for SEM_UNDO of another task
 * @from: the task, which does nothing meanwhile; current for a list of its own
 *
 * Return: 0, -EINVAL if @from has none, -ENOMEM, -EOPNOTSUPP.
 */
int checkpoint_undo_share(struct task_struct *from)
{
	return sem_undo_share(from);
}

/**
 * checkpoint_undo_next - find the next set of semaphores in a list for SEM_UNDO
 * @task: who has the list, and stands still
 * @semid: the number of the one before, -1 for the first
 *
 * Return: the number of the set, -1 behind the last.
 */
int checkpoint_undo_next(struct task_struct *task, int semid)
{
	return sem_undo_next(task, semid);
}

/**
 * checkpoint_undo_look - tell what a set of semaphores is, and what there is to undo
 * @task: who has a list for SEM_UNDO, and stands still, or current
 * @semid: the number of the set
 * @to: filled in, but for @nr_adjs
 * @semadj: gets what is added to each semaphore in the end; NULL if nobody asks
 * @nr: places in @semadj
 *
 * Return: 0; -EIDRM if there is no such set, or not in the list; -ENOSPC if it has
 * more than @nr semaphores; -EINTR on a fatal signal.
 */
int checkpoint_undo_look(struct task_struct *task, int semid, struct cr_hdr_sem_undo *to,
			 short *semadj, unsigned int nr)
{
	/* A list may have as many sets as there are. */
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	return sem_undo_look(task, semid, to, semadj, nr);
}

/**
 * checkpoint_undo_take - do with a semaphore what is undone when current ends
 * @semid: the number of the set
 * @sem_num: the number of the semaphore
 * @sem_op: what is added to its value
 *
 * Return: what semop(2) with SEM_UNDO and IPC_NOWAIT does; -EINTR on a fatal signal.
 */
int checkpoint_undo_take(int semid, unsigned short sem_num, short sem_op)
{
	struct sembuf op = {
		.sem_num = sem_num,
		.sem_op = sem_op,
		.sem_flg = SEM_UNDO | IPC_NOWAIT,
	};

	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	return __do_semtimedop(semid, &op, 1, NULL, current->nsproxy->ipc_ns);
}

/* Takes its list from current. What is in it is undone, if nobody else has it. */
void checkpoint_undo_drop(void)
{
	exit_sem(current);
}

#else /* CONFIG_SYSVIPC */

bool checkpoint_undo_pending(struct task_struct *task)
{
	return false;
}

unsigned int checkpoint_undo_users(struct task_struct *task)
{
	return 0;
}

int checkpoint_undo_share(struct task_struct *from)
{
	return -EOPNOTSUPP;
}

int checkpoint_undo_next(struct task_struct *task, int semid)
{
	return -1;
}

int checkpoint_undo_look(struct task_struct *task, int semid, struct cr_hdr_sem_undo *to,
			 short *semadj, unsigned int nr)
{
	return -EIDRM;
}

int checkpoint_undo_take(int semid, unsigned short sem_num, short sem_op)
{
	return -EOPNOTSUPP;
}

void checkpoint_undo_drop(void)
{
}

#endif /* CONFIG_SYSVIPC */
