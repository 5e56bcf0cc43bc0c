// SPDX-License-Identifier: GPL-2.0
/*
 * Semaphores that semop(2) with SEM_UNDO has changed: given back when a process is
 * killed, and taken again when it is restored, from the same set or not at all.
 */
#include <linux/kcmp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "restarter.h"

#define NR 4

#define MANY 300

/* The sets that a test has, which no image holds. */
static int set, many;
static key_t key;

static const unsigned short at_first[NR] = { 1, 5, 0, 3 };

/* As semctl(2) wants it. */
union semun {
	int val;
	unsigned short *array;
};

static bool make_set(void)
{
	unsigned short values[NR];
	union semun arg = { .array = values };

	memcpy(values, at_first, sizeof(values));
	set = semget(IPC_PRIVATE, NR, 0600);
	return set >= 0 && !semctl(set, 0, SETALL, arg);
}

/* All zeros if the set is gone. */
static void get_values(unsigned short *now)
{
	union semun arg = { .array = now };

	memset(now, 0, NR * sizeof(*now));
	semctl(set, 0, GETALL, arg);
}

static bool values_are(int a, int b, int c, int d)
{
	unsigned short now[NR];

	get_values(now);
	if (now[0] == a && now[1] == b && now[2] == c && now[3] == d)
		return true;
	fprintf(stderr, "# values %d %d %d %d\n", now[0], now[1], now[2], now[3]);
	return false;
}

static bool change(unsigned short num, short by, short flags)
{
	struct sembuf op = { .sem_num = num, .sem_op = by, .sem_flg = flags };

	return !semop(set, &op, 1);
}

struct undo_test {
	void (*subject)(void);
	int after[NR];		/* the values when it has ended */
};

FIXTURE(undo)
{
	char none;
};

FIXTURE_VARIANT(undo)
{
	enum manner how;
};

FIXTURE_VARIANT_ADD(undo, killed) {
	.how = KILLED,
};

FIXTURE_VARIANT_ADD(undo, left) {
	.how = LEFT,
};

FIXTURE_VARIANT_ADD(undo, itself) {
	.how = ITSELF,
};

FIXTURE_SETUP(undo)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_set());
	key = 0x636b7074 + getpid();
	many = semget(key, MANY, IPC_CREAT | IPC_EXCL | 0600);
	ASSERT_LE(0, many);
}

FIXTURE_TEARDOWN(undo)
{
	semctl(many, 0, IPC_RMID);
	semctl(set, 0, IPC_RMID);
}

/* Whoever ends, by whatever, leaves the semaphores as @after says. */
static void run_undo(struct __test_metadata *_metadata, enum manner how,
		     const struct undo_test *test)
{
	const int *after = test->after;
	struct subject s = { .metadata = _metadata };

	ASSERT_TRUE(subject_start(&s, test->subject, how));
	ASSERT_TRUE(subject_checkpoint(&s, how, how == KILLED ? CHECKPOINT_KILL : 0));
	if (how == KILLED) {
		close(s.in);
		close(s.out);
	} else {
		ASSERT_TRUE(subject_finish(&s, "the one that went on"));
	}
	EXPECT_TRUE(values_are(after[0], after[1], after[2], after[3]));
	if (subject_restart(&s))
		subject_finish(&s, "the restored one");
	EXPECT_TRUE(values_are(after[0], after[1], after[2], after[3]));
	subject_close(&s);
}

#define UNDO_TEST(name, ...) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(undo, name, 120) \
	{ \
		static const struct undo_test test = { \
			.subject = name##_subject, .after = { __VA_ARGS__ }, \
		}; \
		\
		run_undo(_metadata, variant->how, &test); \
	} \
	static void name##_subject(void)

