// SPDX-License-Identifier: GPL-2.0
/*
 * Timers, with what is left of them and what they have sent; clocks, which do
 * not go back for who was restored on a machine that was started meanwhile.
 */
#include "midway.h"
#include "subject.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef PR_TIMER_CREATE_RESTORE_IDS
#define PR_TIMER_CREATE_RESTORE_IDS		77
#define PR_TIMER_CREATE_RESTORE_IDS_OFF		0
#define PR_TIMER_CREATE_RESTORE_IDS_ON		1
#define PR_TIMER_CREATE_RESTORE_IDS_GET		2
#endif
#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET (1 << 1)
#endif

/* Seconds that no test takes, and what is left of them when it ends. */
#define LONG 1000
#define REST 900

/* As timer_create(2) of the C library, which hides ids. */
static int create(clockid_t clock, struct sigevent *ev)
{
	int id = -1;

	return syscall(SYS_timer_create, clock, ev, &id) ? -1 : id;
}

static void settime(int id, int flags, struct itimerspec its)
{
	CHECK(!syscall(SYS_timer_settime, id, flags, &its, NULL));
}

static struct itimerspec gettime(int id)
{
	struct itimerspec its = { 0 };

	CHECK(!syscall(SYS_timer_gettime, id, &its));
	return its;
}

static struct itimerspec in_ms(long value, long interval)
{
	return (struct itimerspec) {
		.it_value = { value / 1000, value % 1000 * MSEC },
		.it_interval = { interval / 1000, interval % 1000 * MSEC },
	};
}

static __u64 spec_ns(struct timespec ts)
{
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static bool is_long(struct itimerspec its, long interval)
{
	return its.it_value.tv_sec >= REST && its.it_value.tv_sec <= LONG &&
	       its.it_interval.tv_sec == interval && !its.it_interval.tv_nsec;
}

static bool is_zero(struct itimerspec its)
{
	return !spec_ns(its.it_value) && !spec_ns(its.it_interval);
}

static void block_all(sigset_t *set)
{
	sigfillset(set);
	CHECK(!sigprocmask(SIG_SETMASK, set, NULL));
}

/* A signal that is pending, or that comes within some milliseconds. */
static int take_in(const sigset_t *set, siginfo_t *info, long ms)
{
	struct timespec limit = in_ms(ms, 0).it_value;

	return syscall(SYS_rt_sigtimedwait, set, info, &limit, 8);
}

static int take(const sigset_t *set, siginfo_t *info)
{
	return take_in(set, info, 0);
}

static struct sigevent by_signal(int sig, int value)
{
	return (struct sigevent) {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = sig,
		.sigev_value.sival_int = value,
	};
}

/* Uses up processor time. */
static void burn_ms(unsigned int ms)
{
	__u64 end = now_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * MSEC;

	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
}

/* setitimer(2) and alarm(2) */

static void set_itimer(int which, long value_ms, long interval_ms)
{
	struct itimerval it = {
		.it_value = { value_ms / 1000, value_ms % 1000 * 1000 },
		.it_interval = { interval_ms / 1000, interval_ms % 1000 * 1000 },
	};

	CHECK(!setitimer(which, &it, NULL));
}

static bool itimer_is_long(int which, long interval)
{
	struct itimerval it;

	return !getitimer(which, &it) && it.it_value.tv_sec >= REST &&
	       it.it_value.tv_sec <= LONG && it.it_interval.tv_sec == interval &&
	       !it.it_interval.tv_usec;
}

static bool itimer_is_zero(int which)
{
	struct itimerval it;

	return !getitimer(which, &it) && !it.it_value.tv_sec &&
	       !it.it_value.tv_usec && !it.it_interval.tv_sec &&
	       !it.it_interval.tv_usec;
}

SUBJECT_TEST(itimers)
{
	set_itimer(ITIMER_REAL, LONG * 1000, 7000);
	set_itimer(ITIMER_VIRTUAL, LONG * 1000, 3000);
	set_itimer(ITIMER_PROF, LONG * 1000, 5000);
	checkpoint_here();
	CHECK(itimer_is_long(ITIMER_REAL, 7));
	CHECK(itimer_is_long(ITIMER_VIRTUAL, 3));
	CHECK(itimer_is_long(ITIMER_PROF, 5));
}

SUBJECT_TEST(itimers_that_are_not_armed)
{
	checkpoint_here();
	CHECK(itimer_is_zero(ITIMER_REAL));
	CHECK(itimer_is_zero(ITIMER_VIRTUAL));
	CHECK(itimer_is_zero(ITIMER_PROF));
}

SUBJECT_TEST(itimers_expire)
{
	siginfo_t info;
	sigset_t set;
	int which[] = { SIGALRM, SIGVTALRM, SIGPROF }, i;

	block_all(&set);
	set_itimer(ITIMER_REAL, 3000, 0);
	set_itimer(ITIMER_VIRTUAL, 300, 0);
	set_itimer(ITIMER_PROF, 300, 0);
	checkpoint_here();
	burn_ms(400);
	for (i = 1; i < 3; i++) {
		sigemptyset(&set);
		sigaddset(&set, which[i]);
		/* In user mode, as ITIMER_VIRTUAL counts. */
		while (take(&set, &info) != which[i]) {
			volatile int n;

			for (n = 0; n < 1000000; n++)
				;
			CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) < 60 * SEC);
		}
	}
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(take_in(&set, &info, 60000) == SIGALRM);
	CHECK(itimer_is_zero(ITIMER_REAL));
	CHECK(itimer_is_zero(ITIMER_VIRTUAL));
	CHECK(itimer_is_zero(ITIMER_PROF));
}

/* It begins again when its signal is delivered. */
SUBJECT_TEST(itimer_with_a_pending_signal)
{
	struct itimerval it;
	siginfo_t info;
	sigset_t set;

	block_all(&set);
	set_itimer(ITIMER_REAL, 1, LONG * 1000);
	sleep_ms(30);
	CHECK(!sigpending(&set) && sigismember(&set, SIGALRM));
	checkpoint_here();
	CHECK(!getitimer(ITIMER_REAL, &it));
	CHECK(!it.it_value.tv_sec && !it.it_value.tv_usec);
	CHECK(it.it_interval.tv_sec == LONG);
	sigfillset(&set);
	CHECK(take(&set, &info) == SIGALRM && info.si_code == SI_KERNEL);
	CHECK(take(&set, &info) == -1 && errno == EAGAIN);
	CHECK(itimer_is_long(ITIMER_REAL, LONG));
}

