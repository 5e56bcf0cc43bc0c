// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that are saved in the middle of a system call: it ends as it would
 * have without. Nobody who goes on sees an EINTR, and who is restored waits for
 * what was left to wait.
 */
#include "midway.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/uio.h>

/* Milliseconds that a call with a time limit waits. */
#define LONG_ENOUGH 1500

static __u64 began;
static int handled;

static void begin(void)
{
	began = now_ns(CLOCK_MONOTONIC);
}

/* A call that waits for LONG_ENOUGH is over: not too early, and not too late. */
static bool in_time(void)
{
	__u64 took = now_ns(CLOCK_MONOTONIC) - began;

	return took >= LONG_ENOUGH * MSEC &&
	       took < (LONG_ENOUGH + PATIENCE) * MSEC;
}

static struct timespec timeout(void)
{
	return (struct timespec) {
		.tv_sec = LONG_ENOUGH / 1000,
		.tv_nsec = LONG_ENOUGH % 1000 * MSEC,
	};
}

static void count(int sig __maybe_unused)
{
	handled++;
}

static void handle_sigusr1(int flags)
{
	struct sigaction sa = { .sa_handler = count, .sa_flags = flags };

	CHECK(!sigaction(SIGUSR1, &sa, NULL));
}

static bool sigusr1_is_blocked(void)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, SIGUSR1);
}

/* Calls that end by their time limit */

MIDWAY_TEST(nanosleep)
{
	struct timespec ts = timeout(), left;

	begin();
	say(SAY_READY);
	/* As with any interruption that a freeze is, @left may be written to. */
	CHECK(!nanosleep(&ts, &left));
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(clock_nanosleep_boottime)
{
	struct timespec ts = timeout();

	begin();
	say(SAY_READY);
	CHECK(!clock_nanosleep(CLOCK_BOOTTIME, 0, &ts, NULL));
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(clock_nanosleep_realtime)
{
	struct timespec ts = timeout();

	begin();
	say(SAY_READY);
	CHECK(!clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL));
	CHECK(in_time());
	wait_go();
}

/* Until a time of day, which goes on while there is no process. */
static void sleep_until(clockid_t clock)
{
	struct timespec ts;
	__u64 end = now_ns(clock) + LONG_ENOUGH * MSEC;

	ts.tv_sec = end / SEC;
	ts.tv_nsec = end % SEC;
	say(SAY_READY);
	CHECK(!clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL));
	CHECK(now_ns(clock) >= end);
	CHECK(now_ns(clock) < end + PATIENCE * MSEC);
	wait_go();
}

MIDWAY_TEST(clock_nanosleep_until_monotonic)
{
	sleep_until(CLOCK_MONOTONIC);
}

MIDWAY_TEST(clock_nanosleep_until_realtime)
{
	sleep_until(CLOCK_REALTIME);
}

