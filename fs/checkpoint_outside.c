// SPDX-License-Identifier: GPL-2.0
/*
 * Who outside of a tree of tasks has something that the tree has: what
 * checkpoint/outside.rs asks by way of rust/kernel/fs/state/outside.rs.
 *
 * What is looked for is known by its address, and kept by whoever asks. Of what
 * others have, addresses are compared and nothing is held.
 *
 * Locks: none of these functions is called with a lock held. task_lock() of an
 * outsider, i_mmap_rwsem, flc_lock with blocked_lock_lock inside of it: each is
 * taken alone.
 */
#include <linux/bsearch.h>
#include <linux/checkpoint.h>
#include <linux/dcache.h>
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/pidfs.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>

#include "internal.h"

/* Descriptors that are looked at before others may have the lock. */
#define AT_ONCE	1024

struct search {
	struct checkpoint_wanted *wanted;
	unsigned int nr;
	/* How many have not been found. */
	unsigned int left;
};

static int compare_wanted(const void *key, const void *wanted)
{
	unsigned long what = (unsigned long)key;
	unsigned long other = ((const struct checkpoint_wanted *)wanted)->what;

	return what < other ? -1 : what > other;
}

static int compare_address(const void *key, const void *address)
{
	unsigned long what = (unsigned long)key;
	unsigned long other = *(const unsigned long *)address;

	return what < other ? -1 : what > other;
}

static bool is_among(unsigned long what, const unsigned long *these, unsigned int nr)
{
	return bsearch((void *)what, these, nr, sizeof(*these), compare_address);
}

static void look_for(struct search *search, unsigned long what, struct task_struct *task)
{
	struct checkpoint_wanted *wanted;

	wanted = bsearch((void *)what, search->wanted, search->nr, sizeof(*wanted),
			 compare_wanted);
	if (!what || !wanted || wanted->holder)
		return;
	wanted->holder = get_task_struct(task);
	search->left--;
}

/* Some descriptors of @task, from *@fd on. Returns whether there are more. */
static bool look_at_files(struct search *search, struct task_struct *task,
			  unsigned int *fd)
{
	struct files_struct *files;
	struct fdtable *table;
	unsigned int end;
	bool more = false;

	task_lock(task);
	rcu_read_lock();
	files = task->files;
	if (files) {
		table = files_fdtable(files);
		end = min(table->max_fds, *fd + AT_ONCE);
		for (; *fd < end; (*fd)++) {
			struct file *file = rcu_dereference_raw(table->fd[*fd]);

			if (!file)
				continue;
			look_for(search, (unsigned long)file, task);
			/* It may be another file by now, but it is a file. */
			if (!(READ_ONCE(file->f_mode) & FMODE_PATH))
				look_for(search, (unsigned long)READ_ONCE(file->f_inode),
					 task);
		}
		more = end < table->max_fds;
	}
	rcu_read_unlock();
	task_unlock(task);
	return more;
}

/* Most threads have the table of their leader. */
static bool has_table_of_leader(struct task_struct *task)
{
	guard(rcu)();
	/* One that is gone has no leader any more. */
	return pid_alive(task) && task != task->group_leader &&
	       READ_ONCE(task->files) == READ_ONCE(task->group_leader->files);
}

static void look_at_task(struct search *search, struct task_struct *task)
{
	unsigned int fd = 0;

	task_lock(task);
	look_for(search, (unsigned long)task->mm, task);
	look_for(search, (unsigned long)task->files, task);
	look_for(search, (unsigned long)task->fs, task);
	task_unlock(task);
	look_for(search, (unsigned long)rcu_access_pointer(task->sighand), task);
#ifdef CONFIG_SYSVIPC
	look_for(search, (unsigned long)READ_ONCE(task->sysvsem.undo_list), task);
#endif

	if (has_table_of_leader(task))
		return;
	while (look_at_files(search, task, &fd))
		cond_resched();
}

/* The next task by its number, from *@nr on, with a reference. */
static struct task_struct *next_task_from(int *nr)
{
	struct task_struct *task = NULL;
	struct pid *pid;

	guard(rcu)();
	while (!task) {
		pid = find_ge_pid(*nr, &init_pid_ns);
		if (!pid)
			return NULL;
		*nr = pid_nr(pid) + 1;
		task = pid_task(pid, PIDTYPE_PID);
	}
	return get_task_struct(task);
}

/**
 * checkpoint_outside_find - find who else has something
 * @inside: addresses of the tasks that do not count, ascending
 * @nr_inside: how many
 * @wanted: what is looked for, ascending: by a descriptor an open file, or an
 *	inode; an address space, a descriptor table, a place where paths begin, a
 *	table of signal handlers, a list for SEM_UNDO. A @holder is set for each that somebody has,
 *	with a reference.
 * @nr: how many
 *
 * Return: 0, -EINTR if the caller is being killed.
 */
int checkpoint_outside_find(const unsigned long *inside, unsigned int nr_inside,
			    struct checkpoint_wanted *wanted, unsigned int nr)
{
	struct search search = { .wanted = wanted, .nr = nr, .left = nr };
	struct task_struct *task;
	int next = 1;

