// SPDX-License-Identifier: GPL-2.0
/*
 * Signals: their actions, masks, and those that are pending, with all that
 * their senders said and in their order; and job control.
 */
#include "midway.h"
#include "subject.h"

static void handler(int sig __maybe_unused)
{
}

static void handler_with_info(int sig __maybe_unused,
			      siginfo_t *info __maybe_unused,
			      void *context __maybe_unused)
{
}

SUBJECT_TEST(actions)
{
	struct sigaction sa = { 0 }, now[65];
	int sig;

	/* One in four is ignored, is handled, is handled with more, is not. */
	for (sig = 1; sig <= SIGRTMAX; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33)
			continue;
		memset(&sa, 0, sizeof(sa));
		sigemptyset(&sa.sa_mask);
		switch (sig % 4) {
		case 0:
			sa.sa_handler = SIG_IGN;
			break;
		case 1:
			sa.sa_handler = handler;
			sa.sa_flags = SA_RESTART | SA_NODEFER;
			sigaddset(&sa.sa_mask, SIGUSR1);
			sigaddset(&sa.sa_mask, SIGRTMAX);
			break;
		case 2:
			sa.sa_sigaction = handler_with_info;
			sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND;
			sigaddset(&sa.sa_mask, sig);
			break;
		}
		CHECK(!sigaction(sig, &sa, NULL));
		CHECK(!sigaction(sig, NULL, &now[sig]));
	}
	checkpoint_here();
	for (sig = 1; sig <= SIGRTMAX; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33)
			continue;
		CHECK(!sigaction(sig, NULL, &sa));
		CHECK(sa.sa_handler == now[sig].sa_handler);
		CHECK(sa.sa_flags == now[sig].sa_flags);
		CHECK(!memcmp(&sa.sa_mask, &now[sig].sa_mask, 8));
	}
}

/* The restarter's own actions are gone with the restarter. */
SUBJECT_TEST(actions_are_those_of_the_image)
{
	struct sigaction sa;
	int sig;

	checkpoint_here();
	for (sig = 1; sig <= SIGRTMAX; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33)
			continue;
		CHECK(!sigaction(sig, NULL, &sa));
		CHECK(sa.sa_handler == SIG_DFL);
	}
}

SUBJECT_TEST(blocked_mask)
{
	sigset_t set, now;
	int sig;

	sigemptyset(&set);
	for (sig = 1; sig <= SIGRTMAX; sig += 3)
		sigaddset(&set, sig);
	CHECK(!sigprocmask(SIG_SETMASK, &set, NULL));
	CHECK(!sigprocmask(SIG_SETMASK, NULL, &set));
	checkpoint_here();
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &now));
	CHECK(!memcmp(&set, &now, 8));
}

static void block_all(sigset_t *set)
{
	sigfillset(set);
	CHECK(!sigprocmask(SIG_SETMASK, set, NULL));
}

static int take(sigset_t *set, siginfo_t *info)
{
	struct timespec now = { 0 };

	/* The C library would hide SI_TKILL. */
	return syscall(SYS_rt_sigtimedwait, set, info, &now, 8);
}

SUBJECT_TEST(pending_of_the_process_and_of_the_thread)
{
	siginfo_t info;
	sigset_t set;

	block_all(&set);
	CHECK(!kill(getpid(), SIGUSR1));
	CHECK(!syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2));
	checkpoint_here();
	CHECK(!sigpending(&set));
	CHECK(sigismember(&set, SIGUSR1) && sigismember(&set, SIGUSR2));
	block_all(&set);
	/* The thread's own come first. */
	CHECK(take(&set, &info) == SIGUSR2);
	CHECK(info.si_code == SI_TKILL && info.si_pid == getpid() &&
	      info.si_uid == getuid());
	CHECK(take(&set, &info) == SIGUSR1);
	CHECK(info.si_code == SI_USER && info.si_pid == getpid());
	CHECK(take(&set, &info) == -1 && errno == EAGAIN);
}

static char status_line[2][64];

static void read_status(const char *field, char *line)
{
	char text[256];
	FILE *f = fopen("/proc/self/status", "r");

	CHECK(!!f);
	line[0] = '\0';
	while (fgets(text, sizeof(text), f))
		if (!strncmp(text, field, strlen(field)))
			snprintf(line, 64, "%.60s", text);
	fclose(f);
	CHECK(line[0]);
}

