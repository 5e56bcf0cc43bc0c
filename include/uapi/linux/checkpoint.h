/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Arguments of checkpoint(2) and restart(2).
 *
 *	long checkpoint(pid_t pid, int fd, unsigned long flags, int logfd);
 *	long restart(int crid, int fd, unsigned long flags, int logfd);
 *
 * The layout of an image is in <linux/checkpoint_hdr.h>.
 */
#ifndef _UAPI_LINUX_CHECKPOINT_H
#define _UAPI_LINUX_CHECKPOINT_H

/*
 * Flags of both calls.
 *
 * CHECKPOINT_LOG: @logfd is a file descriptor open for writing; when the call
 * fails, lines that name the task, the object and the reason are written to
 * it. Without this flag @logfd is not looked at, and three arguments do.
 */
#define CHECKPOINT_LOG		0x1

/*
 * Flags of checkpoint(2), for a pid that is not the caller's own. Only one of
 * them may be given. Without one, the process goes on.
 *
 * CHECKPOINT_KILL: the process is killed when the image is complete, before it
 * runs again.
 * CHECKPOINT_STOP: the process is stopped then, as by SIGSTOP.
 */
#define CHECKPOINT_KILL		0x2
#define CHECKPOINT_STOP		0x4

/*
 * Flags of restart(2).
 *
 * RESTART_RELAXED_FILES: a file need not be the inode that it was, nor have
 * the size that it had. Its type must be the same.
 */
#define RESTART_RELAXED_FILES	0x100

/* Every flag that checkpoint(2) takes; it answers EINVAL to any other bit. */
#define CHECKPOINT_FLAGS	(CHECKPOINT_LOG | CHECKPOINT_KILL | CHECKPOINT_STOP)

/* Every flag that restart(2) takes; it answers EINVAL to any other bit. */
#define RESTART_FLAGS		(CHECKPOINT_LOG | RESTART_RELAXED_FILES)

#endif /* _UAPI_LINUX_CHECKPOINT_H */
