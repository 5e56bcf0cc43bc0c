// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of who was saved: it is killed, is stopped, or goes on and did
 * not notice.
 */
#include "proc.h"

FIXTURE(after)
{
	struct tiny tiny;
	int fd;
};

FIXTURE_SETUP(after)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_TRUE(tiny_start(&self->tiny));
	self->fd = tmp_memfd();
	ASSERT_LE(0, self->fd);
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(after)
{
	tiny_kill(&self->tiny);
	close(self->fd);
}

TEST_F(after, killed)
{
	int status;
	long id;

	EXPECT_TRUE(tiny_answers(&self->tiny));
	ASSERT_TRUE(proc_wait_asleep(self->tiny.pid));
	id = sys_checkpoint(self->tiny.pid, self->fd, CHECKPOINT_KILL, 0);
	ASSERT_LT(0, id);
	status = wait_ms(self->tiny.pid, PATIENCE);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		TH_LOG("status %#x", status);
	EXPECT_PROCESS(self->fd, id, "tiny");
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->fd, id);
	self->tiny.pid = 0;
}

/*
 * In the instant of success: it does not run again, not even for what it has
 * waited for all the time.
 */
TEST_F(after, killed_before_it_runs_again)
{
	int status, i;
	char c;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd,
					    CHECKPOINT_KILL, 0));
		/* It is dead, or it would answer; then there may be no reader. */
		if (write(self->tiny.in, "a", 1) != 1)
			EXPECT_EQ(EPIPE, errno);
		status = wait_ms(self->tiny.pid, PATIENCE);
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		EXPECT_EQ(0, read(self->tiny.out, &c, 1));
		close(self->tiny.in);
		close(self->tiny.out);
		ASSERT_TRUE(tiny_start(&self->tiny));
	}
}

TEST_F(after, not_killed_when_refused)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, pipe(p));
	close(p[0]);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint_flags(self->tiny.pid, p[1],
						       CHECKPOINT_KILL),
				  EPIPE, "image offset ");
	close(p[1]);
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
}

TEST_F(after, not_stopped_when_refused)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, pipe(p));
	close(p[0]);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint_flags(self->tiny.pid, p[1],
						       CHECKPOINT_STOP),
				  EPIPE, "image offset ");
	close(p[1]);
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
}

TEST_F(after, stopped)
{
	int status;
	char c;
	long id;

	id = sys_checkpoint(self->tiny.pid, self->fd, CHECKPOINT_STOP, 0);
	ASSERT_LT(0, id);
	/* At once, and its parent is told as by SIGSTOP. */
	ASSERT_EQ(self->tiny.pid, waitpid(self->tiny.pid, &status, WUNTRACED));
	EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP)
		TH_LOG("status %#x", status);
	EXPECT_EQ('T', proc_state(self->tiny.pid));
	ASSERT_EQ(1, write(self->tiny.in, "a", 1));
	sleep_ms(100);
	ASSERT_EQ(0, set_nonblock(self->tiny.out, true));
	EXPECT_EQ(-1, read(self->tiny.out, &c, 1));
	ASSERT_EQ(0, set_nonblock(self->tiny.out, false));
	ASSERT_EQ(0, kill(self->tiny.pid, SIGCONT));
	EXPECT_EQ('a', read_byte(self->tiny.out));
	self->tiny.count = 1;
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));

	/* The image was made before: who comes from it is not stopped. */
	self->tiny.count = 0;
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->fd, id);
}

/* Saved again while it is stopped: so is what comes from that image. */
TEST_F(after, stopped_and_saved_again)
{
	struct tiny again = { .count = 0 };
	int status, i;

	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, CHECKPOINT_STOP, 0));
	ASSERT_EQ(self->tiny.pid, waitpid(self->tiny.pid, &status, WUNTRACED));
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	EXPECT_EQ('T', proc_state(self->tiny.pid));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	ASSERT_TRUE(tiny_restart(&again, 0, self->fd, 0, 0, -1));
	for (i = 0; i < PATIENCE / 5 && proc_state(again.pid) != 'T'; i++)
		sleep_ms(5);
	EXPECT_EQ('T', proc_state(again.pid));
	ASSERT_EQ(0, kill(again.pid, SIGCONT));
	EXPECT_TRUE(tiny_answers(&again));
	EXPECT_TRUE(tiny_stop(&again));
	ASSERT_EQ(0, kill(self->tiny.pid, SIGCONT));
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
}