/* To whom they are pending: /proc shows both queues. */
SUBJECT_TEST(pending_queues_in_proc)
{
	sigset_t set;

	block_all(&set);
	CHECK(!kill(getpid(), SIGHUP));
	CHECK(!kill(getpid(), SIGRTMIN + 2));
	CHECK(!syscall(SYS_tgkill, getpid(), getpid(), SIGTERM));
	read_status("SigPnd:", status_line[0]);
	read_status("ShdPnd:", status_line[1]);
	checkpoint_here();
	{
		char now[64];

		read_status("SigPnd:", now);
		CHECK(!strcmp(now, status_line[0]));
		read_status("ShdPnd:", now);
		CHECK(!strcmp(now, status_line[1]));
	}
}

/* Each is queued, with its value, and they come in the order of sending. */
SUBJECT_TEST(real_time_queue)
{
	siginfo_t info;
	sigset_t set;
	int i;

	block_all(&set);
	for (i = 0; i < 20; i++) {
		union sigval v = { .sival_int = 1000 + i };

		CHECK(!sigqueue(getpid(), SIGRTMIN + 5, v));
		v.sival_int = 2000 + i;
		CHECK(!sigqueue(getpid(), SIGRTMIN + 1, v));
	}
	checkpoint_here();
	for (i = 0; i < 40; i++) {
		int sig = take(&set, &info);

		CHECK(sig == (i < 20 ? SIGRTMIN + 1 : SIGRTMIN + 5));
		CHECK(info.si_code == SI_QUEUE);
		CHECK(info.si_value.sival_int == (i < 20 ? 2000 + i : 980 + i));
		CHECK(info.si_pid == getpid() && info.si_uid == getuid());
	}
	CHECK(take(&set, &info) == -1 && errno == EAGAIN);
}

/* A pointer's worth of value, and a siginfo that a program made up. */
SUBJECT_TEST(queued_siginfo)
{
	siginfo_t info = { 0 };
	sigset_t set;

	block_all(&set);
	info.si_signo = SIGRTMIN + 3;
	info.si_code = -77;
	info.si_errno = 42;
	info.si_pid = 4711;
	info.si_value.sival_ptr = (void *)0x123456789abcdefUL;
	CHECK(!syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 3, &info));
	checkpoint_here();
	memset(&info, 0, sizeof(info));
	CHECK(take(&set, &info) == SIGRTMIN + 3);
	CHECK(info.si_code == -77 && info.si_errno == 42 && info.si_pid == 4711);
	CHECK(info.si_value.sival_ptr == (void *)0x123456789abcdefUL);
}

static int seen, order[8];

static void record(int sig, siginfo_t *info, void *context __maybe_unused)
{
	if (seen < 8)
		order[seen++] = sig * 1000 + info->si_value.sival_int;
}

/* Delivered by handlers once they are not blocked any more. */
SUBJECT_TEST(pending_are_delivered)
{
	struct sigaction sa = { .sa_sigaction = record, .sa_flags = SA_SIGINFO };
	union sigval v;
	sigset_t set;

	sigfillset(&sa.sa_mask);
	CHECK(!sigaction(SIGRTMIN, &sa, NULL));
	CHECK(!sigaction(SIGRTMIN + 1, &sa, NULL));
	block_all(&set);
	for (v.sival_int = 1; v.sival_int < 4; v.sival_int++) {
		CHECK(!sigqueue(getpid(), SIGRTMIN + 1, v));
		CHECK(!sigqueue(getpid(), SIGRTMIN, v));
	}
	checkpoint_here();
	CHECK(!READ_ONCE(seen));
	sigemptyset(&set);
	CHECK(!sigprocmask(SIG_SETMASK, &set, NULL));
	CHECK(READ_ONCE(seen) == 6);
	CHECK(READ_ONCE(order[0]) == SIGRTMIN * 1000 + 1);
	CHECK(READ_ONCE(order[2]) == SIGRTMIN * 1000 + 3);
	CHECK(READ_ONCE(order[3]) == (SIGRTMIN + 1) * 1000 + 1);
	CHECK(READ_ONCE(order[5]) == (SIGRTMIN + 1) * 1000 + 3);
}

/* Job control */

static void work_until_told(void)
{
	say(SAY_READY);
	wait_go();
}

static bool is_stopped(pid_t pid)
{
	int i;

	for (i = 0; i < PATIENCE / 5; i++) {
		if (proc_state(pid) == 'T')
			return true;
		sleep_ms(5);
	}
	return false;
}

