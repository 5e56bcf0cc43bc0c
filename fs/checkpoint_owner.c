// SPDX-License-Identifier: GPL-2.0
/*
 * Who is told of what happens to an open file, for
 * rust/kernel/fs/state/owner.rs: owner and signal of fcntl(2), O_ASYNC, leases;
 * and hints about its life.
 *
 * Locks: none of these functions is called with a lock held, and none returns
 * with one. fown_struct.lock and file_lock_context.flc_lock are taken alone.
 */
#include <linux/checkpoint.h>
#include <linux/checkpoint_hdr.h>
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/rw_hint.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>

/* An owner that a file is going to have. */
struct checkpoint_owner {
	struct file *file;
	struct pid *pid;
	enum pid_type type;
	kuid_t uid;
	kuid_t euid;
	int signal;
};

/* Why who is told of what happens to an open file cannot be saved. */
const char *checkpoint_owner_obstacle(struct file *file)
{
	struct file_lock_context *ctx = locks_inode_context(file_inode(file));
	struct fown_struct *owner = file_f_owner(file);
	const char *what = NULL;
	struct file_lease *lease;

	if (file->f_mode & FMODE_PATH)
		return NULL;
	if (ctx) {
		spin_lock(&ctx->flc_lock);
		list_for_each_entry(lease, &ctx->flc_lease, c.flc_list) {
			if (lease->c.flc_file != file)
				continue;
			if (!(lease->c.flc_flags & FL_LEASE))
				what = "a file with a delegation";
			else if (lease->c.flc_flags & (FL_UNLOCK_PENDING |
						       FL_DOWNGRADE_PENDING))
				what = "a lease that is being broken";
		}
		spin_unlock(&ctx->flc_lock);
	}
	/* A directory sends signals by F_NOTIFY only. */
	if (!what && owner && READ_ONCE(owner->pid) &&
	    S_ISDIR(file_inode(file)->i_mode))
		what = "a directory with F_NOTIFY or F_SETOWN";
	return what;
}

/**
 * checkpoint_owner_get - tell who gets a signal when a file is ready
 * @file: the file
 * @root: the task in whose pid namespace numbers are
 * @to: filled in, but for @objref; @pid is -1 for who has no number there
 *
 * An owner that does not exist any more is none, as for fcntl(F_GETOWN_EX).
 *
 * Return: whether there is anything to tell.
 */
bool checkpoint_owner_get(struct file *file, struct task_struct *root,
			  struct cr_hdr_owner *to)
{
	struct fown_struct *owner = file_f_owner(file);
	struct user_namespace *ns = current_user_ns();
	bool found;

	if ((file->f_mode & FMODE_PATH) || !owner)
		return false;
	*to = (struct cr_hdr_owner) {};
	read_lock_irq(&owner->lock);
	rcu_read_lock();
	found = owner->pid || owner->signum;
	if (pid_task(owner->pid, owner->pid_type))
		to->pid = pid_nr_ns(owner->pid, task_active_pid_ns(root)) ?: -1;
	rcu_read_unlock();
	switch (owner->pid_type) {
	case PIDTYPE_TGID:
		to->kind = F_OWNER_PID;
		break;
	case PIDTYPE_PGID:
		to->kind = F_OWNER_PGRP;
		break;
	default:
		to->kind = F_OWNER_TID;
		break;
	}
	to->signal = owner->signum;
	to->uid = from_kuid_munged(ns, owner->uid);
	to->euid = from_kuid_munged(ns, owner->euid);
	read_unlock_irq(&owner->lock);
	return found;
}

/* Whether the caller may have a user id, as by setresuid(2). */
static bool may_be(kuid_t uid)
{
	const struct cred *cred = current_cred();

	return uid_eq(uid, cred->uid) || uid_eq(uid, cred->euid) ||
	       uid_eq(uid, cred->suid) || ns_capable(cred->user_ns, CAP_SETUID);
}

/* Whom an image means: a task or its process group, or who has the number. */
static struct pid *find_owner(const struct cr_hdr_owner *from, struct task_struct *task,
			      bool group)
{
	guard(rcu)();
	if (task)
		return get_pid(group ? task_pgrp(task) : task_pid(task));
	return get_pid(find_vpid(from->pid));
}

/**
 * checkpoint_owner_prepare - get ready who gets a signal when a file is ready
 * @file: the file, which nobody else has
 * @from: who, in an image
 * @task: the task that it is, or that leads the process group; NULL if it is none
 *	of the image
 * @group: it is the process group that @task is in
 *
 * Return: what checkpoint_owner_commit() takes; -ESRCH if there is no such
 * process, -EPERM if the caller could not have the user ids, -EINVAL.
 */
