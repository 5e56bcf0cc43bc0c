// SPDX-License-Identifier: GPL-2.0
/*
 * What ckpt and CRIU are measured with.
 *
 *   workload KIND COUNT FILE   becomes a workload; see kinds[] below
 *   workload cost COUNT        prints what a thread, and a process, cost in ns
 *
 * One thread, the first one where it is up to us, looks at the clock all the time
 * and writes to FILE when it was not looked at: that is how long the process stood
 * still, as it sees it. The file keeps its size, as both tools look at that.
 *
 * SIGUSR1: is all as it should be? Each task has to answer for itself.
 * SIGUSR2: how long does write(2) of the memory take?
 *
 * For Python this is a library, of which it calls begin(), ready(), spin() and answer().
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define SPARSE_PAGES	100UL
#define SPARSE_BYTES	(1UL << 40)
#define STACK		(64UL << 10)

/* Time between two looks at the clock that is worth noting, in ns. */
#define GAP_LEAST	100000UL
#define GAPS		16384UL
/* How long tasks may take to answer. */
#define PATIENCE	(120 * 1000000000UL)

/* What is in FILE: tools/bench/src/workload.rs reads it. */
struct head {
	uint64_t ready;		/* all tasks are there */
	uint64_t answers;	/* tasks that answered to SIGUSR1; -1: something is wrong */
	uint64_t wrote;		/* ns that write(2) took; -1: it failed */
	uint64_t reserved;
};

struct gap {
	uint64_t from, to;
};

static int file = -1;
static const char *name;
static unsigned char *memory;
static size_t pages, step = PAGE;

static unsigned int threads, processes;
static pid_t *children;
static uint32_t round_no;
static uint32_t answered;

static volatile sig_atomic_t asked, asked_write, replies;

/*
 * CRIU gives what it restores a time namespace, in which CLOCK_MONOTONIC goes on
 * from where it was. This clock is in none, and nobody sets it in the VM.
 */
static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

static void put(const void *from, size_t len, off_t at)
{
	if (pwrite(file, from, len, at) != (ssize_t)len)
		_exit(4);
}

#define put_head(field, value) do {					\
	uint64_t v_ = (value);						\
	put(&v_, sizeof(v_), offsetof(struct head, field));		\
} while (0)

/* For Python, whose main thread answers. */
void answer(uint64_t count)
{
	put_head(answers, count);
}

void ready(void)
{
	put_head(ready, 1);
}

int begin(const char *path)
{
	name = path;
	file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		return -1;
	return ftruncate(file, sizeof(struct head) + GAPS * sizeof(struct gap));
}

static unsigned char content(size_t page)
{
	return page % 251 + 1;
}

static int memory_is_intact(void)
{
	size_t i;

	for (i = 0; i < pages; i++) {
		const unsigned char *page = memory + i * step;

		if (page[0] != content(i) || page[PAGE - 1] != content(i))
			return 0;
	}
	return 1;
}

static void map(size_t count, size_t distance, int flags)
{
	size_t i;

	pages = count;
	step = distance;
	memory = mmap(NULL, pages * step, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (memory == MAP_FAILED)
		_exit(5);
	if (step > PAGE)
		madvise(memory, pages * step, MADV_NOHUGEPAGE);
	for (i = 0; i < pages; i++)
		memset(memory + i * step, content(i), PAGE);
}

static void futex(uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* A thread that waits in futex(2) until all are asked. */
static void *wait_thread(void *unused)
{
	uint32_t seen = 0, this;

	for (;;) {
		this = __atomic_load_n(&round_no, __ATOMIC_ACQUIRE);
		if (this == seen) {
			futex(&round_no, FUTEX_WAIT_PRIVATE, seen);
			continue;
		}
		seen = this;
		__atomic_add_fetch(&answered, 1, __ATOMIC_RELEASE);
	}
	return unused;
}

static void reply(int sig)
{
	union sigval none = { 0 };

	(void)sig;
	sigqueue(getppid(), SIGRTMIN, none);
}

static void on_reply(int sig)
{
	(void)sig;
	replies++;
}

static void on_ask(int sig)
{
	if (sig == SIGUSR1)
		asked = 1;
	else
		asked_write = 1;
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigaction(sig, &act, NULL);
}

/* Asks all tasks, and tells how many are as they should be. */
static uint64_t ask_all(void)
{
	uint64_t limit = now() + PATIENCE;
	unsigned int i, child;

	if (!memory_is_intact())
		return -1;
	__atomic_store_n(&answered, 0, __ATOMIC_RELEASE);
	__atomic_add_fetch(&round_no, 1, __ATOMIC_RELEASE);
	futex(&round_no, FUTEX_WAKE_PRIVATE, INT32_MAX);
	while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) < threads && now() < limit)
		sched_yield();
	/* One by one: the queue of signals is no longer than its limit. */
	for (child = 0, i = 0; i < processes; i++) {
		int before = replies;

		if (kill(children[i], SIGUSR1))
			continue;
		while (replies == before && now() < limit)
			sched_yield();
		child += replies != before;
	}
	return 1 + __atomic_load_n(&answered, __ATOMIC_ACQUIRE) + child;
}

