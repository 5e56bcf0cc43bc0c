// SPDX-License-Identifier: GPL-2.0
/*
 * Locks on files: by fcntl(2), which are of the process or of the open file,
 * and by flock(2). After the restart a child of the subject, which has none of
 * them, asks the kernel who has which bytes.
 */
#include "subject.h"

#include <sys/file.h>

#define LEN 4096

static bool lock_bytes(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len,
	};

	return !fcntl(fd, cmd, &lock);
}

/* A lock of the process, on @len bytes, or on all from @start on if that is 0. */
static bool set_lock(int fd, short type, off_t start, off_t len)
{
	return lock_bytes(fd, F_SETLK, type, start, len);
}

/* A lock of the open file. */
static bool set_ofd_lock(int fd, short type, off_t start, off_t len)
{
	return lock_bytes(fd, F_OFD_SETLK, type, start, len);
}

static int open_file(const char *name, int flags)
{
	char zeros[LEN] = { 0 };
	int fd;

	CHECK(make_file(name, zeros, sizeof(zeros)));
	fd = open(in_dir(name), flags);
	CHECK(fd >= 0);
	return fd;
}

/* In a child: calls @fn, whose answer it is. */
static bool child_says(bool (*fn)(const void *arg), const void *arg)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(!fn(arg));
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

struct range {
	short type;
	off_t start;
	off_t len;
};

struct ranges {
	const char *name;	/* of the file, or else */
	int fd;
	pid_t owner;		/* -1 for an open file */
	int nr;
	const struct range *range;
};

/* Whoever has no lock sees these, and no others. */
static bool sees_ranges(const void *arg)
{
	const struct ranges *r = arg;
	int fd = r->name ? open(in_dir(r->name), O_RDWR) : r->fd, i;
	off_t at = 0;

	for (i = 0; i <= r->nr; i++) {
		struct flock lock = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at,
		};

		if (fcntl(fd, F_GETLK, &lock))
			return false;
		if (i == r->nr)
			return lock.l_type == F_UNLCK;
		if (lock.l_type != r->range[i].type ||
		    lock.l_start != r->range[i].start ||
		    lock.l_len != r->range[i].len || lock.l_pid != r->owner)
			return false;
		at = lock.l_start + lock.l_len;
		if (!lock.l_len)
			return i + 1 == r->nr;
	}
	return false;
}

#define LOCKED_BY(who, file, ...) ({ \
	const struct range __ranges[] = { __VA_ARGS__ }; \
	const struct ranges __r = { \
		.name = (file), .owner = (who), .nr = ARRAY_SIZE(__ranges), \
		.range = __ranges, \
	}; \
	child_says(sees_ranges, &__r); \
})

/* Exactly these bytes of the file are locked by the process. */
#define LOCKED(file, ...) LOCKED_BY(getpid(), file, __VA_ARGS__)

/* Nothing of it is. */
static bool unlocked(const char *name)
{
	const struct ranges none = { .name = name };

	return child_says(sees_ranges, &none);
}

/* Locks of the process */

SUBJECT_TEST(read_lock)
{
	int fd = open_file("file", O_RDONLY);

	CHECK(set_lock(fd, F_RDLCK, 10, 20));
	checkpoint_here();
	CHECK(LOCKED("file", { F_RDLCK, 10, 20 }));
}

SUBJECT_TEST(write_lock)
{
	int fd = open_file("file", O_WRONLY);

	CHECK(set_lock(fd, F_WRLCK, 0, 1));
	checkpoint_here();
	CHECK(LOCKED("file", { F_WRLCK, 0, 1 }));
}

SUBJECT_TEST(whole_file)
{
	int fd = open_file("file", O_RDWR);

	CHECK(set_lock(fd, F_WRLCK, 0, 0));
	checkpoint_here();
	CHECK(LOCKED("file", { F_WRLCK, 0, 0 }));
}