/* Stopped for a long time, it can be killed by being saved. */
TEST_F(after, stopped_then_killed)
{
	int status;

	ASSERT_EQ(0, kill(self->tiny.pid, SIGSTOP));
	ASSERT_EQ(self->tiny.pid, waitpid(self->tiny.pid, &status, WUNTRACED));
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, CHECKPOINT_KILL, 0));
	status = wait_ms(self->tiny.pid, PATIENCE);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	self->tiny.pid = 0;
}

TEST_F(after, kill_and_stop_einval)
{
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint_flags(self->tiny.pid, self->fd,
						       CHECKPOINT_KILL |
						       CHECKPOINT_STOP),
				  EINVAL, "");
	EXPECT_EQ(0, file_size(self->fd));
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
}

TEST_F(after, kill_or_stop_oneself_einval)
{
	static const unsigned long flags[] = { CHECKPOINT_KILL, CHECKPOINT_STOP };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_CHECKPOINT_REFUSED(try_checkpoint_flags(0, self->fd,
							       flags[i]),
					  EINVAL, "");
		EXPECT_CHECKPOINT_REFUSED(try_checkpoint_flags(getpid(), self->fd,
							       flags[i]),
					  EINVAL, "");
		EXPECT_EQ(0, file_size(self->fd));
	}
}

/*
 * A program that counts, and looks at the clock each time: nothing but time is
 * missing to it after 100 checkpoints.
 */
struct counted {
	unsigned long rounds;
	int over;
	int wrong;
};

static struct counted *counted;

static void count_on(void)
{
	unsigned long sum = 0, i;
	__u64 last = now_ns(CLOCK_MONOTONIC);
	sigset_t empty, now;

	sigemptyset(&empty);
	for (i = 1; !READ_ONCE(counted->over); i++) {
		__u64 time = now_ns(CLOCK_MONOTONIC);
		struct timespec ts = { .tv_nsec = 1000 };

		sum += i;
		if (sum != i * (i + 1) / 2 || time < last)
			counted->wrong = __LINE__;
		last = time;
		/* In user mode most of the time, and asleep now and then. */
		if (!(i % 1000) && nanosleep(&ts, NULL))
			counted->wrong = __LINE__;
		if (!(i % 1000) && (sigprocmask(SIG_BLOCK, NULL, &now) ||
				    memcmp(&empty, &now, 8)))
			counted->wrong = __LINE__;
		counted->rounds = i;
	}
}

TEST_F_TIMEOUT(after, goes_on_100_times, 120)
{
	int fd = open("/dev/null", O_WRONLY), status, i;
	unsigned long before;
	char name[32];
	pid_t pid;

	counted = shared_file(sizeof(*counted), name);
	ASSERT_TRUE(!!counted);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		settle(-1, -1, -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		count_on();
		_exit(0);
	}
	while (!READ_ONCE(counted->rounds))
		sleep_ms(1);
	for (i = 0; i < 100; i++) {
		before = counted->rounds;
		ASSERT_LT(0, sys_checkpoint(pid, fd, 0, 0))
			TH_LOG("round %d: %s", i, strerror(errno));
		/* It goes on at once. */
		status = 0;
		while (READ_ONCE(counted->rounds) == before && status++ < PATIENCE)
			sleep_ms(1);
		ASSERT_NE(before, READ_ONCE(counted->rounds))
			TH_LOG("round %d: state %c", i, proc_state(pid));
	}
	counted->over = 1;
	EXPECT_EQ(0, wait_ms(pid, PATIENCE));
	EXPECT_EQ(0, counted->wrong)
		TH_LOG("line %d", counted->wrong);
	unlink(name);
	close(fd);
}

/* Its parent is not told of stops and continuations that it did not ask for. */
TEST_F(after, parent_is_told_nothing)
{
	int status;

	signal(SIGCHLD, SIG_DFL);
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	sleep_ms(50);
	EXPECT_EQ(0, waitpid(self->tiny.pid, &status,
			     WNOHANG | WUNTRACED | WCONTINUED));
	EXPECT_TRUE(tiny_answers(&self->tiny));
}

TEST_HARNESS_MAIN
