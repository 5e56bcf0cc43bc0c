// SPDX-License-Identifier: GPL-2.0
/*
 * vfork(2): who waits for a child stands still as long as that does, waits for it
 * again afterwards, and gets what the call returns.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include "subject.h"

static int gate[2], ready[2];

static void pipes(void)
{
	CHECK(!pipe2(gate, O_CLOEXEC) && !pipe2(ready, O_CLOEXEC));
}

/* In the child: says that it is there, and waits for a byte, or the last end of the gate. */
static void child_waits(void)
{
	char c;

	if (write(ready[1], "r", 1) != 1)
		_exit(90);
	if (read(gate[0], &c, 1) < 0)
		_exit(91);
}

static void wait_ready(int nr)
{
	char c;

	while (nr--)
		CHECK(read(ready[0], &c, 1) == 1);
}

static void expect_exit(pid_t pid, int code)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code) {
		errno = status;
		CHECK(!"exit status of a child");
	}
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Its child has shared memory, or a copy; it tells what the call has returned. */
static void waiter(bool copy, bool exec)
{
	static volatile int seen;
	int status;
	pid_t pid;

	signal(SIGUSR1, on_signal);
	close(gate[1]);
	seen = 0;
	pid = copy ? syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) : vfork();
	if (!pid) {
		child_waits();
		if (exec)
			execl("/bin/true", "true", NULL);
		seen = getpid();
		_exit(7);
	}
	if (pid < 0)
		_exit(80);
	if (waitpid(pid, &status, 0) != pid)
		_exit(81);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != (exec ? 0 : 7))
		_exit(82);
	_exit(seen == (copy || exec ? 0 : pid) ? 3 : 83);
}

static pid_t fork_waiter(bool copy, bool exec)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		waiter(copy, exec);
	return pid;
}

static void go_on(pid_t pid)
{
	int status;

	sleep_ms(20);
	CHECK(!waitpid(pid, &status, WNOHANG));
	close(gate[0]);
	close(gate[1]);
	expect_exit(pid, 3);
}

SUBJECT_TEST(shared_memory)
{
	pid_t pid;

	pipes();
	pid = fork_waiter(false, false);
	wait_ready(1);
	checkpoint_here();
	go_on(pid);
}

SUBJECT_TEST(copied_memory)
{
	pid_t pid;

	pipes();
	pid = fork_waiter(true, false);
	wait_ready(1);
	checkpoint_here();
	go_on(pid);
}

SUBJECT_TEST(child_executes)
{
	pid_t pid;

	pipes();
	pid = fork_waiter(false, true);
	wait_ready(1);
	checkpoint_here();
	go_on(pid);
}

/* Three wait for one another: the last child for the gate. */
SUBJECT_TEST(chain)
{
	pid_t pid;

	pipes();
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		int status;
		pid_t child;

		close(gate[1]);
		child = vfork();
		if (!child) {
			pid_t last = vfork();

			if (!last) {
				child_waits();
				_exit(5);
			}
			_exit(last > 0 && waitpid(last, &status, 0) == last &&
			      WEXITSTATUS(status) == 5 ? 6 : 84);
		}
		_exit(child > 0 && waitpid(child, &status, 0) == child &&
		      WEXITSTATUS(status) == 6 ? 3 : 85);
	}
	wait_ready(1);
	checkpoint_here();
	go_on(pid);
}

static void *vforks(void *arg)
{
	pid_t pid = vfork();
	int status;

	(void)arg;
	if (!pid) {
		child_waits();
		_exit(9);
	}
	return (void *)(long)(pid > 0 && waitpid(pid, &status, 0) == pid &&
			      WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

/* The others of its process go on. */
SUBJECT_TEST(thread)
{
	pthread_t thread;
	void *ok;

	pipes();
	CHECK(!pthread_create(&thread, NULL, vforks, NULL));
	wait_ready(1);
	checkpoint_here();
	CHECK(pthread_tryjoin_np(thread, &ok) == EBUSY);
	CHECK(write(gate[1], "g", 1) == 1);
	CHECK(!pthread_join(thread, &ok));
	CHECK(ok);
}

/* Nothing but SIGKILL ends the wait. */
SUBJECT_TEST(killed_while_it_waits)
{
	int status;
	pid_t pid;

	pipes();
	pid = fork_waiter(false, false);
	wait_ready(1);
	checkpoint_here();
	CHECK(!kill(pid, SIGUSR1));
	sleep_ms(20);
	CHECK(!waitpid(pid, &status, WNOHANG));
	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(gate[0]);
	close(gate[1]);
}

/* The first task of the image: restart(2) itself is what waits. */
SUBJECT_TEST(first)
{
	int status;
	pid_t pid;

	if (subject_how == ITSELF) {
		/* It can do nothing, and so not do it itself. */
		checkpoint_here();
		return;
	}
	pid = vfork();
	if (!pid) {
		say(SAY_BUSY);
		wait_go();
		_exit(11);
	}
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 11);
}

/* It is saved once more from where restart(2) has put it. */
FIXTURE(again)
{
	char none;
};

FIXTURE_SETUP(again)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
}

FIXTURE_TEARDOWN(again)
{
}

TEST_F_TIMEOUT(again, twice, 120)
{
	struct subject s = { .metadata = _metadata };
	int round;

	ASSERT_TRUE(subject_start(&s, first_subject, KILLED));
	ASSERT_EQ(SAY_BUSY[0], read_byte(s.out));
	for (round = 0; round < 2; round++) {
		s.ready = SAY_BUSY[0];
		ASSERT_TRUE(proc_wait_state(s.pid, 'D'));
		ASSERT_EQ(0, ftruncate(s.image, 0));
		ASSERT_EQ(0, lseek(s.image, 0, SEEK_SET));
		ASSERT_LT(0, sys_checkpoint(s.pid, s.image,
					    CHECKPOINT_LOG | CHECKPOINT_KILL, s.logfd))
			show_log(_metadata, s.logfd);
		ASSERT_NE(-1, wait_ms(s.pid, PATIENCE));
		ASSERT_TRUE(subject_reap());
		close(s.in);
		close(s.out);
		ASSERT_TRUE(subject_restart(&s));
	}
	ASSERT_EQ('D', proc_state(s.pid));
	subject_finish(&s, "restored twice");
	subject_close(&s);
}

TEST_HARNESS_MAIN