SUBJECT_TEST(alarm_goes_on)
{
	unsigned int left;

	CHECK(!alarm(LONG));
	checkpoint_here();
	left = alarm(0);
	CHECK(left >= REST && left <= LONG);
	CHECK(!alarm(0));
}

/* timer_create(2) */

SUBJECT_TEST(ids)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	int id, first = create(CLOCK_MONOTONIC, &ev);

	CHECK(first >= 0);
	for (id = 1; id < 6; id++)
		CHECK(create(CLOCK_MONOTONIC, &ev) == first + id);
	for (id = 1; id < 6; id += 2)
		CHECK(!syscall(SYS_timer_delete, first + id));
	checkpoint_here();
	for (id = 0; id < 6; id++) {
		struct itimerspec its;
		int ret = syscall(SYS_timer_gettime, first + id, &its);

		CHECK(id % 2 ? ret == -1 && errno == EINVAL : !ret && is_zero(its));
	}
	CHECK(create(CLOCK_MONOTONIC, &ev) == first + 6);
}

SUBJECT_TEST(ids_that_were_asked_for)
{
	int id = 1000000, get = PR_TIMER_CREATE_RESTORE_IDS_GET;

	CHECK(!prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON,
		     0, 0, 0));
	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id));
	checkpoint_here();
	CHECK(prctl(PR_TIMER_CREATE_RESTORE_IDS, get, 0, 0, 0) == 1);
	CHECK(is_zero(gettime(1000000)));
	id = 77;
	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id) && id == 77);
	CHECK(!prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_OFF,
		     0, 0, 0));
	CHECK(create(CLOCK_MONOTONIC, NULL) == 78);
}

/* Without any timer, too. */
SUBJECT_TEST(next_id_and_how_ids_are_given)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	int id = create(CLOCK_MONOTONIC, &ev), asked = 5;

	CHECK(!syscall(SYS_timer_delete, id));
	CHECK(!prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON,
		     0, 0, 0));
	checkpoint_here();
	CHECK(prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET,
		    0, 0, 0) == 1);
	CHECK(!prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_OFF,
		     0, 0, 0));
	CHECK(create(CLOCK_MONOTONIC, &ev) == id + 1);
	CHECK(!prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON,
		     0, 0, 0));
	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &asked) && asked == 5);
}

/* The caller's own are gone, be they armed, pending or ignored. */
SUBJECT_TEST(no_timers)
{
	siginfo_t info;
	sigset_t set;

	checkpoint_here();
	block_all(&set);
	CHECK(take_in(&set, &info, 100) == -1 && errno == EAGAIN);
	CHECK(create(CLOCK_MONOTONIC, NULL) == 0);
}

static const clockid_t clocks[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI,
	CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM,
};

#define NR_CLOCKS ARRAY_SIZE(clocks)

/* Those of ALARM need a clock that can wake the machine. */
static int create_any(clockid_t clock)
{
	struct sigevent ev = by_signal(SIGUSR1, clock);
	int id = create(clock, &ev);

	CHECK(id >= 0 || ((clock == CLOCK_REALTIME_ALARM ||
			   clock == CLOCK_BOOTTIME_ALARM) && errno == EOPNOTSUPP));
	return id;
}

SUBJECT_TEST(each_clock)
{
	int id[NR_CLOCKS];
	size_t i;

	for (i = 0; i < NR_CLOCKS; i++) {
		id[i] = create_any(clocks[i]);
		if (id[i] >= 0)
			settime(id[i], 0, in_ms(LONG * 1000, 1000 * i));
	}
	checkpoint_here();
	for (i = 0; i < NR_CLOCKS; i++)
		CHECK(id[i] < 0 || is_long(gettime(id[i]), i));
}

SUBJECT_TEST(each_clock_to_a_point_in_time)
{
	struct itimerspec its[NR_CLOCKS];
	int id[NR_CLOCKS];
	size_t i;

	for (i = 0; i < NR_CLOCKS; i++) {
		id[i] = create_any(clocks[i]);
		if (id[i] < 0)
			continue;
		its[i] = in_ms(LONG * 1000, 1000 * i);
		its[i].it_value.tv_sec += now_ns(clocks[i]) / SEC;
		settime(id[i], TIMER_ABSTIME, its[i]);
	}
	checkpoint_here();
	for (i = 0; i < NR_CLOCKS; i++) {
		__u64 before, after, left, end;

		if (id[i] < 0)
			continue;
		end = spec_ns(its[i].it_value);
		before = now_ns(clocks[i]);
		left = spec_ns(gettime(id[i]).it_value);
		after = now_ns(clocks[i]);
		/* Less than a nanosecond of the clock is not known. */
		CHECK(left <= end - before + 1000 && left + 1000 >= end - after);
		CHECK(is_long(gettime(id[i]), i));
	}
}

/* In the time between, it expires; set for a while, it does not. */
static void while_it_is_dead(void)
{
	struct sigevent ev = by_signal(SIGRTMIN, 1);
	struct itimerspec its = in_ms(0, 0);
	int until, left;
	siginfo_t info;
	sigset_t set;
	__u64 end;

	block_all(&set);
	until = create(CLOCK_MONOTONIC, &ev);
	ev.sigev_signo = SIGRTMIN + 1;
	left = create(CLOCK_MONOTONIC, &ev);
	CHECK(until >= 0 && left >= 0);
	end = now_ns(CLOCK_MONOTONIC) + 10 * SEC;
	its.it_value.tv_sec = end / SEC;
	its.it_value.tv_nsec = end % SEC;
	settime(until, TIMER_ABSTIME, its);
	settime(left, 0, in_ms(10000, 0));
	checkpoint_here();
	if (now_ns(CLOCK_MONOTONIC) < end) {
		/* That is who went on, or a slow machine. */
		CHECK(spec_ns(gettime(until).it_value) <= 10 * SEC);
		CHECK(spec_ns(gettime(left).it_value) <= 10 * SEC);
		return;
	}
	CHECK(take(&set, &info) == SIGRTMIN);
	CHECK(info.si_code == SI_TIMER && info.si_timerid == until);
	CHECK(is_zero(gettime(until)));
	CHECK(spec_ns(gettime(left).it_value) > 0);
	CHECK(take(&set, &info) == -1 && errno == EAGAIN);
}

