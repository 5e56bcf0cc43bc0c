/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Callers of restart(2) that must be after a failure what they were before: they
 * compare snapshots of themselves.
 */
#ifndef __CKPT_CALLER_H
#define __CKPT_CALLER_H

#include "proc.h"
#include "snapshot.h"

static int child_tid;

static inline void nothing(int sig __maybe_unused)
{
}

/* A caller with something of everything to lose. */
static inline void decorate(void)
{
	static char stack[16384];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	sigset_t set;
	size_t i;

	for (i = 0; i < sizeof(marked); i++)
		marked[i] = i * 31 + i / 250;
	signal(SIGUSR1, nothing);
	signal(SIGUSR2, SIG_IGN);
	sigaltstack(&ss, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGHUP);
	dup2(open("/dev/zero", O_RDONLY), 17);
	dup2(open("/proc/self/exe", O_RDONLY), 20);
	lseek(20, 77, SEEK_SET);
	syscall(SYS_set_tid_address, &child_tid);
	if (chdir("/tmp"))
		_exit(1);
	set_comm("the caller");
}

#endif /* __CKPT_CALLER_H */