/* Lowered, lowered by more, raised; and one of which nothing is to be undone. */
UNDO_TEST(each_kind, 1, 5, 0, 2)
{
	CHECK(change(0, -1, SEM_UNDO) && change(1, -2, SEM_UNDO));
	CHECK(change(2, 3, SEM_UNDO) && change(3, -1, 0));
	checkpoint_here();
	CHECK(values_are(0, 3, 3, 2));
	/* By whom. */
	CHECK(semctl(set, 0, GETPID) == getpid() && semctl(set, 2, GETPID) == getpid());
	CHECK(!change(0, -1, IPC_NOWAIT) && errno == EAGAIN);
}

/* What is given back is not taken from it again. */
UNDO_TEST(goes_on_with_it, 1, 5, 0, 3)
{
	CHECK(change(0, -1, SEM_UNDO) && change(1, -5, SEM_UNDO));
	checkpoint_here();
	CHECK(change(0, 1, SEM_UNDO) && values_are(1, 0, 0, 3));
	CHECK(change(1, 2, SEM_UNDO) && values_are(1, 2, 0, 3));
	CHECK(change(2, 1, SEM_UNDO) && change(3, -3, SEM_UNDO));
	CHECK(values_are(1, 2, 1, 0));
}

/* It has been to be undone, and is not any more. */
UNDO_TEST(nothing_left, 1, 5, 0, 3)
{
	CHECK(change(0, -1, SEM_UNDO) && change(0, 1, SEM_UNDO));
	checkpoint_here();
	CHECK(values_are(1, 5, 0, 3));
}

static int start[2], stop[2];

/* In a task that has changed something: until it is to end. */
static void until_stopped(void)
{
	char c;

	close(stop[1]);
	if (write(start[1], "s", 1) != 1 || read(stop[0], &c, 1))
		_exit(99);
}

static pid_t child_with(unsigned long flags, unsigned short num, short by)
{
	pid_t pid;
	char c;

	CHECK(!pipe(start) && !pipe(stop));
	pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	CHECK(pid >= 0);
	if (!pid) {
		CHECK(change(num, by, SEM_UNDO));
		until_stopped();
		_exit(0);
	}
	CHECK(read(start[0], &c, 1) == 1);
	return pid;
}

static void end_child(pid_t pid)
{
	int status;

	close(stop[1]);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

/* It is undone when both have ended, and once. */
UNDO_TEST(one_list_of_two, 1, 5, 0, 3)
{
	pid_t pid;

	CHECK(change(0, -1, SEM_UNDO));
	pid = child_with(CLONE_SYSVSEM, 1, -2);
	CHECK(change(1, -1, SEM_UNDO));
	checkpoint_here();
	CHECK(values_are(0, 2, 0, 3));
	CHECK(!syscall(SYS_kcmp, getpid(), pid, KCMP_SYSVSEM, 0, 0));
	end_child(pid);
	CHECK(values_are(0, 2, 0, 3));
}

UNDO_TEST(two_lists, 1, 5, 0, 3)
{
	pid_t pid;

	CHECK(change(0, -1, SEM_UNDO) && change(1, -1, SEM_UNDO));
	pid = child_with(0, 1, -2);
	checkpoint_here();
	CHECK(values_are(0, 2, 0, 3));
	CHECK(syscall(SYS_kcmp, getpid(), pid, KCMP_SYSVSEM, 0, 0) > 0);
	end_child(pid);
	CHECK(values_are(0, 4, 0, 3));
}

static void *takes_three(void *arg)
{
	CHECK(change(3, -3, SEM_UNDO));
	until_stopped();
	return arg;
}

/* What a thread has changed stays so until the process ends. */
UNDO_TEST(threads, 1, 5, 0, 3)
{
	pthread_t thread;
	void *value;
	char c;

	CHECK(!pipe(start) && !pipe(stop));
	CHECK(!pthread_create(&thread, NULL, takes_three, &start));
	CHECK(read(start[0], &c, 1) == 1);
	stop[1] = -1;
	CHECK(change(0, -1, SEM_UNDO));
	checkpoint_here();
	CHECK(!pthread_join(thread, &value) && value);
	CHECK(values_are(0, 5, 0, 0));
}

/* Who waits for one that is held gets it when it is given back, and not before. */
UNDO_TEST(waiter, 1, 5, 0, 3)
{
	int status;
	pid_t pid;

	CHECK(change(0, -1, SEM_UNDO));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(change(0, -1, SEM_UNDO) ? values_are(0, 5, 0, 3) ? 5 : 98 : 99);
	CHECK(proc_wait_asleep(pid));
	checkpoint_here();
	CHECK(proc_wait_asleep(pid) && values_are(0, 5, 0, 3));
	CHECK(change(0, 1, SEM_UNDO));
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 5);
}

