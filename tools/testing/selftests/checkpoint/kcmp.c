// SPDX-License-Identifier: GPL-2.0
/*
 * What kcmp(2) says is one is one after a restart, and what is not is not: tasks
 * that share all that clone(2) lets them share, in all combinations, with their
 * parents and with others.
 */
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "subject.h"

#define NODES		72
#define STACK		(64 * 1024)

/* Descriptors that are compared: those all begin with, and one of each. */
#define FIRST_FD	20
#define SECOND_FD	21
#define OWN_FD		22

/* Commands for a task; another is the number of one that it makes. */
#define END		-1
#define CHANGE		-2
#define LOOK		-3

/* What a task has seen of a change. */
#define SEEN_VM		1
#define SEEN_FILES	2
#define SEEN_FS		4
#define SEEN_SIGHAND	8

struct node {
	int flags;		/* CLONE_* */
	int maker;
	int pid;		/* as itself says */
	int command;		/* a futex, 0 if there is nothing to do */
	int value;		/* of the change */
	int seen;
};

/* All of it is in memory that all have. */
static struct shared {
	struct node nodes[NODES];
	int nr;
	int done;		/* a futex */
	struct {
		short vm, files, fs, sighand, sysvsem;
	} same[NODES][NODES];
	char file[NODES * 3][NODES * 3];
	char stacks[NODES][STACK];
} *s;

/* Of each address space. */
static volatile int mark;

/*
 * Nothing here may look at errno, or at anything else of the C library's that a
 * thread has: some tasks run in the same memory without a thread of that.
 */
static long futex(int *word, int op, int value)
{
	long ret;

	register long r10 __asm__("r10") = 0;
	__asm__ volatile("syscall" : "=a" (ret)
			 : "a" (SYS_futex), "D" (word), "S" (op), "d" (value), "r" (r10)
			 : "rcx", "r11", "memory");
	return ret;
}

static long call(long nr, long a, long b, long c, long d)
{
	long ret;

	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall" : "=a" (ret)
			 : "a" (nr), "D" (a), "S" (b), "d" (c), "r" (r10)
			 : "rcx", "r11", "memory");
	return ret;
}

struct kernel_sigaction {
	unsigned long handler, flags, restorer, mask;
};

static void change(int value)
{
	struct kernel_sigaction sa = { .handler = 16 * value };

	mark = value;
	call(SYS_dup3, FIRST_FD, 100 + value, 0, 0);
	call(SYS_umask, value, 0, 0, 0);
	call(SYS_rt_sigaction, SIGUSR2, (long)&sa, 0, 8);
}

static int look(int value)
{
	struct kernel_sigaction sa = { 0 };
	int seen = 0, mask;

	if (mark == value)
		seen |= SEEN_VM;
	if (call(SYS_fcntl, 100 + value, F_GETFD, 0, 0) >= 0)
		seen |= SEEN_FILES;
	mask = call(SYS_umask, 0, 0, 0, 0);
	call(SYS_umask, mask, 0, 0, 0);
	if (mask == value)
		seen |= SEEN_FS;
	call(SYS_rt_sigaction, SIGUSR2, 0, (long)&sa, 8);
	if (sa.handler == 16UL * value)
		seen |= SEEN_SIGHAND;
	return seen;
}

static void obey(struct node *node, int command);

static int node_main(void *arg)
{
	struct node *node = arg;

	if (!(node->flags & CLONE_FILES)) {
		call(SYS_dup3, FIRST_FD, OWN_FD, 0, 0);
		call(SYS_close, SECOND_FD, 0, 0, 0);
		call(SYS_dup3, 0, SECOND_FD, O_CLOEXEC, 0);
	}
	__atomic_store_n(&node->pid, call(SYS_gettid, 0, 0, 0, 0), __ATOMIC_SEQ_CST);
	for (;;) {
		int command;

		while (!(command = __atomic_load_n(&node->command, __ATOMIC_SEQ_CST)))
			futex(&node->command, FUTEX_WAIT, 0);
		obey(node, command);
		__atomic_store_n(&node->command, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&s->done, 1, __ATOMIC_SEQ_CST);
		futex(&s->done, FUTEX_WAKE, 1);
		if (command == END)
			call(SYS_exit, 0, 0, 0, 0);
	}
	return 0;
}