TEST_F_TIMEOUT(subject, what_is_left_and_points_in_time, 120)
{
	if (variant->how != KILLED)
		SKIP(return, "who goes on has lost no time");
	run_subject_flags(_metadata, while_it_is_dead, KILLED, 11000, 0);
}

/* A signal that a timer has sent, with its value and what it missed. */
SUBJECT_TEST(pending_of_a_timer_that_repeats)
{
	struct sigevent ev = by_signal(SIGUSR2, 4711);
	siginfo_t info;
	sigset_t set;
	int id, overrun;

	block_all(&set);
	id = create(CLOCK_MONOTONIC, &ev);
	CHECK(id >= 0);
	settime(id, 0, in_ms(1, 10));
	sleep_ms(200);
	checkpoint_here();
	CHECK(!sigpending(&set) && sigismember(&set, SIGUSR2));
	sigfillset(&set);
	CHECK(take(&set, &info) == SIGUSR2);
	CHECK(info.si_code == SI_TIMER && info.si_timerid == id);
	CHECK(info.si_value.sival_int == 4711);
	CHECK(info.si_overrun >= 15);
	overrun = syscall(SYS_timer_getoverrun, id);
	CHECK(overrun == info.si_overrun);
	/* And on it goes. */
	CHECK(take_in(&set, &info, PATIENCE) == SIGUSR2);
	CHECK(info.si_code == SI_TIMER && info.si_timerid == id);
	CHECK(gettime(id).it_interval.tv_nsec == 10 * MSEC);
}

SUBJECT_TEST(pending_of_a_timer_that_does_not)
{
	struct sigevent ev = by_signal(SIGRTMIN + 2, -3);
	siginfo_t info;
	sigset_t set;
	int id;

	block_all(&set);
	id = create(CLOCK_REALTIME, &ev);
	CHECK(id >= 0);
	settime(id, 0, in_ms(1, 0));
	sleep_ms(30);
	checkpoint_here();
	CHECK(is_zero(gettime(id)));
	CHECK(take(&set, &info) == SIGRTMIN + 2);
	CHECK(info.si_code == SI_TIMER && info.si_timerid == id);
	CHECK(info.si_value.sival_int == -3 && !info.si_overrun);
	CHECK(take(&set, &info) == -1 && errno == EAGAIN);
	/* It can be set again. */
	settime(id, 0, in_ms(1, 0));
	CHECK(take_in(&set, &info, PATIENCE) == SIGRTMIN + 2);
}

/* Between others of its number, it has its place. */
SUBJECT_TEST(order_of_pending)
{
	struct sigevent ev = by_signal(SIGRTMIN + 3, 0);
	union sigval v = { .sival_int = 1 };
	siginfo_t info;
	sigset_t set;
	int id[2], i;

	block_all(&set);
	for (i = 0; i < 2; i++) {
		id[i] = create(CLOCK_MONOTONIC, &ev);
		CHECK(id[i] >= 0);
	}
	CHECK(!sigqueue(getpid(), SIGRTMIN + 3, v));
	settime(id[1], 0, in_ms(1, 0));
	sleep_ms(30);
	v.sival_int = 2;
	CHECK(!sigqueue(getpid(), SIGRTMIN + 3, v));
	settime(id[0], 0, in_ms(1, LONG * 1000));
	sleep_ms(30);
	v.sival_int = 3;
	CHECK(!sigqueue(getpid(), SIGRTMIN + 3, v));
	checkpoint_here();
	CHECK(take(&set, &info) > 0 && info.si_code == SI_QUEUE &&
	      info.si_value.sival_int == 1);
	CHECK(take(&set, &info) > 0 && info.si_code == SI_TIMER &&
	      info.si_timerid == id[1]);
	CHECK(take(&set, &info) > 0 && info.si_code == SI_QUEUE &&
	      info.si_value.sival_int == 2);
	CHECK(take(&set, &info) > 0 && info.si_code == SI_TIMER &&
	      info.si_timerid == id[0]);
	CHECK(take(&set, &info) > 0 && info.si_code == SI_QUEUE &&
	      info.si_value.sival_int == 3);
	CHECK(take(&set, &info) == -1 && errno == EAGAIN);
	CHECK(is_long(gettime(id[0]), LONG));
}

/* Of the thread's own signals, not the process's. */
SUBJECT_TEST(signal_of_a_thread)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL | SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR2,
	};
	siginfo_t info;
	sigset_t set;
	int id[2], i;

	ev._sigev_un._tid = syscall(SYS_gettid);
	block_all(&set);
	for (i = 0; i < 2; i++) {
		id[i] = create(CLOCK_MONOTONIC, &ev);
		CHECK(id[i] >= 0);
	}
	CHECK(!kill(getpid(), SIGUSR1));
	settime(id[0], 0, in_ms(1, 0));
	settime(id[1], 0, in_ms(LONG * 1000, 0));
	sleep_ms(30);
	checkpoint_here();
	/* The thread's come first, though the number is above the other's. */
	CHECK(take(&set, &info) == SIGUSR2 && info.si_timerid == id[0]);
	CHECK(take(&set, &info) == SIGUSR1);
	settime(id[1], 0, in_ms(1, 0));
	CHECK(take_in(&set, &info, PATIENCE) == SIGUSR2 && info.si_timerid == id[1]);
}

SUBJECT_TEST(no_signal)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	int armed, over, idle;

	armed = create(CLOCK_MONOTONIC, &ev);
	over = create(CLOCK_BOOTTIME, &ev);
	idle = create(CLOCK_REALTIME, &ev);
	CHECK(armed >= 0 && over >= 0 && idle >= 0);
	settime(armed, 0, in_ms(LONG * 1000, 7000));
	settime(over, 0, in_ms(1, 0));
	sleep_ms(20);
	checkpoint_here();
	CHECK(is_long(gettime(armed), 7));
	CHECK(is_zero(gettime(over)));
	CHECK(is_zero(gettime(idle)));
}

