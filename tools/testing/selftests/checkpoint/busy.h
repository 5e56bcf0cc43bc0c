/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trees that never rest: what they do is counted where the test sees it. And those
 * who save them, into a pipe that nobody reads before the test wants to.
 */
#ifndef __CKPT_BUSY_H
#define __CKPT_BUSY_H

#include "proc.h"

#include <pthread.h>
#include <sched.h>

/* More than a pipe takes. */
#define MUCH (1 << 20)

#define WORKERS 6

/* In a file, so that the test sees what the tree does, before and after. */
struct counts {
	unsigned long of[WORKERS];
	pid_t pids[WORKERS];
	int over;
};

static inline struct counts *map_counts(void)
{
	int fd = open(in_dir("counts"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct counts *c;

	if (fd < 0 || ftruncate(fd, sizeof(*c)))
		return NULL;
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return c == MAP_FAILED ? NULL : c;
}

static struct counts *counts;

static inline void count_one(int i)
{
	__atomic_fetch_add(&counts->of[i], 1, __ATOMIC_RELAXED);
}

static inline void *count_spinning(void *arg)
{
	while (!READ_ONCE(counts->over))
		count_one((long)arg);
	return NULL;
}

static inline void *count_sleeping(void *arg)
{
	while (!READ_ONCE(counts->over)) {
		count_one((long)arg);
		usleep(50);
	}
	return NULL;
}

static inline void *count_once(void *arg)
{
	count_one((long)arg);
	return NULL;
}

/* Each counts in what it makes. */
static inline void *count_threads(void *arg)
{
	pthread_t thread;

	while (!READ_ONCE(counts->over)) {
		CHECK(!pthread_create(&thread, NULL, count_once, arg));
		CHECK(!pthread_join(thread, NULL));
	}
	return NULL;
}

static inline void *count_children(void *arg)
{
	while (!READ_ONCE(counts->over)) {
		int status;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid) {
			count_one((long)arg);
			_exit(7);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	}
	return NULL;
}

/* What every tree here begins with: more memory than a pipe takes, and the counts. */
static inline const char *have_much(void)
{
	char *much = mmap(NULL, MUCH, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	counts = map_counts();
	CHECK(!!counts && much != MAP_FAILED);
	memset(much, 7, MUCH);
	return much;
}

/* A busy tree: children, one of them with threads, and some memory. */
static inline void busy_tree(void)
{
	static void *(* const jobs[WORKERS])(void *) = {
		count_spinning, count_sleeping, count_threads, count_children,
		count_spinning, count_sleeping,
	};
	const char *much = have_much();
	pid_t pids[WORKERS];
	int status;
	long i;

	/* The last two are threads of the fourth. */
	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		counts->pids[i] = pids[i] ?: getpid();
		if (pids[i])
			continue;
		if (i == 3) {
			pthread_t threads[2];
			long t;

			for (t = 0; t < 2; t++)
				CHECK(!pthread_create(&threads[t], NULL, jobs[4 + t],
						      (void *)(4 + t)));
			jobs[3]((void *)3L);
			for (t = 0; t < 2; t++)
				CHECK(!pthread_join(threads[t], NULL));
		} else {
			jobs[i]((void *)i);
		}
		_exit(0);
	}
	say(SAY_READY);
	wait_go();
	counts->over = 1;
	for (i = 0; i < 4; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(!status);
	}
	CHECK(much[0] == 7 && much[MUCH - 1] == 7);
}

/* Do all of them count? */
static inline bool all_count(void)
{
	struct counts was = *counts;
	unsigned int ms;
	int i, moved = 0;

	for (ms = 0; ms < PATIENCE && moved < WORKERS; ms++) {
		sleep_ms(1);
		moved = 0;
		for (i = 0; i < WORKERS; i++)
			moved += READ_ONCE(counts->of[i]) != was.of[i];
	}
	return moved == WORKERS;
}

/* Does none of them, for a while? */
static inline bool none_counts(unsigned int ms)
{
	struct counts was = *counts;

	sleep_ms(ms);
	return !memcmp(was.of, counts->of, sizeof(was.of));
}

/* Who saves a process, into a pipe that nobody reads until the test wants to. */
struct saver {
	pid_t pid;
	int image;
	int logfd;
};

static inline bool saver_start(struct saver *saver, pid_t pid, unsigned long flags)
{
	int p[2];

	saver->logfd = tmp_memfd();
	if (pipe2(p, O_CLOEXEC))
		return false;
	saver->image = p[0];
	saver->pid = fork();
	if (!saver->pid) {
		long id;

		close(p[0]);
		set_comm("saver");
		id = sys_checkpoint(pid, p[1], flags | CHECKPOINT_LOG, saver->logfd);
		_exit(id > 0 ? 0 : 100 + errno);
	}
	close(p[1]);
	return saver->pid > 0;
}

/* Until the first byte is there; false if there is none. */
static inline bool saver_wait(struct saver *saver)
{
	struct pollfd p = { .fd = saver->image, .events = POLLIN };

	return poll(&p, 1, PATIENCE) == 1 && p.revents & POLLIN;
}

/* Takes all of the image, to its end. The exit code of the saver. */
static inline int saver_drain(struct saver *saver, int to)
{
	struct walk w = walk_fd(saver->image);
	int status = wait_ms(saver->pid, PATIENCE);

	if (to >= 0 && (w.wrong || ftruncate(to, 0) || lseek(to, 0, SEEK_SET) ||
			!write_all(to, w.buf, w.len)))
		status = -1;
	walk_free(&w);
	close(saver->image);
	close(saver->logfd);
	return status;
}

#endif /* __CKPT_BUSY_H */
