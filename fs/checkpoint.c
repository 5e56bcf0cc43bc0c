// SPDX-License-Identifier: GPL-2.0
/*
 * What checkpoint(2) and restart(2) need to see of open files, and the rest of
 * the kernel does not show: it is used by rust/kernel/fs/ alone.
 *
 * Locks: none of these functions is called with a lock held, and none returns
 * with one. Inside, task_lock() comes before fs_struct.seq; pipe->mutex,
 * files_struct.file_lock and file_lock_context.flc_lock are taken alone.
 */
#include <linux/bvec.h>
#include <linux/checkpoint.h>
#include <linux/checkpoint_hdr.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/hugetlb.h>
#include <linux/init_task.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/pipe_fs_i.h>
#include <linux/proc_fs.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/shmem_fs.h>
#include <linux/stat.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/uio.h>
#include <uapi/linux/memfd.h>

#include "internal.h"
#ifdef CONFIG_PROC_FS
#include "proc/internal.h"
#endif

/* What of f_flags is part of an image. */
#define KEPT_FLAGS	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT |	\
			 O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_PATH | \
			 FASYNC)

static unsigned int kept_flags(struct file *file)
{
	unsigned int flags = READ_ONCE(file->f_flags);

	/* O_TMPFILE includes O_DIRECTORY, which this file is not. */
	if (flags & __O_TMPFILE)
		flags &= ~O_DIRECTORY;
	/* Below an overlay it is the overlay that sets this. */
	if (file->f_mode & FMODE_BACKING)
		flags &= ~O_NOATIME;
	return flags & KEPT_FLAGS;
}

/* The terminal behind @file, NULL if it is none, or the master of a pty. */
static struct tty_struct *terminal(struct file *file)
{
	struct tty_struct *tty = IS_ENABLED(CONFIG_TTY) ? tty_from_file(file) : NULL;

	if (tty && tty->driver->type == TTY_DRIVER_TYPE_PTY &&
	    tty->driver->subtype == PTY_TYPE_MASTER)
		return NULL;
	return tty;
}

/*
 * Why an open file is not supported that the restarter provides: somebody is
 * told of what happens to it, which is nothing to change of a file of others.
 */
const char *checkpoint_file_obstacle(struct file *file)
{
	struct fown_struct *owner = file_f_owner(file);

	if (READ_ONCE(file->f_flags) & FASYNC)
		return "a file with O_ASYNC that the restarter provides";
	if (owner && (READ_ONCE(owner->pid) || READ_ONCE(owner->signum)))
		return "a file with F_SETOWN or F_SETSIG that the restarter provides";
	return NULL;
}

static void look_at_pipe(struct pipe_inode_info *pipe, struct checkpoint_file *seen)
{
	unsigned int slot;

	seen->object = (unsigned long)pipe;
	mutex_lock(&pipe->mutex);
	if (pipe_has_watch_queue(pipe))
		seen->what = "a notification pipe";
	seen->object_size = (u64)pipe->max_usage * PAGE_SIZE;
	seen->pipe_files = READ_ONCE(pipe->files);
	for (slot = pipe->tail; slot != pipe->head; slot++) {
		struct pipe_buffer *buf = pipe_buf(pipe, slot);

		if (buf->flags & PIPE_BUF_FLAG_PACKET)
			seen->pipe_packets++;
		else if (buf->len)
			seen->pipe_bytes = true;
	}
	mutex_unlock(&pipe->mutex);
	if (seen->pipe_packets && seen->pipe_bytes)
		seen->what = "a pipe that was switched to packets or back";
}

static void look_at_shm(struct file *file, struct checkpoint_file *seen)
{
	struct inode *inode = file_inode(file);
	/* A name like this is given once and for all. */
	const char *name = file->f_path.dentry->d_name.name;
	int seals = memfd_get_seals(file);

	if (str_has_prefix(name, "memfd:"))
		seen->shm_flags |= CR_SHM_MEMFD;
	else if (str_has_prefix(name, "SYSV"))
		seen->what = "shared memory of System V";
	else if (strcmp(name, is_file_hugepages(file) ? HUGETLB_ANON_FILE : "dev/zero"))
		seen->what = "memory of a driver";
	if (is_file_hugepages(file)) {
		seen->shm_flags |= CR_SHM_HUGETLB;
		seen->page_shift = checkpoint_hugetlb_shift(file);
	} else if (SHMEM_I(inode)->flags & SHMEM_F_NORESERVE) {
		seen->shm_flags |= CR_SHM_NORESERVE;
	}
	seen->object = (unsigned long)inode;
	seen->object_size = i_size_read(inode);
	seen->seals = seals < 0 ? 0 : seals;
}

