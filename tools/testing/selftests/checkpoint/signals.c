// SPDX-License-Identifier: GPL-2.0
/*
 * Signals, stops and tracers while a call waits on a pipe: a fatal signal ends
 * it, nothing else does.
 */
#include "proc.h"

#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/time.h>

/* What the child that makes the call tells. */
struct report {
	bool calling;
	bool returned;
	long ret;
	int err;
	int handled;		/* signals, by the time the child is done */
	int handled_before;	/* and before the call had returned */
	__u64 cpu;		/* of the call, in nanoseconds */
	__u64 waited;
	struct comm comm;
};

FIXTURE(blocked)
{
	int p[2];
	pid_t child;
	struct tiny tiny;	/* who is saved */
	struct image img;
	struct report *report;
};

FIXTURE_VARIANT(blocked)
{
	bool restart;
	bool nonblock;
	bool spliced;
};

FIXTURE_VARIANT_ADD(blocked, checkpoint) {
	.restart = false,
};

FIXTURE_VARIANT_ADD(blocked, checkpoint_nonblock) {
	.nonblock = true,
};

FIXTURE_VARIANT_ADD(blocked, restart) {
	.restart = true,
};

FIXTURE_VARIANT_ADD(blocked, restart_nonblock) {
	.restart = true, .nonblock = true,
};

FIXTURE_VARIANT_ADD(blocked, checkpoint_spliced) {
	.spliced = true,
};

FIXTURE_VARIANT_ADD(blocked, restart_spliced) {
	.restart = true, .spliced = true,
};

static struct report *report;

static void handler(int sig __maybe_unused)
{
	report->handled++;
	if (!report->returned)
		report->handled_before++;
}

FIXTURE_SETUP(blocked)
{
	char junk[4096] = { 0 };

	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_EQ(0, pipe(self->p));
	ASSERT_EQ(4096, fcntl(self->p[1], F_SETPIPE_SZ, 4096));
	if (variant->spliced)
		ASSERT_TRUE(splice_through(self->p[0], self->p[1]));
	/* Full for checkpoint(2), empty for restart(2). */
	if (!variant->restart)
		ASSERT_TRUE(write_all(self->p[1], junk, sizeof(junk)));
	ASSERT_EQ(0, set_nonblock(self->p[!variant->restart],
				  variant->nonblock));
	img_default(&self->img);
	ASSERT_TRUE(tiny_start(&self->tiny));
	report = shared(sizeof(*report));
	self->report = report;
	ASSERT_TRUE(!!report);
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(blocked)
{
	if (self->child > 0) {
		kill(self->child, SIGKILL);
		waitpid(self->child, NULL, 0);
	}
	/* Whatever became of who wanted to save it, it goes on. */
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	close(self->p[0]);
	close(self->p[1]);
}

static bool sleeps(pid_t pid)
{
	char state = proc_state(pid);

	return state == 'S' || state == 'D';
}

/* Until the child sleeps in its call; false if it does not. */
static bool wait_blocked(struct _test_data_blocked *self)
{
	int tries, asleep = 0;

	for (tries = 0; tries < 1000 && asleep < 5; tries++) {
		if (self->report->returned)
			return false;
		asleep = self->report->calling && sleeps(self->child) ?
			asleep + 1 : 0;
		sleep_ms(5);
	}
	return asleep >= 5;
}

static void call(struct _test_data_blocked *self, bool restart)
{
	__u64 cpu = cpu_ns(), began = now_ns(CLOCK_MONOTONIC);

	report->calling = true;
	if (restart)
		report->ret = sys_restart(0, self->p[0], 0, 0);
	else
		report->ret = sys_checkpoint(self->tiny.pid, self->p[1], 0, 0);
	report->err = report->ret == -1 ? errno : 0;
	report->cpu = cpu_ns() - cpu;
	report->waited = now_ns(CLOCK_MONOTONIC) - began;
	report->comm = get_comm();
}

/* A child that is going to block in the call. Its other end is closed. */
static void start(struct __test_metadata *_metadata,
		  struct _test_data_blocked *self, bool restart)
{
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		close(self->p[restart]);
		call(self, restart);
		/* A handler that waits for the return to user mode ran by now. */
		report->returned = true;
		_exit(0);
	}
	ASSERT_TRUE(wait_blocked(self));
}

