// SPDX-License-Identifier: GPL-2.0
/*
 * Many callers at once: ids stay unique, images whole, and nobody gets what is
 * another's.
 */
#include "proc.h"

#include <pthread.h>

#define CALLERS 8
#define ROUNDS 50

FIXTURE(concurrent)
{
	int *ids;		/* CALLERS * ROUNDS of them */
	int *go;
};

FIXTURE_SETUP(concurrent)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	self->ids = shared(CALLERS * ROUNDS * sizeof(int));
	self->go = shared(sizeof(int));
	ASSERT_TRUE(self->ids && self->go);
	set_comm(UNTOUCHED);
}

FIXTURE_TEARDOWN(concurrent)
{
}

static int by_value(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return x < y ? -1 : x > y;
}

static void check_ids(struct __test_metadata *_metadata, int *ids, int count)
{
	int i, same = 0;

	qsort(ids, count, sizeof(*ids), by_value);
	EXPECT_LT(0, ids[0]);
	for (i = 1; i < count; i++)
		same += ids[i] == ids[i - 1];
	EXPECT_EQ(0, same);
}

/* So that all begin at the same time, and not one after the other. */
static void wait_for_go(int *go)
{
	__atomic_fetch_add(go, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(go, __ATOMIC_SEQ_CST) < CALLERS)
		sched_yield();
}

/*
 * One caller's rounds: checkpoints of a process of its own into a file of its
 * own, and a look at some of the images. NULL if all is well.
 */
static const char *rounds(struct _test_data_concurrent *self, int caller)
{
	int fd = tmp_memfd(), i;
	const char *wrong = NULL;
	struct tiny t;

	if (!tiny_start(&t))
		return "start of tiny";
	wait_for_go(self->go);
	for (i = 0; i < ROUNDS && !wrong; i++) {
		struct walk w;
		long id;

		if (lseek(fd, 0, SEEK_SET))
			return "lseek";
		id = sys_checkpoint(t.pid, fd, 0, 0);
		if (id <= 0)
			return strerror(errno);
		self->ids[caller * ROUNDS + i] = id;
		if (i % 10)
			continue;
		w = walk_file(fd);
		wrong = walk_wrong(&w, id, "tiny");
		walk_free(&w);
		if (!tiny_answers(&t))
			return "it does not answer";
	}
	if (!tiny_stop(&t))
		return "it noticed something";
	close(fd);
	return wrong;
}

TEST_F(concurrent, processes)
{
	pid_t pids[CALLERS];
	int i, status;

	for (i = 0; i < CALLERS; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			const char *wrong = rounds(self, i);

			if (wrong)
				TH_LOG("caller %d: %s", i, wrong);
			_exit(!!wrong);
		}
	}
	for (i = 0; i < CALLERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	check_ids(_metadata, self->ids, CALLERS * ROUNDS);
}

struct caller {
	struct _test_data_concurrent *self;
	const char *wrong;
	int number;
};

static void *thread_rounds(void *arg)
{
	struct caller *caller = arg;

	caller->wrong = rounds(caller->self, caller->number);
	return NULL;
}

/* Threads of one process, each with somebody to save. */
TEST_F(concurrent, threads)
{
	struct caller callers[CALLERS];
	pthread_t threads[CALLERS];
	int i;

	for (i = 0; i < CALLERS; i++) {
		callers[i].self = self;
		callers[i].number = i;
		callers[i].wrong = NULL;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, thread_rounds,
					    &callers[i]));
	}
	for (i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(NULL, callers[i].wrong)
			TH_LOG("thread %d: %s", i, callers[i].wrong);
	}
	check_ids(_metadata, self->ids, CALLERS * ROUNDS);
}

/* Both calls at once: each process moves one on, again and again. */
TEST_F(concurrent, checkpoint_and_restart)
{
	pid_t pids[CALLERS];
	int i, status;

	for (i = 0; i < CALLERS; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			struct tiny t, next;
			int round;

			if (!tiny_start(&t))
				_exit(1);
			wait_for_go(self->go);
			for (round = 0; round < ROUNDS; round++) {
				int fd = tmp_memfd();
				long id;

				if (!proc_wait_asleep(t.pid))
					_exit(2);
				id = sys_checkpoint(t.pid, fd, CHECKPOINT_KILL, 0);
				self->ids[i * ROUNDS + round] = id;
				next.count = t.count;
				tiny_kill(&t);
				if (lseek(fd, 0, SEEK_SET) ||
				    !tiny_restart(&next, 0, fd, id, 0, -1))
					_exit(3);
				close(fd);
				t = next;
				if (!tiny_answers(&t))
					_exit(4);
			}
			_exit(tiny_stop(&t) ? 0 : 5);
		}
	}
	for (i = 0; i < CALLERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	check_ids(_metadata, self->ids, CALLERS * ROUNDS);
}

