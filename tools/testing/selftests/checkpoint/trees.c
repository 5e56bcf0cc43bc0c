// SPDX-License-Identifier: GPL-2.0
/*
 * Trees: parents have their children, with their numbers, and groups and sessions
 * are what they were.
 */
#include <sys/wait.h>

#include "subject.h"

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

SUBJECT_TEST(sessions_and_groups)
{
	int gate[2], ready[2], status, i;
	pid_t pids[3];
	char c;

	CHECK(!pipe(gate) && !pipe(ready));
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i])
			continue;
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
	for (i = 0; i < 3; i++)
		CHECK(read(ready[0], &c, 1) == 1);
	checkpoint_here();
	CHECK(getsid(pids[0]) == pids[0]);
	CHECK(getpgid(pids[2]) == pids[1]);
	close(gate[1]);
	for (i = 0; i < 3; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

TEST_HARNESS_MAIN