static void look_at_chr(struct file *file, struct checkpoint_file *seen)
{
	struct inode *inode = file_inode(file);
	struct tty_struct *tty = terminal(file);

	if (tty) {
		if (READ_ONCE(tty->termios.c_line) == N_TTY)
			seen->kind = CR_FILE_TTY;
		else
			seen->what = "a line discipline other than N_TTY";
		return;
	}
	if (tty_hung_up_p(file)) {
		seen->what = "a terminal that was hung up";
		return;
	}
	if (IS_ENABLED(CONFIG_TTY) && tty_from_file(file)) {
		seen->what = "the master of a pty";
		return;
	}
	if (imajor(inode) == MEM_MAJOR) {
		switch (iminor(inode)) {
		case 3: /* null */
		case 5: /* zero */
		case 7: /* full */
		case 8: /* random */
		case 9: /* urandom */
			seen->kind = CR_FILE_CHR;
			return;
		}
	}
	seen->what = "this character device";
	seen->stream = true;
}

/* Whether the numbers and sizes of inodes mean nothing after a reboot. */
static bool is_pseudo(struct super_block *sb)
{
	switch (sb->s_magic) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

static void look_at_kind(struct file *file, struct checkpoint_file *seen)
{
	struct inode *inode = file_inode(file);
	struct super_block *sb = inode->i_sb;

	seen->pseudo = is_pseudo(sb);
	if (checkpoint_anon_look(file, seen))
		return;
	if (file->f_mode & FMODE_PATH) {
		seen->kind = CR_FILE_PATH;
		return;
	}
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		if (is_file_hugepages(file) ? checkpoint_hugetlb_nameless(file) :
		    shmem_file(file) && (sb->s_flags & SB_NOUSER)) {
			seen->kind = CR_FILE_SHM;
			look_at_shm(file, seen);
		} else if (sb->s_flags & SB_NOUSER) {
			/* Named by its inode, such as [secretmem]. */
		} else {
			seen->kind = CR_FILE_REG;
		}
		break;
	case S_IFDIR:
		seen->kind = CR_FILE_DIR;
		break;
	case S_IFCHR:
		look_at_chr(file, seen);
		break;
	case S_IFBLK:
		seen->what = "a block device";
		break;
	case S_IFIFO: {
		struct pipe_inode_info *pipe = get_pipe_info(file, false);

		if (!pipe)
			break;
		seen->kind = sb->s_magic == PIPEFS_MAGIC ? CR_FILE_PIPE : CR_FILE_FIFO;
		look_at_pipe(pipe, seen);
		break;
	}
	case S_IFSOCK:
		seen->what = "a socket";
		seen->stream = true;
		break;
	}
}

/*
 * The name of an inode without a path, such as "io_uring" for "[io_uring]", or
 * of its kind if it has none.
 */
