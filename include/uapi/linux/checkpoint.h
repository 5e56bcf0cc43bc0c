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
 * CHECKPOINT_CHECK: nothing is written, @fd is not looked at, and nothing
 * happens to the process. The call tells whether an image could be taken: it
 * returns 0, or fails and logs every reason instead of the first only.
 *
 * CHECKPOINT_INHERIT: an open file that no image can have, such as a socket,
 * does not end the call. restart(2) needs one in its place, by RESTART_INHERIT.
 */
#define CHECKPOINT_CHECK	0x8
#define CHECKPOINT_INHERIT	0x10

/*
 * CHECKPOINT_CONTAINER: nothing of the tree may be shared with a process outside
 * of it, nor may anything be left to the restarter to hand in. The call fails, and
 * the log names the object and who else has it.
 */
#define CHECKPOINT_CONTAINER	0x20

/*
 * Flags of restart(2).
 *
 * RESTART_RELAXED_FILES: a file need not be the inode that it was, nor have
 * the size that it had. Its type must be the same.
 */
#define RESTART_RELAXED_FILES	0x100

/*
 * RESTART_INHERIT: a descriptor that the caller has open, and that execve(2)
 * would not close, takes the place of the open file that the image has under
 * its number, whatever that is.
 *
 * RESTART_RELAXED_CLOCKS: clocks may be behind those of the image, as they are
 * after a reboot. Without this flag the process gets a time namespace in which
 * they go on, which takes CAP_SYS_ADMIN and CAP_SYS_TIME; without these, the call
 * fails.
 */
#define RESTART_INHERIT		0x200
#define RESTART_RELAXED_CLOCKS	0x400

/*
 * RESTART_NEW_PIDS: tasks get pids that are free, instead of those that they had,
 * which takes CAP_CHECKPOINT_RESTORE. The first task has that of the caller anyway.
 */
#define RESTART_NEW_PIDS	0x800

/* Every flag that checkpoint(2) takes; it answers EINVAL to any other bit. */
#define CHECKPOINT_FLAGS	(CHECKPOINT_LOG | CHECKPOINT_KILL | CHECKPOINT_STOP | \
				 CHECKPOINT_CHECK | CHECKPOINT_INHERIT | \
				 CHECKPOINT_CONTAINER)

/* Every flag that restart(2) takes; it answers EINVAL to any other bit. */
#define RESTART_FLAGS		(CHECKPOINT_LOG | RESTART_RELAXED_FILES | \
				 RESTART_INHERIT | RESTART_RELAXED_CLOCKS | \
				 RESTART_NEW_PIDS)

#endif /* _UAPI_LINUX_CHECKPOINT_H */