/* Both types, side by side, with and without gaps, and to the end. */
SUBJECT_TEST(many_ranges)
{
	int fd = open_file("file", O_RDWR);

	CHECK(set_lock(fd, F_WRLCK, 0, 10));
	CHECK(set_lock(fd, F_RDLCK, 20, 10));
	CHECK(set_lock(fd, F_RDLCK, 30, 5));
	CHECK(set_lock(fd, F_WRLCK, 35, 1));
	CHECK(set_lock(fd, F_RDLCK, 36, 4));
	CHECK(set_lock(fd, F_RDLCK, 1L << 40, 0));
	checkpoint_here();
	CHECK(LOCKED("file", { F_WRLCK, 0, 10 }, { F_RDLCK, 20, 15 },
		     { F_WRLCK, 35, 1 }, { F_RDLCK, 36, 4 },
		     { F_RDLCK, 1L << 40, 0 }));
}

/* A writer in SQLite: RESERVED, and SHARED, where no byte of the file is. */
SUBJECT_TEST(sqlite_reserved)
{
	int fd = open_file("db", O_RDWR), journal = open_file("db-journal", O_RDWR);
	const off_t pending = 0x40000000;

	CHECK(set_lock(fd, F_RDLCK, pending + 2, 510));
	CHECK(set_lock(fd, F_WRLCK, pending + 1, 1));
	CHECK(pwrite(journal, "journal", 7, 0) == 7);
	checkpoint_here();
	CHECK(LOCKED("db", { F_WRLCK, pending + 1, 1 },
		     { F_RDLCK, pending + 2, 510 }));
	CHECK(unlocked("db-journal"));
	/* And on to EXCLUSIVE, and back. */
	CHECK(set_lock(fd, F_WRLCK, pending, 1));
	CHECK(set_lock(fd, F_WRLCK, pending + 2, 510));
	CHECK(LOCKED("db", { F_WRLCK, pending, 512 }));
	CHECK(set_lock(fd, F_UNLCK, 0, 0));
	CHECK(unlocked("db"));
}

SUBJECT_TEST(thousand_ranges)
{
	int fd = open_file("file", O_RDWR), i;
	struct range range[1000];
	struct ranges all = {
		.name = "file", .owner = getpid(), .nr = 1000, .range = range,
	};

	for (i = 0; i < 1000; i++) {
		range[i] = (struct range) {
			.type = i % 3 ? F_RDLCK : F_WRLCK, .start = 3 * i, .len = 1,
		};
		CHECK(set_lock(fd, range[i].type, range[i].start, 1));
	}
	checkpoint_here();
	CHECK(child_says(sees_ranges, &all));
}

/* They are the process', whichever descriptor they were taken by. */
SUBJECT_TEST(two_open_files_of_one_file)
{
	int a = open_file("file", O_RDWR), b = open(in_dir("file"), O_RDONLY);

	CHECK(b >= 0);
	CHECK(set_lock(a, F_WRLCK, 0, 10));
	CHECK(set_lock(b, F_RDLCK, 10, 10));
	CHECK(set_lock(a, F_RDLCK, 20, 10));
	checkpoint_here();
	CHECK(LOCKED("file", { F_WRLCK, 0, 10 }, { F_RDLCK, 10, 20 }));
	CHECK(set_lock(b, F_UNLCK, 0, 10));
	CHECK(LOCKED("file", { F_RDLCK, 10, 20 }));
}

SUBJECT_TEST(two_files)
{
	int a = open_file("a", O_RDWR), b = open_file("b", O_RDWR);

	CHECK(set_lock(a, F_WRLCK, 1, 1));
	CHECK(set_lock(b, F_RDLCK, 2, 0));
	checkpoint_here();
	CHECK(LOCKED("a", { F_WRLCK, 1, 1 }));
	CHECK(LOCKED("b", { F_RDLCK, 2, 0 }));
}

/* What is done with them afterwards is done as ever. */
SUBJECT_TEST(unlocked_in_the_middle)
{
	int fd = open_file("file", O_RDWR);

	CHECK(set_lock(fd, F_WRLCK, 0, 100));
	checkpoint_here();
	CHECK(set_lock(fd, F_UNLCK, 40, 20));
	CHECK(set_lock(fd, F_RDLCK, 90, 20));
	CHECK(LOCKED("file", { F_WRLCK, 0, 40 }, { F_WRLCK, 60, 30 },
		     { F_RDLCK, 90, 20 }));
}

