// SPDX-License-Identifier: GPL-2.0
/*
 * Trees: parents have their children, with their numbers, and groups and sessions
 * are what they were.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "subject.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* A child that ends with its code when it is told to, by a pipe. */
static pid_t child(int gate[2], int code)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	char c;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	close(gate[1]);
	if (read(gate[0], &c, 1))
		_exit(99);
	_exit(getppid() == parent ? code : 98);
}

SUBJECT_TEST(children)
{
	int gate[2], status, i;
	pid_t pids[5];

	CHECK(!pipe(gate));
	for (i = 0; i < 5; i++)
		pids[i] = child(gate, i);
	close(gate[0]);
	checkpoint_here();
	for (i = 0; i < 5; i++)
		CHECK(!kill(pids[i], 0));
	CHECK(!waitpid(-1, &status, WNOHANG));
	close(gate[1]);
	for (i = 0; i < 5; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i);
	}
	CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

SUBJECT_TEST(zombie)
{
	int status;
	siginfo_t info;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		_exit(42);
	CHECK(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	checkpoint_here();
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* The ways to wait for a child; true if it was that one, and ended with 3. */

static bool by_waitpid(pid_t pid, int pidfd)
{
	int status;

	(void)pidfd;
	return waitpid(pid, &status, 0) == pid && status == 3 << 8;
}

static bool by_wait4(pid_t pid, int pidfd)
{
	struct rusage used;
	int status;

	(void)pidfd;
	return wait4(-1, &status, __WALL, &used) == pid && status == 3 << 8;
}

static bool by_waitid(pid_t pid, int pidfd)
{
	siginfo_t info;

	(void)pidfd;
	return !waitid(P_PGID, getpgrp(), &info, WEXITED | WSTOPPED) &&
	       info.si_pid == pid && info.si_code == CLD_EXITED && info.si_status == 3;
}

static bool by_pidfd(pid_t pid, int pidfd)
{
	siginfo_t info;

	return !waitid(P_PIDFD, pidfd, &info, WEXITED) && info.si_pid == pid &&
	       info.si_code == CLD_EXITED && info.si_status == 3;
}

/* Saved in the middle of the call, which goes on, and returns when the child ends. */
SUBJECT_TEST(waits)
{
	static bool (*const ways[])(pid_t pid, int pidfd) = {
		by_waitpid, by_wait4, by_waitid, by_pidfd,
	};
	int gate[2], status, i;
	pid_t pids[4];

	CHECK(!pipe(gate));
	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (!pids[i]) {
			pid_t pid = child(gate, 3);
			int pidfd = syscall(SYS_pidfd_open, pid, 0);

			close(gate[1]);
			_exit(pidfd >= 0 && ways[i](pid, pidfd) ? 10 + i : 97);
		}
	}
	close(gate[0]);
	for (i = 0; i < 4; i++)
		CHECK(proc_wait_asleep(pids[i]));
	checkpoint_here();
	for (i = 0; i < 4; i++)
		CHECK(proc_wait_asleep(pids[i]));
	CHECK(!waitpid(-1, &status, WNOHANG));
	close(gate[1]);
	for (i = 0; i < 4; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 10 + i);
	}
}

SUBJECT_TEST(sessions_and_groups)
{
	int gate[2], ready[2], status, i;
	pid_t pids[3];
	char c;

	CHECK(!pipe(gate) && !pipe(ready));
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i]) {
			/* There is its group before the next joins it. */
			CHECK(read(ready[0], &c, 1) == 1);
			continue;
		}
		close(gate[1]);
		if (i == 0)
			setsid();
		if (i == 1)
			setpgid(0, 0);
		if (i == 2)
			setpgid(0, pids[1]);
		if (write(ready[1], "r", 1) != 1 || read(gate[0], &c, 1))
			_exit(99);
		if (i == 0)
			_exit(getsid(0) == getpid() && getpgid(0) == getpid() ? 0 : 1);
		if (i == 1)
			_exit(getpgid(0) == getpid() && getsid(0) == getsid(getppid()) ? 0 : 1);
		_exit(getpgid(0) == pids[1] ? 0 : 1);
	}
	checkpoint_here();
	CHECK(getsid(pids[0]) == pids[0]);
	CHECK(getpgid(pids[2]) == pids[1]);
	close(gate[1]);
	for (i = 0; i < 3; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

/* As many as a build has. */
SUBJECT_TEST(many)
{
	enum { MANY = 500 };
	static pid_t pids[MANY];
	int gate[2], status, i;

	CHECK(!pipe(gate));
	for (i = 0; i < MANY; i++)
		pids[i] = child(gate, i % 90);
	checkpoint_here();
	close(gate[0]);
	close(gate[1]);
	for (i = 0; i < MANY; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i % 90);
	}
}

/* Processes, each the child of the one before; the last says that it is there. */
static void levels(int gate[2], int ready, int left)
{
	int status;
	pid_t pid;
	char c;

	do {
		pid = fork();
	} while (!pid && --left);
	close(gate[1]);
	if (!pid) {
		if (write(ready, "r", 1) != 1 || read(gate[0], &c, 1))
			_exit(199);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		_exit(198);
	_exit(WEXITSTATUS(status) + 1);
}

SUBJECT_TEST(deep)
{
	int gate[2], ready[2], status;
	pid_t pid;
	char c;

	CHECK(!pipe(gate) && !pipe(ready));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		levels(gate, ready[1], 49);
	CHECK(read(ready[0], &c, 1) == 1);
	checkpoint_here();
	close(gate[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 49);
}

TEST_HARNESS_MAIN