/* What is ignored is not pending, and comes when it is not ignored any more. */
SUBJECT_TEST(ignored_signal)
{
	struct sigevent ev = by_signal(SIGUSR2, 5);
	struct sigaction sa = { .sa_handler = SIG_IGN };
	siginfo_t info;
	sigset_t set;
	int id, once;

	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	id = create(CLOCK_MONOTONIC, &ev);
	once = create(CLOCK_MONOTONIC, &ev);
	CHECK(id >= 0 && once >= 0);
	settime(id, 0, in_ms(1, 10));
	settime(once, 0, in_ms(1, 0));
	sleep_ms(100);
	checkpoint_here();
	CHECK(!sigpending(&set) && !sigismember(&set, SIGUSR2));
	CHECK(is_zero(gettime(once)));
	block_all(&set);
	CHECK(take(&set, &info) == -1 && errno == EAGAIN);
	sa.sa_handler = SIG_DFL;
	CHECK(!sigaction(SIGUSR2, &sa, NULL));
	CHECK(take(&set, &info) == SIGUSR2);
	CHECK(info.si_code == SI_TIMER && info.si_timerid == id);
	CHECK(info.si_overrun >= 7);
	CHECK(take_in(&set, &info, PATIENCE) == SIGUSR2 && info.si_timerid == id);
}

/* A signal of a timer that was set anew, or is gone, is never delivered. */
SUBJECT_TEST(signals_that_are_out_of_date)
{
	struct sigevent ev = by_signal(SIGRTMIN + 4, 0);
	siginfo_t info;
	sigset_t set;
	int id[3], i;

	block_all(&set);
	for (i = 0; i < 3; i++) {
		id[i] = create(CLOCK_MONOTONIC, &ev);
		CHECK(id[i] >= 0);
		settime(id[i], 0, in_ms(1, i == 1 ? 1 : 0));
	}
	sleep_ms(30);
	settime(id[0], 0, in_ms(0, 0));
	settime(id[1], 0, in_ms(LONG * 1000, 0));
	CHECK(!syscall(SYS_timer_delete, id[2]));
	checkpoint_here();
	CHECK(take_in(&set, &info, 50) == -1 && errno == EAGAIN);
	CHECK(is_zero(gettime(id[0])));
	CHECK(is_long(gettime(id[1]), 0));
	settime(id[1], 0, in_ms(1, 0));
	CHECK(take_in(&set, &info, PATIENCE) == SIGRTMIN + 4);
	CHECK(info.si_timerid == id[1]);
}

SUBJECT_TEST(overrun_of_the_last_signal)
{
	struct sigevent ev = by_signal(SIGUSR1, 0);
	siginfo_t info;
	sigset_t set;
	int id, was;

	block_all(&set);
	id = create(CLOCK_MONOTONIC, &ev);
	CHECK(id >= 0);
	settime(id, 0, in_ms(1, 5));
	sleep_ms(100);
	CHECK(take(&set, &info) == SIGUSR1);
	was = syscall(SYS_timer_getoverrun, id);
	CHECK(was == info.si_overrun && was > 5);
	checkpoint_here();
	CHECK(syscall(SYS_timer_getoverrun, id) == was);
}

/* Processor time: that of the process and of the thread, and of parts of it. */
#define CPU_CLOCK(which) ((clockid_t)((~0U << 3) | (which)))

static const clockid_t cpu_clocks[] = {
	CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
	CPU_CLOCK(0), CPU_CLOCK(1), CPU_CLOCK(4), CPU_CLOCK(5),
};

#define NR_CPU_CLOCKS ARRAY_SIZE(cpu_clocks)

SUBJECT_TEST(processor_time)
{
	int id[NR_CPU_CLOCKS];
	siginfo_t info;
	sigset_t set;
	size_t i;

	block_all(&set);
	for (i = 0; i < NR_CPU_CLOCKS; i++) {
		struct sigevent ev = by_signal(SIGRTMIN + i, i);

		id[i] = create(cpu_clocks[i], &ev);
		CHECK(id[i] >= 0);
		settime(id[i], 0, in_ms(i < 2 ? 300 : LONG * 1000, 1000 * i));
	}
	checkpoint_here();
	for (i = 2; i < NR_CPU_CLOCKS; i++)
		CHECK(is_long(gettime(id[i]), i));
	for (i = 0; i < 2; i++) {
		burn_ms(350);
		sigemptyset(&set);
		sigaddset(&set, SIGRTMIN + i);
		CHECK(take_in(&set, &info, 100) == SIGRTMIN + (int)i);
		CHECK(info.si_code == SI_TIMER && info.si_timerid == id[i]);
	}
	CHECK(is_zero(gettime(id[0])));
	CHECK(gettime(id[1]).it_interval.tv_sec == 1);
	CHECK(spec_ns(gettime(id[1]).it_value) > 0);
}

SUBJECT_TEST(processor_time_with_a_pending_signal)
{
	struct sigevent ev = by_signal(SIGUSR1, 9);
	siginfo_t info;
	sigset_t set;
	int id;

	block_all(&set);
	id = create(CLOCK_PROCESS_CPUTIME_ID, &ev);
	CHECK(id >= 0);
	settime(id, 0, in_ms(10, 20));
	burn_ms(300);
	CHECK(!sigpending(&set) && sigismember(&set, SIGUSR1));
	checkpoint_here();
	sigfillset(&set);
	CHECK(take(&set, &info) == SIGUSR1);
	CHECK(info.si_code == SI_TIMER && info.si_timerid == id);
	CHECK(info.si_overrun >= 8);
	burn_ms(100);
	CHECK(take_in(&set, &info, 100) == SIGUSR1);
}