/* One that others may open by its key; of many, some. */
UNDO_TEST(another_set, 1, 5, 0, 3)
{
	struct sembuf op = { .sem_flg = SEM_UNDO };
	int i;

	CHECK(change(0, -1, SEM_UNDO));
	for (i = 7; i < MANY; i += 2) {
		op.sem_num = i;
		op.sem_op = i;
		CHECK(!semop(many, &op, 1));
	}
	checkpoint_here();
	CHECK(semget(key, MANY, 0) == many && values_are(0, 5, 0, 3));
	for (i = 0; i < MANY; i++)
		CHECK(semctl(many, i, GETVAL) == (i >= 7 && i % 2 ? i : 0));
}

/* Restarts that fail */

FIXTURE(refused)
{
	char none;
};

FIXTURE_SETUP(refused)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	ASSERT_TRUE(make_set());
}

FIXTURE_TEARDOWN(refused)
{
	semctl(set, 0, IPC_RMID);
	remove_dir();
}

static void holds(void)
{
	CHECK(change(0, -1, SEM_UNDO) && change(1, -2, SEM_UNDO));
	CHECK(change(2, 1, SEM_UNDO));
	checkpoint_here();
	CHECK(values_are(0, 3, 1, 3));
}

/* The child is not the first to take anything. */
static void both_hold(void)
{
	pid_t pid;

	CHECK(change(1, -1, SEM_UNDO));
	pid = child_with(0, 0, -1);
	checkpoint_here();
	end_child(pid);
}

/* Saved, then @meanwhile, and the restart fails and changes no semaphore. */
static void run_refused(struct __test_metadata *_metadata, void (*subject)(void),
			bool (*meanwhile)(void), const struct restarter *r)
{
	unsigned short before[NR], after[NR];
	struct subject s;
	char what[128];

	ASSERT_TRUE(save_subject(_metadata, &s, subject));
	EXPECT_TRUE(values_are(1, 5, 0, 3));
	if (meanwhile)
		ASSERT_TRUE(meanwhile());
	get_values(before);
	restart_by(&s, r);
	get_values(after);
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	/* Of that set. */
	snprintf(what, sizeof(what), "semaphore set %d: ", set);
	if (strstr(r->what, "semaphore") && !r->craft) {
		char text[1024] = { 0 };

		EXPECT_LT(0, pread(s.logfd, text, sizeof(text) - 1, 0));
		EXPECT_TRUE(!!strstr(text, what));
	}
	subject_close(&s);
}