/* What the call waits for: an image, or room for one. */
static void feed(struct __test_metadata *_metadata,
		 struct _test_data_blocked *self, bool restart)
{
	char junk[4096];

	if (restart) {
		ASSERT_TRUE(write_all(self->p[1], self->img.buf,
				      self->img.len));
	} else {
		/* Room for all of it, so that nobody has to read meanwhile. */
		ASSERT_EQ(1 << 20, fcntl(self->p[1], F_SETPIPE_SZ, 1 << 20));
		ASSERT_EQ((ssize_t)sizeof(junk),
			  read_all(self->p[0], junk, sizeof(junk)));
	}
}

/* Lets the call go on, and checks that it ends well. */
static void finish(struct __test_metadata *_metadata,
		   struct _test_data_blocked *self, bool restart)
{
	EXPECT_FALSE(report->returned);
	feed(_metadata, self, restart);
	EXPECT_EQ(0, wait_ms(self->child, 10000));
	self->child = 0;
	EXPECT_TRUE(report->returned);
	if (restart) {
		EXPECT_EQ(0, report->ret)
			TH_LOG("errno %d", report->err);
		EXPECT_STREQ(RESTORED, report->comm.name);
	} else {
		ASSERT_LT(0, report->ret)
			TH_LOG("errno %d", report->err);
		EXPECT_PROCESS_FROM(self->p[0], report->ret, "tiny");
		EXPECT_STREQ(UNTOUCHED, report->comm.name);
	}
	/* Who spins uses all the time. */
	EXPECT_GT(report->waited / 2, report->cpu);
}

static void killed_by(struct __test_metadata *_metadata,
		      struct _test_data_blocked *self, int sig)
{
	__u64 before = now_ns(CLOCK_MONOTONIC);
	int status;

	ASSERT_EQ(0, kill(self->child, sig));
	status = wait_ms(self->child, 10000);
	ASSERT_NE(-1, status)
		TH_LOG("signal %d does not end it", sig);
	self->child = 0;
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == sig);
	EXPECT_GE(5 * SEC, now_ns(CLOCK_MONOTONIC) - before);
}

/* Both ends of the pipe still work for others after a caller was killed. */
static void pipe_is_intact(struct __test_metadata *_metadata,
			   struct _test_data_blocked *self, bool restart)
{
	char junk[4096];

	if (restart) {
		ASSERT_TRUE(write_all(self->p[1], self->img.buf,
				      self->img.len));
		EXPECT_RESTORED(try_restart(0, self->p[0]), RESTORED);
	} else {
		/* Of the image there is nothing: there was no room for it. */
		ASSERT_EQ(0, set_nonblock(self->p[0], true));
		ASSERT_EQ((ssize_t)sizeof(junk),
			  read_all(self->p[0], junk, sizeof(junk)));
		EXPECT_EQ(-1, read(self->p[0], junk, 1));
		EXPECT_EQ(EAGAIN, errno);
		ASSERT_EQ(1 << 20, fcntl(self->p[1], F_SETPIPE_SZ, 1 << 20));
		EXPECT_LT(0, sys_checkpoint(self->tiny.pid, self->p[1], 0, 0));
	}
}

TEST_F(blocked, waits_without_using_the_processor)
{
	start(_metadata, self, variant->restart);
	sleep_ms(500);
	finish(_metadata, self, variant->restart);
}

TEST_F(blocked, sigkill_ends_it)
{
	start(_metadata, self, variant->restart);
	killed_by(_metadata, self, SIGKILL);
	pipe_is_intact(_metadata, self, variant->restart);
}

TEST_F(blocked, sigterm_ends_it)
{
	signal(SIGTERM, SIG_DFL);
	start(_metadata, self, variant->restart);
	killed_by(_metadata, self, SIGTERM);
	pipe_is_intact(_metadata, self, variant->restart);
}

TEST_F(blocked, sigint_ends_it)
{
	signal(SIGINT, SIG_DFL);
	start(_metadata, self, variant->restart);
	killed_by(_metadata, self, SIGINT);
}