/* Others of the same kind, with many timers and little room. */
SUBJECT_TEST(many_timers)
{
	struct sigevent ev = by_signal(SIGRTMIN + 6, 0);
	int i, first = -1;

	for (i = 0; i < 500; i++) {
		int id;

		ev.sigev_value.sival_int = i;
		id = create(i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &ev);
		CHECK(id >= 0);
		if (!i)
			first = id;
		settime(id, 0, in_ms(LONG * 1000, i * 1000));
	}
	checkpoint_here();
	for (i = 0; i < 500; i++)
		CHECK(is_long(gettime(first + i), i));
}

/* timerfd_create(2) */

static int tfd(clockid_t clock, int flags, int set_flags, struct itimerspec its)
{
	int fd = timerfd_create(clock, flags);

	CHECK(fd >= 0);
	CHECK(!timerfd_settime(fd, set_flags, &its, NULL));
	return fd;
}

static struct itimerspec tfd_get(int fd)
{
	struct itimerspec its;

	CHECK(!timerfd_gettime(fd, &its));
	return its;
}

/* What can be read at once; 0 for nothing. */
static __u64 tfd_ticks(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	__u64 ticks = 0;

	if (poll(&p, 1, 0) == 1)
		CHECK(read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks);
	return ticks;
}

SUBJECT_TEST(timerfds)
{
	static const clockid_t all[] = {
		CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
		CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM,
	};
	struct itimerspec its;
	int fd[5], at[5], i;

	for (i = 0; i < 5; i++) {
		fd[i] = tfd(all[i], i % 2 ? TFD_NONBLOCK : 0, 0,
			    in_ms(LONG * 1000, 1000 * i));
		its = in_ms(LONG * 1000, 0);
		its.it_value.tv_sec += now_ns(all[i]) / SEC;
		at[i] = tfd(all[i], TFD_CLOEXEC, TFD_TIMER_ABSTIME, its);
	}
	checkpoint_here();
	for (i = 0; i < 5; i++) {
		CHECK(is_long(tfd_get(fd[i]), i));
		CHECK(is_long(tfd_get(at[i]), 0));
		CHECK(!tfd_ticks(fd[i]) && !tfd_ticks(at[i]));
		CHECK(!(fcntl(fd[i], F_GETFL) & O_NONBLOCK) == !(i % 2));
		CHECK(!fcntl(fd[i], F_GETFD) && fcntl(at[i], F_GETFD) == FD_CLOEXEC);
	}
}

SUBJECT_TEST(timerfds_that_have_expired)
{
	int once = tfd(CLOCK_MONOTONIC, 0, 0, in_ms(1, 0));
	int more = tfd(CLOCK_MONOTONIC, 0, 0, in_ms(1, 10));
	int rest = tfd(CLOCK_REALTIME, 0, 0, in_ms(1, LONG * 1000));
	int soon = tfd(CLOCK_BOOTTIME, 0, 0, in_ms(5000, 0));
	int idle = tfd(CLOCK_MONOTONIC, 0, 0, in_ms(0, 7000));
	struct pollfd p = { .fd = soon, .events = POLLIN };
	__u64 ticks;

	sleep_ms(200);
	checkpoint_here();
	CHECK(tfd_ticks(once) == 1 && !tfd_ticks(once));
	CHECK(is_zero(tfd_get(once)));
	CHECK(tfd_ticks(more) >= 15);
	CHECK(read(more, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks >= 1);
	CHECK(tfd_ticks(rest) == 1);
	CHECK(is_long(tfd_get(rest), LONG));
	CHECK(!spec_ns(tfd_get(idle).it_value));
	CHECK(tfd_get(idle).it_interval.tv_sec == 7);
	CHECK(poll(&p, 1, PATIENCE) == 1 && tfd_ticks(soon) == 1);
}

/* To set the clock to what it is makes a small step, and that is enough. */
static void step_clock(void)
{
	struct timespec now;

	CHECK(!clock_gettime(CLOCK_REALTIME, &now));
	CHECK(!clock_settime(CLOCK_REALTIME, &now));
}

SUBJECT_TEST(timerfd_that_is_cancelled)
{
	struct itimerspec its = in_ms(LONG * 1000, 0);
	int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	int before, after;
	__u64 ticks;

	its.it_value.tv_sec += now_ns(CLOCK_REALTIME) / SEC;
	before = tfd(CLOCK_REALTIME, TFD_NONBLOCK, flags, its);
	step_clock();
	after = tfd(CLOCK_REALTIME, TFD_NONBLOCK, flags, its);
	checkpoint_here();
	CHECK(read(before, &ticks, sizeof(ticks)) == -1 && errno == ECANCELED);
	CHECK(read(before, &ticks, sizeof(ticks)) == -1 && errno == EAGAIN);
	step_clock();
	CHECK(read(after, &ticks, sizeof(ticks)) == -1 && errno == ECANCELED);
}

/* Clocks */

/* Moves into a time namespace in which the machine has run for longer. */
static void in_the_future(long monotonic, long boottime)
{
	char text[96];
	int fd, len;

	CHECK(!unshare(CLONE_NEWTIME));
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	CHECK(fd >= 0);
	len = snprintf(text, sizeof(text), "monotonic %ld 0\nboottime %ld 0\n",
		       monotonic, boottime);
	CHECK(write(fd, text, len) == len);
	close(fd);
	fd = open("/proc/self/ns/time_for_children", O_RDONLY);
	CHECK(fd >= 0 && !setns(fd, CLONE_NEWTIME));
	close(fd);
}

/* The clock as the vDSO has it, and as the kernel says; they are one. */
static __u64 both_ns(clockid_t clock)
{
	__u64 vdso = now_ns(clock), kernel;
	struct timespec ts;

	CHECK(!syscall(SYS_clock_gettime, clock, &ts));
	kernel = spec_ns(ts);
	CHECK(kernel >= vdso && kernel - vdso < 30 * SEC);
	return kernel;
}

static bool goes_on(clockid_t clock, __u64 was)
{
	__u64 now = both_ns(clock);

	return now >= was && now - was < 110 * SEC;
}

/* As after a reboot: where it is restored, the machine has not run as long. */
SUBJECT_TEST(clocks_go_on_where_they_are_behind)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct itimerspec its = in_ms(LONG * 1000, 0);
	__u64 monotonic, boottime, real, end;
	int id, fd;

	in_the_future(50000, 70000);
	monotonic = both_ns(CLOCK_MONOTONIC);
	boottime = both_ns(CLOCK_BOOTTIME);
	real = both_ns(CLOCK_REALTIME);
	its.it_value.tv_sec += monotonic / SEC;
	end = spec_ns(its.it_value);
	id = create(CLOCK_MONOTONIC, &ev);
	settime(id, TIMER_ABSTIME, its);
	fd = tfd(CLOCK_MONOTONIC, 0, TFD_TIMER_ABSTIME, its);
	checkpoint_here();
	CHECK(goes_on(CLOCK_MONOTONIC, monotonic));
	CHECK(goes_on(CLOCK_BOOTTIME, boottime));
	CHECK(goes_on(CLOCK_REALTIME, real));
	CHECK(is_long(gettime(id), 0));
	CHECK(is_long(tfd_get(fd), 0));
	CHECK(spec_ns(gettime(id).it_value) <= end - monotonic);
	/* Its children have the same clocks. */
	if (!fork()) {
		CHECK(goes_on(CLOCK_MONOTONIC, monotonic));
		CHECK(goes_on(CLOCK_BOOTTIME, boottime));
		_exit(0);
	}
	{
		int status = -1;

		CHECK(wait(&status) > 0 && !status);
	}
}

