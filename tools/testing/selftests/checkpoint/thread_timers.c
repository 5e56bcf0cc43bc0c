// SPDX-License-Identifier: GPL-2.0
/*
 * Timers of timer_create(2) that are for a thread: that send it their signals, and
 * that count its processor time.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "subject.h"

#define SIG	(SIGRTMIN + 1)

static atomic_int ready;
static atomic_bool go;

struct of_thread {
	pthread_t thread;
	pid_t tid;
	int timer;
	int ok;
};

static int make_timer(clockid_t clock, pid_t tid, int sig, int value)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = sig,
		.sigev_value.sival_int = value,
	};
	int id;

	ev._sigev_un._tid = tid;
	CHECK(!syscall(SYS_timer_create, clock, &ev, &id));
	return id;
}

static void set_timer(int id, unsigned int ms, unsigned int every)
{
	struct itimerspec its = {
		.it_value = { ms / 1000, ms % 1000 * MSEC },
		.it_interval = { every / 1000, every % 1000 * MSEC },
	};

	CHECK(!syscall(SYS_timer_settime, id, 0, &its, NULL));
}

static long timer_left(int id)
{
	struct itimerspec its;

	CHECK(!syscall(SYS_timer_gettime, id, &its));
	return its.it_value.tv_sec * 1000 + its.it_value.tv_nsec / MSEC;
}

static bool take(int sig, int value, unsigned int ms)
{
	struct timespec limit = { ms / 1000, ms % 1000 * MSEC };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return sigtimedwait(&set, &info, &limit) == sig && info.si_code == SI_TIMER &&
	       info.si_int == value;
}

static void start(struct of_thread *own, void *(*fn)(void *), int nr)
{
	int i;

	/* Threads have it so, too. */
	block_signal(SIG);
	block_signal(SIGUSR2);
	for (i = 0; i < nr; i++)
		CHECK(!pthread_create(&own[i].thread, NULL, fn, &own[i]));
	while (atomic_load(&ready) < nr)
		sleep_ms(1);
}

static void finish(struct of_thread *own, int nr)
{
	int i;

	go = true;
	for (i = 0; i < nr; i++) {
		CHECK(!pthread_join(own[i].thread, NULL));
		errno = i;
		CHECK(own[i].ok);
	}
}

static void wait_for_go(void)
{
	while (!atomic_load(&go))
		sleep_ms(10);
}

/* It repeats, and goes on to do so; the value says whose it is. */
static void *repeats(void *arg)
{
	struct of_thread *own = arg;
	int i;

	own->tid = gettid();
	own->timer = make_timer(CLOCK_MONOTONIC, own->tid, SIG, own->tid);
	set_timer(own->timer, 20, 20);
	CHECK(take(SIG, own->tid, PATIENCE));
	atomic_fetch_add(&ready, 1);
	wait_for_go();
	own->ok = 1;
	for (i = 0; i < 5; i++)
		own->ok &= take(SIG, own->tid, PATIENCE);
	return NULL;
}

SUBJECT_TEST(repeating)
{
	struct of_thread own[3];

	start(own, repeats, 3);
	checkpoint_here();
	finish(own, 3);
	/* None was for another thread. */
	CHECK(!took_signal(SIG));
}

/* It sleeps in sigtimedwait(2) meanwhile, and has to be woken by what is to come. */
static void *sleeps(void *arg)
{
	struct of_thread *own = arg;

	own->tid = gettid();
	own->timer = make_timer(CLOCK_BOOTTIME, own->tid, SIG, 5);
	set_timer(own->timer, 1500, 0);
	atomic_fetch_add(&ready, 1);
	own->ok = take(SIG, 5, PATIENCE);
	return NULL;
}

SUBJECT_TEST(to_come)
{
	struct of_thread own[2];

	start(own, sleeps, 2);
	checkpoint_here();
	finish(own, 2);
}

/* What it has sent waits: of one that is over, and of one that repeats. */
static void *pending(void *arg)
{
	struct of_thread *own = arg;
	int once, again;
	sigset_t set;

	own->tid = gettid();
	once = make_timer(CLOCK_MONOTONIC, own->tid, SIG, 1);
	again = make_timer(CLOCK_REALTIME, own->tid, SIGUSR2, 2);
	set_timer(once, 1, 0);
	set_timer(again, 1, 30);
	do {
		sleep_ms(5);
		sigpending(&set);
	} while (!sigismember(&set, SIG) || !sigismember(&set, SIGUSR2));
	atomic_fetch_add(&ready, 1);
	wait_for_go();
	sleep_ms(100);
	own->ok = take(SIG, 1, 0) && !take(SIG, 1, 0) && take(SIGUSR2, 2, 0) &&
		  syscall(SYS_timer_getoverrun, again) > 0 &&
		  take(SIGUSR2, 2, PATIENCE) && take(SIGUSR2, 2, PATIENCE);
	own->ok &= !timer_left(once) && timer_left(again) > 0;
	return NULL;
}