static void obey(struct node *node, int command)
{
	switch (command) {
	case END:
		break;
	case CHANGE:
		change(node->value);
		break;
	case LOOK:
		node->seen = look(node->value);
		break;
	default:
		clone(node_main, s->stacks[command + 1], s->nodes[command].flags,
		      &s->nodes[command]);
	}
}

/* Has a task do something, and waits until it has. */
static void order(int nr, int command)
{
	struct node *node = &s->nodes[nr];

	if (!nr) {
		obey(node, command);
		return;
	}
	s->done = 0;
	__atomic_store_n(&node->command, command, __ATOMIC_SEQ_CST);
	futex(&node->command, FUTEX_WAKE, 1);
	while (!__atomic_load_n(&s->done, __ATOMIC_SEQ_CST))
		futex(&s->done, FUTEX_WAIT, 0);
}

/* Has a task make another one. */
static int make(int maker, int flags)
{
	int nr = s->nr++;
	struct node *node = &s->nodes[nr];
	unsigned int ms;

	CHECK(nr < NODES);
	node->flags = flags | (flags & CLONE_THREAD ? 0 : SIGCHLD);
	node->maker = maker;
	order(maker, nr);
	for (ms = 0; ms < PATIENCE && !__atomic_load_n(&node->pid, __ATOMIC_SEQ_CST); ms++)
		sleep_ms(1);
	CHECK(node->pid > 0);
	return nr;
}

static int compare(int a, int b, int type, unsigned long fd_a, unsigned long fd_b)
{
	long ret = syscall(SYS_kcmp, s->nodes[a].pid, s->nodes[b].pid, type, fd_a, fd_b);

	CHECK(ret >= 0 || errno == EBADF);
	/* Which is greater is nobody's business. */
	return ret < 0 ? 2 : !!ret;
}

/* Compares two tasks, and notes that, or tells whether it is not as before. */
static bool differs(bool first, int a, int b, int type, short *was)
{
	int now = compare(a, b, type, 0, 0);

	if (first)
		*was = now;
	if (now == *was)
		return false;
	dprintf(1, "type %d: task %d (%#x of %d) and %d (%#x of %d): %d, was %d\n", type, a,
		s->nodes[a].flags, s->nodes[a].maker, b, s->nodes[b].flags,
		s->nodes[b].maker, now, *was);
	return true;
}

/* Compares everything with everything; returns how often it is not as before. */
static int compare_all(bool first)
{
	int a, b, wrong = 0;

	for (a = 0; a < s->nr; a++) {
		for (b = 0; b < s->nr && wrong < 10; b++) {
			wrong += differs(first, a, b, KCMP_VM, &s->same[a][b].vm);
			wrong += differs(first, a, b, KCMP_FILES, &s->same[a][b].files);
			wrong += differs(first, a, b, KCMP_FS, &s->same[a][b].fs);
			wrong += differs(first, a, b, KCMP_SIGHAND, &s->same[a][b].sighand);
			wrong += differs(first, a, b, KCMP_SYSVSEM, &s->same[a][b].sysvsem);
		}
	}
	for (a = 0; a < 3 * s->nr; a++) {
		for (b = 0; b < 3 * s->nr; b++) {
			int now = compare(a / 3, b / 3, KCMP_FILE, FIRST_FD + a % 3,
					  FIRST_FD + b % 3);

			if (first)
				s->file[a][b] = now;
			else if (s->file[a][b] != now && ++wrong < 10)
				dprintf(1, "KCMP_FILE: %d of task %d and %d of %d: %d, was %d\n",
					FIRST_FD + a % 3, a / 3, FIRST_FD + b % 3, b / 3,
					now, s->file[a][b]);
		}
	}
	return wrong;
}