static void name_of(struct file *file, struct checkpoint_file *seen)
{
	struct name_snapshot name;
	const char *from;
	size_t len;

	take_dentry_name_snapshot(&name, file->f_path.dentry);
	from = name.name.name;
	len = name.name.len;
	if (len > 2 && from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (!len) {
		from = file_inode(file)->i_sb->s_type->name;
		len = strlen(from);
	}
	seen->name_len = min(len, sizeof(seen->name));
	memcpy(seen->name, from, seen->name_len);
	release_dentry_name_snapshot(&name);
}

/**
 * checkpoint_look - tell what an open file is
 * @file: the file
 * @seen: what it is
 *
 * Return: 0, or what its file system said instead of its attributes.
 */
int checkpoint_look(struct file *file, struct checkpoint_file *seen)
{
	struct kstat stat;
	int err;

	*seen = (struct checkpoint_file) {
		.flags = kept_flags(file),
		.pos = READ_ONCE(file->f_pos),
		.mode = file_inode(file)->i_mode,
		.ino = file_inode(file)->i_ino,
	};
	look_at_kind(file, seen);

	switch (seen->kind) {
	case CR_FILE_REG:
	case CR_FILE_DIR:
	case CR_FILE_CHR:
	case CR_FILE_FIFO:
	case CR_FILE_PATH:
		/* What stat(2) says of the path, which is not always this inode. */
		err = vfs_getattr(file_user_path(file), &stat, STATX_BASIC_STATS,
				  AT_STATX_SYNC_AS_STAT);
		if (err)
			return err;
		seen->mode = stat.mode;
		seen->ino = stat.ino;
		seen->dev = (u64)MAJOR(stat.dev) << 32 | MINOR(stat.dev);
		if (seen->kind == CR_FILE_REG)
			seen->size = stat.size;
		break;
	case CR_FILE_SHM:
	case 0:
		name_of(file, seen);
		break;
	}
	return 0;
}

/**
 * checkpoint_path - find the path of an open file from the caller's root
 * @file: the file
 * @buf: where the path goes, to the end of it, with a NUL
 * @len: bytes of @buf
 *
 * Return: where in @buf the path begins; -ENOENT if it was deleted, -EXDEV if
 * the root does not lead to it, -ENAMETOOLONG.
 */
int checkpoint_path(struct file *file, char *buf, int len)
{
	const struct path *path = file_user_path(file);
	struct path root;
	char *begin;

	if (d_unlinked(path->dentry))
		return -ENOENT;
	get_fs_root(current->fs, &root);
	begin = __d_path(path, &root, buf, len);
	path_put(&root);
	if (!begin)
		return -EXDEV;
	if (IS_ERR(begin))
		return PTR_ERR(begin);
	return begin - buf;
}

/**
 * checkpoint_text - tell how an open file is called
 * @file: the file
 * @buf: where the text goes, to the end of it, with a NUL
 * @len: bytes of @buf
 *
 * Return: where in @buf the text begins, which is what /proc/PID/fd shows;
 * -ENAMETOOLONG.
 */
int checkpoint_text(struct file *file, char *buf, int len)
{
	char *begin = d_path(file_user_path(file), buf, len);

	return IS_ERR(begin) ? PTR_ERR(begin) : begin - buf;
}

/**
 * checkpoint_proc_depth - tell whether a file is in the /proc/PID of a task
 * @file: the file
 * @of: set to the task, with a reference
 * @inner: set to the task that the file itself is of, which may be one of its
 *	threads, likewise
 *
 * Return: how many names lead from the root of the proc file system to it, the
 * first of which is the number of @of; 0 if it is in no such directory; -ESRCH
 * if it is in that of a task that is gone. The tasks are set if it is positive.
 */
int checkpoint_proc_depth(struct file *file, struct task_struct **of,
			  struct task_struct **inner)
{
	int depth = 0;
#ifdef CONFIG_PROC_FS
	struct dentry *dentry = file_user_path(file)->dentry;
	struct task_struct *outer_task, *inner_task;
	struct pid *outer = NULL, *first = NULL;

	if (dentry->d_sb->s_magic != PROC_SUPER_MAGIC)
		return 0;
	rcu_read_lock();
	/* Not all below the directory of a process are the process' themselves. */
	for (; !IS_ROOT(dentry); dentry = READ_ONCE(dentry->d_parent)) {
		struct inode *inode = d_inode_rcu(dentry);

		if (inode)
			outer = proc_pid(inode);
		first = first ?: outer;
		depth++;
	}
	outer_task = pid_task(outer, PIDTYPE_PID);
	inner_task = pid_task(first, PIDTYPE_PID);
	if (!outer) {
		depth = 0;
	} else if (!outer_task || !inner_task) {
		depth = -ESRCH;
	} else {
		*of = get_task_struct(outer_task);
		*inner = get_task_struct(inner_task);
	}
	rcu_read_unlock();
#endif
	return depth;
}

/**
 * checkpoint_open_again - open what a file has open once more
 * @file: the file
 * @flags: O_*
 */
struct file *checkpoint_open_again(struct file *file, unsigned int flags)
{
	return dentry_open(file_user_path(file), flags, current_cred());
}

/**
 * checkpoint_set_flags - change what fcntl(F_SETFL) can
 * @file: the file
 * @flags: O_*
 */
int checkpoint_set_flags(struct file *file, unsigned int flags)
{
	int err;

	flags &= ~FASYNC;
	err = security_file_fcntl(file, F_SETFL, flags);
	return err ?: setfl(-1, file, flags);
}

/**
 * checkpoint_next_file - walk through a descriptor table
 * @task: a task that stands still
 * @fd: where to begin; set to where the file was found
 * @cloexec: whether execve(2) closes it
 *
 * Return: the file, with a reference; NULL behind the last one.
 */
struct file *checkpoint_next_file(struct task_struct *task, unsigned int *fd,
				  bool *cloexec)
{
	struct file *file = fget_task_next(task, fd);

	if (!file)
		return NULL;
	task_lock(task);
	rcu_read_lock();
	*cloexec = task->files && *fd < files_fdtable(task->files)->max_fds &&
		   close_on_exec(*fd, task->files);
	rcu_read_unlock();
	task_unlock(task);
	return file;
}

/* How many tasks have the descriptor table of @task. */
unsigned int checkpoint_files_users(struct task_struct *task)
{
	unsigned int users = 0;

	task_lock(task);
	if (task->files)
		users = atomic_read(&task->files->count);
	task_unlock(task);
	return users;
}

void checkpoint_files_get(struct files_struct *files)
{
	atomic_inc(&files->count);
}

/* What is above each descriptor that the caller may have. */
unsigned long checkpoint_max_fds(void)
{
	return rlimit(RLIMIT_NOFILE);
}

/* A descriptor table without descriptors. */
struct files_struct *checkpoint_files_alloc(void)
{
	return dup_fd(&init_files, NULL);
}

/* Whether there is a descriptor in a table that no task has. */
bool checkpoint_has_fd(struct files_struct *files, unsigned int fd)
{
	bool has;

	spin_lock(&files->file_lock);
	has = files_lookup_fd_locked(files, fd);
	spin_unlock(&files->file_lock);
	return has;
}

/* Gives the caller another descriptor table, and returns the one that it had. */
struct files_struct *checkpoint_files_switch(struct files_struct *files)
{
	struct files_struct *old;

	task_lock(current);
	old = current->files;
	current->files = files;
	task_unlock(current);
	return old;
}

/* Locks of a file, as they are found. */
struct found_locks {
	struct cr_hdr_lock *to;
	unsigned int max;
	unsigned int nr;
};

static void found_lock(struct found_locks *found, u32 kind,
		       const struct file_lock *lock)
{
	if (found->nr < found->max)
		found->to[found->nr] = (struct cr_hdr_lock) {
			.kind = kind,
			.lock_type = lock->c.flc_type,
			.start = kind == CR_LOCK_FLOCK ? 0 : lock->fl_start,
			.end = kind == CR_LOCK_FLOCK ? OFFSET_MAX : lock->fl_end,
		};
	found->nr++;
}

static void found_lease(struct found_locks *found, const struct file_lease *lease)
{
	if (found->nr < found->max)
		found->to[found->nr] = (struct cr_hdr_lock) {
			.kind = CR_LOCK_LEASE,
			.lock_type = lease->c.flc_type,
			.end = OFFSET_MAX,
		};
	found->nr++;
}

/*
 * Some file systems, such as 9p, make a lock of all bytes of what flock(2) asks
 * for. fcntl(2) can take bytes away from that.
 */
static bool is_flock(const struct file_lock *lock)
{
	return !(lock->c.flc_flags & FL_OFDLCK) && !lock->fl_start &&
	       lock->fl_end == OFFSET_MAX;
}

/**
 * checkpoint_locks - find the locks that were taken by an open file
 * @file: the file
 * @task: the task that has it
 * @to: where they go, in the order of an image, with an @objref of 0
 * @max: room in @to
 *
 * A lock of the process belongs to the inode, and goes when any descriptor of
 * that is closed. So the file that it was taken by has a descriptor still, and
 * each lock is found by one file.
 *
 * Return: how many there are, which may be more than @max.
 */
unsigned int checkpoint_locks(struct file *file, struct task_struct *task,
			      struct cr_hdr_lock *to, unsigned int max)
{
	struct file_lock_context *ctx = locks_inode_context(file_inode(file));
	struct found_locks found = { .to = to, .max = max };
	struct file_lease *lease;
	struct file_lock *lock;
	fl_owner_t files;

	if (!ctx || (file->f_mode & FMODE_PATH))
		return 0;
	/* Only compared, so that it need not be held. */
	files = READ_ONCE(task->files);
	spin_lock(&ctx->flc_lock);
	list_for_each_entry(lock, &ctx->flc_posix, c.flc_list)
		if (lock->c.flc_owner == files && lock->c.flc_file == file)
			found_lock(&found, CR_LOCK_POSIX, lock);
	list_for_each_entry(lock, &ctx->flc_flock, c.flc_list)
		if (lock->c.flc_file == file)
			found_lock(&found, CR_LOCK_FLOCK, lock);
	list_for_each_entry(lock, &ctx->flc_posix, c.flc_list)
		if (lock->c.flc_owner == file && is_flock(lock))
			found_lock(&found, CR_LOCK_FLOCK, lock);
	list_for_each_entry(lock, &ctx->flc_posix, c.flc_list)
		if (lock->c.flc_owner == file && !is_flock(lock))
			found_lock(&found, CR_LOCK_OFD, lock);
	list_for_each_entry(lease, &ctx->flc_lease, c.flc_list)
		if (lease->c.flc_file == file)
			found_lease(&found, lease);
	spin_unlock(&ctx->flc_lock);
	return found.nr;
}

#ifdef CONFIG_FILE_LOCKING
/* Takes a lock as fcntl(2) and flock(2) do, without waiting. */
static int relock(struct file *file, fl_owner_t owner, const struct cr_hdr_lock *from)
{
	bool flock = from->kind == CR_LOCK_FLOCK;
	fmode_t need = from->lock_type == F_WRLCK ? FMODE_WRITE : FMODE_READ;
	struct file_lock *lock;
	int err;

	if (flock)
		need = FMODE_READ | FMODE_WRITE;
	if (!(file->f_mode & need))
		return -EBADF;
	/* An image may have many, and each is looked for among those before. */
	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	err = security_file_lock(file, from->lock_type);
	if (err)
		return err;
	lock = locks_alloc_lock();
	if (!lock)
		return -ENOLCK;
	lock->c.flc_file = file;
	lock->c.flc_owner = owner;
	lock->c.flc_pid = current->tgid;
	lock->c.flc_flags = flock ? FL_FLOCK : FL_POSIX;
	if (from->kind == CR_LOCK_OFD)
		lock->c.flc_flags |= FL_OFDLCK;
	lock->c.flc_type = from->lock_type;
	lock->fl_start = from->start;
	lock->fl_end = from->end;

	if (!flock)
		err = vfs_lock_file(file, F_SETLK, lock, NULL);
	else if (file->f_op->flock)
		err = file->f_op->flock(file, F_SETLK, lock);
	else
		err = locks_lock_file_wait(file, lock);
	if (err == FILE_LOCK_DEFERRED) {
		/* Not asked for, and not waited for. */
		locks_delete_block(lock);
		err = -EAGAIN;
	}
	locks_free_lock(lock);
	return err;
}
#else
static int relock(struct file *file, fl_owner_t owner, const struct cr_hdr_lock *from)
{
	return -ENOLCK;
}
#endif

/**
 * checkpoint_relock - take a lock that the open file has
 * @file: the file, which loses the lock with its last reference
 * @lock: what to lock, of a kind other than CR_LOCK_POSIX
 *
 * Return: 0, -EAGAIN if somebody else has a lock there, -EBADF if the file is
 * not open for it, or what the file system says.
 */
int checkpoint_relock(struct file *file, const struct cr_hdr_lock *lock)
{
	if (lock->kind != CR_LOCK_FLOCK && lock->kind != CR_LOCK_OFD)
		return -EINVAL;
	return relock(file, file, lock);
}

/**
 * checkpoint_relock_fd - take a lock that the process has
 * @files: a descriptor table that no task has, which loses the lock when it is
 *	dropped, or when its task closes the file
 * @fd: a descriptor in it
 * @lock: what to lock, a CR_LOCK_POSIX
 *
 * Return: as checkpoint_relock().
 */
int checkpoint_relock_fd(struct files_struct *files, unsigned int fd,
			 const struct cr_hdr_lock *lock)
{
	struct file *file;

	if (lock->kind != CR_LOCK_POSIX)
		return -EINVAL;
	spin_lock(&files->file_lock);
	file = files_lookup_fd_locked(files, fd);
	spin_unlock(&files->file_lock);
	/* Nobody else could close it meanwhile. */
	return file ? relock(file, files, lock) : -EBADF;
}

/* How many tasks have the root, working directory and umask of @task. */
unsigned int checkpoint_fs_look(struct task_struct *task, unsigned int *umask)
{
	struct fs_struct *fs;
	unsigned int users = 0;

	*umask = 0;
	task_lock(task);
	fs = task->fs;
	if (fs) {
		read_seqlock_excl(&fs->seq);
		*umask = fs->umask;
		users = fs->users;
		read_sequnlock_excl(&fs->seq);
	}
	task_unlock(task);
	return users;
}

/**
 * checkpoint_fs_dir - open a directory that a task stands in
 * @task: the task
 * @root: its root, not its working directory
 *
 * Return: an O_PATH file; NULL for the root if it is the caller's.
 */
struct file *checkpoint_fs_dir(struct task_struct *task, bool root)
{
	struct path path = {}, own;
	struct file *file = NULL;

	task_lock(task);
	if (task->fs && root)
		get_fs_root(task->fs, &path);
	else if (task->fs)
		get_fs_pwd(task->fs, &path);
	task_unlock(task);
	if (!path.mnt)
		return ERR_PTR(-ESRCH);

	get_fs_root(current->fs, &own);
	if (!root || !path_equal(&path, &own))
		file = dentry_open(&path, O_PATH | O_DIRECTORY, current_cred());
	path_put(&own);
	path_put(&path);
	return file;
}

/* Whether chdir(2), or chroot(2) for a root, would let the caller in. */
static int may_enter(struct file *dir, bool root)
{
	int err;

	if (!d_can_lookup(dir->f_path.dentry))
		return -ENOTDIR;
	err = path_permission(&dir->f_path, MAY_EXEC | MAY_CHDIR);
	if (err || !root)
		return err;
	if (!ns_capable(current_user_ns(), CAP_SYS_CHROOT))
		return -EPERM;
	return security_path_chroot(&dir->f_path);
}

/**
 * checkpoint_fs_alloc - prepare where paths begin
 * @cwd: working directory
 * @root: root directory, NULL for the caller's
 * @umask: umask(2)
 */
struct fs_struct *checkpoint_fs_alloc(struct file *cwd, struct file *root,
				      unsigned int umask)
{
	struct fs_struct *fs;
	int err = may_enter(cwd, false);

	if (!err && root)
		err = may_enter(root, true);
	if (err)
		return ERR_PTR(err);
	fs = copy_fs_struct(current->fs);
	if (!fs)
		return ERR_PTR(-ENOMEM);
	set_fs_pwd(fs, &cwd->f_path);
	if (root)
		set_fs_root(fs, &root->f_path);
	fs->umask = umask & 0777;
	return fs;
}

void checkpoint_fs_get(struct fs_struct *fs)
{
	read_seqlock_excl(&fs->seq);
	fs->users++;
	read_sequnlock_excl(&fs->seq);
}

void checkpoint_fs_put(struct fs_struct *fs)
{
	bool last;

	read_seqlock_excl(&fs->seq);
	last = !--fs->users;
	read_sequnlock_excl(&fs->seq);
	if (last)
		free_fs_struct(fs);
}

/* Makes paths of the caller begin as @fs says. */
void checkpoint_fs_switch(struct fs_struct *fs)
{
	fs = switch_fs_struct(fs);
	if (fs)
		free_fs_struct(fs);
}

/* What tells the pipe or FIFO behind @file from others, 0 if it is none. */
unsigned long checkpoint_pipe_of(struct file *file)
{
	if (file->f_mode & FMODE_PATH)
		return 0;
	return (unsigned long)get_pipe_info(file, false);
}

/**
 * checkpoint_pipe_peek - copy bytes that wait in a pipe
 * @file: an end of it
 * @slot: which of its buffers, the first one to be read is 0
 * @skip: bytes of the buffer to leave out
 * @to: where they go
 * @room: most bytes to copy
 *
 * Return: how many bytes were copied, 0 at the end of the buffer, -ENXIO if
 * there is no such buffer, or why its bytes cannot be read.
 */
ssize_t checkpoint_pipe_peek(struct file *file, unsigned int slot, size_t skip,
			     void *to, size_t room)
{
	struct pipe_inode_info *pipe = get_pipe_info(file, false);
	struct pipe_buffer *buf;
	ssize_t copied = -ENXIO;

	if (!pipe)
		return -EBADF;
	mutex_lock(&pipe->mutex);
	if (slot < pipe_occupancy(pipe->head, pipe->tail)) {
		buf = pipe_buf(pipe, pipe->tail + slot);
		copied = pipe_buf_confirm(pipe, buf);
		if (!copied && skip < buf->len) {
			struct iov_iter iter;
			struct bio_vec vec;

			room = min_t(size_t, room, buf->len - skip);
			bvec_set_page(&vec, buf->page, room, buf->offset + skip);
			iov_iter_bvec(&iter, ITER_SOURCE, &vec, 1, room);
			copied = copy_from_iter(to, room, &iter);
		}
	}
	mutex_unlock(&pipe->mutex);
	return copied;
}

/**
 * checkpoint_pipe_fill - put bytes into a pipe, without waiting
 * @file: its end for writing
 * @from: the bytes
 * @len: how many
 */
ssize_t checkpoint_pipe_fill(struct file *file, const void *from, size_t len)
{
	struct kvec vec = { .iov_base = (void *)from, .iov_len = len };
	/* A FIFO does not know RWF_NOWAIT, and is open with O_NONBLOCK. */
	rwf_t flags = RWF_NOSIGNAL | (file->f_mode & FMODE_NOWAIT ? RWF_NOWAIT : 0);
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, len);
	return vfs_iter_write(file, &iter, NULL, flags);
}

