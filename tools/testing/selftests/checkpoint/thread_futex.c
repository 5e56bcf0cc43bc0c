// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that wait: each goes on waiting, for the same, and is woken by that and by
 * nothing else.
 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#include "subject.h"

static long futex(void *at, int op, unsigned int val, void *limit, void *other,
		  unsigned int val3)
{
	return syscall(SYS_futex, at, op, val, limit, other, val3);
}

static unsigned int word, second;
static atomic_int ready;

struct of_thread {
	pthread_t thread;
	long (*call)(void);
	atomic_long result;
	int err;
	volatile bool over;
};

static void *calls(void *arg)
{
	struct of_thread *own = arg;

	atomic_fetch_add(&ready, 1);
	own->result = own->call();
	own->err = errno;
	own->over = true;
	return NULL;
}

static void start(struct of_thread *own, long (*call)(void))
{
	int before = atomic_load(&ready);

	memset(own, 0, sizeof(*own));
	own->call = call;
	CHECK(!pthread_create(&own->thread, NULL, calls, own));
	while (atomic_load(&ready) == before)
		sleep_ms(1);
	sleep_ms(20);
	CHECK(!own->over);
}

/* It still waits, after the checkpoint. */
static void still(struct of_thread *own)
{
	sleep_ms(30);
	CHECK(!own->over);
}

static void over(struct of_thread *own, long result)
{
	CHECK(!pthread_join(own->thread, NULL));
	if (own->result != result) {
		errno = own->result == -1 ? own->err : own->result;
		CHECK(!"what the call of a thread returns");
	}
}

static long waits(void)
{
	return futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

/* Three that wait, before and after a checkpoint. */
static void three_wait(struct of_thread own[3])
{
	int i;

	for (i = 0; i < 3; i++)
		start(&own[i], waits);
	checkpoint_here();
	for (i = 0; i < 3; i++)
		still(&own[i]);
}

SUBJECT_TEST(private)
{
	struct of_thread own[3];
	int i;

	three_wait(own);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0) == 2);
	sleep_ms(20);
	CHECK(own[0].over + own[1].over + own[2].over == 2);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 1);
	for (i = 0; i < 3; i++)
		over(&own[i], 0);
}

static struct timespec second_and_a_half = { 1, 500 * MSEC };
static long waits_for_a_while(void)
{
	return futex(&word, FUTEX_WAIT_PRIVATE, 0, &second_and_a_half, NULL, 0);
}

SUBJECT_TEST(for_a_while)
{
	struct of_thread own;

	start(&own, waits_for_a_while);
	checkpoint_here();
	over(&own, -1);
	CHECK(own.err == ETIMEDOUT);
}

/* Between processes. */
SUBJECT_TEST(shared_memory)
{
	unsigned int *at = shared(4096);
	int status;
	pid_t pid;

	CHECK(at);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		at[1] = 1;
		_exit(futex(at, FUTEX_WAIT, 0, NULL, NULL, 0) ? errno : 0);
	}
	while (!*(volatile unsigned int *)&at[1])
		sleep_ms(1);
	sleep_ms(20);
	checkpoint_here();
	sleep_ms(30);
	CHECK(!waitpid(pid, &status, WNOHANG));
	CHECK(futex(at, FUTEX_WAKE, 9, NULL, NULL, 0) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

/* Another holds the lock, and the waiter gets it. */
static long locks_pi(void)
{
	return futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}

SUBJECT_TEST(pi_waiter)
{
	struct of_thread own;

	word = gettid();
	start(&own, locks_pi);
	CHECK(word & FUTEX_WAITERS);
	checkpoint_here();
	still(&own);
	CHECK(!futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
	over(&own, 0);
	CHECK((word & FUTEX_TID_MASK) && (word & FUTEX_TID_MASK) != (unsigned int)gettid());
}

static pthread_mutex_t mutex;

static void make_mutex(int robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	if (robust)
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	CHECK(!pthread_mutex_init(&mutex, &attr));
}

static atomic_bool let_go;

/* Ends with the lock, or gives it back. */
static void *owner(void *arg)
{
	CHECK(!pthread_mutex_lock(&mutex));
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&let_go))
		sleep_ms(1);
	if (arg)
		pthread_mutex_unlock(&mutex);
	return NULL;
}

static long locks_mutex(void)
{
	return pthread_mutex_lock(&mutex);
}

SUBJECT_TEST(pi_mutex)
{
	struct of_thread own[2];
	pthread_t thread;

	make_mutex(0);
	CHECK(!pthread_create(&thread, NULL, owner, own));
	while (!atomic_load(&ready))
		sleep_ms(1);
	start(&own[0], locks_mutex);
	checkpoint_here();
	still(&own[0]);
	let_go = true;
	over(&own[0], 0);
	CHECK(!pthread_join(thread, NULL));
}

