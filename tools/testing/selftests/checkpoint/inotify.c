// SPDX-License-Identifier: GPL-2.0
/*
 * inotify(7): watches, with their numbers and masks, and events that wait.
 */
#include "subject.h"

#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int new_inotify(void)
{
	int fd = inotify_init1(IN_NONBLOCK);

	CHECK(fd >= 0);
	return fd;
}

static int watch(int fd, const char *path, __u32 mask)
{
	return inotify_add_watch(fd, path, mask);
}

/* An event that is expected; @name is NULL if it has none. */
struct expected {
	int wd;
	__u32 mask;
	const char *name;
	bool cookie;		/* the one of the event before it, if that has one */
};

/* Exactly these events wait, and are read. */
static bool reads_events(int fd, const struct expected *e, int nr)
{
	static __u64 words[2048];	/* aligned as the events are */
	char *buf = (char *)words;
	int len = 0, i, at = 0;
	__u32 cookie = 0;
	ssize_t n;

	if (ioctl(fd, FIONREAD, &len))
		return false;
	n = read(fd, buf, sizeof(words));
	if (!nr)
		return n == -1 && errno == EAGAIN && !len;
	if (n != len)
		return false;
	for (i = 0; i < nr; i++) {
		const struct inotify_event *event = (void *)(buf + at);

		if (at >= n || event->wd != e[i].wd || event->mask != e[i].mask)
			return false;
		if (!e[i].name != !event->len)
			return false;
		if (e[i].name && strcmp(e[i].name, event->name))
			return false;
		if (e[i].cookie != !!event->cookie)
			return false;
		if (e[i].cookie && cookie && event->cookie != cookie)
			return false;
		cookie = cookie ? 0 : event->cookie;
		at += sizeof(*event) + event->len;
	}
	return at == n;
}

#define EVENT(number, bits) \
	{ .wd = (number), .mask = (bits) }
#define NAMED(number, bits, text) \
	{ .wd = (number), .mask = (bits), .name = (text) }
#define MOVED(number, bits, text) \
	{ .wd = (number), .mask = (bits), .name = (text), .cookie = true }

#define EVENTS(fd, ...) ({ \
	const struct expected __e[] = { __VA_ARGS__ }; \
	reads_events(fd, __e, ARRAY_SIZE(__e)); \
})

#define NO_EVENTS(fd) reads_events(fd, NULL, 0)

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What /proc shows of an instance: each watch, with its inode and its mask. */
struct watches {
	int nr;
	char line[64][160];
};

static void list_watches(int fd, struct watches *w)
{
	char path[64], text[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	CHECK(!!f);
	memset(w, 0, sizeof(*w));
	while (fgets(text, sizeof(text), f))
		if (!strncmp(text, "inotify ", 8) && w->nr < 64)
			snprintf(w->line[w->nr++], 160, "%.159s", text);
	fclose(f);
	qsort(w->line, w->nr, sizeof(w->line[0]), by_text);
}

static struct watches watches_before, watches_after;

static void checkpoint_and_compare(int fd)
{
	list_watches(fd, &watches_before);
	checkpoint_here();
	list_watches(fd, &watches_after);
	CHECK(!memcmp(&watches_before, &watches_after, sizeof(watches_before)));
}

static void touch(const char *name)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT, 0600);

	CHECK(fd >= 0);
	close(fd);
}

static void write_to(const char *name)
{
	int fd = open(in_dir(name), O_WRONLY);

	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

SUBJECT_TEST(no_watches)
{
	int fd = inotify_init1(IN_CLOEXEC);

	CHECK(fd >= 0);
	checkpoint_and_compare(fd);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) == O_RDONLY);
	CHECK(!fcntl(fd, F_SETFL, O_NONBLOCK) && NO_EVENTS(fd));
	CHECK(watch(fd, subject_dir, IN_CREATE) == 1);
}

/* Numbers have gaps where watches were removed, and are not used again. */
SUBJECT_TEST(watch_descriptors)
{
	int fd = new_inotify(), i;
	char name[2] = "a";

	for (i = 1; i <= 6; i++, name[0]++) {
		touch(name);
		CHECK(watch(fd, in_dir(name), IN_MODIFY) == i);
	}
	CHECK(!inotify_rm_watch(fd, 2) && !inotify_rm_watch(fd, 6));
	CHECK(EVENTS(fd, EVENT(2, IN_IGNORED), EVENT(6, IN_IGNORED)));
	checkpoint_and_compare(fd);
	CHECK(NO_EVENTS(fd));
	write_to("a");
	write_to("b");
	write_to("e");
	CHECK(EVENTS(fd, EVENT(1, IN_MODIFY), EVENT(5, IN_MODIFY)));
	/* The next one is not the last but one. */
	CHECK(watch(fd, in_dir("b"), IN_MODIFY) == 7);
	CHECK(watch(fd, in_dir("a"), IN_MODIFY) == 1);
	CHECK(inotify_rm_watch(fd, 6) == -1 && errno == EINVAL);
}

