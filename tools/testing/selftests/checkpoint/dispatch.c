// SPDX-License-Identifier: GPL-2.0
/*
 * Dispatch of system calls to user mode, prctl(PR_SET_SYSCALL_USER_DISPATCH): each
 * thread has its own.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "dispatch.h"
#include "subject.h"

#include <sys/ptrace.h>

#ifndef PR_SYS_DISPATCH_EXCLUSIVE_ON
#define PR_SYS_DISPATCH_EXCLUSIVE_ON	1
#define PR_SYS_DISPATCH_INCLUSIVE_ON	2
#endif

#define NOWHERE	0xf00f	/* no system call */

static __thread volatile char selector;	/* SYSCALL_DISPATCH_FILTER_ALLOW */
static __thread volatile int caught;

/* The only code from which they are made that are dispatched. */
asm(".pushsection .text\n\t"
	".globl one_call, one_call_end\n"
	"one_call:\n\t"
	"mov $0xf00f, %eax\n\t"
	"syscall\n\t"
	"ret\n"
	"one_call_end:\n\t"
	".popsection\n");

static long make_call(void)
{
	long ret;

	asm volatile("call *%1" : "=a"(ret) : "r"(one_call)
		     : "rcx", "r11", "memory");
	return ret;
}

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	selector = 0;
	if (info->si_code == 2 /* SYS_USER_DISPATCH */ && info->si_syscall == NOWHERE)
		caught++;
}

static void handle(void)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(SIGSYS, &sa, NULL));
}

static int dispatch(unsigned long mode, unsigned long start, unsigned long len,
		    volatile char *by)
{
	return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, start, len, by);
}

/* Is the call dispatched if the selector says so, and not otherwise? */
static bool works(void)
{
	int before = caught;

	selector = 0;
	if (make_call() != -ENOSYS || caught != before)
		return false;
	selector = 1;
	make_call();
	return caught == before + 1 && !selector;
}

/* All calls. */
SUBJECT_TEST(by_selector)
{
	handle();
	CHECK(!dispatch(PR_SYS_DISPATCH_EXCLUSIVE_ON, 0, 0, &selector));
	CHECK(works());
	checkpoint_here();
	CHECK(works());
	CHECK(!dispatch(0, 0, 0, NULL));
	CHECK(!works());
}

/* All but those of some code, and without a selector but for other code. */
SUBJECT_TEST(but_some_code)
{
	unsigned long start = (unsigned long)one_call;

	handle();
	CHECK(!dispatch(PR_SYS_DISPATCH_EXCLUSIVE_ON, start, one_call_end - one_call,
			&selector));
	selector = 0;
	checkpoint_here();
	caught = 0;
	selector = 1;
	CHECK(make_call() == -ENOSYS);
	selector = 0;
	CHECK(!caught);
}

/* Only those of some code: the range is kept as what goes round the end. */
SUBJECT_TEST(some_code)
{
	unsigned long start = (unsigned long)one_call;

	handle();
	if (dispatch(PR_SYS_DISPATCH_INCLUSIVE_ON, start, one_call_end - one_call, NULL)) {
		CHECK(errno == EINVAL);
		checkpoint_here();
		return;
	}
	make_call();
	CHECK(caught == 1);
	checkpoint_here();
	make_call();
	CHECK(caught == 2);
	CHECK(!dispatch(0, 0, 0, NULL));
	CHECK(make_call() == -ENOSYS);
}

static atomic_int ready;
static atomic_bool go;

static void *thread(void *arg)
{
	bool on = arg;
	bool ok;

	if (on)
		CHECK(!dispatch(PR_SYS_DISPATCH_EXCLUSIVE_ON, 0, 0, &selector));
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&go))
		sleep_ms(1);
	ok = works();
	return (void *)(long)(ok == on);
}

SUBJECT_TEST(of_one_thread)
{
	pthread_t threads[4];
	void *ok;
	int i;

	handle();
	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, thread, (void *)(i % 2L)));
	while (atomic_load(&ready) < 4)
		sleep_ms(1);
	checkpoint_here();
	CHECK(!works());
	go = true;
	for (i = 0; i < 4; i++) {
		CHECK(!pthread_join(threads[i], &ok));
		CHECK(ok);
	}
}

TEST_HARNESS_MAIN