#define REFUSED_TEST(name, subject, meanwhile, ...) \
	static const struct restarter name##_how = { __VA_ARGS__ }; \
	TEST_F_TIMEOUT(refused, name, 120) \
	{ \
		run_refused(_metadata, subject, meanwhile, &name##_how); \
	}

static bool take_it(void)
{
	return change(0, -1, 0);
}

static bool take_some(void)
{
	return change(1, -4, 0);
}

REFUSED_TEST(in_use, holds, take_it, .err = EAGAIN,
	     .what = "semaphore 0: it is in use: its value is below 1")
REFUSED_TEST(in_part_in_use, holds, take_some, .err = EAGAIN,
	     .what = "semaphore 1: it is in use: its value is below 2")

/* What the parent has taken by then is given back. */
REFUSED_TEST(in_use_by_the_second, both_hold, take_it, .err = EAGAIN,
	     .what = "semaphore 0: it is in use")

static bool raise_it(void)
{
	return change(2, 32767, 0);
}

REFUSED_TEST(at_its_limit, holds, raise_it, .err = ERANGE,
	     .what = "semaphore 2: it cannot be changed")

static bool remove_it(void)
{
	return !semctl(set, 0, IPC_RMID);
}

REFUSED_TEST(removed, holds, remove_it, .err = EIDRM,
	     .what = "semaphore set ")

/* It has another number, as long as numbers do not begin again. */
static bool make_it_again(void)
{
	int old = set;
	bool made = remove_it() && make_set();

	if (made && set == old)
		return false;
	semctl(set, 0, IPC_RMID);
	set = old;
	return made;
}

REFUSED_TEST(made_again, holds, make_it_again, .err = EIDRM,
	     .what = "it is not there any more")

/* Who sets values does not know of those that were to be undone. */
static bool set_it(void)
{
	union semun arg = { .val = 4 };

	sleep_ms(1100);
	return !semctl(set, 3, SETVAL, arg);
}

REFUSED_TEST(set_since, holds, set_it, .err = ESTALE,
	     .what = "it is another one than at the checkpoint")

static void drop_ipc_owner(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &header, caps))
		_exit(97);
	caps[0].effective &= ~(1U << CAP_IPC_OWNER);
	caps[0].permitted &= ~(1U << CAP_IPC_OWNER);
	caps[0].inheritable &= ~(1U << CAP_IPC_OWNER);
	if (syscall(SYS_capset, &header, caps))
		_exit(97);
}

/* It is that of another user. */
static void holds_of_another(void)
{
	CHECK(change(0, -1, SEM_UNDO));
	drop_ipc_owner();
	checkpoint_here();
}

