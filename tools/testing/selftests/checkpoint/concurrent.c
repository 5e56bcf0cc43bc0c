// SPDX-License-Identifier: GPL-2.0
/*
 * Many callers at once: ids stay unique, images whole, and nobody gets what is
 * another's.
 */
#include "ckpt_util.h"

#include <pthread.h>

#define CALLERS 8
#define ROUNDS 200

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
 * One caller's rounds: checkpoints into a file of its own, and a look at each
 * image. NULL if all is well.
 */
static const char *rounds(struct _test_data_concurrent *self, int caller)
{
	static __thread struct image img;
	int fd = tmp_memfd(), i;
	const char *wrong;
	char name[COMM_LEN];

	snprintf(name, sizeof(name), "caller %d", caller);
	set_comm(name);
	wait_for_go(self->go);
	for (i = 0; i < ROUNDS; i++) {
		long id;

		if (lseek(fd, 0, SEEK_SET))
			return "lseek";
		id = sys_checkpoint(0, fd, 0, 0);
		if (id <= 0)
			return strerror(errno);
		self->ids[caller * ROUNDS + i] = id;
		img_pread(&img, fd);
		wrong = img_wrong(&img, id, name);
		if (wrong)
			return wrong;
	}
	close(fd);
	return NULL;
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

/* Each thread saves itself: its own name, whatever the others do. */
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

/* Both calls at once, each process with an image and a name of its own. */
TEST_F(concurrent, checkpoint_and_restart)
{
	pid_t pids[CALLERS];
	int i, status;

	for (i = 0; i < CALLERS; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			int fd = tmp_memfd(), round;
			char name[COMM_LEN];
			long id;

			wait_for_go(self->go);
			for (round = 0; round < ROUNDS; round++) {
				snprintf(name, sizeof(name), "c%d r%d", i, round);
				set_comm(name);
				if (lseek(fd, 0, SEEK_SET))
					_exit(1);
				id = sys_checkpoint(0, fd, 0, 0);
				self->ids[i * ROUNDS + round] = id;
				if (lseek(fd, 0, SEEK_SET))
					_exit(2);
				set_comm(UNTOUCHED);
				if (sys_restart(id, fd, 0, 0))
					_exit(3);
				if (strcmp(get_comm().name, name))
					_exit(4);
			}
			_exit(0);
		}
	}
	for (i = 0; i < CALLERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}
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

			if (i & 1)
				_exit(!!rounds(self, i));
			signal(SIGPIPE, SIG_IGN);
			if (pipe(p) || close(p[0]))
				_exit(2);
			wait_for_go(self->go);
			for (round = 0; round < ROUNDS; round++)
				if (sys_checkpoint(0, p[1], 0, 0) != -1 ||
				    errno != EPIPE)
					_exit(3);
			_exit(0);
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
static void *rename_main_thread(void *arg)
{
	int fd = open("/proc/self/comm", O_WRONLY), i;
	int *stop = arg;

	for (i = 0; !__atomic_load_n(stop, __ATOMIC_SEQ_CST); i++) {
		const char *name = i & 1 ? "aaaaaaaaaaaaaaa" : "b";

		if (pwrite(fd, name, strlen(name), 0) < 0)
			break;
	}
	close(fd);
	return NULL;
}

TEST_F(concurrent, rename_during_checkpoint)
{
	int fd = tmp_memfd(), stop = 0, i, c;
	struct image img;
	pthread_t thread;

	ASSERT_LE(0, fd);
	set_comm("b");
	ASSERT_EQ(0, pthread_create(&thread, NULL, rename_main_thread, &stop));
	for (i = 0; i < 500; i++) {
		char *comm;
		size_t len;

		ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
		ASSERT_LT(0, sys_checkpoint(0, fd, 0, 0));
		img_pread(&img, fd);
		ASSERT_EQ(IMG_SIZE, img.len);
		comm = img_payload(&img, CR_HDR_STRING);
		len = strnlen(comm, COMM_LEN);
		EXPECT_GT((size_t)COMM_LEN, len);
		/* A mix of two names is possible, stray bytes are not. */
		for (c = 0; c < COMM_LEN; c++)
			EXPECT_TRUE(c < (int)len ? comm[c] == 'a' || comm[c] == 'b' :
						   !comm[c]);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	close(fd);
}

/* Readers and writers of one pipe, whole images only: records do not mix. */
TEST_F(concurrent, pipeline_of_processes)
{
	int p[2], i, status;
	pid_t pids[2];

	ASSERT_EQ(0, pipe(p));
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			int round;

			close(p[!i]);
			for (round = 0; round < ROUNDS; round++)
				if (i ? sys_checkpoint(0, p[1], 0, 0) <= 0 :
					sys_restart(0, p[0], 0, 0) != 0)
					_exit(1);
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