MIDWAY_TEST(poll_until_time_limit)
{
	struct pollfd p = { .fd = 0, .events = POLLPRI };

	begin();
	say(SAY_READY);
	CHECK(!poll(&p, 1, LONG_ENOUGH));
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(poll_of_nothing)
{
	begin();
	say(SAY_READY);
	CHECK(!poll(NULL, 0, LONG_ENOUGH));
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(ppoll_until_time_limit)
{
	struct timespec ts = timeout();

	begin();
	say(SAY_READY);
	CHECK(!ppoll(NULL, 0, &ts, NULL));
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(select_until_time_limit)
{
	struct timeval tv = { 1, 500000 };
	int p[2];
	fd_set set;

	CHECK(!pipe(p));
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	begin();
	say(SAY_READY);
	CHECK(!select(p[0] + 1, &set, NULL, NULL, &tv));
	CHECK(!FD_ISSET(p[0], &set));
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(pselect_until_time_limit)
{
	struct timespec ts = timeout();
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	begin();
	say(SAY_READY);
	CHECK(!pselect(0, NULL, NULL, NULL, &ts, &mask));
	CHECK(in_time());
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(!sigismember(&mask, SIGUSR2));
	wait_go();
}

static int word;

MIDWAY_TEST(futex_until_time_limit)
{
	struct timespec ts = timeout();

	begin();
	say(SAY_READY);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0) == -1);
	CHECK(errno == ETIMEDOUT);
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(futex_bitset_until_a_time)
{
	__u64 end = now_ns(CLOCK_MONOTONIC) + LONG_ENOUGH * MSEC;
	struct timespec ts = { end / SEC, end % SEC };

	say(SAY_READY);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &ts, NULL,
		      FUTEX_BITSET_MATCH_ANY) == -1);
	CHECK(errno == ETIMEDOUT);
	CHECK(now_ns(CLOCK_MONOTONIC) >= end);
	wait_go();
}

MIDWAY_TEST(sigtimedwait_until_time_limit)
{
	struct timespec ts = timeout();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	begin();
	say(SAY_READY);
	/* Any interruption shows as EINTR. */
	CHECK(sigtimedwait(&set, NULL, &ts) == -1 && errno == EAGAIN);
	CHECK(in_time());
	wait_go();
}

MIDWAY_TEST(semtimedop_until_time_limit)
{
	struct sembuf op = { .sem_num = 0, .sem_op = -1 };
	int id = semget(IPC_PRIVATE, 1, 0600);
	struct timespec ts = timeout();
	bool over;

	CHECK(id >= 0);
	begin();
	say(SAY_READY);
	/* The original, if it goes on, may have removed it meanwhile. */
	over = syscall(SYS_semtimedop, id, &op, 1, &ts) == -1 &&
	       (errno == EAGAIN || errno == EIDRM || errno == EINVAL);
	CHECK(over);
	CHECK(errno != EAGAIN || in_time());
	wait_go();
	semctl(id, 0, IPC_RMID);
}

/* Calls that end when the test says so, by a byte or by SIGUSR1 */

MIDWAY_TEST(read_of_a_pipe)
{
	say(SAY_READY);
	wait_go();
}

MIDWAY_TEST(readv_of_a_pipe)
{
	char c = 0;
	struct iovec iov = { &c, 1 };

	say(SAY_READY);
	CHECK(readv(0, &iov, 1) == 1 && c == 'g');
}

MIDWAY_TEST(poll_of_a_pipe)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };

	say(SAY_READY);
	CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
	wait_go();
}

MIDWAY_TEST(poll_of_a_pipe_with_a_time_limit)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };

	say(SAY_READY);
	CHECK(poll(&p, 1, 10 * PATIENCE) == 1 && p.revents == POLLIN);
	wait_go();
}

MIDWAY_TEST(select_of_a_pipe)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(0, &set);
	say(SAY_READY);
	CHECK(select(1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(0, &set));
	wait_go();
}

static int own_pipe[2];

static void fill_own_pipe(int sig __maybe_unused)
{
	if (write(own_pipe[1], "x", 1) == 1)
		handled++;
}

/* Both ends are its own: nobody but its handler can end the call. */
MIDWAY_TEST(read_of_an_own_pipe)
{
	struct sigaction sa = {
		.sa_handler = fill_own_pipe, .sa_flags = SA_RESTART,
	};
	char c = 0;

	CHECK(!pipe(own_pipe));
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	say(SAY_SLEEPING);
	CHECK(read(own_pipe[0], &c, 1) == 1 && c == 'x');
	CHECK(READ_ONCE(handled) == 1);
	wait_go();
}

/* Full, until a handler makes room. */
static void drain_own_pipe(int sig __maybe_unused)
{
	static char junk[8192];

	if (read(own_pipe[0], junk, sizeof(junk)) > 0)
		handled++;
}

MIDWAY_TEST(write_of_an_own_pipe)
{
	struct sigaction sa = {
		.sa_handler = drain_own_pipe, .sa_flags = SA_RESTART,
	};
	static char junk[4096];

	CHECK(!pipe(own_pipe));
	CHECK(fcntl(own_pipe[1], F_SETPIPE_SZ, 4096) == 4096);
	CHECK(write(own_pipe[1], junk, sizeof(junk)) == sizeof(junk));
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	say(SAY_SLEEPING);
	CHECK(write(own_pipe[1], "x", 1) == 1);
	CHECK(READ_ONCE(handled) == 1);
	wait_go();
}

MIDWAY_TEST(read_is_interrupted_by_a_handler)
{
	char c;

	CHECK(!pipe(own_pipe));
	handle_sigusr1(0);
	say(SAY_SLEEPING);
	CHECK(read(own_pipe[0], &c, 1) == -1 && errno == EINTR);
	CHECK(READ_ONCE(handled) == 1);
	wait_go();
}

MIDWAY_TEST(pause)
{
	handle_sigusr1(0);
	say(SAY_SLEEPING);
	CHECK(pause() == -1 && errno == EINTR);
	CHECK(READ_ONCE(handled) == 1);
	wait_go();
}

/* Blocked before and after, open within: the mask comes back. */
static void block_sigusr1(sigset_t *within)
{
	block_signal(SIGUSR1);
	handle_sigusr1(SA_RESTART);
	sigemptyset(within);
}

