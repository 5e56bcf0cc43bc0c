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

/* Every flag that checkpoint(2) takes; it answers EINVAL to any other bit. */
#define CHECKPOINT_FLAGS	(CHECKPOINT_LOG)

/* Every flag that restart(2) takes; it answers EINVAL to any other bit. */
#define RESTART_FLAGS		(CHECKPOINT_LOG)

#endif /* _UAPI_LINUX_CHECKPOINT_H */