/* The owner ends after the restart. */
SUBJECT_TEST(robust_pi_mutex)
{
	struct of_thread own;
	pthread_t thread;

	make_mutex(1);
	CHECK(!pthread_create(&thread, NULL, owner, NULL));
	while (!atomic_load(&ready))
		sleep_ms(1);
	start(&own, locks_mutex);
	checkpoint_here();
	still(&own);
	let_go = true;
	over(&own, EOWNERDEAD);
	CHECK(!pthread_join(thread, NULL));
}

SUBJECT_TEST(robust_mutex)
{
	pthread_mutexattr_t attr;
	struct of_thread own;
	pthread_t thread;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	CHECK(!pthread_mutex_init(&mutex, &attr));
	CHECK(!pthread_create(&thread, NULL, owner, NULL));
	while (!atomic_load(&ready))
		sleep_ms(1);
	start(&own, locks_mutex);
	checkpoint_here();
	still(&own);
	let_go = true;
	over(&own, EOWNERDEAD);
	CHECK(!pthread_join(thread, NULL));
}

/* A condition whose waiters go over to a lock. */
static long waits_requeue_pi(void)
{
	return futex(&word, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &second, 0);
}

SUBJECT_TEST(requeue_pi)
{
	struct of_thread own;

	second = gettid();
	start(&own, waits_requeue_pi);
	checkpoint_here();
	still(&own);
	/* It must be told apart that somebody calls; the value stays what it is. */
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)0L, &second, 0) == 1);
	still(&own);
	CHECK(!futex(&second, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
	over(&own, 0);
}

SUBJECT_TEST(requeue)
{
	struct of_thread own[3];
	int i;

	three_wait(own);
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)9L, &second, 0) == 3);
	sleep_ms(20);
	CHECK(own[0].over + own[1].over + own[2].over == 1);
	CHECK(futex(&second, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 2);
	for (i = 0; i < 3; i++)
		over(&own[i], 0);
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waitv {
	__u64 val;
	__u64 uaddr;
	__u32 flags;
	__u32 reserved;
};

static long waitv(void)
{
	struct waitv both[2] = {
		{ .uaddr = (uintptr_t)&word, .flags = 2 | 128 },
		{ .uaddr = (uintptr_t)&second, .flags = 2 | 128 },
	};

	return syscall(SYS_futex_waitv, both, 2, 0, NULL, 0);
}

SUBJECT_TEST(one_of_two)
{
	struct of_thread own;

	start(&own, waitv);
	checkpoint_here();
	still(&own);
	CHECK(futex(&second, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 1);
	over(&own, 1);
}

/* Other calls */

static int ends[2], epfd;
static char byte;

static long polls(void)
{
	struct pollfd p = { .fd = ends[0], .events = POLLIN };

	return poll(&p, 1, -1);
}

static long epolls(void)
{
	struct epoll_event event;

	return epoll_wait(epfd, &event, 1, -1);
}

static long sigwaits(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigwaitinfo(&set, NULL);
}

static pid_t waited;

static long sleeps(void)
{
	struct timespec ts = { 1, 500 * MSEC };

	return nanosleep(&ts, &ts);
}

static long reads(void)
{
	return read(ends[0], &byte, 1);
}

static long in_wait4(void)
{
	return waitpid(waited, NULL, 0);
}

static long in_user_mode(void)
{
	volatile double x = 1;

	while (!atomic_load(&let_go))
		x = x * 1.5 > 100 ? 1 : x * 1.5;
	return 5;
}

SUBJECT_TEST(all_kinds)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct of_thread own[7];
	int gate[2], i;
	char c;

	block_signal(SIGUSR2);
	CHECK(!pipe2(ends, O_CLOEXEC) && !pipe2(gate, O_CLOEXEC));
	epfd = epoll_create1(EPOLL_CLOEXEC);
	CHECK(!epoll_ctl(epfd, EPOLL_CTL_ADD, ends[0], &event));
	waited = fork();
	CHECK(waited >= 0);
	if (!waited) {
		close(gate[1]);
		close(ends[1]);
		_exit(read(gate[0], &c, 1));
	}
	start(&own[0], polls);
	start(&own[1], epolls);
	start(&own[2], sigwaits);
	start(&own[3], in_wait4);
	start(&own[4], in_user_mode);
	start(&own[5], reads);
	start(&own[6], sleeps);
	checkpoint_here();
	for (i = 0; i < 6; i++)
		still(&own[i]);
	CHECK(!pthread_kill(own[2].thread, SIGUSR2));
	over(&own[2], SIGUSR2);
	close(gate[1]);
	over(&own[3], waited);
	let_go = true;
	over(&own[4], 5);
	CHECK(write(ends[1], "xy", 2) == 2);
	over(&own[5], 1);
	CHECK(byte == 'x');
	over(&own[0], 1);
	over(&own[1], 1);
	over(&own[6], 0);
}

TEST_HARNESS_MAIN
