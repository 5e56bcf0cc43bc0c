/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trees that have nothing of the test's: no pipe leads out of them, and what they
 * say is in files. They are saved when their first task waits for SIGUSR1.
 */
#ifndef __CKPT_WHOLE_H
#define __CKPT_WHOLE_H

#include "proc.h"

#include <sched.h>

struct whole {
	struct __test_metadata *metadata;
	pid_t pid;
	int image;
	int logfd;
};

/* In the tree */

/* The first task waits here to be saved. */
static inline void whole_here(void)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	set_comm("whole");
	CHECK(!sigwait(&set, &sig) && sig == SIGUSR1);
}

static pid_t holder;

/*
 * A copy of the caller that is outside of the tree, as a child of the test, and
 * has no descriptors but those from @low to @high.
 */
static inline void hold(unsigned int low, unsigned int high)
{
	holder = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	CHECK(holder >= 0);
	if (!holder) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (low)
			syscall(SYS_close_range, 0, low - 1, 0);
		syscall(SYS_close_range, high + 1, ~0U, 0);
		set_comm("holder");
		for (;;)
			syscall(SYS_pause);
	}
	CHECK(proc_wait_comm(holder, "holder"));
}

static inline void let_holder_go(void)
{
	CHECK(!kill(holder, SIGKILL));
}

/* As @fd is, under a number that is known. */
static inline void put_at(int fd, int number)
{
	CHECK(fd >= 0 && dup2(fd, number) == number);
	if (fd != number)
		close(fd);
}

/* In the test */

/* Is in a new pid namespace if @flags have CLONE_NEWPID. */
static inline bool whole_start(struct whole *w, void (*fn)(void), __u64 flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };

	w->image = tmp_memfd();
	w->logfd = tmp_memfd();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	w->pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!w->pid) {
		int sig;

		for (sig = 1; sig <= SIGRTMAX; sig++)
			signal(sig, SIG_DFL);
		block_signal(SIGUSR1);
		setsid();
		syscall(SYS_close_range, 0, ~0U, 0);
		umask(0);
		if (open("/dev/null", O_RDONLY) ||
		    open(in_dir("out"), O_WRONLY | O_CREAT | O_APPEND, 0666) != 1 ||
		    open(in_dir("out"), O_WRONLY | O_APPEND) != 2)
			_exit(95);
		own_memory();
		set_comm("begins");
		fn();
		_exit(0);
	}
	return w->pid > 0 && proc_wait_comm(w->pid, "whole") &&
	       proc_wait_asleep(w->pid);
}

/* What the tree has said. */
static inline void whole_show(struct whole *w)
{
	struct __test_metadata *_metadata = w->metadata;
	int fd = open(in_dir("out"), O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		TH_LOG("what it said:");
		show_log(_metadata, fd);
		close(fd);
	}
	TH_LOG("the last call:");
	show_log(_metadata, w->logfd);
}

/* It goes on, and finds all as it was. */
static inline bool whole_finish(struct whole *w)
{
	struct __test_metadata *_metadata = w->metadata;
	int status;

	kill(w->pid, SIGUSR1);
	status = wait_ms(w->pid, PATIENCE);
	if (status == -1) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	EXPECT_EQ(0, status) {
		TH_LOG("status %#x", status);
		whole_show(w);
	}
	return !status;
}

/* checkpoint(2) with a new log; the errno, 0 if it worked. */
static inline int whole_checkpoint(struct whole *w, unsigned long flags)
{
	long ret;

	if (ftruncate(w->logfd, 0) || ftruncate(w->image, 0))
		return -1;
	lseek(w->logfd, 0, SEEK_SET);
	lseek(w->image, 0, SEEK_SET);
	errno = 0;
	ret = sys_checkpoint(w->pid, w->image, flags | CHECKPOINT_LOG, w->logfd);
	return ret > 0 ? 0 : errno;
}

/* It is started, saved with @how, and gone, with all that it had. */
static inline void whole_move(struct whole *w, void (*fn)(void), __u64 flags,
			      unsigned long how)
{
	struct __test_metadata *_metadata = w->metadata;

	ASSERT_TRUE(whole_start(w, fn, flags))
		whole_show(w);
	ASSERT_EQ(0, whole_checkpoint(w, how | CHECKPOINT_KILL))
		whole_show(w);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* It has gone on and ended, and left its own image in a file. */
static inline void whole_saved_itself(struct whole *w)
{
	struct __test_metadata *_metadata = w->metadata;

	whole_finish(w);
	close(w->image);
	w->image = open(in_dir("image"), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, w->image);
}

/* Is @what in the only line of the log, which is about the first task? */
static inline void whole_log(struct whole *w, const char *what)
{
	struct __test_metadata *_metadata = w->metadata;
	char text[1024] = { 0 };

	ASSERT_LE(0, pread(w->logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!!strstr(text, what) && one_printable_line(text))
		TH_LOG("log '%s', wanted '%s'", text, what);
}

/*
 * A restarter with descriptors of its own only: in a new pid namespace by
 * @flags, with @pid if that is not 0. If restart(2) fails, its exit code is 100
 * and the errno.
 */
static inline bool whole_restart(struct whole *w, pid_t pid, __u64 flags,
				 unsigned long how)
{
	struct clone_args args = {
		.flags = flags,
		.exit_signal = SIGCHLD,
		.set_tid = pid ? (uintptr_t)&pid : 0,
		.set_tid_size = pid ? 1 : 0,
	};

	if (ftruncate(w->logfd, 0))
		return false;
	lseek(w->logfd, 0, SEEK_SET);
	lseek(w->image, 0, SEEK_SET);
	w->pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!w->pid) {
		set_comm("restarter");
		settle(-1, -1, -1);
		errno = 0;
		sys_restart(0, w->image, how | CHECKPOINT_LOG, w->logfd);
		_exit(100 + errno);
	}
	return w->pid > 0;
}

/* It is restarted, and goes on. */
static inline bool whole_goes_on(struct whole *w)
{
	struct __test_metadata *_metadata = w->metadata;

	if (!proc_wait_comm(w->pid, "whole")) {
		int status = wait_ms(w->pid, PATIENCE);

		EXPECT_EQ(0, status) {
			TH_LOG("restart: status %#x", status);
			whole_show(w);
		}
		return false;
	}
	/* It has its name before it has its signal mask. */
	EXPECT_TRUE(proc_wait_asleep(w->pid));
	return whole_finish(w);
}

static inline void whole_end(struct whole *w)
{
	close(w->image);
	close(w->logfd);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

#endif /* __CKPT_WHOLE_H */
