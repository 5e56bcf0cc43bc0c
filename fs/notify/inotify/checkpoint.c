// SPDX-License-Identifier: GPL-2.0
/*
 * inotify(7) for checkpoint(2) and restart(2): what an instance watches, and the
 * events that wait in it.
 *
 * Locks: group->mark_mutex, by fsnotify_group_lock(), comes before the idr_lock
 * of the instance. group->notification_lock is taken alone.
 */
#include <linux/anon_inodes.h>
#include <linux/checkpoint.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/idr.h>
#include <linux/inotify.h>
#include <linux/limits.h>
#include <linux/namei.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "inotify.h"
#include "../fsnotify.h"

#ifdef CONFIG_INOTIFY_USER

/* What a mask of a watch is made of, and one of an event. */
#define WATCH_BITS	(IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT)
#define EVENT_BITS	(IN_ALL_EVENTS | IN_ISDIR | IN_UNMOUNT | IN_IGNORED | \
			 IN_Q_OVERFLOW)

/* Whether @file is an inotify instance; the others below are given no other. */
bool checkpoint_inotify_is(struct file *file)
{
	return file->f_op == &inotify_fops;
}

/* The watch descriptor that was given last, 0 if none was. */
s32 checkpoint_inotify_last(struct file *file)
{
	struct fsnotify_group *group = file->private_data;
	unsigned int next = idr_get_cursor(&group->inotify_data.idr);

	return next ? next - 1 : 0;
}

/**
 * checkpoint_inotify_watches - find what an inotify instance watches
 * @file: the instance
 * @to: where the watches go, in no order
 * @max: room in @to
 *
 * Return: how many there are, which may be more than @max. Those in @to have a
 * reference on their inode.
 */
unsigned int checkpoint_inotify_watches(struct file *file,
					struct checkpoint_watch *to, unsigned int max)
{
	struct fsnotify_group *group = file->private_data;
	struct fsnotify_mark *mark;
	struct inode *inode;
	unsigned int nr = 0;

	fsnotify_group_lock(group);
	list_for_each_entry(mark, &group->marks_list, g_list) {
		if (nr >= max) {
			nr++;
			continue;
		}
		/* One that is going away takes its watch with it. */
		inode = igrab(fsnotify_conn_inode(mark->connector));
		if (!inode)
			continue;
		to[nr++] = (struct checkpoint_watch) {
			.inode = inode,
			.wd = container_of(mark, struct inotify_inode_mark,
					   fsn_mark)->wd,
			.mask = inotify_mark_user_mask(mark),
		};
	}
	fsnotify_group_unlock(group);
	return nr;
}

/* Bytes of the name of an event, as read(2) pads it. */
static size_t padded_name(const struct inotify_event_info *event)
{
	if (!event->name_len)
		return 0;
	return roundup(event->name_len + 1, sizeof(struct inotify_event));
}

/**
 * checkpoint_inotify_events - copy the events that wait in an inotify instance
 * @file: the instance
 * @to: where they go, as read(2) returns them
 * @room: bytes of @to
 * @nr: how many events there are
 *
 * Return: bytes of all events, of which those that fit are in @to.
 */
size_t checkpoint_inotify_events(struct file *file, void *to, size_t room, u32 *nr)
{
	struct fsnotify_group *group = file->private_data;
	struct fsnotify_event *fse;
	size_t len = 0;

	*nr = 0;
	spin_lock(&group->notification_lock);
	list_for_each_entry(fse, &group->notification_list, list) {
		struct inotify_event_info *event = INOTIFY_E(fse);
		struct inotify_event head = {
			.wd = event->wd,
			.mask = event->mask & EVENT_BITS,
			.cookie = event->sync_cookie,
			.len = padded_name(event),
		};
		size_t size = sizeof(head) + head.len;

		if (len + size <= room) {
			memcpy(to + len, &head, sizeof(head));
			memcpy(to + len + sizeof(head), event->name, event->name_len);
			memset(to + len + sizeof(head) + event->name_len, 0,
			       head.len - event->name_len);
		}
		len += size;
		++*nr;
	}
	spin_unlock(&group->notification_lock);
	return len;
}

/**
 * checkpoint_inotify_create - make an inotify instance that watches nothing
 * @last: the watch descriptor that was given last, 0 if none was
 *
 * Limits and errors are those of inotify_init(2).
 */
struct file *checkpoint_inotify_create(s32 last)
{
	struct fsnotify_group *group;
	struct file *file;

	if (last < 0)
		return ERR_PTR(-EINVAL);
	group = inotify_new_group(inotify_max_queued_events);
	if (IS_ERR(group))
		return ERR_CAST(group);
	idr_set_cursor(&group->inotify_data.idr, (unsigned int)last + 1);
	file = anon_inode_getfile("inotify", &inotify_fops, group, O_RDONLY);
	if (IS_ERR(file))
		fsnotify_destroy_group(group);
	return file;
}