/* One of the two is, and the other stays as it is. */
SUBJECT_TEST(one_clock_is_behind)
{
	__u64 monotonic = both_ns(CLOCK_MONOTONIC), boottime;

	in_the_future(0, 70000);
	boottime = both_ns(CLOCK_BOOTTIME);
	checkpoint_here();
	CHECK(goes_on(CLOCK_MONOTONIC, monotonic));
	CHECK(goes_on(CLOCK_BOOTTIME, boottime));
}

/* A second time, from the namespace that the first restart made. */
static void twice(void)
{
	__u64 monotonic;
	int i;

	in_the_future(50000, 70000);
	monotonic = both_ns(CLOCK_MONOTONIC);
	for (i = 0; i < 3; i++) {
		checkpoint_here();
		CHECK(goes_on(CLOCK_MONOTONIC, monotonic));
	}
}

TEST_F_TIMEOUT(subject, clocks_go_on_again_and_again, 120)
{
	struct subject s = { .metadata = _metadata };
	int i;

	if (variant->how != KILLED)
		SKIP(return, "once is enough");
	ASSERT_TRUE(subject_start(&s, twice, KILLED));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ftruncate(s.image, 0));
		ASSERT_EQ(0, lseek(s.image, 0, SEEK_SET));
		ASSERT_TRUE(subject_checkpoint(&s, KILLED, CHECKPOINT_KILL));
		close(s.in);
		close(s.out);
		ASSERT_TRUE(subject_restart(&s));
		if (i < 2)
			ASSERT_EQ(1, write(s.in, "g", 1));
	}
	EXPECT_TRUE(subject_finish(&s, "the third"));
	subject_close(&s);
}

static void clocks_go_back(void)
{
	__u64 monotonic, now;

	in_the_future(50000, 70000);
	monotonic = both_ns(CLOCK_MONOTONIC);
	checkpoint_here();
	now = both_ns(CLOCK_MONOTONIC);
	CHECK(now < monotonic && monotonic - now > 40000 * SEC);
}

TEST_F_TIMEOUT(subject, relaxed_clocks, 120)
{
	if (variant->how != KILLED)
		SKIP(return, "who goes on has its clocks");
	run_subject_flags(_metadata, clocks_go_back, KILLED, 0,
			  RESTART_RELAXED_CLOCKS);
}

static __u64 end_of_wait;

static void wait_in_the_future(clockid_t clock)
{
	struct timespec ts;

	in_the_future(50000, 70000);
	end_of_wait = now_ns(clock) + 4000 * MSEC;
	ts.tv_sec = end_of_wait / SEC;
	ts.tv_nsec = end_of_wait % SEC;
	say(SAY_READY);
	CHECK(!clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL));
	CHECK(both_ns(clock) >= end_of_wait);
	CHECK(both_ns(clock) < end_of_wait + 60 * SEC);
	wait_go();
}

MIDWAY_TEST(wait_until_where_clocks_are_behind)
{
	wait_in_the_future(CLOCK_MONOTONIC);
}

MIDWAY_TEST(wait_until_where_the_other_clock_is_behind)
{
	wait_in_the_future(CLOCK_BOOTTIME);
}

MIDWAY_TEST(sleep_where_clocks_are_behind)
{
	struct timespec ts = { .tv_sec = 4 };
	__u64 start;

	in_the_future(50000, 70000);
	start = now_ns(CLOCK_MONOTONIC);
	say(SAY_READY);
	CHECK(!clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
	CHECK(both_ns(CLOCK_MONOTONIC) >= start + 4 * SEC);
	CHECK(both_ns(CLOCK_MONOTONIC) < start + 64 * SEC);
	wait_go();
}

/* Restarts that are refused; the caller keeps its clocks. */

static void time_namespace(char *name, size_t size)
{
	ssize_t n = readlink("/proc/self/ns/time", name, size - 1);

	name[n > 0 ? n : 0] = '\0';
}

static void future_subject(void)
{
	in_the_future(50000, 70000);
	checkpoint_here();
}

static void drop_cap(int cap)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		_exit(90);
	d[0].effective &= ~(1U << cap);
	d[0].permitted &= ~(1U << cap);
	if (syscall(SYS_capset, &h, d))
		_exit(91);
}

/* In a child: @err from restart(2), and nothing has changed. */
static int refused_restart(int image, int logfd, int err)
{
	char before[64], after[64];
	__u64 monotonic = now_ns(CLOCK_MONOTONIC);

	time_namespace(before, sizeof(before));
	lseek(image, 0, SEEK_SET);
	if (sys_restart(0, image, CHECKPOINT_LOG, logfd) != -1)
		return 80;
	if (errno != err)
		return errno;
	time_namespace(after, sizeof(after));
	if (strcmp(before, after))
		return 81;
	if (now_ns(CLOCK_MONOTONIC) - monotonic > 1000 * SEC)
		return 82;
	return 0;
}

FIXTURE(behind)
{
	struct subject s;
};

