/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C side of the kernel knows of checkpoint(2) and restart(2).
 */
#ifndef _LINUX_CHECKPOINT_H
#define _LINUX_CHECKPOINT_H

#include <linux/types.h>

/* kernel.checkpoint_unprivileged: 0 closes both calls to the unprivileged. */
extern int sysctl_checkpoint_unprivileged;

/* In Rust: checkpoint/checkpoint.rs. */
long do_checkpoint(pid_t pid, int fd, unsigned long flags, int logfd);
long do_restart(int crid, int fd, unsigned long flags, int logfd);

#endif /* _LINUX_CHECKPOINT_H */
