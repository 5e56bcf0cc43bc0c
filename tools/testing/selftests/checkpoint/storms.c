// SPDX-License-Identifier: GPL-2.0
/*
 * Storms: trees in which tasks begin and end, run other programs and send signals
 * all the time, saved every few milliseconds. Each image becomes the tree that is
 * saved next. A storm in which anything is lost comes to a stop.
 *
 * CKPT_STORMS in the environment is how many checkpoints that are, of each storm;
 * 250 are 1000 in all.
 */
#include "busy.h"

#include <sys/time.h>

#define STORMS 12

FIXTURE(storms)
{
	struct subject s;
	int nr;
};

FIXTURE_SETUP(storms)
{
	const char *nr = getenv("CKPT_STORMS");

	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	counts = map_counts();
	ASSERT_TRUE(!!counts);
	self->nr = nr ? atoi(nr) : STORMS;
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(storms)
{
	if (self->s.pid > 0)
		subject_close(&self->s);
	remove_dir();
}

/* Each of the first @nr counts goes on. */
static bool goes_on(int nr)
{
	struct counts was = *counts;
	unsigned int ms;
	int i, moved = 0;

	for (ms = 0; ms < PATIENCE && moved < nr; ms++) {
		sleep_ms(1);
		for (i = moved = 0; i < nr; i++)
			moved += READ_ONCE(counts->of[i]) != was.of[i];
	}
	return moved == nr;
}

/* That of a test that has failed. */
static void end_storm(struct subject *s)
{
	counts->over = 1;
	kill(s->pid, SIGKILL);
	subject_finish(s, "a storm");
}

static void run_storm(struct __test_metadata *_metadata, struct subject *s,
		      void (*fn)(void), int nr, int rounds)
{
	__u64 begin = now_ns(CLOCK_MONOTONIC);
	int round;

	ASSERT_TRUE(subject_start(s, fn, LEFT));
	s->ready = read_byte(s->out);
	ASSERT_EQ(SAY_READY[0], s->ready)
		subject_finish(s, "not ready");
	for (round = 0; round < rounds; round++) {
		/* One of four goes on itself. */
		bool left = round % 4 == 3;
		long id;

		ASSERT_TRUE(goes_on(nr)) {
			TH_LOG("round %d: the storm is over", round);
			end_storm(s);
		}
		/* Not always at the same moment. */
		usleep(round * 37 % 4000);
		if (ftruncate(s->image, 0) || lseek(s->image, 0, SEEK_SET) ||
		    ftruncate(s->logfd, 0) || lseek(s->logfd, 0, SEEK_SET))
			break;
		id = sys_checkpoint(s->pid, s->image,
				    CHECKPOINT_LOG | (left ? 0 : CHECKPOINT_KILL), s->logfd);
		ASSERT_LT(0, id) {
			TH_LOG("round %d: %s", round, strerror(errno));
			show_log(_metadata, s->logfd);
			end_storm(s);
		}
		if (left)
			continue;
		ASSERT_EQ(SIGKILL, wait_ms(s->pid, PATIENCE));
		close(s->in);
		close(s->out);
		ASSERT_TRUE(subject_reap());
		ASSERT_TRUE(subject_restart(s))
			TH_LOG("round %d: not restarted", round);
	}
	TH_LOG("%d checkpoints in %llu ms", round,
	       (unsigned long long)((now_ns(CLOCK_MONOTONIC) - begin) / MSEC));
	subject_finish(s, "the last of a storm");
}

#define STORM(name, count) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(storms, name, 3600) \
	{ \
		run_storm(_metadata, &self->s, name##_subject, count, self->nr); \
	} \
	static void name##_subject(void)

/* A byte by the pipe ends a storm: it is looked for by a thread of the first. */
static void *wait_over(void *arg)
{
	(void)arg;
	wait_go();
	counts->over = 1;
	return NULL;
}

/* @nr children that do @job, until there is that byte. */
static void weather(void *(*job)(void *), int nr)
{
	pthread_t thread;
	pid_t pids[WORKERS];
	int status;
	long i;

	counts = map_counts();
	CHECK(!!counts && nr <= WORKERS);
	counts->over = 0;
	for (i = 0; i < nr; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (!pids[i]) {
			job((void *)i);
			_exit(0);
		}
		counts->pids[i] = pids[i];
	}
	say(SAY_READY);
	CHECK(!pthread_create(&thread, NULL, wait_over, NULL));
	CHECK(!pthread_join(thread, NULL));
	for (i = 0; i < nr; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(!status);
	}
}

STORM(forks, 4)
{
	weather(count_children, 4);
}

/* A child has a child, and does not wait for it: that falls to who adopts it. */
static void *count_orphans(void *arg)
{
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	while (!READ_ONCE(counts->over)) {
		int status, sum = 0;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid) {
			pid = fork();
			CHECK(pid >= 0);
			if (!pid)
				count_one((long)arg);
			_exit(pid ? 1 : 2);
		}
		while (waitpid(-1, &status, 0) > 0) {
			CHECK(WIFEXITED(status));
			sum += WEXITSTATUS(status);
		}
		CHECK(errno == ECHILD && sum == 3);
	}
	return NULL;
}

STORM(orphans, 3)
{
	weather(count_orphans, 3);
}

/* Threads that make and join threads, in two processes. */
static void *count_in_threads(void *arg)
{
	pthread_t threads[3];
	int i;

	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, count_threads, arg));
	for (i = 0; i < 3; i++)
		CHECK(!pthread_join(threads[i], NULL));
	return NULL;
}

