// SPDX-License-Identifier: GPL-2.0
/*
 * Open files without a path, for checkpoint(2) and restart(2): eventfd(2),
 * signalfd(2), epoll(7), pidfd_open(2); and where a watched inode is.
 *
 * Locks: none of these functions is called with a lock held, and none returns
 * with one. mount_lock and pid->wait_pidfd.lock are taken alone. Those of epoll
 * are taken in fs/eventpoll.c, whose head has their order.
 */
#include <linux/checkpoint.h>
#include <linux/dcache.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/nsproxy.h>
#include <linux/pid.h>
#include <linux/pidfs.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/pidfd.h>

/* Which needs some of the above. */
#include <linux/eventpoll.h>

#include "pnode.h"

static bool is_epoll(struct file *file)
{
#ifdef CONFIG_EPOLL
	return is_file_epoll(file);
#else
	return false;
#endif
}

static bool is_eventfd(struct file *file, struct checkpoint_file *seen)
{
	unsigned int users, flags;
	u64 count;

	users = IS_ENABLED(CONFIG_EVENTFD) ? eventfd_file_look(file, &count, &flags) : 0;
	if (users > 1)
		seen->what = "an eventfd that the kernel signals, too";
	return users;
}

static bool is_signalfd(struct file *file)
{
	sigset_t refused;

	return IS_ENABLED(CONFIG_SIGNALFD) && signalfd_file_look(file, &refused);
}

/* Whether a mount is in no namespace that a path leads to. */
static bool is_detached(const struct vfsmount *mnt)
{
	const struct mnt_namespace *ns;

	guard(rcu)();
	ns = READ_ONCE(real_mount((struct vfsmount *)mnt)->mnt_ns);
	return IS_ERR_OR_NULL(ns) || ns->is_anon;
}

/**
 * checkpoint_anon_look - tell whether an open file is one of those here
 * @file: the file
 * @seen: what it is, of which @kind and @what are set, and perhaps @flags
 *
 * Return: whether it is, or is one that has nothing better than a name.
 */
bool checkpoint_anon_look(struct file *file, struct checkpoint_file *seen)
{
	const char *type = file_inode(file)->i_sb->s_type->name;

	if (file->f_mode & FMODE_PATH) {
		if (!(file->f_mode & FMODE_NEED_UNMOUNT) || !is_detached(file->f_path.mnt))
			return false;
		seen->what = "a mount that is not attached";
	} else if (is_epoll(file)) {
		seen->kind = CR_FILE_EPOLL;
#ifdef CONFIG_EPOLL
		if (epoll_file_has_params(file))
			seen->what = "an epoll instance with EPIOCSPARAMS";
#endif
	} else if (is_eventfd(file, seen)) {
		seen->kind = CR_FILE_EVENTFD;
	} else if (is_signalfd(file)) {
		seen->kind = CR_FILE_SIGNALFD;
	} else if (checkpoint_inotify_is(file)) {
		seen->kind = CR_FILE_INOTIFY;
	} else if (!IS_ERR(pidfd_pid(file))) {
		seen->kind = CR_FILE_PIDFD;
		/* Which fcntl(2) shows as O_EXCL. */
		seen->flags |= file->f_flags & PIDFD_THREAD;
		if (file->f_flags & PIDFD_AUTOKILL)
			seen->what = "a pidfd that kills its process";
	} else if (proc_ns_file(file)) {
		seen->what = "a namespace";
	} else if (S_ISREG(file_inode(file)->i_mode) && !strcmp(type, "mqueue")) {
		seen->what = "a POSIX message queue";
	} else {
		return false;
	}
	return true;
}

/* What an eventfd has counted. */
int checkpoint_eventfd_get(struct file *file, struct cr_hdr_eventfd *to)
{
	unsigned int flags;
	u64 count;

	if (!IS_ENABLED(CONFIG_EVENTFD) || !eventfd_file_look(file, &count, &flags))
		return -EBADF;
	*to = (struct cr_hdr_eventfd) {
		.count = count,
		.flags = flags & EFD_SEMAPHORE ? CR_EVENTFD_SEMAPHORE : 0,
	};
	return 0;
}

/* Makes an eventfd. */
struct file *checkpoint_eventfd_create(const struct cr_hdr_eventfd *from)
{
	bool semaphore = from->flags & CR_EVENTFD_SEMAPHORE;

	if (!IS_ENABLED(CONFIG_EVENTFD))
		return ERR_PTR(-EOPNOTSUPP);
	return eventfd_file_create(from->count, semaphore ? EFD_SEMAPHORE : 0);
}