SUBJECT_TEST(masks)
{
	static const __u32 mask[] = {
		IN_ALL_EVENTS, IN_ACCESS, IN_CLOSE, IN_MOVE | IN_EXCL_UNLINK,
		IN_DELETE_SELF | IN_MOVE_SELF, IN_OPEN | IN_ONESHOT,
		IN_ATTRIB | IN_ONESHOT | IN_EXCL_UNLINK,
	};
	int fd = new_inotify();
	char name[2] = "a";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mask); i++, name[0]++) {
		touch(name);
		CHECK(watch(fd, in_dir(name), mask[i]) == (int)i + 1);
	}
	checkpoint_and_compare(fd);
	CHECK(watches_after.nr == ARRAY_SIZE(mask));
	CHECK(NO_EVENTS(fd));
}

SUBJECT_TEST(directory)
{
	int fd = new_inotify();

	CHECK(watch(fd, subject_dir, IN_CREATE | IN_MOVE | IN_DELETE) == 1);
	checkpoint_and_compare(fd);
	touch("one");
	CHECK(!rename(in_dir("one"), in_dir("two")));
	CHECK(!unlink(in_dir("two")));
	CHECK(!mkdir(in_dir("three"), 0700) && !rmdir(in_dir("three")));
	CHECK(EVENTS(fd, NAMED(1, IN_CREATE, "one"),
		     MOVED(1, IN_MOVED_FROM, "one"),
		     MOVED(1, IN_MOVED_TO, "two"),
		     NAMED(1, IN_DELETE, "two"),
		     NAMED(1, IN_CREATE | IN_ISDIR, "three"),
		     NAMED(1, IN_DELETE | IN_ISDIR, "three")));
}

SUBJECT_TEST(events_that_wait)
{
	int fd = new_inotify();

	CHECK(watch(fd, subject_dir, IN_CREATE | IN_MOVE | IN_DELETE) == 1);
	touch("a name with 15 c");
	CHECK(!rename(in_dir("a name with 15 c"), in_dir("b")));
	touch("c");
	CHECK(!rename(in_dir("c"), in_dir("d")));
	CHECK(!unlink(in_dir("b")) && !unlink(in_dir("d")));
	CHECK(!inotify_rm_watch(fd, 1));
	CHECK(watch(fd, "/", IN_MOVE_SELF) == 2);
	checkpoint_and_compare(fd);
	touch("e");
	CHECK(EVENTS(fd, NAMED(1, IN_CREATE, "a name with 15 c"),
		     MOVED(1, IN_MOVED_FROM, "a name with 15 c"),
		     MOVED(1, IN_MOVED_TO, "b"),
		     NAMED(1, IN_CREATE, "c"),
		     MOVED(1, IN_MOVED_FROM, "c"),
		     MOVED(1, IN_MOVED_TO, "d"),
		     NAMED(1, IN_DELETE, "b"), NAMED(1, IN_DELETE, "d"),
		     EVENT(1, IN_IGNORED)));
	CHECK(NO_EVENTS(fd));
}

/* Some were read, and the others are where they were, before those to come. */
SUBJECT_TEST(events_that_are_left)
{
	char buf[32];
	int fd = new_inotify();

	CHECK(watch(fd, subject_dir, IN_CREATE) == 1);
	touch("a");
	touch("b");
	CHECK(read(fd, buf, sizeof(buf)) == sizeof(buf));
	checkpoint_and_compare(fd);
	touch("c");
	CHECK(EVENTS(fd, NAMED(1, IN_CREATE, "b"), NAMED(1, IN_CREATE, "c")));
	CHECK(!unlink(in_dir("c")));
}

/* An event like the last one that waits is one with it, after a restart, too. */
SUBJECT_TEST(event_that_comes_again)
{
	int fd = new_inotify();

	touch("file");
	CHECK(watch(fd, subject_dir, IN_MODIFY) == 1);
	write_to("file");
	write_to("file");
	checkpoint_and_compare(fd);
	write_to("file");
	CHECK(EVENTS(fd, NAMED(1, IN_MODIFY, "file")));
	write_to("file");
	CHECK(EVENTS(fd, NAMED(1, IN_MODIFY, "file")));
}