/* As fcntl(F_SETPIPE_SZ): the size must become @size. */
int checkpoint_pipe_resize(struct file *file, unsigned int size)
{
	long got = pipe_fcntl(file, F_GETPIPE_SZ, 0);

	if (got >= 0 && got != size)
		got = pipe_fcntl(file, F_SETPIPE_SZ, size);
	if (got < 0)
		return got;
	return got == size ? 0 : -EINVAL;
}

/**
 * checkpoint_shm_create - make shared memory
 * @name: its name, with "memfd:" before it for a memfd
 * @size: bytes
 * @flags: CR_SHM_*
 * @seals: those that it will get
 * @mode: permissions of the inode
 * @page_shift: of its pages, with CR_SHM_HUGETLB
 *
 * The seals are for checkpoint_shm_seal(), when the memory has its contents; but
 * F_SEAL_WRITE cannot be set while a mapping might become writable, and must be
 * there before.
 */
struct file *checkpoint_shm_create(const char *name, u64 size, unsigned int flags,
				   unsigned int seals, umode_t mode,
				   unsigned int page_shift)
{
	unsigned int memfd_flags = seals == F_SEAL_SEAL ? 0 : MFD_ALLOW_SEALING;
	struct file *file;
	int err;

	if (size > MAX_LFS_FILESIZE)
		return ERR_PTR(-EINVAL);
	if (!(flags & CR_SHM_MEMFD) && flags & CR_SHM_HUGETLB)
		return checkpoint_hugetlb_file(size, page_shift);
	if (!(flags & CR_SHM_MEMFD))
		return shmem_kernel_file_setup(name, size, flags & CR_SHM_NORESERVE ?
					       mk_vma_flags(VMA_NORESERVE_BIT) :
					       EMPTY_VMA_FLAGS);

	/* Beyond the limit a truncate would send a signal. */
	if (size > rlimit(RLIMIT_FSIZE))
		return ERR_PTR(-EFBIG);
	/* As in memfd_create(2). */
	if (!((seals & F_SEAL_EXEC) && !(mode & 0111)) &&
	    pidns_memfd_noexec_scope(task_active_pid_ns(current)) >=
			MEMFD_NOEXEC_SCOPE_NOEXEC_ENFORCED)
		return ERR_PTR(-EACCES);
	if (flags & CR_SHM_HUGETLB) {
		unsigned int huge = checkpoint_hugetlb_memfd_flags(page_shift);

		if (!huge)
			return ERR_PTR(-EINVAL);
		memfd_flags |= huge;
	}
	file = memfd_alloc_file(name, memfd_flags);
	if (IS_ERR(file))
		return file;
	err = do_truncate(file_mnt_idmap(file), file->f_path.dentry, size, 0, file);
	if (!err && (file_inode(file)->i_mode & 07777) != (mode & 07777))
		err = chmod_common(&file->f_path, mode & 07777);
	/* Contents come by checkpoint_shm_write(), which no seal keeps out. */
	if (!err && seals & F_SEAL_WRITE)
		err = memfd_add_seals(file, seals);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	return file;
}

