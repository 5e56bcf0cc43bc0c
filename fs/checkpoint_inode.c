// SPDX-License-Identifier: GPL-2.0
/*
 * Files and directories that were deleted, for rust/kernel/fs/state/inode.rs:
 * what is saved of the inode, where it was, and how to get one that is the
 * same.
 *
 * Locks: none of these functions is called with a lock held, and none returns
 * with one. Inside, the lock of a directory comes before all that creating and
 * removing a name in it takes; inode->i_lock comes before dentry->d_lock.
 */
#include <linux/checkpoint.h>
#include <linux/checkpoint_hdr.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/posix_acl.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/xattr.h>

#include "internal.h"

/* Names that are looked at to find one that is left of a file. */
#define ALIASES		16

/* Names that are tried where a file cannot be made without one. */
#define TRIES		8

/* What tells the inode behind @file from others. */
unsigned long checkpoint_inode_id(struct file *file)
{
	return (unsigned long)d_inode(file_user_path(file)->dentry);
}

/* Whether a name is one that a security module gives by itself. */
static bool is_label(const char *name)
{
	return str_has_prefix(name, XATTR_SECURITY_PREFIX) &&
	       strcmp(name, XATTR_NAME_CAPS);
}

/* Whether an inode has extended attributes that somebody gave it. */
static int has_xattrs(struct dentry *dentry)
{
	ssize_t len = vfs_listxattr(dentry, NULL, 0);
	char *names, *name;
	int found = 0;

	if (len == -EOPNOTSUPP || !len)
		return 0;
	if (len < 0)
		return len;
	names = kvmalloc(len, GFP_KERNEL);
	if (!names)
		return -ENOMEM;
	len = vfs_listxattr(dentry, names, len);
	for (name = names; len > 0 && name < names + len; name += strlen(name) + 1)
		found |= !is_label(name);
	kvfree(names);
	return len < 0 ? len : found;
}

/**
 * checkpoint_inode_look - tell what a deleted file or directory is
 * @file: an open file of it
 * @to: filled in, but for @objref and @path_len
 * @what: set to why it cannot be saved, NULL if it can
 *
 * Return: 0, or what its file system said instead of its attributes.
 */
int checkpoint_inode_look(struct file *file, struct cr_hdr_inode *to,
			  const char **what)
{
	const struct path *path = file_user_path(file);
	struct user_namespace *ns = current_user_ns();
	struct inode *inode = d_inode(path->dentry);
	struct kstat stat;
	int err;

	*what = NULL;
	err = vfs_getattr(path, &stat, STATX_BASIC_STATS, AT_STATX_SYNC_AS_STAT);
	if (err)
		return err;
	*to = (struct cr_hdr_inode) {
		.mode = stat.mode,
		.size = S_ISREG(stat.mode) ? stat.size : 0,
		.dev = (u64)MAJOR(stat.dev) << 32 | MINOR(stat.dev),
		.ino = stat.ino,
		.atime = timespec64_to_ns(&stat.atime),
		.mtime = timespec64_to_ns(&stat.mtime),
		.uid = from_kuid_munged(ns, stat.uid),
		.gid = from_kgid_munged(ns, stat.gid),
	};
	if (S_ISDIR(stat.mode)) {
		if (!IS_DEADDIR(inode))
			*what = "a directory that has no name";
	} else if (!S_ISREG(stat.mode)) {
		*what = "a deleted file that is neither a regular file nor a directory";
	} else if (stat.nlink) {
		*what = "a deleted file that has another name";
	} else if (inode_state_read_once(inode) & I_LINKABLE) {
		to->flags = CR_INODE_LINKABLE;
	}
	if (*what)
		return 0;

	if (IS_IMMUTABLE(inode) || IS_APPEND(inode) || IS_VERITY(inode)) {
		*what = "a deleted file with attributes of chattr(1)";
		return 0;
	}
	err = has_xattrs(path->dentry);
	if (err > 0)
		*what = "a deleted file with extended attributes";
	return min(err, 0);
}

/* The path of @dentry from the caller's root, as checkpoint_path(). */
static int path_from_root(struct vfsmount *mnt, struct dentry *dentry, char *buf,
			  int len)
{
	const struct path path = { .mnt = mnt, .dentry = dentry };
	struct path root;
	char *begin;

	get_fs_root(current->fs, &root);
	begin = __d_path(&path, &root, buf, len);
	path_put(&root);
	if (!begin)
		return -EXDEV;
	if (IS_ERR(begin))
		return PTR_ERR(begin);
	return begin - buf;
}

/**
 * checkpoint_inode_alias - find another name of a file
 * @file: the file, the name of which was deleted
 * @buf: where the path goes, to the end of it, with a NUL
 * @len: bytes of @buf
 *
 * Names that nobody has looked up since the file system was mounted are not
 * found.
 *
 * Return: where in @buf the path begins; -ENOENT if there is none on the same
 * mount and below the caller's root.
 */