struct checkpoint_owner *checkpoint_owner_prepare(struct file *file,
						  const struct cr_hdr_owner *from,
						  struct task_struct *task,
						  bool group)
{
	struct checkpoint_owner *owner;
	enum pid_type type;
	kuid_t uid = make_kuid(current_user_ns(), from->uid);
	kuid_t euid = make_kuid(current_user_ns(), from->euid);
	struct pid *pid = NULL;
	int err;

	switch (from->kind) {
	case F_OWNER_TID:
		type = PIDTYPE_PID;
		break;
	case F_OWNER_PID:
		type = PIDTYPE_TGID;
		break;
	case F_OWNER_PGRP:
		type = PIDTYPE_PGID;
		break;
	default:
		return ERR_PTR(-EINVAL);
	}
	if (from->pid < 0 || !valid_signal(from->signal) || !uid_valid(uid) ||
	    !uid_valid(euid))
		return ERR_PTR(-EINVAL);
	if (from->pid && (!may_be(uid) || !may_be(euid)))
		return ERR_PTR(-EPERM);
	err = security_file_fcntl(file, F_SETOWN_EX, 0);
	if (!err)
		err = file_f_owner_allocate(file);
	if (err)
		return ERR_PTR(err);

	if (from->pid) {
		pid = find_owner(from, task, group);
		if (!pid)
			return ERR_PTR(-ESRCH);
	}
	owner = kzalloc_obj(*owner, GFP_KERNEL_ACCOUNT);
	if (!owner) {
		put_pid(pid);
		return ERR_PTR(-ENOMEM);
	}
	owner->file = get_file(file);
	owner->pid = pid;
	owner->type = type;
	owner->uid = uid;
	owner->euid = euid;
	owner->signal = from->signal;
	return owner;
}

/* Drops what checkpoint_owner_prepare() returned. */
void checkpoint_owner_free(struct checkpoint_owner *owner)
{
	put_pid(owner->pid);
	fput(owner->file);
	kfree(owner);
}

/**
 * checkpoint_owner_commit - make somebody get a signal when a file is ready
 * @owner: what checkpoint_owner_prepare() returned, which is used up
 */
void checkpoint_owner_commit(struct checkpoint_owner *owner)
{
	struct fown_struct *to = file_f_owner(owner->file);

	/* A lease may have made the caller the owner, which goes then. */
	write_lock_irq(&to->lock);
	swap(to->pid, owner->pid);
	to->pid_type = owner->type;
	if (to->pid)
		security_file_set_fowner(owner->file);
	to->uid = owner->uid;
	to->euid = owner->euid;
	to->signum = owner->signal;
	write_unlock_irq(&to->lock);
	checkpoint_owner_free(owner);
}

/**
 * checkpoint_async - make a file send signals, as fcntl(F_SETFL) with O_ASYNC
 * @file: the file, which nobody else has
 * @fd: the descriptor that the signals tell of
 *
 * Without an owner nobody gets them yet.
 */
int checkpoint_async(struct file *file, int fd)
{
	int err;

	if (file->f_mode & FMODE_PATH || !file->f_op->fasync)
		return -EINVAL;
	err = file_f_owner_allocate(file);
	if (!err)
		err = security_file_fcntl(file, F_SETFL, file->f_flags | FASYNC);
	if (!err)
		err = file->f_op->fasync(fd, file, 1);
	return min(err, 0);
}

/**
 * checkpoint_lease - take a lease, by the rules of fcntl(F_SETLEASE)
 * @file: the file, which loses the lease with its last reference
 * @fd: the descriptor that the signals tell of
 * @type: F_RDLCK or F_WRLCK
 *
 * The owner becomes the caller, if there is none.
 */
int checkpoint_lease(struct file *file, int fd, unsigned int type)
{
	int err;

	if ((file->f_mode & FMODE_PATH) || (type != F_RDLCK && type != F_WRLCK))
		return -EINVAL;
	err = security_file_fcntl(file, F_SETLEASE, type);
	if (!err)
		err = file_f_owner_allocate(file);
	return err ?: fcntl_setlease(fd, file, type);
}

/* How long what is written to a file is going to live: RWH_*. */
unsigned int checkpoint_hint(struct file *file)
{
	if (file->f_mode & FMODE_PATH)
		return 0;
	return READ_ONCE(file_inode(file)->i_write_hint);
}

/* Whether the caller may set another hint, as by fcntl(F_SET_RW_HINT). */
int checkpoint_may_hint(struct file *file, unsigned int hint)
{
	struct inode *inode = file_inode(file);

	if ((file->f_mode & FMODE_PATH) || hint >= WRITE_LIFE_HINT_NR)
		return -EINVAL;
	if (IS_IMMUTABLE(inode) ||
	    !inode_owner_or_capable(file_mnt_idmap(file), inode))
		return -EPERM;
	return 0;
}

/* Sets a hint for which checkpoint_may_hint() returned 0. */
void checkpoint_set_hint(struct file *file, unsigned int hint)
{
	struct inode *inode = file_inode(file);

	WRITE_ONCE(inode->i_write_hint, hint);
	if (file->f_mapping->host != inode)
		WRITE_ONCE(file->f_mapping->host->i_write_hint, hint);
}