SUBJECT_TEST(closing_any_descriptor_unlocks)
{
	int fd = open_file("file", O_RDWR), again = open(in_dir("file"), O_RDONLY);

	CHECK(again >= 0);
	CHECK(set_lock(fd, F_WRLCK, 0, 100));
	checkpoint_here();
	CHECK(LOCKED("file", { F_WRLCK, 0, 100 }));
	close(again);
	CHECK(unlocked("file"));
}

/* The descriptor by which they were taken is not there, but its dup is. */
SUBJECT_TEST(high_descriptor)
{
	int fd = open_file("file", O_RDWR);

	CHECK(dup2(fd, 500) == 500);
	close(fd);
	CHECK(set_lock(500, F_WRLCK, 5, 5));
	checkpoint_here();
	CHECK(LOCKED("file", { F_WRLCK, 5, 5 }));
}

SUBJECT_TEST(lock_on_memory)
{
	const struct range range = { F_WRLCK, 7, 9 };
	struct ranges r = {
		.fd = tmp_memfd(), .owner = getpid(), .nr = 1, .range = &range,
	};

	CHECK(r.fd >= 0 && set_lock(r.fd, F_WRLCK, 7, 9));
	checkpoint_here();
	CHECK(child_says(sees_ranges, &r));
}

/* Locks of an open file, by fcntl(2) */

SUBJECT_TEST(open_file_ranges)
{
	int fd = open_file("file", O_RDWR);

	CHECK(set_ofd_lock(fd, F_WRLCK, 0, 10));
	CHECK(set_ofd_lock(fd, F_RDLCK, 10, 10));
	CHECK(set_ofd_lock(fd, F_RDLCK, 1000, 0));
	checkpoint_here();
	CHECK(LOCKED_BY(-1, "file", { F_WRLCK, 0, 10 }, { F_RDLCK, 10, 10 },
			{ F_RDLCK, 1000, 0 }));
	/* They are not the process'. */
	CHECK(!set_lock(fd, F_WRLCK, 5, 1) && errno == EAGAIN);
}

SUBJECT_TEST(open_files_keep_their_own)
{
	int a = open_file("file", O_RDWR), b = open(in_dir("file"), O_RDWR);

	CHECK(b >= 0);
	CHECK(set_ofd_lock(a, F_WRLCK, 0, 10));
	CHECK(set_ofd_lock(b, F_WRLCK, 10, 10));
	checkpoint_here();
	CHECK(!set_ofd_lock(a, F_WRLCK, 15, 1) && errno == EAGAIN);
	CHECK(!set_ofd_lock(b, F_WRLCK, 5, 1) && errno == EAGAIN);
	close(a);
	CHECK(set_ofd_lock(b, F_WRLCK, 5, 1));
}

/* All kinds at once, on one file; flock(2) and fcntl(2) do not meet. */
SUBJECT_TEST(all_kinds)
{
	int fd = open_file("file", O_RDWR);

	CHECK(set_lock(fd, F_WRLCK, 0, 10));
	CHECK(set_ofd_lock(fd, F_RDLCK, 100, 10));
	CHECK(!flock(fd, LOCK_SH));
	checkpoint_here();
	CHECK(!set_ofd_lock(fd, F_RDLCK, 5, 1) && errno == EAGAIN);
	CHECK(!set_lock(fd, F_WRLCK, 105, 1) && errno == EAGAIN);
	CHECK(set_lock(fd, F_RDLCK, 105, 1));
}

/* flock(2) */

struct flocked {
	const char *name;
	int how;		/* what is asked for, and not had */
};

static bool cannot_flock(const void *arg)
{
	const struct flocked *f = arg;
	int fd = open(in_dir(f->name), O_RDONLY);

	return fd >= 0 && flock(fd, f->how | LOCK_NB) && errno == EWOULDBLOCK;
}