TEST_F_TIMEOUT(refused, not_allowed, 120)
{
	static const struct restarter how = {
		.err = EACCES, .before = drop_ipc_owner,
		.what = "semaphore 0: the caller may not change it",
	};
	int *made = shared(sizeof(*made)), status;
	pid_t pid;

	ASSERT_EQ(0, semctl(set, 0, IPC_RMID));
	pid = fork();
	if (!pid) {
		if (setresgid(1001, 1001, 1001) || setresuid(1001, 1001, 1001) ||
		    !make_set())
			_exit(1);
		*made = set;
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	set = *made;
	run_refused(_metadata, holds_of_another, NULL, &how);
}

/* Restarters that have a list themselves */

static void use_undo(void)
{
	if (!change(3, -1, SEM_UNDO) || !change(3, 1, SEM_UNDO))
		_exit(96);
}

REFUSED_TEST(restarter_has_used_it, holds, NULL, .err = EINVAL, .before = use_undo,
	     .what = "the caller has used SEM_UNDO")

static void share_list(void)
{
	pid_t pid = syscall(SYS_clone, CLONE_SYSVSEM | SIGCHLD, 0, 0, 0, 0);

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (pid < 0)
		_exit(96);
}

REFUSED_TEST(restarter_shares_its_list, holds, NULL, .err = EINVAL, .before = share_list,
	     .what = "the caller shares its list for SEM_UNDO")

/* With an empty one of its own it is as good as any. */
static void have_empty_list(void)
{
	pid_t pid = syscall(SYS_clone, CLONE_SYSVSEM | SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		_exit(96);
}

TEST_F_TIMEOUT(refused, not_with_an_empty_list, 120)
{
	static const struct restarter how = { .before = have_empty_list };
	struct subject s;

	ASSERT_TRUE(save_subject(_metadata, &s, holds));
	EXPECT_TRUE(values_are(1, 5, 0, 3));
	if (restart_by(&s, &how))
		subject_finish(&s, "the restored one");
	EXPECT_TRUE(values_are(1, 5, 0, 3));
	subject_close(&s);
}

/* Images that are wrong */

static struct cr_hdr_sem_undo *undo_of(struct walk *w)
{
	return walk_find(w, CR_HDR_SEM_UNDO);
}

static struct cr_hdr_semadj *adj_of(struct walk *w, int nth)
{
	return walk_payload(w, walk_nth(w, CR_HDR_SEMADJ, nth));
}

#define WRONG_TEST(name, errno_, what_, ...) \
	static void craft_##name(struct walk *w) \
	{ \
		__VA_ARGS__; \
	} \
	REFUSED_TEST(name, holds, NULL, .err = errno_, .what = what_, \
		     .craft = craft_##name)

WRONG_TEST(another_ctime, ESTALE, "it is another one", undo_of(w)->sem_ctime--)
WRONG_TEST(another_key, ESTALE, "it is another one", undo_of(w)->key = 5)
WRONG_TEST(another_user, ESTALE, "it is another one", undo_of(w)->cuid = 5)
WRONG_TEST(another_group, ESTALE, "it is another one", undo_of(w)->cgid = 5)
WRONG_TEST(another_size, ESTALE, "it is another one", undo_of(w)->sem_nsems++)
WRONG_TEST(another_number, EIDRM, "it is not there any more",
	   undo_of(w)->semid += 0x10000)
WRONG_TEST(no_number, EINVAL, "SEM_UNDO: semid", undo_of(w)->semid = -1)
WRONG_TEST(no_semaphores, EINVAL, "SEM_UNDO: sem_nsems", undo_of(w)->sem_nsems = 0)
WRONG_TEST(too_many_semaphores, EINVAL, "SEM_UNDO: sem_nsems",
	   undo_of(w)->sem_nsems = 65537)
WRONG_TEST(nothing_of_it, EINVAL, "SEM_UNDO: nr_adjs", undo_of(w)->nr_adjs = 0)
WRONG_TEST(more_than_it_has, EINVAL, "SEM_UNDO: nr_adjs", undo_of(w)->nr_adjs = NR + 1)
WRONG_TEST(one_less, EINVAL, "SEMADJ: expected FS here", undo_of(w)->nr_adjs--)
WRONG_TEST(one_more, EINVAL, "FS: expected SEMADJ here", undo_of(w)->nr_adjs++)
WRONG_TEST(too_many_sets, EINVAL, "over the limit of 4096",
	   ((struct cr_hdr_sem_undo_list *)walk_find(w, CR_HDR_SEM_UNDO_LIST))->nr_undos =
	   CR_SEM_UNDOS_MAX + 1)
WRONG_TEST(no_sets, EINVAL, "SEM_UNDO: expected FS here",
	   ((struct cr_hdr_sem_undo_list *)walk_find(w, CR_HDR_SEM_UNDO_LIST))->nr_undos = 0)
WRONG_TEST(semaphore_behind_the_last, EINVAL, "SEMADJ: sem_num",
	   adj_of(w, 2)->sem_num = NR)
WRONG_TEST(one_semaphore_twice, EINVAL, "SEMADJ: sem_num", adj_of(w, 1)->sem_num = 0)
WRONG_TEST(nothing_to_undo, EINVAL, "SEMADJ: semadj", adj_of(w, 0)->semadj = 0)
WRONG_TEST(too_much, EINVAL, "SEMADJ: semadj", adj_of(w, 0)->semadj = 32768)
WRONG_TEST(too_little, EINVAL, "SEMADJ: semadj", adj_of(w, 2)->semadj = -32769)
WRONG_TEST(raised_too_far, ERANGE, "semaphore 2: it cannot be raised so far",
	   adj_of(w, 2)->semadj = -32768)
WRONG_TEST(no_list, EINVAL, "SEM_UNDO_LIST: expected FS here",
	   ((struct cr_hdr_task *)walk_find(w, CR_HDR_TASK))->flags &= ~CR_TASK_SYSVSEM)

/* By then it has been taken, for a while. */
WRONG_TEST(pages_that_are_wrong, EINVAL, "crc is ",
	   w->buf[walk_nth(w, CR_HDR_PAGES, 0)->bulk] ^= 1)

TEST_HARNESS_MAIN