/**
 * checkpoint_shm_write - put bytes into shared memory
 * @file: the memory
 * @from: the bytes
 * @len: how many
 * @pos: where in the memory they go, which has to be below its size
 *
 * As by a mapping: the limits of write(2) are none of memory.
 *
 * Return: how many bytes there was room for in one piece.
 */
ssize_t checkpoint_shm_write(struct file *file, const void *from, size_t len,
			     loff_t pos)
{
	struct folio *folio;
	size_t offset;
	int err;

	if (is_file_hugepages(file))
		return checkpoint_hugetlb_write(file, from, len, pos);
	if (!IS_ENABLED(CONFIG_SHMEM) || !shmem_file(file))
		return -EBADF;
	err = shmem_get_folio(file_inode(file), pos >> PAGE_SHIFT, 0, &folio, SGP_CACHE);
	if (err)
		return err;
	offset = offset_in_folio(folio, pos);
	len = min(len, folio_size(folio) - offset);
	memcpy_to_folio(folio, offset, from, len);
	folio_mark_dirty(folio);
	folio_mark_accessed(folio);
	folio_unlock(folio);
	folio_put(folio);
	return len;
}

/*
 * Gives a memfd its seals. One that has F_SEAL_SEAL alone was made with it; one
 * with F_SEAL_WRITE got them from checkpoint_shm_create().
 */