static bool flock_taken(const char *name, int how)
{
	const struct flocked f = { .name = name, .how = how };

	return child_says(cannot_flock, &f);
}

SUBJECT_TEST(flock_exclusive)
{
	int fd = open_file("file", O_RDONLY);

	CHECK(!flock(fd, LOCK_EX));
	checkpoint_here();
	CHECK(flock_taken("file", LOCK_SH));
	CHECK(!flock(fd, LOCK_UN));
	CHECK(!flock_taken("file", LOCK_EX));
}

SUBJECT_TEST(flock_shared)
{
	int fd = open_file("file", O_RDWR);

	CHECK(!flock(fd, LOCK_SH));
	checkpoint_here();
	CHECK(flock_taken("file", LOCK_EX));
	CHECK(!flock_taken("file", LOCK_SH));
	CHECK(!flock(fd, LOCK_EX));
	CHECK(flock_taken("file", LOCK_SH));
}

/* It is the open file's, which has two descriptors. */
SUBJECT_TEST(flock_of_two_descriptors)
{
	int a = open_file("file", O_RDWR), b = dup(a);

	CHECK(!flock(a, LOCK_EX));
	checkpoint_here();
	close(a);
	CHECK(flock_taken("file", LOCK_SH));
	CHECK(!flock(b, LOCK_UN));
	CHECK(!flock_taken("file", LOCK_EX));
}

SUBJECT_TEST(flock_shared_by_two_open_files)
{
	int a = open_file("file", O_RDWR), b = open(in_dir("file"), O_RDWR);

	CHECK(b >= 0 && !flock(a, LOCK_SH) && !flock(b, LOCK_SH));
	checkpoint_here();
	CHECK(!flock(a, LOCK_UN));
	CHECK(flock_taken("file", LOCK_EX));
	CHECK(!flock(b, LOCK_UN));
	CHECK(!flock_taken("file", LOCK_EX));
}

SUBJECT_TEST(flock_on_a_directory)
{
	int fd;

	CHECK(!mkdir(in_dir("dir"), 0700) || errno == EEXIST);
	fd = open(in_dir("dir"), O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && !flock(fd, LOCK_EX));
	checkpoint_here();
	CHECK(flock_taken("dir", LOCK_SH));
}

/*
 * A mapping keeps a file open, and so its lock, but where a file system has
 * another file mapped than the one that was opened.
 */
SUBJECT_TEST(flock_of_what_is_only_mapped)
{
	int fd = open_file("file", O_RDWR);
	char *p = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, fd, 0);
	int other;
	bool held;

	CHECK(p != MAP_FAILED && !flock(fd, LOCK_EX));
	close(fd);
	other = open(in_dir("file"), O_RDONLY);
	CHECK(other >= 0);
	held = flock(other, LOCK_EX | LOCK_NB);
	close(other);
	checkpoint_here();
	CHECK(flock_taken("file", LOCK_SH) == held);
	CHECK(!munmap(p, LEN));
	CHECK(!flock_taken("file", LOCK_EX));
}

/* Who waits for a lock goes on waiting */

static void waits_for_a_lock(void)
{
	int fd = open(in_dir("file"), O_RDWR);

	CHECK(fd >= 0);
	CHECK(set_lock(fd, F_WRLCK, 100, 1));
	say(SAY_READY);
	CHECK(lock_bytes(fd, F_SETLKW, F_WRLCK, 0, 10));
	CHECK(LOCKED("file", { F_WRLCK, 0, 10 }, { F_WRLCK, 100, 1 }));
	wait_go();
}

/* Tests of what is refused */

FIXTURE(lock)
{
	struct subject s;
};

FIXTURE_SETUP(lock)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(lock)
{
	remove_dir();
}

/* In the test: a file there, and a descriptor of it. */
static int new_file(const char *name)
{
	return make_file(name, "0123456789", 10) ? open(in_dir(name), O_RDWR | O_CLOEXEC) : -1;
}

