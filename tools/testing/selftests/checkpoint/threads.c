// SPDX-License-Identifier: GPL-2.0
/*
 * Threads: each is there again with its number and all that is its own, and they
 * share what they shared.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "subject.h"

static atomic_int turn, up;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool over;

struct of_thread {
	pthread_t thread;
	pid_t tid;
	int number;
	bool ok;
};

/* Waits for the end on a futex, and looks whether it is still itself. */
static void *sleeper(void *arg)
{
	static __thread int local;
	struct of_thread *own = arg;
	char name[16], now[16];

	local = own->number;
	own->tid = gettid();
	snprintf(name, sizeof(name), "number%d", own->number);
	pthread_setname_np(pthread_self(), name);
	atomic_fetch_add(&up, 1);

	pthread_mutex_lock(&lock);
	while (!over)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);

	pthread_getname_np(pthread_self(), now, sizeof(now));
	own->ok = local == own->number && own->tid == gettid() && !strcmp(name, now);
	return NULL;
}

static void start(struct of_thread *threads, int nr)
{
	pthread_attr_t attr;
	int i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (i = 0; i < nr; i++) {
		threads[i].number = i + 1;
		CHECK(!pthread_create(&threads[i].thread, &attr, sleeper, &threads[i]));
	}
	while (atomic_load(&up) < nr)
		sleep_ms(1);
}

static void finish(struct of_thread *threads, int nr)
{
	int i;

	pthread_mutex_lock(&lock);
	over = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < nr; i++) {
		CHECK(!pthread_join(threads[i].thread, NULL));
		CHECK(threads[i].ok);
	}
}

SUBJECT_TEST(one_more)
{
	struct of_thread thread;

	start(&thread, 1);
	checkpoint_here();
	finish(&thread, 1);
}

SUBJECT_TEST(twenty)
{
	struct of_thread threads[20];

	start(threads, 20);
	checkpoint_here();
	finish(threads, 20);
}

/* One hands over to the next all the time, by spinning and by sleeping. */
static void *runner(void *arg)
{
	struct of_thread *own = arg;

	while (!atomic_load(&over)) {
		if (atomic_load(&turn) % 4 == own->number)
			atomic_fetch_add(&turn, 1);
		else if (own->number % 2)
			sched_yield();
		else
			usleep(10);
	}
	return NULL;
}

SUBJECT_TEST(running)
{
	struct of_thread threads[4];
	int i, before;

	for (i = 0; i < 4; i++) {
		threads[i].number = i;
		CHECK(!pthread_create(&threads[i].thread, NULL, runner, &threads[i]));
	}
	while (atomic_load(&turn) < 100)
		sleep_ms(1);
	checkpoint_here();
	before = atomic_load(&turn);
	while (atomic_load(&turn) < before + 100)
		sleep_ms(1);
	over = true;
	for (i = 0; i < 4; i++)
		CHECK(!pthread_join(threads[i].thread, NULL));
}

TEST_HARNESS_MAIN