SUBJECT_TEST(pending_of_a_thread)
{
	struct of_thread own[2];

	start(own, pending, 2);
	checkpoint_here();
	CHECK(!took_signal(SIG) && !took_signal(SIGUSR2));
	finish(own, 2);
}

/* It goes on when the signal is not ignored any more. */
SUBJECT_TEST(ignored)
{
	struct of_thread own[1];
	int id;

	start(own, sleeps, 1);
	signal(SIGUSR2, SIG_IGN);
	id = make_timer(CLOCK_MONOTONIC, own->tid, SIGUSR2, 3);
	set_timer(id, 1, 10);
	sleep_ms(50);
	checkpoint_here();
	sleep_ms(50);
	CHECK(timer_left(id) >= 0);
	signal(SIGUSR2, SIG_DFL);
	sleep_ms(50);
	/* It is pending for the other thread, which blocks it. */
	CHECK(!took_signal(SIGUSR2));
	CHECK(syscall(SYS_timer_delete, id) == 0);
	finish(own, 1);
}

static void burn(unsigned int ms)
{
	__u64 end = now_ns(CLOCK_THREAD_CPUTIME_ID) + ms * MSEC;

	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

/* Its own processor time is what counts, by both names of the clock. */
static void *burns(void *arg)
{
	struct of_thread *own = arg;
	int other;

	own->tid = gettid();
	own->timer = make_timer(CLOCK_THREAD_CPUTIME_ID, own->tid, SIG, 1);
	/* pthread_getcpuclockid() */
	other = make_timer(~own->tid << 3 | 6, own->tid, SIGUSR2, 2);
	set_timer(own->timer, 1000, 0);
	set_timer(other, 2000, 0);
	atomic_fetch_add(&ready, 1);
	wait_for_go();
	own->ok = 1;
	own->ok &= !took_signal(SIG) && timer_left(own->timer) > 0;
	burn(1030);
	own->ok &= take(SIG, 1, PATIENCE) && !took_signal(SIGUSR2);
	burn(1030);
	own->ok &= take(SIGUSR2, 2, PATIENCE);
	return NULL;
}

SUBJECT_TEST(processor_time)
{
	struct of_thread own[2];

	start(own, burns, 2);
	checkpoint_here();
	/* That of this thread does not. */
	burn(1100);
	finish(own, 2);
}

/* The clock of one thread, and the signal to another. */
SUBJECT_TEST(clock_of_another)
{
	struct of_thread own[1];
	pid_t self = gettid();
	int id;

	start(own, burns, 1);
	id = make_timer(~own->tid << 3 | 6, self, SIG, 9);
	set_timer(id, 600, 0);
	checkpoint_here();
	burn(650);
	CHECK(!took_signal(SIG));
	go = true;
	CHECK(take(SIG, 9, PATIENCE));
	finish(own, 1);
}

static void *ends(void *arg)
{
	struct of_thread *own = arg;

	own->tid = gettid();
	own->timer = make_timer(CLOCK_MONOTONIC, own->tid, SIG, 1);
	set_timer(own->timer, 1000000, 0);
	set_timer(make_timer(CLOCK_THREAD_CPUTIME_ID, own->tid, SIG, 2), 1000, 0);
	atomic_fetch_add(&ready, 1);
	return NULL;
}

/* Both stay, and are for nobody. */
SUBJECT_TEST(thread_has_ended)
{
	struct of_thread own[1];
	int clock;

	start(own, ends, 1);
	CHECK(!pthread_join(own->thread, NULL));
	clock = own->timer + 1;
	checkpoint_here();
	CHECK(timer_left(own->timer) > 900000);
	CHECK(!timer_left(clock));
	set_timer(own->timer, 1, 1);
	sleep_ms(20);
	CHECK(!took_signal(SIG));
	CHECK(!syscall(SYS_timer_delete, own->timer));
	CHECK(!syscall(SYS_timer_delete, clock));
}

/* One that is for the process, with threads. */
SUBJECT_TEST(of_the_process)
{
	struct of_thread own[2];
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	sigset_t pending;
	int id;

	start(own, sleeps, 2);
	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	set_timer(id, 1, 20);
	while (!sigpending(&pending) && timer_left(id) <= 0)
		sleep_ms(1);
	sleep_ms(30);
	checkpoint_here();
	CHECK(took_signal(SIGUSR2));
	sleep_ms(50);
	CHECK(took_signal(SIGUSR2));
	finish(own, 2);
}

TEST_HARNESS_MAIN