TEST_F_TIMEOUT(lock, who_waits_goes_on_waiting, 120)
{
	struct subject *s = &self->s;
	int fd = new_file("file");

	ASSERT_LE(0, fd);
	ASSERT_TRUE(set_lock(fd, F_WRLCK, 5, 1));
	ASSERT_TRUE(subject_start(s, waits_for_a_lock, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	close(s->in);
	close(s->out);
	ASSERT_TRUE(subject_restart(s));
	/* It waits, with the lock that it had. */
	EXPECT_TRUE(proc_wait_asleep(s->pid));
	EXPECT_FALSE(set_lock(fd, F_WRLCK, 100, 1));
	EXPECT_TRUE(set_lock(fd, F_UNLCK, 0, 0));
	subject_finish(s, "the restored one");
	subject_close(s);
	close(fd);
}

/*
 * A child that tries to become what the image says, and cannot: it says which
 * errno there was, and stays until @go is closed.
 */
struct loser {
	pid_t pid;
	int go;
	int says;
};

static int lose(struct loser *l, int image, int logfd, void (*before)(void))
{
	int go[2], says[2], err = -1;

	if (pipe2(go, O_CLOEXEC) || pipe2(says, O_CLOEXEC) ||
	    lseek(image, 0, SEEK_SET) || ftruncate(logfd, 0) ||
	    lseek(logfd, 0, SEEK_SET))
		return -1;
	l->pid = fork();
	if (!l->pid) {
		char c;

		settle(-1, -1, -1);
		close(go[1]);
		if (before)
			before();
		errno = 0;
		sys_restart(0, image, CHECKPOINT_LOG, logfd);
		err = errno;
		if (write(says[1], &err, sizeof(err)) != sizeof(err))
			_exit(1);
		_exit(read(go[0], &c, 1) != 0);
	}
	close(go[0]);
	close(says[1]);
	l->go = go[1];
	l->says = says[0];
	if (read(l->says, &err, sizeof(err)) != sizeof(err))
		err = -1;
	return err;
}

static bool lost_well(struct loser *l)
{
	int status;

	close(l->go);
	close(l->says);
	status = wait_ms(l->pid, PATIENCE);
	if (status == -1) {
		kill(l->pid, SIGKILL);
		waitpid(l->pid, NULL, 0);
	}
	return !status;
}

static bool log_has(int logfd, const char *what)
{
	char text[1024] = { 0 };

	return pread(logfd, text, sizeof(text) - 1, 0) > 0 &&
	       !strncmp(text, "restart: ", 9) && one_printable_line(text) &&
	       strstr(text, what);
}

static void expect_log(struct __test_metadata *_metadata, int logfd,
		       const char *what)
{
	EXPECT_TRUE(log_has(logfd, what)) {
		TH_LOG("'%s' is not in the log", what);
		show_log(_metadata, logfd);
	}
}

static void holds_three(void)
{
	int a = open(in_dir("a"), O_RDWR), b = open(in_dir("b"), O_RDWR);
	int c = open(in_dir("c"), O_RDWR);

	CHECK(a >= 0 && b >= 0 && c >= 0);
	CHECK(set_lock(a, F_WRLCK, 0, 10) && !flock(b, LOCK_EX));
	CHECK(set_ofd_lock(b, F_RDLCK, 3, 0));
	CHECK(set_lock(c, F_RDLCK, 2, 4));
	checkpoint_here();
	CHECK(LOCKED("a", { F_WRLCK, 0, 10 }));
	CHECK(LOCKED_BY(-1, "b", { F_RDLCK, 3, 0 }));
	CHECK(flock_taken("b", LOCK_SH));
	CHECK(LOCKED("c", { F_RDLCK, 2, 4 }));
}

TEST_F_TIMEOUT(lock, taken_by_another_meanwhile, 120)
{
	struct subject *s = &self->s;
	int a = new_file("a"), b = new_file("b"), c = new_file("c");
	struct loser l;

	ASSERT_TRUE(a >= 0 && b >= 0 && c >= 0);
	ASSERT_TRUE(subject_start(s, holds_three, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	close(s->in);
	close(s->out);

	ASSERT_TRUE(set_lock(c, F_WRLCK, 5, 1));
	EXPECT_EQ(EAGAIN, lose(&l, s->image, s->logfd, NULL));
	expect_log(_metadata, s->logfd, "/c\": bytes 2-5 are locked by another process");
	/* What could be locked before it failed is not any more. */
	EXPECT_TRUE(set_lock(a, F_WRLCK, 0, 0));
	EXPECT_TRUE(set_lock(b, F_WRLCK, 0, 0));
	EXPECT_EQ(0, flock(b, LOCK_EX | LOCK_NB));
	EXPECT_TRUE(lost_well(&l));

	EXPECT_TRUE(set_lock(c, F_UNLCK, 0, 0));
	EXPECT_TRUE(set_lock(a, F_UNLCK, 0, 0));
	EXPECT_EQ(EAGAIN, lose(&l, s->image, s->logfd, NULL));
	expect_log(_metadata, s->logfd, "/b\": all bytes are locked by another process");
	EXPECT_TRUE(lost_well(&l));

	EXPECT_EQ(0, flock(b, LOCK_UN));
	EXPECT_EQ(EAGAIN, lose(&l, s->image, s->logfd, NULL));
	expect_log(_metadata, s->logfd, "/b\": bytes from 3 on are locked by another process");
	EXPECT_TRUE(lost_well(&l));

	/* A shared lock is in nobody's way. */
	EXPECT_TRUE(set_lock(b, F_UNLCK, 0, 0));
	EXPECT_TRUE(set_lock(c, F_RDLCK, 0, 0));
	EXPECT_TRUE(set_lock(c, F_UNLCK, 0, 0));
	if (subject_restart(s))
		subject_finish(s, "the restored one");
	subject_close(s);
	close(a);
	close(b);
	close(c);
}

TEST_F_TIMEOUT(lock, still_held_by_the_original, 120)
{
	struct subject *s = &self->s;
	int a = new_file("a"), b = new_file("b"), c = new_file("c");
	struct loser l;

	ASSERT_TRUE(a >= 0 && b >= 0 && c >= 0);
	close(a);
	close(b);
	close(c);
	ASSERT_TRUE(subject_start(s, holds_three, LEFT));
	ASSERT_TRUE(subject_checkpoint(s, LEFT, 0));
	EXPECT_EQ(EAGAIN, lose(&l, s->image, s->logfd, NULL));
	expect_log(_metadata, s->logfd, "/a\": bytes 0-9 are locked by another process");
	EXPECT_TRUE(lost_well(&l));
	/* Whose locks are what they were. */
	subject_finish(s, "the original");
	if (subject_restart(s))
		subject_finish(s, "the restored one");
	subject_close(s);
}

static void lock_a(void)
{
	int fd = open(in_dir("a"), O_RDWR);

	if (fd < 0 || !set_lock(fd, F_RDLCK, 9, 1))
		_exit(2);
}

/* The restarter's own locks are not those of the process. */
TEST_F_TIMEOUT(lock, held_by_the_restarter, 120)
{
	struct subject *s = &self->s;
	int a = new_file("a"), b = new_file("b"), c = new_file("c");
	struct loser l;

	ASSERT_TRUE(a >= 0 && b >= 0 && c >= 0);
	ASSERT_TRUE(subject_start(s, holds_three, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	close(s->in);
	close(s->out);
	EXPECT_EQ(EAGAIN, lose(&l, s->image, s->logfd, lock_a));
	expect_log(_metadata, s->logfd, "/a\": bytes 0-9 are locked by another process");
	/* And it has them still. */
	EXPECT_FALSE(set_lock(a, F_WRLCK, 9, 1));
	EXPECT_TRUE(set_lock(a, F_WRLCK, 0, 9));
	EXPECT_TRUE(lost_well(&l));
	subject_close(s);
	close(a);
	close(b);
	close(c);
}

/* Images that say what no process can have */

static void holds_one(void)
{
	int fd = open(in_dir("a"), O_RDONLY);

	CHECK(fd >= 0 && set_lock(fd, F_RDLCK, 2, 4));
	checkpoint_here();
	CHECK(LOCKED("a", { F_RDLCK, 2, 4 }));
}

FIXTURE(crafted_lock)
{
	struct subject s;
};

FIXTURE_VARIANT(crafted_lock)
{
	void (*craft)(struct walk *w, struct cr_hdr_lock *lock);
	int err;
	const char *what;
};

FIXTURE_SETUP(crafted_lock)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(crafted_lock)
{
	remove_dir();
}

TEST_F_TIMEOUT(crafted_lock, is_refused, 120)
{
	struct subject *s = &self->s;
	struct cr_hdr_lock *lock;
	struct loser l;
	struct walk w;
	int a = new_file("a"), fd = tmp_memfd();

	ASSERT_TRUE(a >= 0 && fd >= 0);
	close(a);
	ASSERT_TRUE(subject_start(s, holds_one, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	close(s->in);
	close(s->out);
	w = walk_file(s->image);
	ASSERT_EQ(NULL, w.wrong);
	ASSERT_EQ(1U, walk_count(&w, CR_HDR_LOCK));
	lock = walk_find(&w, CR_HDR_LOCK);
	EXPECT_EQ((__u32)CR_LOCK_POSIX, lock->kind);
	EXPECT_EQ((__u32)F_RDLCK, lock->lock_type);
	EXPECT_EQ(2, lock->start);
	EXPECT_EQ(5, lock->end);
	variant->craft(&w, lock);
	walk_seal(&w);
	ASSERT_TRUE(write_all(fd, w.buf, w.len));
	walk_free(&w);
	EXPECT_EQ(variant->err, lose(&l, fd, s->logfd, NULL));
	expect_log(_metadata, s->logfd, variant->what);
	EXPECT_TRUE(lost_well(&l));
	close(fd);
	/* It is the change that was refused. */
	if (subject_restart(s))
		subject_finish(s, "the restored one");
	subject_close(s);
}

#define CRAFT(name, error, text) \
	static void craft_##name(struct walk *w, struct cr_hdr_lock *lock); \
	FIXTURE_VARIANT_ADD(crafted_lock, name) { \
		.craft = craft_##name, .err = (error), .what = (text), \
	}; \
	static void craft_##name(struct walk *w __maybe_unused, \
				 struct cr_hdr_lock *lock __maybe_unused)

CRAFT(no_such_object, EINVAL, "LOCK: objref")
{
	lock->objref = 0xffff;
}

CRAFT(unknown_kind, EINVAL, "LOCK: kind")
{
	lock->kind = CR_LOCK_LEASE + 1;
}

CRAFT(unknown_type, EINVAL, "LOCK: lock_type")
{
	lock->lock_type = F_UNLCK;
}

CRAFT(before_the_file, EINVAL, "LOCK: start")
{
	lock->start = -1;
}

CRAFT(end_before_its_start, EINVAL, "LOCK: end")
{
	lock->end = lock->start - 1;
}

CRAFT(flock_of_some_bytes, EINVAL, "LOCK: start")
{
	lock->kind = CR_LOCK_FLOCK;
}

CRAFT(more_than_there_may_be, EINVAL, "FILES: nr_locks")
{
	((struct cr_hdr_files *)walk_find(w, CR_HDR_FILES))->nr_locks =
		CR_LOCKS_MAX + 1;
}

CRAFT(path_without_a_file, EINVAL, "is no file that can be locked")
{
	lock->objref = ((struct cr_hdr_fs *)walk_find(w, CR_HDR_FS))->cwd;
}

/* A lock of the process by the program, which is only mapped. */
CRAFT(no_descriptor, EINVAL, "is no file with a descriptor")
{
	int i;

	for (i = 0; i < (int)walk_count(w, CR_HDR_VMA); i++) {
		struct cr_hdr_vma *vma =
			walk_payload(w, walk_nth(w, CR_HDR_VMA, i));

		if (vma->kind == CR_MAPPING_FILE)
			lock->objref = vma->objref;
	}
}

CRAFT(write_lock_on_what_is_only_read, EBADF, "bytes 2-5 cannot be locked")
{
	lock->lock_type = F_WRLCK;
}

TEST_HARNESS_MAIN