	while (search.left && (task = next_task_from(&next))) {
		if (!(task->flags & PF_KTHREAD) &&
		    !is_among((unsigned long)task, inside, nr_inside))
			look_at_task(&search, task);
		put_task_struct(task);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * checkpoint_outside_mapped - find who maps a file
 * @file: the file
 * @inside: addresses of address spaces that do not count, ascending
 * @nr_inside: how many
 * @to: gets the addresses of others that map its inode; one may be there more
 *	than once
 * @max: room in @to
 *
 * Return: how many were found.
 */
unsigned int checkpoint_outside_mapped(struct file *file, const unsigned long *inside,
				       unsigned int nr_inside, unsigned long *to,
				       unsigned int max)
{
	/* Of an overlay the file below is mapped. */
	struct inode *inode = d_real_inode(file_user_path(file)->dentry);
	struct address_space *mapping = inode->i_mapping;
	struct vm_area_struct *vma;
	unsigned int nr = 0;

	i_mmap_lock_read(mapping);
	mapping_rmap_tree_foreach(vma, mapping, 0, ULONG_MAX) {
		unsigned long mm = (unsigned long)vma->vm_mm;

		if (nr == max)
			break;
		/* One that no task has any more is about to go. */
		if (atomic_read(&vma->vm_mm->mm_users) &&
		    !is_among(mm, inside, nr_inside) && (!nr || to[nr - 1] != mm))
			to[nr++] = mm;
		cond_resched();
	}
	i_mmap_unlock_read(mapping);
	return nr;
}

/**
 * checkpoint_outside_look - tell what an open file is to whoever shares it
 * @file: the file
 * @seen: filled in
 */
void checkpoint_outside_look(struct file *file, struct checkpoint_sharing *seen)
{
	struct dentry *dentry = file_user_path(file)->dentry;
	struct inode *inode = file_inode(file);
	struct super_block *sb = inode->i_sb;
	bool shm = shmem_file(file) || is_file_hugepages(file);

	*seen = (struct checkpoint_sharing) {
		.inode = (unsigned long)d_inode(dentry),
		.references = file_count(file),
		.opens = d_count(dentry),
		.written = inode_is_open_for_write(inode) ||
			   inode_is_open_for_write(d_real_inode(dentry)),
	};
	if (file->f_mode & FMODE_PATH)
		return;
	seen->pipe = sb->s_magic == PIPEFS_MAGIC;
	/* A file on a disk can be opened again, and a process is what it is. */
	seen->state = seen->pipe || (sb->s_flags & SB_NOUSER && !shm &&
				     !S_ISSOCK(inode->i_mode) &&
				     IS_ERR(pidfd_pid(file)));
}

/**
 * checkpoint_outside_target - find the process that an open file leads to
 * @file: the file
 * @owner: who gets its signals, not the process of a pidfd
 * @group: set if it is a process group that gets them, of which the task is one
 *
 * Return: a task, with a reference; NULL if there is none.
 */
struct task_struct *checkpoint_outside_target(struct file *file, bool owner, bool *group)
{
	struct task_struct *task = NULL;
	struct fown_struct *fown;
	struct pid *pid;

	*group = false;
	if (!owner) {
		pid = pidfd_pid(file);
		return IS_ERR(pid) ? NULL : get_pid_task(pid, PIDTYPE_PID);
	}
	fown = file_f_owner(file);
	if ((file->f_mode & FMODE_PATH) || !fown)
		return NULL;
	read_lock_irq(&fown->lock);
	task = get_pid_task(fown->pid, fown->pid_type);
	*group = fown->pid_type == PIDTYPE_PGID;
	read_unlock_irq(&fown->lock);
	return task;
}

#ifdef CONFIG_FILE_LOCKING
/* Who waits for one of the locks in @list that were taken by @file or @files. */
static pid_t waiter_of(struct list_head *list, struct file *file, fl_owner_t files)
{
	struct file_lock_core *lock, *waiter;

	list_for_each_entry(lock, list, flc_list) {
		if (lock->flc_file != file && lock->flc_owner != file &&
		    lock->flc_owner != files)
			continue;
		list_for_each_entry(waiter, &lock->flc_blocked_requests,
				    flc_blocked_member)
			return waiter->flc_pid;
	}
	return 0;
}

/**
 * checkpoint_outside_waiter - find who waits for a lock
 * @file: an open file that has locks
 * @task: a task that has it by a descriptor
 *
 * A task that stands still for a checkpoint waits for no lock: its call begins
 * anew when it goes on. So who waits is somebody else.
 *
 * Return: a task, with a reference; NULL if nobody does.
 */
struct task_struct *checkpoint_outside_waiter(struct file *file, struct task_struct *task)
{
	struct file_lock_context *ctx = locks_inode_context(file_inode(file));
	struct task_struct *waiter = NULL;
	fl_owner_t files;
	pid_t pid;

	if (!ctx || (file->f_mode & FMODE_PATH))
		return NULL;
	files = READ_ONCE(task->files);
	spin_lock(&ctx->flc_lock);
	spin_lock(&blocked_lock_lock);
	pid = waiter_of(&ctx->flc_posix, file, files);
	if (!pid)
		pid = waiter_of(&ctx->flc_flock, file, files);
	spin_unlock(&blocked_lock_lock);
	spin_unlock(&ctx->flc_lock);
	if (pid > 0) {
		guard(rcu)();
		waiter = get_pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID);
	}
	return waiter;
}
#else
struct task_struct *checkpoint_outside_waiter(struct file *file, struct task_struct *task)
{
	return NULL;
}
#endif
