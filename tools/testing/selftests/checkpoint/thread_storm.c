// SPDX-License-Identifier: GPL-2.0
/*
 * Many threads; and threads that begin and end, and programs that are executed by one
 * of them, all the time.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "subject.h"

#define MANY	1000
#define ROUNDS	100

static atomic_int up, down;
static atomic_bool go;
static pid_t tids[MANY];
static atomic_int wrong;

static void *one_of_many(void *arg)
{
	int nr = (long)arg;
	volatile int local = nr;

	tids[nr] = gettid();
	atomic_fetch_add(&up, 1);
	syscall(SYS_futex, &go, 128, 0, NULL, NULL, 0);
	while (!atomic_load(&go))
		sleep_ms(10);
	if (tids[nr] != gettid() || local != nr)
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&down, 1);
	return NULL;
}

SUBJECT_TEST(many)
{
	static pthread_t threads[MANY];
	pthread_attr_t attr;
	long i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32 * 1024);
	for (i = 0; i < MANY; i++)
		CHECK(!pthread_create(&threads[i], &attr, one_of_many, (void *)i));
	while (atomic_load(&up) < MANY)
		sleep_ms(1);
	checkpoint_here();
	for (i = 0; i < MANY; i++)
		CHECK(!syscall(SYS_tgkill, getpid(), tids[i], 0));
	go = true;
	syscall(SYS_futex, &go, 1 | 128, MANY, NULL, NULL, 0);
	for (i = 0; i < MANY; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(atomic_load(&down) == MANY && !wrong);
}

/* How long it takes, for those who look. */
FIXTURE(times)
{
	struct subject s;
};

FIXTURE_SETUP(times)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(times)
{
}

TEST_F_TIMEOUT(times, of_many, 120)
{
	struct subject *s = &self->s;
	__u64 begin, saved, restored;

	ASSERT_TRUE(subject_start(s, many_subject, KILLED));
	s->ready = read_byte(s->out);
	ASSERT_EQ(SAY_READY[0], s->ready);
	ASSERT_TRUE(proc_wait_asleep(s->pid));
	begin = now_ns(CLOCK_MONOTONIC);
	ASSERT_LT(0, sys_checkpoint(s->pid, s->image, CHECKPOINT_LOG | CHECKPOINT_KILL,
				    s->logfd))
		show_log(_metadata, s->logfd);
	saved = now_ns(CLOCK_MONOTONIC);
	ASSERT_NE(-1, wait_ms(s->pid, PATIENCE));
	ASSERT_TRUE(subject_reap());
	close(s->in);
	close(s->out);
	restored = now_ns(CLOCK_MONOTONIC);
	ASSERT_TRUE(subject_restart(s));
	/* It waits for 50 ms to be sure. */
	restored = now_ns(CLOCK_MONOTONIC) - restored - 50 * MSEC;
	TH_LOG("%d threads: saved in %llu ms, restored in %llu ms", MANY,
	       (unsigned long long)(saved - begin) / MSEC,
	       (unsigned long long)restored / MSEC);
	subject_finish(s, "the restored one");
	subject_close(s);
}

/* Each makes another, and ends. */

static atomic_long made;
static atomic_bool enough;

static void *short_life(void *arg)
{
	pthread_attr_t attr;
	pthread_t next;

	atomic_fetch_add(&made, 1);
	if (atomic_load(&enough)) {
		atomic_fetch_add(&down, 1);
		return NULL;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 32 * 1024);
	while (pthread_create(&next, &attr, short_life, arg))
		sched_yield();
	return NULL;
}

static void threads_storm(void)
{
	long before;
	int i;

	for (i = 0; i < 3; i++)
		short_life(NULL);
	say(SAY_READY);
	wait_go();
	before = atomic_load(&made);
	while (atomic_load(&made) < before + 20)
		sleep_ms(1);
	enough = true;
	while (atomic_load(&down) < 3)
		sleep_ms(1);
	sleep_ms(20);
}

/* A child, again and again: two threads, of which one executes a program. */

static void *executes(void *arg)
{
	(void)arg;
	execl("/bin/true", "true", NULL);
	_exit(50);
	return NULL;
}

static void *spins(void *arg)
{
	while (!arg)
		sched_yield();
	return NULL;
}

static void executing_storm(void)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	int status;
	pid_t pid;

	say(SAY_READY);
	while (!poll(&p, 1, 0)) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			pthread_t threads[3];

			pthread_create(&threads[0], NULL, spins, NULL);
			pthread_create(&threads[1], NULL, spins, NULL);
			pthread_create(&threads[2], NULL, executes, NULL);
			spins(NULL);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	wait_go();
}

/* Likewise, and it ends with all its threads. */
static void ending_storm(void)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	int status;
	pid_t pid;

	say(SAY_READY);
	while (!poll(&p, 1, 0)) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			pthread_t threads[2];

			pthread_create(&threads[0], NULL, spins, NULL);
			pthread_create(&threads[1], NULL, spins, NULL);
			sleep_ms(1);
			exit(33);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 33);
	}
	wait_go();
}

FIXTURE(storm)
{
	struct subject s;
};

FIXTURE_VARIANT(storm)
{
	void (*fn)(void);
	int rounds;
};

FIXTURE_VARIANT_ADD(storm, threads) {
	.fn = threads_storm, .rounds = ROUNDS,
};

FIXTURE_VARIANT_ADD(storm, executing) {
	.fn = executing_storm, .rounds = ROUNDS / 4,
};

FIXTURE_VARIANT_ADD(storm, ending) {
	.fn = ending_storm, .rounds = ROUNDS / 4,
};

FIXTURE_SETUP(storm)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(storm)
{
}

/* It is saved and killed while it goes on, and what the image says goes on, each time. */
TEST_F_TIMEOUT(storm, each_image_once, 600)
{
	struct subject *s = &self->s;
	int round;

	ASSERT_TRUE(subject_start(s, variant->fn, KILLED));
	s->ready = read_byte(s->out);
	ASSERT_EQ(SAY_READY[0], s->ready);
	for (round = 0; round < variant->rounds; round++) {
		ASSERT_EQ(0, ftruncate(s->image, 0));
		ASSERT_EQ(0, lseek(s->image, 0, SEEK_SET));
		ASSERT_EQ(0, ftruncate(s->logfd, 0));
		ASSERT_EQ(0, lseek(s->logfd, 0, SEEK_SET));
		ASSERT_LT(0, sys_checkpoint(s->pid, s->image,
					    CHECKPOINT_LOG | CHECKPOINT_KILL, s->logfd)) {
			TH_LOG("round %d", round);
			show_log(_metadata, s->logfd);
		}
		ASSERT_NE(-1, wait_ms(s->pid, PATIENCE));
		ASSERT_TRUE(subject_reap());
		close(s->in);
		close(s->out);
		ASSERT_TRUE(subject_restart(s)) {
			TH_LOG("round %d", round);
		}
	}
	subject_finish(s, "the last one");
	subject_close(s);
}

TEST_HARNESS_MAIN