FIXTURE_SETUP(behind)
{
	if (skip_without_root(_metadata, "for a time namespace"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
	ASSERT_TRUE(subject_start(&self->s, future_subject, KILLED));
	ASSERT_TRUE(subject_checkpoint(&self->s, KILLED, CHECKPOINT_KILL));
}

FIXTURE_TEARDOWN(behind)
{
	close(self->s.in);
	close(self->s.out);
	subject_close(&self->s);
	remove_dir();
}

static void expect_refused(struct __test_metadata *_metadata, struct subject *s,
			   int cap, int err, const char *what)
{
	char log[1024] = { 0 };
	pid_t pid;
	int status;

	ASSERT_EQ(0, ftruncate(s->logfd, 0));
	ASSERT_EQ(0, lseek(s->logfd, 0, SEEK_SET));
	pid = fork();
	if (!pid) {
		if (cap >= 0)
			drop_cap(cap);
		_exit(refused_restart(s->image, s->logfd, err));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	ASSERT_LE(0, pread(s->logfd, log, sizeof(log) - 1, 0));
	EXPECT_TRUE(!!strstr(log, what))
		TH_LOG("log '%s', wanted '%s'", log, what);
	EXPECT_TRUE(one_printable_line(log))
		TH_LOG("log '%s' is not one line", log);
}

TEST_F(behind, without_cap_sys_time)
{
	expect_refused(_metadata, &self->s, CAP_SYS_TIME, EPERM,
		       "clocks: CLOCK_MONOTONIC is ");
}

TEST_F(behind, without_cap_sys_admin)
{
	expect_refused(_metadata, &self->s, CAP_SYS_ADMIN, EPERM,
		       " s behind that of the image");
}

/* All is ready, and then the checksum is wrong. */
TEST_F(behind, nothing_is_left_of_a_restart_that_fails)
{
	off_t size = file_size(self->s.image);
	struct cr_hdr_tail tail;

	ASSERT_EQ((ssize_t)sizeof(tail), pread(self->s.image, &tail, sizeof(tail),
					       size - sizeof(tail)));
	tail.cksum ^= 1;
	ASSERT_EQ((ssize_t)sizeof(tail), pwrite(self->s.image, &tail, sizeof(tail),
						size - sizeof(tail)));
	expect_refused(_metadata, &self->s, -1, EINVAL, "cksum");
}

/* A time that no clock reaches, and one that is no time. */
static void with_clock(struct __test_metadata *_metadata, struct subject *s,
		       __s64 monotonic, int err, const char *what)
{
	struct walk w = walk_file(s->image);
	struct cr_hdr_timers *timers = walk_find(&w, CR_HDR_TIMERS);

	ASSERT_EQ(NULL, w.wrong);
	ASSERT_NE(NULL, timers);
	timers->monotonic = monotonic;
	walk_seal(&w);
	ASSERT_EQ((ssize_t)w.len, pwrite(s->image, w.buf, w.len, 0));
	walk_free(&w);
	expect_refused(_metadata, s, -1, err, what);
}

TEST_F(behind, a_time_that_no_clock_reaches)
{
	with_clock(_metadata, &self->s, LLONG_MAX, ERANGE, "clocks: ");
}

TEST_F(behind, a_time_that_is_none)
{
	with_clock(_metadata, &self->s, -1, EINVAL, "monotonic");
}

/* Timers of an image that are refused; the caller keeps its own. */

static void timer_subject(void)
{
	struct sigevent ev = by_signal(SIGUSR2, 1);
	sigset_t set;
	int id[3], i;

	block_all(&set);
	for (i = 0; i < 3; i++) {
		id[i] = create(CLOCK_MONOTONIC, &ev);
		CHECK(id[i] >= 0);
	}
	settime(id[0], 0, in_ms(LONG * 1000, 0));
	settime(id[1], 0, in_ms(1, LONG * 1000));
	sleep_ms(30);
	checkpoint_here();
}

FIXTURE(hostile)
{
	struct subject s;
};

FIXTURE_VARIANT(hostile)
{
	void (*craft)(struct walk *w);
	int err;
	const char *what;
	rlim_t pending;		/* RLIMIT_SIGPENDING of the caller; 0 to keep it */
};

FIXTURE_SETUP(hostile)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
	ASSERT_TRUE(subject_start(&self->s, timer_subject, KILLED));
	ASSERT_TRUE(subject_checkpoint(&self->s, KILLED, CHECKPOINT_KILL));
}

FIXTURE_TEARDOWN(hostile)
{
	close(self->s.in);
	close(self->s.out);
	subject_close(&self->s);
	remove_dir();
}

/* In a child, which has a timer: it keeps that. */
static int refused_timers(int image, int logfd, int err, rlim_t pending)
{
	struct rlimit limit = { .rlim_cur = pending, .rlim_max = pending };
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct itimerspec its = in_ms(LONG * 1000, 7000);
	int id = create(CLOCK_MONOTONIC, &ev), ret;

	if (id < 0 || syscall(SYS_timer_settime, id, 0, &its, NULL))
		return 83;
	set_itimer(ITIMER_REAL, LONG * 1000, 7000);
	if (pending && setrlimit(RLIMIT_SIGPENDING, &limit))
		return 84;
	ret = refused_restart(image, logfd, err);
	if (ret)
		return ret;
	if (syscall(SYS_timer_gettime, id, &its) || !is_long(its, 7))
		return 85;
	if (!itimer_is_long(ITIMER_REAL, 7))
		return 86;
	if (create(CLOCK_MONOTONIC, &ev) != (pending ? -1 : id + 1))
		return 87;
	return 0;
}

TEST_F(hostile, is_refused_and_the_caller_keeps_its_timers)
{
	struct walk w = walk_file(self->s.image);
	char log[1024] = { 0 };
	int status;
	pid_t pid;

	ASSERT_EQ(NULL, w.wrong);
	if (variant->craft)
		variant->craft(&w);
	walk_seal(&w);
	ASSERT_EQ((ssize_t)w.len, pwrite(self->s.image, w.buf, w.len, 0));
	walk_free(&w);
	ASSERT_EQ(0, ftruncate(self->s.logfd, 0));
	ASSERT_EQ(0, lseek(self->s.logfd, 0, SEEK_SET));
	pid = fork();
	if (!pid)
		_exit(refused_timers(self->s.image, self->s.logfd, variant->err,
				     variant->pending));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	ASSERT_LE(0, pread(self->s.logfd, log, sizeof(log) - 1, 0));
	EXPECT_TRUE(!!strstr(log, variant->what))
		TH_LOG("log '%s', wanted '%s'", log, variant->what);
}

static struct cr_hdr_timer *timer(struct walk *w, int n)
{
	struct rec *r = walk_nth(w, CR_HDR_TIMER, n);

	return r ? walk_payload(w, r) : NULL;
}

/*
 * Of the signals that wait for any thread, the first becomes one of the thread:
 * it comes before what is of the process.
 */
static void make_private(struct walk *w)
{
	struct rec *info = walk_nth(w, CR_HDR_SIGINFO, 0);
	struct rec *process = walk_nth(w, CR_HDR_PROCESS, 0);
	struct rec *signals = walk_nth(w, CR_HDR_SIGNALS, 0);
	__u8 copy[REC_SIZE(sizeof(struct cr_hdr_siginfo))];
	size_t len = REC_SIZE(info->len), from = process->at;
	struct rec moved = *info, *r;

	((struct cr_hdr_process *)walk_payload(w, process))->nr_pending--;
	((struct cr_hdr_signals *)walk_payload(w, signals))->nr_pending++;
	memcpy(copy, w->buf + info->at, len);
	memmove(w->buf + from + len, w->buf + from, info->at - from);
	memcpy(w->buf + from, copy, len);
	for (r = info; r > process; r--) {
		*r = r[-1];
		r->at += len;
	}
	*process = moved;
	process->at = from;
}

#define HOSTILE(name, error, text, change) \
	static void name##_craft(struct walk *w) \
	{ \
		struct cr_hdr_siginfo *info = walk_find(w, CR_HDR_SIGINFO); \
		struct cr_hdr_timers *timers = walk_find(w, CR_HDR_TIMERS); \
		(void)info; \
		(void)timers; \
		change; \
	} \
	FIXTURE_VARIANT_ADD(hostile, name) { \
		.craft = name##_craft, .err = error, .what = text, \
	}

HOSTILE(ids_descend, EINVAL, "id", timer(w, 1)->id = timer(w, 0)->id);
HOSTILE(negative_id, EINVAL, "id", timer(w, 0)->id = -1);
HOSTILE(no_such_clock, EINVAL, "clock", timer(w, 0)->clock = 77);
HOSTILE(clock_of_a_descriptor, EINVAL, "clock", timer(w, 0)->clock = -5);
HOSTILE(clock_without_timers, EINVAL, "clock",
	timer(w, 0)->clock = CLOCK_MONOTONIC_COARSE);
HOSTILE(no_such_signal, EINVAL, "signal", timer(w, 0)->signal = 65);
HOSTILE(no_such_notification, EINVAL, "notify", timer(w, 0)->notify = 3);
HOSTILE(negative_time, EINVAL, "expires", timer(w, 0)->expires = -1);
HOSTILE(no_time, EINVAL, "timer 0: ", timer(w, 0)->expires = 0);
HOSTILE(negative_interval, EINVAL, "interval", timer(w, 0)->interval = -1);
HOSTILE(negative_overrun, EINVAL, "overrun", timer(w, 0)->overrun = -2);
HOSTILE(large_overrun, EINVAL, "timer 0: ", timer(w, 0)->overrun = LLONG_MAX);
HOSTILE(another_thread, EINVAL, "thread", {
	timer(w, 0)->notify = SIGEV_THREAD_ID;
	timer(w, 0)->tid = 1;
});
HOSTILE(sent_by_none, EINVAL, "timer", info->timer = 4);
/* It is armed, and so has sent nothing. */
HOSTILE(sent_by_an_armed_one, EINVAL, "signals: pending signal 0", info->timer = 1);
HOSTILE(sent_another_signal, EINVAL, "signals: pending signal 0",
	timer(w, 1)->signal = SIGUSR1);
HOSTILE(sent_to_a_thread, EINVAL, "signals: pending signal 0", make_private(w));
/* It repeats, has no signal, and is said to wait for that. */
HOSTILE(waits_for_no_signal, EINVAL, "timer", timer(w, 1)->notify = SIGEV_NONE);
HOSTILE(negative_rest, EINVAL, "real_left", timers->real_left = -1);
HOSTILE(rest_of_nothing, EINVAL, "virtual_left", timers->virtual_left = 1);
HOSTILE(negative_next_id, EINVAL, "next_id", timers->next_id = -1);

FIXTURE_VARIANT_ADD(hostile, too_many) {
	.err = EAGAIN, .what = "RLIMIT_SIGPENDING", .pending = 1,
};

/* Times beyond the end of the clock never come; nothing goes round. */
SUBJECT_TEST(times_without_end)
{
	struct sigevent ev = by_signal(SIGUSR2, 0);
	struct itimerspec never = {
		.it_value = { LONG_MAX, 0 }, .it_interval = { LONG_MAX, 0 },
	};
	int id[3], fd;
	siginfo_t info;
	sigset_t set;

	block_all(&set);
	id[0] = create(CLOCK_MONOTONIC, &ev);
	id[1] = create(CLOCK_REALTIME, &ev);
	id[2] = create(CLOCK_PROCESS_CPUTIME_ID, &ev);
	settime(id[0], 0, never);
	settime(id[1], TIMER_ABSTIME, never);
	settime(id[2], 0, never);
	fd = tfd(CLOCK_BOOTTIME, 0, TFD_TIMER_ABSTIME, never);
	checkpoint_here();
	CHECK(gettime(id[0]).it_value.tv_sec > 1000000000);
	CHECK(gettime(id[1]).it_value.tv_sec > 1000000000);
	CHECK(gettime(id[2]).it_value.tv_sec > 1000000000);
	CHECK(tfd_get(fd).it_value.tv_sec > 1000000000);
	CHECK(take_in(&set, &info, 50) == -1 && errno == EAGAIN);
}

TEST_HARNESS_MAIN