int checkpoint_inode_alias(struct file *file, char *buf, int len)
{
	const struct path *path = file_user_path(file);
	struct inode *inode = d_inode(path->dentry);
	struct dentry *found[ALIASES], *alias;
	unsigned int nr = 0, i;
	int begin = -ENOENT;

	if (S_ISDIR(inode->i_mode) || !READ_ONCE(inode->i_nlink))
		return -ENOENT;
	spin_lock(&inode->i_lock);
	for_each_alias(alias, inode) {
		if (nr == ALIASES)
			break;
		spin_lock(&alias->d_lock);
		if (!d_unhashed(alias))
			found[nr++] = dget_dlock(alias);
		spin_unlock(&alias->d_lock);
	}
	spin_unlock(&inode->i_lock);

	for (i = 0; i < nr; i++) {
		if (begin < 0)
			begin = path_from_root(path->mnt, found[i], buf, len);
		dput(found[i]);
	}
	return begin < 0 ? -ENOENT : begin;
}

/**
 * checkpoint_inode_dir - find the directory that a deleted file was in
 * @file: the file
 * @buf: where the path goes, to the end of it, with a NUL
 * @len: bytes of @buf
 *
 * If that was deleted too, it is the next one above that was not.
 *
 * Return: as checkpoint_path(), but for -ENOENT.
 */
int checkpoint_inode_dir(struct file *file, char *buf, int len)
{
	const struct path *path = file_user_path(file);
	struct dentry *dir = dget_parent(path->dentry);
	int begin;

	while (d_unlinked(dir)) {
		struct dentry *parent = dget_parent(dir);

		dput(dir);
		dir = parent;
	}
	begin = path_from_root(path->mnt, dir, buf, len);
	dput(dir);
	return begin;
}

/**
 * checkpoint_inode_reader - open a deleted file to read what it has
 * @file: an open file of it
 *
 * The caller may read what the task has open for reading, whose tracer it could
 * be; else the permissions of the inode count.
 */
struct file *checkpoint_inode_reader(struct file *file)
{
	int err;

	if (!(file->f_mode & FMODE_READ)) {
		err = path_permission(file_user_path(file), MAY_READ);
		if (err)
			return ERR_PTR(err);
	}
	return dentry_open(file_user_path(file), O_RDONLY | O_LARGEFILE | O_NOATIME,
			   current_cred());
}

/* A file that has never had a name. */
static struct file *make_unnamed(const char *dir, unsigned int flags)
{
	struct path path;
	struct file *file;
	int err;

	err = kern_path(dir, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
	if (err)
		return ERR_PTR(err);
	err = mnt_want_write(path.mnt);
	if (err) {
		file = ERR_PTR(err);
		goto out;
	}
	file = kernel_tmpfile_open(mnt_idmap(path.mnt), &path, S_IFREG | 0600, flags,
				   current_cred());
	mnt_drop_write(path.mnt);
out:
	path_put(&path);
	return file;
}

/*
 * Makes something that has a name, and takes that away before anybody else can
 * change the directory.
 */
static struct file *make_and_remove(const char *dir, bool is_dir)
{
	struct mnt_idmap *idmap;
	struct dentry *dentry;
	struct file *file;
	struct inode *in;
	struct path path, made;
	char *name;
	int err;

	name = kasprintf(GFP_KERNEL, "%s/.checkpoint-%016llx", dir, get_random_u64());
	if (!name)
		return ERR_PTR(-ENOMEM);
	dentry = start_creating_path(AT_FDCWD, name, &path, is_dir ? LOOKUP_DIRECTORY : 0);
	kfree(name);
	if (IS_ERR(dentry))
		return ERR_CAST(dentry);
	idmap = mnt_idmap(path.mnt);
	in = d_inode(path.dentry);

	if (is_dir) {
		err = security_path_mkdir(&path, dentry, 0700);
		if (!err) {
			dentry = vfs_mkdir(idmap, in, dentry, 0700, NULL);
			err = PTR_ERR_OR_ZERO(dentry);
		}
	} else {
		err = security_path_mknod(&path, dentry, S_IFREG | 0600, 0);
		if (!err)
			err = vfs_create(idmap, dentry, S_IFREG | 0600, NULL);
	}
	if (err) {
		file = ERR_PTR(err);
		goto out;
	}

	made.mnt = path.mnt;
	made.dentry = dentry;
	file = dentry_open(&made, O_PATH, current_cred());
	/* What was not there before is the caller's to remove. */
	if (is_dir)
		err = vfs_rmdir(idmap, in, dentry, NULL);
	else
		err = vfs_unlink(idmap, in, dentry, NULL);
	if (err && !IS_ERR(file)) {
		fput(file);
		file = ERR_PTR(err);
	}
out:
	end_creating_path(&path, dentry);
	return file;
}

/* As make_and_remove(), with another name if there is one like that. */
static struct file *make_removed(const char *dir, bool is_dir)
{
	struct file *file;
	int tries = TRIES;