MIDWAY_TEST(sigsuspend)
{
	sigset_t within;

	block_sigusr1(&within);
	say(SAY_SLEEPING);
	CHECK(sigsuspend(&within) == -1 && errno == EINTR);
	CHECK(READ_ONCE(handled) == 1);
	CHECK(sigusr1_is_blocked());
	wait_go();
}

MIDWAY_TEST(ppoll_with_a_mask)
{
	struct timespec ts = { .tv_sec = 10 * PATIENCE / 1000 };
	sigset_t within;

	block_sigusr1(&within);
	say(SAY_SLEEPING);
	CHECK(ppoll(NULL, 0, &ts, &within) == -1 && errno == EINTR);
	CHECK(READ_ONCE(handled) == 1);
	CHECK(sigusr1_is_blocked());
	wait_go();
}

MIDWAY_TEST(pselect_with_a_mask)
{
	sigset_t within;

	block_sigusr1(&within);
	say(SAY_SLEEPING);
	CHECK(pselect(0, NULL, NULL, NULL, NULL, &within) == -1 && errno == EINTR);
	CHECK(READ_ONCE(handled) == 1);
	CHECK(sigusr1_is_blocked());
	wait_go();
}

MIDWAY_TEST(sigwaitinfo)
{
	siginfo_t info;
	sigset_t set;

	block_signal(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	say(SAY_SLEEPING);
	CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
	CHECK(info.si_signo == SIGUSR1 && info.si_code == SI_USER);
	CHECK(sigusr1_is_blocked());
	wait_go();
}

static void change_word(int sig __maybe_unused)
{
	word = 1;
	handled++;
}

/* When it is issued again, the word is another. */
MIDWAY_TEST(futex_without_a_time_limit)
{
	struct sigaction sa = { .sa_handler = change_word, .sa_flags = SA_RESTART };

	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	say(SAY_SLEEPING);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == -1);
	CHECK(errno == EAGAIN);
	CHECK(READ_ONCE(handled) == 1);
	wait_go();
}

MIDWAY_TEST(nanosleep_is_interrupted_by_a_handler)
{
	struct timespec ts = { .tv_sec = 1000 }, left = { 0 };

	handle_sigusr1(SA_RESTART);
	say(SAY_SLEEPING);
	CHECK(nanosleep(&ts, &left) == -1 && errno == EINTR);
	CHECK(READ_ONCE(handled) == 1);
	CHECK(left.tv_sec > 800 && left.tv_sec < 1000);
	wait_go();
}

/*
 * Time stands still for who is not there: of a relative sleep, all that was
 * left is left, however late it is restarted.
 */
TEST_F_TIMEOUT(midway, what_is_left_of_a_sleep_is_slept, 120)
{
	struct subject s = { .metadata = _metadata };
	__u64 start, saved, restarted;

	ASSERT_TRUE(subject_start(&s, nanosleep_subject, variant->how));
	start = now_ns(CLOCK_MONOTONIC);
	ASSERT_TRUE(subject_checkpoint(&s, variant->how,
				       variant->how == KILLED ?
				       CHECKPOINT_KILL : 0));
	saved = now_ns(CLOCK_MONOTONIC);
	if (variant->how == LEFT)
		EXPECT_TRUE(subject_finish(&s, "the one that went on"));
	sleep_ms(LONG_ENOUGH);
	restarted = now_ns(CLOCK_MONOTONIC);
	ASSERT_TRUE(subject_restart(&s));
	EXPECT_TRUE(subject_finish(&s, "the restored one"));
	/* It slept at least what it had not slept before. */
	EXPECT_LE(LONG_ENOUGH * MSEC,
		  saved - start + now_ns(CLOCK_MONOTONIC) - restarted +
		  50 * MSEC);
	subject_close(&s);
}

/* Again and again: no matter how often, the call is the same call. */
TEST_F_TIMEOUT(midway, many_checkpoints_of_one_sleep, 120)
{
	struct subject s = { .metadata = _metadata };
	int i, fd = open("/dev/null", O_WRONLY);

	ASSERT_TRUE(subject_start(&s, nanosleep_subject, variant->how));
	ASSERT_EQ(SAY_READY[0], read_byte(s.out));
	for (i = 0; i < 20; i++)
		EXPECT_LT(0, sys_checkpoint(s.pid, fd, 0, 0));
	EXPECT_TRUE(subject_finish(&s, "after 20 checkpoints"));
	close(fd);
	subject_close(&s);
}

TEST_HARNESS_MAIN