/* Which signals a signalfd takes. */
int checkpoint_signalfd_get(struct file *file, u64 *mask)
{
	sigset_t refused;

	BUILD_BUG_ON(sizeof(sigset_t) != sizeof(*mask));
	if (!IS_ENABLED(CONFIG_SIGNALFD) || !signalfd_file_look(file, &refused))
		return -EBADF;
	*mask = ~refused.sig[0];
	return 0;
}

/* Makes a signalfd; as by signalfd(2), it takes neither SIGKILL nor SIGSTOP. */
struct file *checkpoint_signalfd_create(u64 mask)
{
	sigset_t refused = { .sig = { ~mask } };

	if (!IS_ENABLED(CONFIG_SIGNALFD))
		return ERR_PTR(-EOPNOTSUPP);
	sigaddsetmask(&refused, sigmask(SIGKILL) | sigmask(SIGSTOP));
	return signalfd_file_create(&refused);
}

/* The task that a pidfd is of, with a reference; NULL if it is gone. */
struct task_struct *checkpoint_pidfd_task(struct file *file)
{
	struct pid *pid = pidfd_pid(file);

	return IS_ERR(pid) ? NULL : get_pid_task(pid, PIDTYPE_PID);
}

/**
 * checkpoint_pidfd_get - tell which process a pidfd is of
 * @file: the pidfd
 * @to: the process
 *
 * Return: why it is one that cannot be saved, NULL if it can.
 */
const char *checkpoint_pidfd_get(struct file *file, struct cr_hdr_pidfd *to)
{
	struct pid *pid = pidfd_pid(file);
	struct task_struct *of;

	if (IS_ERR(pid))
		return "this pidfd";
	*to = (struct cr_hdr_pidfd) {
		.pid = pid_vnr(pid),
		.ino = pid->ino,
	};

	guard(rcu)();
	of = pid_task(pid, PIDTYPE_PID);
	if (!of)
		return "a pidfd of a process that is gone";
	if (!to->pid)
		return "a pidfd of a process in another pid namespace";
	to->start_boottime = of->start_boottime;
	return NULL;
}

/* Whether a pid is still that of the process that it was of. */
static bool is_same_process(struct pid *pid, const struct cr_hdr_pidfd *from)
{
	struct task_struct *task;

	guard(rcu)();
	task = pid_task(pid, PIDTYPE_PID);
	return task && pid->ino == from->ino && task->start_boottime == from->start_boottime;
}

/**
 * checkpoint_pidfd_create - open a pidfd, as pidfd_open(2) does
 * @from: the process
 * @task: the task that it is; NULL if it is none of the image
 * @flags: PIDFD_THREAD or 0
 *
 * Return: the file; -ESRCH if the process is gone, also if another one has its
 * pid now, -ENOENT if it is a thread and @flags do not say so.
 */
struct file *checkpoint_pidfd_create(const struct cr_hdr_pidfd *from,
				     struct task_struct *task, unsigned int flags)
{
	struct pid *pid = task ? get_task_pid(task, PIDTYPE_PID) : find_get_pid(from->pid);
	struct file *file;
	int err = 0;

	if (!pid)
		return ERR_PTR(-ESRCH);
	/* The lock keeps a leader that is found as a task from being none. */
	spin_lock_irq(&pid->wait_pidfd.lock);
	if (!task && !is_same_process(pid, from))
		err = -ESRCH;
	else if (!(flags & PIDFD_THREAD) && !pid_has_task(pid, PIDTYPE_TGID))
		err = -ENOENT;
	spin_unlock_irq(&pid->wait_pidfd.lock);

	file = err ? ERR_PTR(err) : pidfs_alloc_file(pid, (flags & PIDFD_THREAD) | O_RDWR);
	put_pid(pid);
	return file;
}

#ifdef CONFIG_EPOLL
/* Makes an epoll instance. */
struct file *checkpoint_epoll_create(void)
{
	return epoll_file_create();
}

/**
 * checkpoint_epoll_items - find what an epoll instance waits for
 * @file: the instance
 * @to: where the items go: those that are ready, in their order, then the others
 * @max: room in @to
 *
 * Return: how many there are, which may be more than @max. Those in @to have a
 * reference on their file.
 */
unsigned int checkpoint_epoll_items(struct file *file, struct checkpoint_epoll_item *to,
				    unsigned int max)
{
	return is_epoll(file) ? epoll_file_items(file, to, max) : 0;
}

/**
 * checkpoint_epoll_add - make an epoll instance wait for a file
 * @file: the instance
 * @item: what to wait for; its @state is not looked at
 *
 * Return: 0, -EPERM if the caller may not use EPOLLWAKEUP, or what epoll_ctl(2)
 * says.
 */