STORM(threads, 2)
{
	weather(count_in_threads, 2);
}

/* The program, again and again. */
static void *count_programs(void *arg)
{
	char number[2] = { '0' + (char)(long)arg, 0 };

	while (!READ_ONCE(counts->over)) {
		int status;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid) {
			execl("/proc/self/exe", "storms", "--again", number, NULL);
			_exit(97);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == number[0]);
		count_one((long)arg);
	}
	return NULL;
}

__attribute__((constructor(65535))) static void again(int argc, char **argv)
{
	/* Twice, in the same process. */
	if (argc == 3 && !strcmp(argv[1], "--again"))
		execl("/proc/self/exe", "storms", "--twice", argv[2], NULL);
	if (argc == 3 && !strcmp(argv[1], "--twice"))
		_exit(argv[2][0]);
}

STORM(programs, 2)
{
	weather(count_programs, 2);
}

/*
 * Signals go round, each with the number of the one before it and one more: what
 * is lost is the end of it, and what is doubled is seen.
 */
#define RING 3

static volatile sig_atomic_t expected = -1;

static void pass_on(int sig, siginfo_t *info, void *context)
{
	int own = info->si_value.sival_int % RING, next = (own + 1) % RING;

	(void)context;
	if (expected >= 0 && info->si_value.sival_int != expected)
		_exit(60);
	expected = info->si_value.sival_int + RING;
	count_one(own);
	while (!counts->pids[next])
		sched_yield();
	if (!READ_ONCE(counts->over))
		sigqueue(counts->pids[next], sig,
			 (union sigval) { .sival_int = info->si_value.sival_int + 1 });
}

static void tick(int sig __maybe_unused)
{
	count_one(RING);
}

static void *count_signals(void *arg)
{
	struct itimerval often = {
		.it_interval.tv_usec = 2000,
		.it_value.tv_usec = 2000,
	};
	struct sigaction sa = {
		.sa_sigaction = pass_on,
		.sa_flags = SA_SIGINFO,
	};
	sigset_t set;

	CHECK(!sigaction(SIGRTMIN + 3, &sa, NULL));
	signal(SIGALRM, tick);
	CHECK(!setitimer(ITIMER_REAL, &often, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	CHECK(!sigprocmask(SIG_UNBLOCK, &set, NULL));
	if (!arg) {
		while (!counts->pids[0])
			sched_yield();
		CHECK(!sigqueue(getpid(), SIGRTMIN + 3, (union sigval) { .sival_int = 0 }));
	}
	while (!READ_ONCE(counts->over)) {
		/* Asleep, in a system call that is done again, and in user mode. */
		usleep(300);
		sched_yield();
	}
	return NULL;
}

STORM(signals, RING + 1)
{
	sigset_t set;

	/* Blocked where nobody is ready for it yet. */
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	weather(count_signals, RING);
}

TEST_HARNESS_MAIN