/* Writes the memory to a new file beside FILE. */
static uint64_t write_memory(void)
{
	uint64_t begin_at, took;
	size_t done = 0;
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s.bytes", name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return -1;
	begin_at = now();
	while (done < pages * PAGE) {
		ssize_t n = write(fd, memory + done, pages * PAGE - done);

		if (n <= 0)
			break;
		done += n;
	}
	took = now() - begin_at;
	close(fd);
	unlink(path);
	return done == pages * PAGE ? took : (uint64_t)-1;
}

/* Looks at the clock, for ever. */
void spin(void)
{
	uint64_t last = now(), n = 0;

	for (;;) {
		struct gap gap = { last, now() };

		/*
		 * What writing takes is part of the next gap: it may be there that
		 * the process is stopped.
		 */
		last = gap.to;
		if (gap.to - gap.from > GAP_LEAST)
			put(&gap, sizeof(gap), sizeof(struct head) + n++ % GAPS * sizeof(gap));
		if (asked) {
			asked = 0;
			put_head(answers, ask_all());
		}
		if (asked_write) {
			asked_write = 0;
			put_head(wrote, write_memory());
		}
	}
}

static void minimal(unsigned long count)
{
	(void)count;
}

static void resident(unsigned long mib)
{
	map(mib << 20 >> 12, PAGE, 0);
}

static void sparse(unsigned long count)
{
	(void)count;
	map(SPARSE_PAGES, SPARSE_BYTES / SPARSE_PAGES / PAGE * PAGE, MAP_NORESERVE);
}

/* Neighbours differ in what they allow, so that each page is a mapping. */
static void mappings(unsigned long count)
{
	unsigned long i;

	map(count, PAGE, 0);
	for (i = 0; i < count; i += 2)
		if (mprotect(memory + i * PAGE, PAGE, PROT_READ))
			_exit(6);
}

static void start_threads(unsigned long count)
{
	pthread_attr_t attr;
	sigset_t set, old;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	/* What is asked is for the thread that looks at the clock. */
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	for (threads = 0; threads + 1 < count; threads++)
		if (pthread_create(&thread, &attr, wait_thread, NULL))
			_exit(7);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void start_processes(unsigned long count)
{
	children = calloc(count, sizeof(*children));
	if (!children)
		_exit(5);
	handle(SIGRTMIN, on_reply);
	for (processes = 0; processes + 1 < count; processes++) {
		pid_t pid = fork();

		if (pid < 0)
			_exit(8);
		if (!pid) {
			handle(SIGUSR1, reply);
			for (;;)
				pause();
		}
		children[processes] = pid;
	}
}

static const struct kind {
	const char *name;
	void (*make)(unsigned long count);
} kinds[] = {
	{ "minimal", minimal },			/* nothing but the program */
	{ "resident", resident },		/* COUNT MiB, all of it touched */
	{ "sparse", sparse },			/* 1 TiB, of which 100 pages are */
	{ "mappings", mappings },		/* COUNT of them, of one page */
	{ "threads", start_threads },		/* COUNT in all; waiting in futex(2) */
	{ "processes", start_processes },	/* COUNT in all; waiting in pause(2) */
};

static void *nothing(void *unused)
{
	return unused;
}

/* The means over COUNT threads, and over as many processes. */
static int cost(unsigned long count)
{
	uint64_t begin_at, thread, process;
	unsigned long i;
	pthread_t t;

	begin_at = now();
	for (i = 0; i < count; i++)
		if (pthread_create(&t, NULL, nothing, NULL) || pthread_join(t, NULL))
			return 7;
	thread = now() - begin_at;
	begin_at = now();
	for (i = 0; i < count; i++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return 8;
	}
	process = now() - begin_at;
	printf("%lu %lu\n", thread / count, process / count);
	return 0;
}

int main(int argc, char **argv)
{
	const struct kind *kind = NULL;
	unsigned long count;
	size_t i;

	if (argc == 3 && !strcmp(argv[1], "cost"))
		return cost(strtoul(argv[2], NULL, 10) ?: 1);
	for (i = 0; argc == 4 && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, argv[1]))
			kind = &kinds[i];
	if (!kind) {
		fprintf(stderr, "usage: %s KIND COUNT FILE | cost COUNT\n", argv[0]);
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	/* It stands alone: nobody's session, nobody's files. */
	setsid();
	close_range(3, ~0U, 0);
	if (begin(argv[3])) {
		perror(argv[3]);
		return 3;
	}
	handle(SIGUSR1, on_ask);
	handle(SIGUSR2, on_ask);
	kind->make(count);
	ready();
	spin();
}