int checkpoint_shm_seal(struct file *file, unsigned int seals)
{
	if (!seals || seals == F_SEAL_SEAL || seals & F_SEAL_WRITE)
		return 0;
	return memfd_add_seals(file, seals);
}

/* The settings of a terminal. */
int checkpoint_tty_get(struct file *file, struct cr_hdr_tty *settings)
{
	struct tty_struct *tty = terminal(file);
	struct ktermios *from;

	BUILD_BUG_ON(sizeof(*settings) != CHECKPOINT_TTY_LEN);
	BUILD_BUG_ON(sizeof(settings->cc) != sizeof(from->c_cc));
	if (!tty)
		return -ENOTTY;
	down_read(&tty->termios_rwsem);
	from = &tty->termios;
	*settings = (struct cr_hdr_tty) {
		.iflag = from->c_iflag,
		.oflag = from->c_oflag,
		.cflag = from->c_cflag,
		.lflag = from->c_lflag,
		.ispeed = from->c_ispeed,
		.ospeed = from->c_ospeed,
		.line = from->c_line,
	};
	memcpy(settings->cc, from->c_cc, sizeof(settings->cc));
	up_read(&tty->termios_rwsem);
	return 0;
}

/* Gives a terminal other settings, as tcsetattr(3); its line discipline stays. */
void checkpoint_tty_set(struct file *file, const struct cr_hdr_tty *settings)
{
#ifdef CONFIG_TTY
	struct tty_struct *tty = terminal(file);
	struct ktermios to = {
		.c_iflag = settings->iflag,
		.c_oflag = settings->oflag,
		.c_cflag = settings->cflag,
		.c_lflag = settings->lflag,
		.c_ispeed = settings->ispeed,
		.c_ospeed = settings->ospeed,
	};

	if (!tty)
		return;
	to.c_line = READ_ONCE(tty->termios.c_line);
	memcpy(to.c_cc, settings->cc, sizeof(to.c_cc));
	to.c_ispeed = tty_termios_input_baud_rate(&to);
	to.c_ospeed = tty_termios_baud_rate(&to);
	tty_set_termios(tty, &to);
#endif
}