/**
 * checkpoint_inotify_watch - watch a file, as inotify_add_watch(2) does
 * @file: an inotify instance that nobody else has
 * @target: what to watch, an O_PATH file
 * @wd: the watch descriptor that it gets
 * @mask: IN_*
 *
 * Return: 0, -EEXIST if the file is watched already, -EINVAL if the descriptor
 * is in use, or what inotify_add_watch(2) says.
 */
int checkpoint_inotify_watch(struct file *file, struct file *target, s32 wd, u32 mask)
{
	struct fsnotify_group *group = file->private_data;
	struct idr *idr = &group->inotify_data.idr;
	const struct path *path = &target->f_path;
	unsigned int next;
	int err;

	if (!checkpoint_inotify_is(file) || wd <= 0 || (mask & ~WATCH_BITS))
		return -EINVAL;
	err = path_permission(path, MAY_READ);
	if (err)
		return err;
	err = security_path_notify(path, mask & IN_ALL_EVENTS, FSNOTIFY_OBJ_TYPE_INODE);
	if (err)
		return err;

	fsnotify_group_lock(group);
	next = idr_get_cursor(idr);
	idr_set_cursor(idr, wd);
	err = inotify_new_watch(group, d_backing_inode(path->dentry), mask);
	idr_set_cursor(idr, next);
	fsnotify_group_unlock(group);
	if (err < 0)
		return err;
	return err == wd ? 0 : -EINVAL;
}

/* Puts an event behind those that wait; @name has so many bytes as its length. */
static int queue_event(struct fsnotify_group *group, const struct inotify_event *from,
		       const char *name, size_t name_len)
{
	struct inotify_event_info *event;
	int ret;

	if (from->mask & IN_Q_OVERFLOW) {
		if (from->mask != IN_Q_OVERFLOW || from->wd != -1 || from->cookie || name_len)
			return -EINVAL;
		spin_lock(&group->notification_lock);
		ret = list_empty(&group->overflow_event->list);
		spin_unlock(&group->notification_lock);
		if (!ret)
			return -EINVAL;
		/* It says 2, though it does queue this one. */
		fsnotify_queue_overflow(group);
		return 0;
	}

	event = kmalloc(struct_size(event, name, name_len + 1), GFP_KERNEL_ACCOUNT);
	if (!event)
		return -ENOMEM;
	fsnotify_init_event(&event->fse);
	event->mask = from->mask;
	/* Not shown by read(2), but another event like it is not queued again. */
	if (name_len && !(from->mask & ALL_FSNOTIFY_DIRENT_EVENTS))
		event->mask |= FS_EVENT_ON_CHILD;
	event->wd = from->wd;
	event->sync_cookie = from->cookie;
	event->name_len = name_len;
	memcpy(event->name, name, name_len);
	event->name[name_len] = '\0';

	ret = fsnotify_add_event(group, &event->fse, NULL);
	if (!ret)
		return 0;
	fsnotify_destroy_event(group, &event->fse);
	return -ENOSPC;
}

/**
 * checkpoint_inotify_queue - put an event into an inotify instance
 * @file: an inotify instance that nobody else has
 * @from: the event and those behind it, as read(2) returns them
 * @len: bytes of all of them
 *
 * Return: bytes of the first event, which waits now; -EINVAL if no read(2) would
 * return it, -ENOSPC if the queue is shorter than it was.
 */
ssize_t checkpoint_inotify_queue(struct file *file, const void *from, size_t len)
{
	struct inotify_event head;
	const char *name = from + sizeof(head);
	size_t name_len = 0;
	int err;

	if (!checkpoint_inotify_is(file) || len < sizeof(head))
		return -EINVAL;
	memcpy(&head, from, sizeof(head));
	if (head.len > len - sizeof(head) || head.len > NAME_MAX + 1 ||
	    !head.mask || (head.mask & ~EVENT_BITS))
		return -EINVAL;
	if (head.len) {
		name_len = strnlen(name, head.len);
		if (!name_len || roundup(name_len + 1, sizeof(head)) != head.len ||
		    memchr_inv(name + name_len, 0, head.len - name_len))
			return -EINVAL;
	}
	err = queue_event(file->private_data, &head, name, name_len);
	return err ?: sizeof(head) + head.len;
}

#else /* CONFIG_INOTIFY_USER */

bool checkpoint_inotify_is(struct file *file)
{
	return false;
}

s32 checkpoint_inotify_last(struct file *file)
{
	return 0;
}

unsigned int checkpoint_inotify_watches(struct file *file,
					struct checkpoint_watch *to, unsigned int max)
{
	return 0;
}

size_t checkpoint_inotify_events(struct file *file, void *to, size_t room, u32 *nr)
{
	*nr = 0;
	return 0;
}

struct file *checkpoint_inotify_create(s32 last)
{
	return ERR_PTR(-EOPNOTSUPP);
}

int checkpoint_inotify_watch(struct file *file, struct file *target, s32 wd, u32 mask)
{
	return -EOPNOTSUPP;
}

ssize_t checkpoint_inotify_queue(struct file *file, const void *from, size_t len)
{
	return -EOPNOTSUPP;
}

#endif /* CONFIG_INOTIFY_USER */