SUBJECT_TEST(oneshot)
{
	int fd = new_inotify();

	touch("waits");
	touch("used");
	CHECK(watch(fd, in_dir("used"), IN_MODIFY | IN_ONESHOT) == 1);
	CHECK(watch(fd, in_dir("waits"), IN_MODIFY | IN_ONESHOT) == 2);
	write_to("used");
	checkpoint_and_compare(fd);
	write_to("used");
	write_to("waits");
	write_to("waits");
	CHECK(EVENTS(fd, EVENT(1, IN_MODIFY), EVENT(1, IN_IGNORED),
		     EVENT(2, IN_MODIFY), EVENT(2, IN_IGNORED)));
}

/* Files that are open and have no name any more do not matter to one of them. */
SUBJECT_TEST(excl_unlink)
{
	int all = new_inotify(), named = new_inotify(), fd;

	CHECK(watch(all, subject_dir, IN_MODIFY) == 1);
	CHECK(watch(named, subject_dir, IN_MODIFY | IN_EXCL_UNLINK) == 1);
	checkpoint_and_compare(named);
	touch("file");
	fd = open(in_dir("file"), O_WRONLY);
	CHECK(fd >= 0 && !unlink(in_dir("file")));
	CHECK(write(fd, "x", 1) == 1);
	close(fd);
	CHECK(EVENTS(all, NAMED(1, IN_MODIFY, "file")));
	CHECK(NO_EVENTS(named));
}

#define QUEUED "/proc/sys/fs/inotify/max_queued_events"