/* What one changes those see that are said to have the same, and no others. */
static int changes(void)
{
	int a, b, wrong = 0;

	for (a = 0; a < s->nr; a++) {
		s->nodes[a].value = a + 1;
		order(a, CHANGE);
		for (b = 0; b < s->nr; b++) {
			int wanted = 0;

			s->nodes[b].value = a + 1;
			order(b, LOOK);
			wanted |= s->same[a][b].vm ? 0 : SEEN_VM;
			wanted |= s->same[a][b].files ? 0 : SEEN_FILES;
			wanted |= s->same[a][b].fs ? 0 : SEEN_FS;
			wanted |= s->same[a][b].sighand ? 0 : SEEN_SIGHAND;
			if (s->nodes[b].seen != wanted && ++wrong < 10)
				dprintf(1, "change by %d, seen by %d: %#x, not %#x\n", a, b,
					s->nodes[b].seen, wanted);
		}
	}
	return wrong;
}

static void begin(void)
{
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(s != MAP_FAILED);
	/* None of the values that are going to be set. */
	umask(0);
	s->nr = 1;
	s->nodes[0].pid = getpid();
	CHECK(open("/dev/null", O_RDONLY) >= 0);
	CHECK(dup2(3, FIRST_FD) == FIRST_FD && dup2(3, SECOND_FD) == SECOND_FD);
	close(3);
}

/* All that a child, or a thread, may share or not. */
static void make_all(int maker, int with)
{
	static const int vm[] = { 0, CLONE_VM, CLONE_VM | CLONE_SIGHAND };
	int i, j;

	for (i = 0; i < 3; i++) {
		for (j = 0; j < 8; j++) {
			int flags = with | vm[i];

			if (with & CLONE_THREAD && i != 2)
				continue;
			flags |= j & 1 ? CLONE_FILES : 0;
			flags |= j & 2 ? CLONE_FS : 0;
			flags |= j & 4 ? CLONE_SYSVSEM : 0;
			make(maker, flags);
		}
	}
}

static void finish(void)
{
	int wrong = compare_all(false), i, status;

	if (!wrong)
		wrong = changes();
	/* Who waits for the end of what they say waits for that of all. */
	for (i = 1; wrong && i < s->nr; i++)
		kill(s->nodes[i].pid, SIGKILL);
	CHECK(!wrong);
	/* Threads are made behind those that made them, and end before. */
	for (i = s->nr - 1; i > 0; i--)
		order(i, END);
	for (i = 1; i < s->nr; i++) {
		const struct node *node = &s->nodes[i];

		/* Of those that are children of another one that one hears. */
		if (node->flags & CLONE_THREAD || (node->maker && !(node->flags & CLONE_PARENT)))
			continue;
		CHECK(waitpid(node->pid, &status, __WALL) == node->pid);
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
}

SUBJECT_TEST(children)
{
	begin();
	make_all(0, 0);
	compare_all(true);
	checkpoint_here();
	finish();
}

SUBJECT_TEST(threads)
{
	begin();
	make_all(0, CLONE_THREAD);
	compare_all(true);
	checkpoint_here();
	finish();
}

/* They are children of one that they share nothing with, but with their brother. */
SUBJECT_TEST(not_of_the_parent)
{
	begin();
	make_all(make(0, 0), CLONE_PARENT);
	compare_all(true);
	checkpoint_here();
	finish();
}

/* As above, and the one that they share with shares, too, and has threads. */
SUBJECT_TEST(everything)
{
	int other, third;

	begin();
	make_all(0, CLONE_THREAD);
	other = make(0, 0);
	make_all(other, CLONE_PARENT);
	third = make(other, CLONE_PARENT | CLONE_VM | CLONE_FILES);
	make_all(third, CLONE_THREAD);
	make(third, CLONE_PARENT | CLONE_VM | CLONE_SIGHAND);
	make(third, CLONE_VM | CLONE_SIGHAND | CLONE_FS);
	make_all(0, 0);
	compare_all(true);
	checkpoint_here();
	finish();
}

TEST_HARNESS_MAIN