int checkpoint_epoll_add(struct file *file, const struct checkpoint_epoll_item *item)
{
	struct epoll_key key = { .file = item->file, .fd = item->fd };
	struct epoll_event event = {
		.events = (__force __poll_t)item->events,
		.data = item->data,
	};
	int err;

	if (!is_epoll(file))
		return -EINVAL;
	/* An image may have many, and nested ones are looked at all together. */
	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	err = do_epoll_ctl_file(file, EPOLL_CTL_ADD, &key, &event, false);
	if (!err && ((__force u32)event.events ^ item->events) & (__force u32)EPOLLWAKEUP)
		return -EPERM;
	return err;
}

/**
 * checkpoint_epoll_settle - make the items of an epoll instance as they were
 * @file: the instance, which nobody else has
 * @items: all of its items; first those that are ready, in their order
 * @nr: how many
 *
 * Adding an item makes it ready if its file is. Whether it is ready is up to its
 * @state now.
 */
void checkpoint_epoll_settle(struct file *file, const struct checkpoint_epoll_item *items,
			     unsigned int nr)
{
	if (is_epoll(file))
		epoll_file_settle(file, items, nr);
}
#else
struct file *checkpoint_epoll_create(void)
{
	return ERR_PTR(-EOPNOTSUPP);
}

unsigned int checkpoint_epoll_items(struct file *file, struct checkpoint_epoll_item *to,
				    unsigned int max)
{
	return 0;
}

int checkpoint_epoll_add(struct file *file, const struct checkpoint_epoll_item *item)
{
	return -EOPNOTSUPP;
}

void checkpoint_epoll_settle(struct file *file, const struct checkpoint_epoll_item *items,
			     unsigned int nr)
{
}
#endif

/*
 * Finds a mount, the caller's @skip'th, in which @dentry is below @root, and
 * gets a reference on it.
 */
static struct vfsmount *mount_of(struct dentry *dentry, const struct path *root,
				 unsigned int skip)
{
	const struct mnt_namespace *ns = current->nsproxy->mnt_ns;
	struct mount *m;

	guard(mount_locked_reader)();
	for (m = dentry->d_sb->s_mounts; m; m = m->mnt_next_for_sb) {
		if (m->mnt_ns != ns || !is_subdir(dentry, m->mnt.mnt_root) ||
		    !is_path_reachable(m, dentry, root))
			continue;
		if (!skip--)
			return mntget(&m->mnt);
	}
	return NULL;
}

/* Opens what @path is the path of, if a walk along it ends at @inode. */
static struct file *open_if_there(const struct path *path, const struct path *root,
				  struct inode *inode, char *buf)
{
	char *name = __d_path(path, root, buf, PATH_MAX);
	struct file *file = ERR_PTR(-ENOENT);
	struct path there;
	int err;

	if (IS_ERR_OR_NULL(name))
		return name ? ERR_CAST(name) : file;
	err = kern_path(name, 0, &there);
	if (err)
		return ERR_PTR(err);
	if (d_backing_inode(there.dentry) == inode)
		file = dentry_open(&there, O_PATH | O_NOFOLLOW, current_cred());
	path_put(&there);
	return file;
}

/**
 * checkpoint_watch_open - open what an inotify instance watches, for its path
 * @inode: what is watched
 *
 * An inode has no path, but names in the cache that lead to it, and each file
 * system may be mounted at several places, or at one that is covered.
 *
 * Return: an O_PATH file, -ENOENT if no name leads from the caller's root to it.
 */
struct file *checkpoint_watch_open(struct inode *inode)
{
	struct file *file = ERR_PTR(-ENOENT);
	struct path root, path;
	unsigned int skip;
	char *buf;

	path.dentry = d_find_alias(inode);
	if (!path.dentry)
		return file;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf) {
		dput(path.dentry);
		return ERR_PTR(-ENOMEM);
	}
	get_fs_root(current->fs, &root);
	for (skip = 0; !d_unlinked(path.dentry); skip++) {
		path.mnt = mount_of(path.dentry, &root, skip);
		if (!path.mnt)
			break;
		file = open_if_there(&path, &root, inode, buf);
		mntput(path.mnt);
		/* Another mount would be no better. */
		if (!IS_ERR(file) || PTR_ERR(file) == -ENOMEM)
			break;
	}
	path_put(&root);
	kfree(buf);
	dput(path.dentry);
	return file;
}

/* Gives back the reference that a watch came with. */
void checkpoint_watch_put(struct checkpoint_watch *watch)
{
	iput(watch->inode);
}

/**
 * checkpoint_close_now - drop a reference to an open file
 * @file: the file
 *
 * If it was the last one, the file is closed when this returns, not on the way
 * to user mode: who waits for the other end of a pipe is told by then.
 */
void checkpoint_close_now(struct file *file)
{
	__fput_sync(file);
}