	do
		file = make_and_remove(dir, is_dir);
	while (file == ERR_PTR(-EEXIST) && --tries);
	return file;
}

/**
 * checkpoint_inode_create - make a file or directory that has no name
 * @dir: path of the directory to make it in
 * @from: what it shall be
 *
 * It is the caller's, and has the size, until checkpoint_inode_finish(). The
 * caller could have made it by open(2) with O_TMPFILE, or by mkdir(2) and
 * rmdir(2).
 *
 * Return: an O_PATH file, which keeps it.
 */
struct file *checkpoint_inode_create(const char *dir, const struct cr_hdr_inode *from)
{
	bool linkable = from->flags & CR_INODE_LINKABLE;
	struct file *file, *open;
	int err;

	if (S_ISDIR(from->mode))
		return make_removed(dir, true);
	if (!S_ISREG(from->mode))
		return ERR_PTR(-EINVAL);
	/* Beyond the limit a truncate would send a signal. */
	if (from->size > MAX_LFS_FILESIZE || from->size > rlimit(RLIMIT_FSIZE))
		return ERR_PTR(-EFBIG);

	open = make_unnamed(dir, O_RDWR | O_LARGEFILE | (linkable ? 0 : O_EXCL));
	if (!IS_ERR(open)) {
		file = dentry_open(&open->f_path, O_PATH, current_cred());
		/* An executable file must have no writer any more. */
		__fput_sync(open);
	} else if (open == ERR_PTR(-EOPNOTSUPP) && !linkable) {
		file = make_removed(dir, false);
	} else {
		file = open;
	}
	if (IS_ERR(file))
		return file;

	err = mnt_want_write(file->f_path.mnt);
	if (!err) {
		/* What a directory gives to new files is not what this one had. */
		err = vfs_remove_acl(file_mnt_idmap(file), file->f_path.dentry,
				     XATTR_NAME_POSIX_ACL_ACCESS);
		if (err == -EOPNOTSUPP || err == -ENODATA)
			err = 0;
		if (!err && from->size)
			err = do_truncate(file_mnt_idmap(file), file->f_path.dentry,
					  from->size, 0, NULL);
		mnt_drop_write(file->f_path.mnt);
	}
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	return file;
}

/**
 * checkpoint_inode_write - put bytes into a file that was made without a name
 * @file: what checkpoint_inode_create() returned
 * @from: the bytes
 * @len: how many
 * @pos: where in the file they go, which has to be below its size
 *
 * The file has a writer only as long as this takes.
 *
 * Return: how many bytes there was room for.
 */
ssize_t checkpoint_inode_write(struct file *file, const void *from, size_t len,
			       loff_t pos)
{
	struct file *open;
	ssize_t written;

	open = dentry_open(&file->f_path, O_WRONLY | O_LARGEFILE, current_cred());
	if (IS_ERR(open))
		return PTR_ERR(open);
	written = kernel_write(open, from, len, &pos);
	__fput_sync(open);
	return written;
}

/* Gives a file its permissions, if it has others. */
static int set_mode(const struct path *path, umode_t mode)
{
	struct inode *inode = d_inode(path->dentry);
	int err;

	mode &= S_IALLUGO;
	if ((inode->i_mode & S_IALLUGO) == mode)
		return 0;
	err = chmod_common(path, mode);
	if (err)
		return err;
	/* Set-group-ID is only for who is in the group, and silently left out. */
	return (inode->i_mode & S_IALLUGO) == mode ? 0 : -EPERM;
}

/**
 * checkpoint_inode_finish - give a file or directory what it had
 * @file: what checkpoint_inode_create() returned, with all its contents
 * @from: what it shall be
 *
 * By the rules of chmod(2), chown(2) and utimensat(2).
 */
int checkpoint_inode_finish(struct file *file, const struct cr_hdr_inode *from)
{
	struct mnt_idmap *idmap = file_mnt_idmap(file);
	const struct path *path = &file->f_path;
	struct inode *inode = d_inode(path->dentry);
	struct timespec64 times[2] = {
		ns_to_timespec64(from->atime),
		ns_to_timespec64(from->mtime),
	};
	kuid_t uid = make_kuid(current_user_ns(), from->uid);
	kgid_t gid = make_kgid(current_user_ns(), from->gid);
	bool own = vfsuid_eq_kuid(i_uid_into_vfsuid(idmap, inode), uid) &&
		   vfsgid_eq_kgid(i_gid_into_vfsgid(idmap, inode), gid);
	int err;

	if (!uid_valid(uid) || !gid_valid(gid))
		return -EINVAL;
	/* Before the owner changes: it may be the caller's now only. */
	err = vfs_utimes(path, times);
	if (err)
		return err;
	err = set_mode(path, from->mode & ~(own ? 0 : S_ISUID | S_ISGID));
	if (err || own)
		return err;
	err = mnt_want_write(path->mnt);
	if (err)
		return err;
	err = chown_common(path, from->uid, from->gid);
	mnt_drop_write(path->mnt);
	return err ?: set_mode(path, from->mode);
}
