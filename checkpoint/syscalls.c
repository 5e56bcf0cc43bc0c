// SPDX-License-Identifier: GPL-2.0-only
/*
 * System call entry points of checkpoint and restart. SYSCALL_DEFINE is a
 * macro of C; everything behind it is in checkpoint.rs.
 */
#include <linux/checkpoint.h>
#include <linux/syscalls.h>

SYSCALL_DEFINE4(checkpoint, pid_t, pid, int, fd, unsigned long, flags, int, logfd)
{
	return do_checkpoint(pid, fd, flags, logfd);
}

SYSCALL_DEFINE4(restart, int, crid, int, fd, unsigned long, flags, int, logfd)
{
	return do_restart(crid, fd, flags, logfd);
}