static void stop_signal(struct __test_metadata *_metadata, enum manner how, int sig)
{
	struct subject s = { .metadata = _metadata };
	int status = 0;
	char c;

	ASSERT_TRUE(subject_start(&s, work_until_told, how));
	s.ready = read_byte(s.out);
	ASSERT_EQ(SAY_READY[0], s.ready);
	ASSERT_TRUE(proc_wait_asleep(s.pid));
	ASSERT_EQ(0, kill(s.pid, sig));
	ASSERT_TRUE(is_stopped(s.pid));
	ASSERT_LT(0, sys_checkpoint(s.pid, s.image, CHECKPOINT_LOG |
				    (how == KILLED ? CHECKPOINT_KILL : 0),
				    s.logfd))
		show_log(_metadata, s.logfd);
	if (how == KILLED) {
		status = wait_ms(s.pid, PATIENCE);
		ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(s.in);
		close(s.out);
	} else {
		/* It is as it was: stopped, and goes on when it is told. */
		sleep_ms(50);
		EXPECT_EQ('T', proc_state(s.pid));
		ASSERT_EQ(s.pid, waitpid(s.pid, &status, WUNTRACED | WNOHANG));
		EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == sig);
		ASSERT_EQ(0, kill(s.pid, SIGCONT));
		EXPECT_TRUE(subject_finish(&s, "the one that went on"));
	}

	ASSERT_TRUE(subject_restart(&s));
	ASSERT_TRUE(is_stopped(s.pid));
	EXPECT_EQ(1, write(s.in, "g", 1));
	sleep_ms(100);
	/* It does not do a thing until it is continued. */
	EXPECT_EQ('T', proc_state(s.pid));
	ASSERT_EQ(0, set_nonblock(s.out, true));
	EXPECT_EQ(-1, read(s.out, &c, 1));
	ASSERT_EQ(0, set_nonblock(s.out, false));
	EXPECT_EQ(s.pid, waitpid(s.pid, &status, WUNTRACED | WNOHANG));
	EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == sig)
		TH_LOG("status %#x", status);
	ASSERT_EQ(0, kill(s.pid, SIGCONT));
	EXPECT_TRUE(subject_finish(&s, "the restored one"));
	subject_close(&s);
}

TEST_F_TIMEOUT(midway, sigstop, 120)
{
	stop_signal(_metadata, variant->how, SIGSTOP);
}

TEST_F_TIMEOUT(midway, not_stopped_is_not_stopped, 120)
{
	struct subject s = { .metadata = _metadata };

	ASSERT_TRUE(subject_start(&s, work_until_told, variant->how));
	s.ready = read_byte(s.out);
	ASSERT_TRUE(proc_wait_asleep(s.pid));
	ASSERT_EQ(0, kill(s.pid, SIGSTOP));
	ASSERT_TRUE(is_stopped(s.pid));
	ASSERT_EQ(0, kill(s.pid, SIGCONT));
	ASSERT_TRUE(proc_wait_asleep(s.pid));
	ASSERT_LT(0, sys_checkpoint(s.pid, s.image, 0, 0));
	EXPECT_TRUE(subject_finish(&s, "the one that went on"));
	ASSERT_TRUE(subject_restart(&s));
	EXPECT_NE('T', proc_state(s.pid));
	EXPECT_TRUE(subject_finish(&s, "the restored one"));
	subject_close(&s);
}

/* Stopped in the middle of a sleep. */
static void sleep_a_while(void)
{
	struct timespec ts = { .tv_sec = 1 };
	__u64 start = now_ns(CLOCK_MONOTONIC);

	say(SAY_READY);
	CHECK(!nanosleep(&ts, NULL));
	CHECK(now_ns(CLOCK_MONOTONIC) - start >= SEC);
	wait_go();
}

TEST_F_TIMEOUT(midway, in_a_sleep, 120)
{
	struct subject s = { .metadata = _metadata };

	ASSERT_TRUE(subject_start(&s, sleep_a_while, variant->how));
	s.ready = read_byte(s.out);
	ASSERT_TRUE(proc_wait_asleep(s.pid));
	ASSERT_EQ(0, kill(s.pid, SIGSTOP));
	ASSERT_TRUE(is_stopped(s.pid));
	ASSERT_LT(0, sys_checkpoint(s.pid, s.image, 0, 0));
	ASSERT_EQ(0, kill(s.pid, SIGCONT));
	EXPECT_TRUE(subject_finish(&s, "the one that went on"));
	ASSERT_TRUE(subject_restart(&s));
	ASSERT_TRUE(is_stopped(s.pid));
	ASSERT_EQ(0, kill(s.pid, SIGCONT));
	EXPECT_TRUE(subject_finish(&s, "the restored one"));
	subject_close(&s);
}

TEST_HARNESS_MAIN