static void set_number(const char *path, const char *text, char *old)
{
	int fd = open(path, O_RDWR);
	ssize_t n;

	CHECK(fd >= 0);
	if (old) {
		n = read(fd, old, 31);
		CHECK(n > 0);
		old[n] = '\0';
	}
	CHECK(pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
	close(fd);
}

SUBJECT_TEST(overflow)
{
	char old[32], name[16];
	int fd, i;

	set_number(QUEUED, "4", old);
	fd = inotify_init1(IN_NONBLOCK);
	set_number(QUEUED, old, NULL);
	CHECK(fd >= 0 && watch(fd, subject_dir, IN_CREATE) == 1);
	for (i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		touch(name);
	}
	checkpoint_and_compare(fd);
	CHECK(EVENTS(fd, NAMED(1, IN_CREATE, "file0"), NAMED(1, IN_CREATE, "file1"),
		     NAMED(1, IN_CREATE, "file2"), NAMED(1, IN_CREATE, "file3"),
		     EVENT(-1, IN_Q_OVERFLOW)));
	touch("after");
	CHECK(EVENTS(fd, NAMED(1, IN_CREATE, "after")));
	CHECK(!unlink(in_dir("after")));
}

/* As many events as there can be: more than fit into one run of the image. */
SUBJECT_TEST(long_queue)
{
	static char buf[300 * 256];
	char name[256];
	int fd = new_inotify(), i, len, all, n = 0;
	ssize_t got;

	CHECK(watch(fd, subject_dir, IN_CREATE | IN_DELETE) == 1);
	CHECK(!chdir(subject_dir));
	for (i = 0; i < 4000; i++) {
		snprintf(name, sizeof(name), "%0240d", i);
		CHECK(!close(open(name, O_WRONLY | O_CREAT, 0600)) && !unlink(name));
	}
	CHECK(!chdir("/"));
	CHECK(!ioctl(fd, FIONREAD, &all) && all > 2000000);
	checkpoint_and_compare(fd);
	CHECK(!ioctl(fd, FIONREAD, &len) && len == all);
	while ((got = read(fd, buf, sizeof(buf))) > 0) {
		int at = 0;

		while (at < got) {
			struct inotify_event *event = (void *)(buf + at);

			snprintf(name, sizeof(name), "%0240d", n / 2);
			CHECK(event->mask == (n % 2 ? IN_DELETE : IN_CREATE));
			CHECK(!strcmp(event->name, name));
			at += sizeof(*event) + event->len;
			n++;
		}
	}
	CHECK(n == 8000);
}

/* A symbolic link itself, which leads nowhere. */
SUBJECT_TEST(symbolic_link)
{
	int fd = new_inotify();

	CHECK(!symlink("nowhere", in_dir("link")) || errno == EEXIST);
	CHECK(watch(fd, in_dir("link"), IN_ATTRIB | IN_DONT_FOLLOW) == 1);
	checkpoint_and_compare(fd);
	CHECK(!lchown(in_dir("link"), 0, 0));
	CHECK(EVENTS(fd, EVENT(1, IN_ATTRIB)));
}

/* By a path that leads over a link, from a working directory. */
SUBJECT_TEST(relative_path)
{
	int fd = new_inotify();

	touch("file");
	CHECK(!symlink("file", in_dir("link")) || errno == EEXIST);
	CHECK(!chdir(subject_dir));
	CHECK(watch(fd, "./link", IN_MODIFY) == 1);
	checkpoint_and_compare(fd);
	write_to("file");
	CHECK(EVENTS(fd, EVENT(1, IN_MODIFY)));
	CHECK(!chdir("/"));
}

SUBJECT_TEST(two_instances)
{
	int a = new_inotify(), b = new_inotify(), again = dup(a);

	touch("file");
	CHECK(again >= 0 && watch(a, in_dir("file"), IN_MODIFY) == 1);
	CHECK(watch(b, subject_dir, IN_CREATE) == 1);
	CHECK(watch(b, in_dir("file"), IN_OPEN) == 2);
	checkpoint_and_compare(b);
	write_to("file");
	CHECK(EVENTS(again, EVENT(1, IN_MODIFY)) && NO_EVENTS(a));
	CHECK(EVENTS(b, EVENT(2, IN_OPEN)));
}

/* The end of what is watched. There is one such file only. */
SUBJECT_TEST(file_that_is_deleted_later)
{
	int fd = new_inotify();

	CHECK(watch(fd, subject_dir, IN_DELETE_SELF) == 1);
	touch("file");
	CHECK(watch(fd, in_dir("file"), IN_DELETE_SELF | IN_ATTRIB) == 2);
	checkpoint_and_compare(fd);
	if (subject_how != KILLED)
		return;
	CHECK(!unlink(in_dir("file")));
	CHECK(EVENTS(fd, EVENT(2, IN_ATTRIB), EVENT(2, IN_DELETE_SELF),
		     EVENT(2, IN_IGNORED)));
}

/* Restarts that fail */

FIXTURE(limits)
{
	struct subject s;
};

FIXTURE_SETUP(limits)
{
	if (skip_without_root(_metadata, "to set limits"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(limits)
{
	remove_dir();
}

static void with_watch(void)
{
	int fd = new_inotify();

	touch("file");
	CHECK(watch(fd, in_dir("file"), IN_MODIFY) == 1);
	checkpoint_here();
}

/* A restart, in a child, which fails with @err and says @what. */
static void restart_fails(struct __test_metadata *_metadata, struct subject *s,
			  int err, const char *what)
{
	char text[1024] = { 0 };
	int status;
	pid_t pid;

	ASSERT_EQ(0, ftruncate(s->logfd, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		lseek(s->image, 0, SEEK_SET);
		lseek(s->logfd, 0, SEEK_SET);
		settle(-1, -1, -1);
		errno = 0;
		sys_restart(0, s->image, CHECKPOINT_LOG, s->logfd);
		_exit(100 + errno);
	}
	status = wait_ms(pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(100 + err, WEXITSTATUS(status));
	ASSERT_LE(0, pread(s->logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!!strstr(text, what))
		TH_LOG("log '%s', wanted '%s'", text, what);
	EXPECT_TRUE(one_printable_line(text));
}

/* A restart fails while the limit in @path is 0, with @err and a line with @what. */
static void limit_is_kept(struct __test_metadata *_metadata, struct subject *s,
			  const char *path, int err, const char *what)
{
	char old[32];

	ASSERT_TRUE(subject_start(s, with_watch, LEFT));
	ASSERT_TRUE(subject_checkpoint(s, LEFT, 0));
	set_number(path, "0", old);
	restart_fails(_metadata, s, err, what);
	set_number(path, old, NULL);
	subject_finish(s, "the one that went on");
	subject_close(s);
}

TEST_F(limits, watches)
{
	limit_is_kept(_metadata, &self->s, "/proc/sys/fs/inotify/max_user_watches",
		      ENOSPC, "the caller's limit of watches is reached");
}

TEST_F(limits, instances)
{
	limit_is_kept(_metadata, &self->s, "/proc/sys/fs/inotify/max_user_instances",
		      EMFILE, "no inotify instance can be made");
}

TEST_F(limits, another_file_has_the_path)
{
	ASSERT_TRUE(subject_start(&self->s, with_watch, LEFT));
	ASSERT_TRUE(subject_checkpoint(&self->s, LEFT, 0));
	ASSERT_TRUE(make_file("other", "x", 1));
	ASSERT_EQ(0, rename(in_dir("other"), in_dir("file")));
	restart_fails(_metadata, &self->s, ESTALE, "it is another file");
	ASSERT_EQ(0, unlink(in_dir("file")));
	restart_fails(_metadata, &self->s, ENOENT, "it cannot be opened");
	subject_finish(&self->s, "the one that went on");
	subject_close(&self->s);
}

TEST_HARNESS_MAIN