/* Without SA_RESTART, any other call would have ended with EINTR. */
TEST_F(blocked, handled_signal_waits)
{
	struct sigaction sa = { .sa_handler = handler };

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	start(_metadata, self, variant->restart);
	ASSERT_EQ(0, kill(self->child, SIGUSR1));
	sleep_ms(500);
	EXPECT_EQ(0, report->handled);
	finish(_metadata, self, variant->restart);
	EXPECT_EQ(1, report->handled);
}

TEST_F(blocked, handled_signal_with_sa_restart_waits)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	start(_metadata, self, variant->restart);
	ASSERT_EQ(0, kill(self->child, SIGUSR1));
	sleep_ms(100);
	finish(_metadata, self, variant->restart);
	EXPECT_EQ(1, report->handled);
}

/* A timer of the program, every 10 ms, through all of the call. */
TEST_F(blocked, interval_timer_does_not_disturb)
{
	struct sigaction sa = { .sa_handler = handler };
	struct itimerval it = {
		.it_interval.tv_usec = 10000, .it_value.tv_usec = 10000,
	};

	ASSERT_EQ(0, sigaction(SIGALRM, &sa, NULL));
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		close(self->p[variant->restart]);
		setitimer(ITIMER_REAL, &it, NULL);
		call(self, variant->restart);
		memset(&it, 0, sizeof(it));
		setitimer(ITIMER_REAL, &it, NULL);
		report->returned = true;
		_exit(0);
	}
	ASSERT_TRUE(wait_blocked(self));
	sleep_ms(500);
	finish(_metadata, self, variant->restart);
	EXPECT_LT(0, report->handled);
}

TEST_F(blocked, killed_with_a_handled_signal_pending)
{
	struct sigaction sa = { .sa_handler = handler };

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	start(_metadata, self, variant->restart);
	ASSERT_EQ(0, kill(self->child, SIGUSR1));
	sleep_ms(100);
	EXPECT_FALSE(report->returned);
	killed_by(_metadata, self, SIGKILL);
	EXPECT_EQ(0, report->handled);
}

TEST_F(blocked, ignored_signal_is_ignored)
{
	signal(SIGUSR2, SIG_IGN);
	start(_metadata, self, variant->restart);
	ASSERT_EQ(0, kill(self->child, SIGUSR2));
	sleep_ms(100);
	finish(_metadata, self, variant->restart);
}

TEST_F(blocked, blocked_signal_stays_pending)
{
	block_signal(SIGTERM);
	start(_metadata, self, variant->restart);
	ASSERT_EQ(0, kill(self->child, SIGTERM));
	sleep_ms(100);
	finish(_metadata, self, variant->restart);
}

TEST_F(blocked, stop_and_continue)
{
	start(_metadata, self, variant->restart);
	ASSERT_EQ(0, kill(self->child, SIGSTOP));
	sleep_ms(100);
	EXPECT_FALSE(report->returned);
	ASSERT_EQ(0, kill(self->child, SIGCONT));
	sleep_ms(50);
	finish(_metadata, self, variant->restart);
}

/* It stops at the latest when its call is over, and goes on from there. */
TEST_F(blocked, stop_then_data_then_continue)
{
	int status = 0, i;

	start(_metadata, self, variant->restart);
	ASSERT_EQ(0, kill(self->child, SIGSTOP));
	sleep_ms(100);
	feed(_metadata, self, variant->restart);
	for (i = 0; i < 400 && !WIFSTOPPED(status); i++) {
		waitpid(self->child, &status, WUNTRACED | WNOHANG);
		sleep_ms(5);
	}
	EXPECT_TRUE(WIFSTOPPED(status));
	EXPECT_FALSE(report->returned);
	ASSERT_EQ(0, kill(self->child, SIGCONT));
	EXPECT_EQ(0, wait_ms(self->child, 5000));
	self->child = 0;
	EXPECT_TRUE(variant->restart ? !report->ret : report->ret > 0);
}