/* All of them save the same process: one at a time, and each whole. */
TEST_F(concurrent, one_process_saved_by_many)
{
	pid_t pids[CALLERS];
	int i, status;
	struct tiny t;

	ASSERT_TRUE(tiny_start(&t));
	for (i = 0; i < CALLERS; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			int fd = tmp_memfd(), round;

			wait_for_go(self->go);
			for (round = 0; round < ROUNDS; round++) {
				struct walk w;
				long id;

				if (lseek(fd, 0, SEEK_SET))
					_exit(1);
				id = sys_checkpoint(t.pid, fd, 0, 0);
				/* Who comes second is told to try again. */
				while (id == -1 && errno == EBUSY) {
					sleep_ms(1);
					id = sys_checkpoint(t.pid, fd, 0, 0);
				}
				self->ids[i * ROUNDS + round] = id;
				if (id <= 0)
					_exit(2);
				w = walk_file(fd);
				if (walk_wrong(&w, id, "tiny"))
					_exit(3);
				walk_free(&w);
			}
			_exit(0);
		}
	}
	for (i = 0; i < CALLERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_TRUE(tiny_answers(&t));
	EXPECT_TRUE(tiny_stop(&t));
	check_ids(_metadata, self->ids, CALLERS * ROUNDS);
}

/* Failing calls in between take nobody's id and disturb nobody. */
TEST_F(concurrent, failing_calls_between_good_ones)
{
	pid_t pids[CALLERS];
	int i, status;

	for (i = 0; i < CALLERS; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			int p[2], round;
			struct tiny t;

			if (i & 1)
				_exit(!!rounds(self, i));
			if (!tiny_start(&t) || pipe(p) || close(p[0]))
				_exit(2);
			wait_for_go(self->go);
			for (round = 0; round < ROUNDS; round++)
				if (sys_checkpoint(t.pid, p[1], 0, 0) != -1 ||
				    errno != EPIPE)
					_exit(3);
			_exit(tiny_answers(&t) && tiny_stop(&t) ? 0 : 4);
		}
	}
	for (i = 0; i < CALLERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
		/* No id of a caller that only fails: give it one for the check. */
		if (!(i & 1)) {
			int round;

			for (round = 0; round < ROUNDS; round++)
				self->ids[i * ROUNDS + round] =
					INT_MAX - i * ROUNDS - round;
		}
	}
	check_ids(_metadata, self->ids, CALLERS * ROUNDS);
}

/* A name that changes while its owner is saved is still a name. */
static void rename_forever(void)
{
	int i;

	for (i = 0;; i++)
		set_comm(i & 1 ? "aaaaaaaaaaaaaaa" : "b");
}

TEST_F(concurrent, rename_during_checkpoint)
{
	int fd = tmp_memfd(), i, c;
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		settle(-1, -1, -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		own_memory();
		rename_forever();
	}
	/* Until it is in a session of its own. */
	while (getsid(pid) != pid)
		sleep_ms(1);
	sleep_ms(50);
	for (i = 0; i < 50; i++) {
		struct walk w;
		char *comm;
		size_t len;

		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		ASSERT_LT(0, sys_checkpoint(pid, fd, 0, 0))
			TH_LOG("checkpoint: %s", strerror(errno));
		w = walk_file(fd);
		ASSERT_EQ(NULL, w.wrong);
		for (c = 0; (size_t)c < w.nr && w.recs[c].type != CR_HDR_TASK; c++)
			;
		comm = walk_payload(&w, &w.recs[c + 1]);
		len = strnlen(comm, COMM_LEN);
		EXPECT_TRUE(len == 1 || len == COMM_LEN - 1);
		for (c = 0; c < COMM_LEN; c++)
			EXPECT_TRUE(c < (int)len ? comm[c] == 'a' || comm[c] == 'b' :
						   !comm[c]);
		walk_free(&w);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
}

/* A writer and a reader of one pipe, whole images only: records do not mix. */
TEST_F(concurrent, pipeline_of_processes)
{
	int p[2], i, status;
	pid_t pids[2];

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			struct tiny t;
			int round;

			close(p[!i]);
			if (i) {
				if (!tiny_start(&t))
					_exit(1);
				for (round = 0; round < ROUNDS; round++)
					if (sys_checkpoint(t.pid, p[1], 0, 0) <= 0)
						_exit(2);
				_exit(tiny_stop(&t) ? 0 : 3);
			}
			for (round = 0; round < ROUNDS; round++) {
				t.count = 0;
				if (!tiny_restart(&t, 0, p[0], 0, 0, -1) ||
				    !tiny_answers(&t) || !tiny_stop(&t))
					_exit(4);
			}
			_exit(0);
		}
	}
	close(p[0]);
	close(p[1]);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}
}

TEST_HARNESS_MAIN