TEST_F(blocked, ptrace_interrupt)
{
	int status = 0, i;

	start(_metadata, self, variant->restart);
	if (ptrace(PTRACE_SEIZE, self->child, 0, 0))
		SKIP(return, "no ptrace: %s", strerror(errno));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->child, 0, 0));
	sleep_ms(100);
	EXPECT_FALSE(report->returned);
	feed(_metadata, self, variant->restart);
	for (i = 0; i < 1000 && !WIFSTOPPED(status); i++) {
		waitpid(self->child, &status, __WALL | WNOHANG);
		sleep_ms(5);
	}
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_FALSE(report->returned);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->child, 0, 0));
	EXPECT_EQ(0, wait_ms(self->child, 5000));
	self->child = 0;
	EXPECT_TRUE(variant->restart ? !report->ret : report->ret > 0);
	EXPECT_GT(report->waited / 2, report->cpu);
}

/* The log of a call can keep its caller waiting too, and must end as well. */
TEST_F(blocked, sigkill_ends_a_wait_for_the_log)
{
	char junk[4096] = { 0 };
	int log[2];

	ASSERT_EQ(0, pipe(log));
	ASSERT_EQ(4096, fcntl(log[1], F_SETPIPE_SZ, 4096));
	ASSERT_TRUE(write_all(log[1], junk, sizeof(junk)));
	ASSERT_EQ(0, set_nonblock(log[1], variant->nonblock));
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		report->calling = true;
		if (variant->restart)
			sys_restart(-1, self->p[0], CHECKPOINT_LOG, log[1]);
		else
			sys_checkpoint(-1, self->p[1], CHECKPOINT_LOG, log[1]);
		report->returned = true;
		_exit(0);
	}
	/* It may give up the log at once; if it waits, it can be killed. */
	if (wait_blocked(self))
		killed_by(_metadata, self, SIGKILL);
	else
		EXPECT_EQ(0, wait_ms(self->child, 5000));
	self->child = 0;
}

/* Somebody else in the process ends it while a thread waits. */

FIXTURE(thread)
{
	int p[2];
	struct tiny tiny;
};

FIXTURE_VARIANT(thread)
{
	bool nonblock;
};

FIXTURE_VARIANT_ADD(thread, blocking) {
	.nonblock = false,
};

FIXTURE_VARIANT_ADD(thread, nonblock) {
	.nonblock = true,
};

FIXTURE_SETUP(thread)
{
	char junk[4096] = { 0 };

	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_EQ(0, pipe(self->p));
	ASSERT_EQ(4096, fcntl(self->p[1], F_SETPIPE_SZ, 4096));
	ASSERT_TRUE(write_all(self->p[1], junk, sizeof(junk)));
	ASSERT_EQ(0, set_nonblock(self->p[1], variant->nonblock));
	report = shared(sizeof(*report));
	ASSERT_TRUE(!!report);
	ASSERT_TRUE(tiny_start(&self->tiny));
}

FIXTURE_TEARDOWN(thread)
{
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	close(self->p[0]);
	close(self->p[1]);
}

static void *thread_waits(void *arg)
{
	struct _test_data_thread *self = arg;

	report->calling = true;
	sys_checkpoint(self->tiny.pid, self->p[1], 0, 0);
	report->returned = true;
	return NULL;
}

TEST_F(thread, does_not_keep_its_process_from_exiting)
{
	pid_t child = fork();
	__u64 before;
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_waits, self))
			_exit(1);
		sleep_ms(300);
		_exit(report->calling && !report->returned ? 7 : 2);
	}
	sleep_ms(300);
	before = now_ns(CLOCK_MONOTONIC);
	status = wait_ms(child, 10000);
	if (status == -1)
		kill(child, SIGKILL);
	ASSERT_NE(-1, status);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(7, WEXITSTATUS(status));
	EXPECT_GE(5 * SEC, now_ns(CLOCK_MONOTONIC) - before);
}

TEST_F(thread, does_not_keep_its_process_from_exec)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_waits, self))
			_exit(1);
		sleep_ms(300);
		if (report->calling && !report->returned)
			execl("/bin/sh", "sh", "-c", "exit 7", NULL);
		_exit(2);
	}
	status = wait_ms(child, 10000);
	if (status == -1)
		kill(child, SIGKILL);
	ASSERT_NE(-1, status);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(7, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
