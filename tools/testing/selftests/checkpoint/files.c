// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptor table and what is behind it: files by path, devices, pipes,
 * FIFOs, terminals; the working directory and the rest of where paths begin.
 */
#include "subject.h"

#include <dirent.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#define CONTENTS "0123456789abcdefghijklmnopqrstuvwxyz"

static int open_new(const char *name, int flags)
{
	int fd;

	CHECK(make_file(name, CONTENTS, strlen(CONTENTS)));
	fd = open(in_dir(name), flags);
	CHECK(fd >= 0);
	return fd;
}

static bool reads(int fd, const char *expect)
{
	char buf[64] = { 0 };
	size_t len = strlen(expect);

	return read(fd, buf, len) == (ssize_t)len && !strcmp(buf, expect);
}

/* Is the descriptor closed? */
static bool closed(int fd)
{
	return fcntl(fd, F_GETFD) == -1 && errno == EBADF;
}

SUBJECT_TEST(numbers_and_gaps)
{
	int fd = open_new("file", O_RDONLY), i;

	CHECK(fd == 3);
	CHECK(dup2(fd, 5) == 5);
	CHECK(dup2(fd, 99) == 99);
	CHECK(dup2(fd, 700) == 700);
	close(fd);
	checkpoint_here();
	for (i = 3; i < 1000; i++)
		CHECK(closed(i) == (i != 5 && i != 99 && i != 700));
	CHECK(reads(700, "0123"));
	CHECK(open("/dev/null", O_RDONLY) == 3);
}

SUBJECT_TEST(close_on_exec)
{
	int with = open_new("file", O_RDONLY | O_CLOEXEC);
	int without = dup(with);

	checkpoint_here();
	CHECK(fcntl(with, F_GETFD) == FD_CLOEXEC);
	CHECK(!fcntl(without, F_GETFD));
}

SUBJECT_TEST(dup_shares_the_offset)
{
	int a = open_new("file", O_RDONLY), b = dup(a);
	int c = open(in_dir("file"), O_RDONLY);

	CHECK(reads(a, "01234"));
	CHECK(reads(c, "01"));
	checkpoint_here();
	CHECK(reads(b, "56"));
	CHECK(reads(a, "78"));
	CHECK(lseek(b, 0, SEEK_CUR) == 9);
	/* Opened by itself, it has an offset of its own. */
	CHECK(reads(c, "23"));
	/* And the flags of the status. */
	CHECK(!set_nonblock(a, true));
	CHECK(fcntl(b, F_GETFL) & O_NONBLOCK);
	CHECK(!(fcntl(c, F_GETFL) & O_NONBLOCK));
}

SUBJECT_TEST(status_flags)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND,
		O_RDWR | O_NONBLOCK, O_RDONLY | O_NOATIME, O_RDWR | O_SYNC,
		O_RDWR | O_DSYNC, O_WRONLY | O_APPEND | O_NONBLOCK,
	};
	int fds[ARRAY_SIZE(flags)], before[ARRAY_SIZE(flags)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fds[i] = open_new("file", flags[i]);
		before[i] = fcntl(fds[i], F_GETFL);
	}
	checkpoint_here();
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		CHECK(fcntl(fds[i], F_GETFL) == before[i]);
}

/* O_CREAT, O_EXCL and O_TRUNC were for the first time only. */
SUBJECT_TEST(created_files_are_not_created_again)
{
	int fd = open(in_dir("new"), O_RDWR | O_CREAT | O_EXCL | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, "kept", 4) == 4);
	checkpoint_here();
	CHECK(lseek(fd, 0, SEEK_CUR) == 4);
	CHECK(!lseek(fd, 0, SEEK_SET) && reads(fd, "kept"));
}

/* Each of the two that go on writes what the other writes, in its place. */
SUBJECT_TEST(write_goes_on_at_the_offset)
{
	int fd = open_new("file", O_RDWR);
	char buf[16] = { 0 };

	CHECK(lseek(fd, 10, SEEK_SET) == 10);
	checkpoint_here();
	CHECK(write(fd, "XYZ", 3) == 3);
	CHECK(lseek(fd, 0, SEEK_CUR) == 13);
	CHECK(pread(fd, buf, 5, 9) == 5 && !strcmp(buf, "9XYZd"));
}

SUBJECT_TEST(offset_behind_the_end)
{
	int fd = open_new("file", O_RDONLY);
	char c;

	CHECK(lseek(fd, 1L << 40, SEEK_SET) == 1L << 40);
	checkpoint_here();
	CHECK(lseek(fd, 0, SEEK_CUR) == 1L << 40);
	CHECK(!read(fd, &c, 1));
}

/* A path with everything that a path may have in it. */
SUBJECT_TEST(odd_names)
{
	static const char name[] = "a \"b\" c\n\t\\ \xff\xc3\xa4%s";
	int fd = open_new(name, O_RDONLY);
	char path[64], link[2][PATH_MAX] = { "", "" };

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link[0], PATH_MAX - 1) > 0);
	checkpoint_here();
	CHECK(readlink(path, link[1], PATH_MAX - 1) > 0);
	CHECK(!strcmp(link[0], link[1]));
	CHECK(reads(fd, "012"));
}

SUBJECT_TEST(many_descriptors)
{
	int fd = open_new("file", O_RDONLY), i;

	for (i = 0; i < 500; i++)
		CHECK(dup(fd) == fd + 1 + i);
	checkpoint_here();
	CHECK(reads(fd + 500, "01"));
	for (i = 0; i < 501; i++)
		CHECK(lseek(fd + i, 0, SEEK_CUR) == 2);
}

/* Directories */

SUBJECT_TEST(directory_goes_on)
{
	char name[16], all[2][64 * 8] = { "", "" };
	struct dirent *d;
	DIR *dir;
	int i;

	for (i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "f%02d", i);
		CHECK(make_file(name, "", 0));
	}
	dir = opendir(subject_dir);
	CHECK(!!dir);
	while ((d = readdir(dir)))
		strcat(all[0], d->d_name);
	closedir(dir);
	i = open(subject_dir, O_RDONLY | O_DIRECTORY);
	CHECK(i >= 0);
	for (;;) {
		char buf[96];
		long n = syscall(SYS_getdents64, i, buf, sizeof(buf)), at;
		static bool saved;

		CHECK(n >= 0);
		if (!n)
			break;
		for (at = 0; at < n; at += *(unsigned short *)(buf + at + 16))
			strcat(all[1], buf + at + 19);
		if (strlen(all[1]) > 30 && !saved) {
			saved = true;
			checkpoint_here();
		}
	}
	CHECK(!strcmp(all[0], all[1]));
}

SUBJECT_TEST(o_path)
{
	int file, dir;
	struct stat a, b;

	close(open_new("file", O_RDONLY));
	file = open(in_dir("file"), O_PATH | O_CLOEXEC);
	dir = open(subject_dir, O_PATH | O_DIRECTORY);
	CHECK(file >= 0 && dir >= 0);
	CHECK(!fstat(file, &a));
	checkpoint_here();
	CHECK(!fstat(file, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	CHECK(fcntl(file, F_GETFL) & O_PATH);
	CHECK(fcntl(file, F_GETFD) == FD_CLOEXEC);
	CHECK(read(file, &a, 1) == -1 && errno == EBADF);
	CHECK(!fstatat(dir, "file", &b, 0) && a.st_ino == b.st_ino);
}

SUBJECT_TEST(working_directory)
{
	char path[2][PATH_MAX];

	CHECK(!mkdir(in_dir("sub"), 0700));
	CHECK(!chdir(in_dir("sub")));
	CHECK(!!getcwd(path[0], PATH_MAX));
	checkpoint_here();
	CHECK(!!getcwd(path[1], PATH_MAX));
	CHECK(!strcmp(path[0], path[1]));
	CHECK(!access("../sub", F_OK));
}

/*
 * Paths are those that the caller of checkpoint(2) sees: a process that saves
 * itself has no path for its program when that is not below its root, see
 * refuse.c. So its root is not moved there.
 */
SUBJECT_TEST(root_directory)
{
	struct stat a, b;

	CHECK(make_file("inside", "x", 1));
	CHECK(!stat(in_dir("inside"), &a));
	if (subject_how == ITSELF) {
		CHECK(!chroot("/") && !chdir(subject_dir));
		checkpoint_here();
		CHECK(!stat("inside", &b) && a.st_ino == b.st_ino);
		CHECK(!access("/proc/self", F_OK));
		return;
	}
	CHECK(!chroot(subject_dir) && !chdir("/"));
	checkpoint_here();
	CHECK(!stat("/inside", &b) && a.st_ino == b.st_ino);
	CHECK(!stat("/../inside", &b));
	CHECK(access("/proc/self", F_OK) == -1);
}

SUBJECT_TEST(file_mode_mask)
{
	umask(0137);
	checkpoint_here();
	CHECK(umask(0) == 0137);
}

/* Devices without a state */

SUBJECT_TEST(devices)
{
	static const char * const names[] = {
		"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
		"/dev/urandom",
	};
	int fds[ARRAY_SIZE(names)];
	char buf[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		fds[i] = open(names[i], O_RDWR);
		CHECK(fds[i] >= 0);
	}
	checkpoint_here();
	CHECK(write(fds[0], "x", 1) == 1 && !read(fds[0], buf, 1));
	memset(buf, 1, sizeof(buf));
	CHECK(read(fds[1], buf, 16) == 16 && !buf[0] && !memcmp(buf, buf + 1, 15));
	CHECK(write(fds[2], "x", 1) == -1 && errno == ENOSPC);
	CHECK(read(fds[3], buf, 16) == 16);
	CHECK(read(fds[4], buf, 16) == 16);
}

/* Pipes */

SUBJECT_TEST(pipe_with_contents)
{
	int p[2], copy;

	CHECK(!pipe2(p, O_CLOEXEC));
	copy = dup(p[1]);
	CHECK(write(p[1], "hello, ", 7) == 7 && write(copy, "world", 5) == 5);
	CHECK(reads(p[0], "he"));
	checkpoint_here();
	CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && !fcntl(copy, F_GETFD));
	CHECK(reads(p[0], "llo, world"));
	/* It is a pipe: what goes in comes out, and it ends. */
	CHECK(write(copy, "more", 4) == 4 && reads(p[0], "more"));
	close(copy);
	close(p[1]);
	CHECK(!read(p[0], &copy, 1));
}

SUBJECT_TEST(pipe_that_is_full)
{
	static char junk[65536];
	int p[2], size, i;

	CHECK(!pipe(p));
	size = fcntl(p[1], F_SETPIPE_SZ, 65536);
	CHECK(size == 65536);
	for (i = 0; i < size; i++)
		junk[i] = i * 7 + i / 251;
	CHECK(!set_nonblock(p[1], true));
	CHECK(write(p[1], junk, size) == size);
	CHECK(write(p[1], "x", 1) == -1 && errno == EAGAIN);
	checkpoint_here();
	CHECK(write(p[1], "x", 1) == -1 && errno == EAGAIN);
	CHECK(fcntl(p[0], F_GETPIPE_SZ) == size);
	for (i = 0; i < size; i++) {
		char c;

		CHECK(read(p[0], &c, 1) == 1 && c == (char)(i * 7 + i / 251));
	}
	CHECK(write(p[1], "x", 1) == 1 && reads(p[0], "x"));
}

SUBJECT_TEST(pipe_size_and_flags)
{
	int p[2];
	char c;

	CHECK(!pipe(p));
	CHECK(fcntl(p[0], F_SETPIPE_SZ, 1 << 18) == 1 << 18);
	CHECK(!set_nonblock(p[0], true));
	checkpoint_here();
	CHECK(fcntl(p[1], F_GETPIPE_SZ) == 1 << 18);
	CHECK(fcntl(p[0], F_GETFL) == (O_RDONLY | O_NONBLOCK));
	CHECK(fcntl(p[1], F_GETFL) == O_WRONLY);
	CHECK(read(p[0], &c, 1) == -1 && errno == EAGAIN);
}

SUBJECT_TEST(pipe_of_packets)
{
	char buf[64];
	int p[2];

	CHECK(!pipe2(p, O_DIRECT));
	CHECK(write(p[1], "first", 5) == 5);
	CHECK(write(p[1], "second packet", 13) == 13);
	CHECK(write(p[1], "3", 1) == 1);
	checkpoint_here();
	CHECK(fcntl(p[1], F_GETFL) == (O_WRONLY | O_DIRECT));
	/* Each read gets one, and what does not fit is lost. */
	CHECK(read(p[0], buf, sizeof(buf)) == 5 && !memcmp(buf, "first", 5));
	CHECK(read(p[0], buf, 6) == 6 && !memcmp(buf, "second", 6));
	CHECK(read(p[0], buf, sizeof(buf)) == 1 && buf[0] == '3');
	CHECK(write(p[1], "4", 1) == 1 && write(p[1], "5", 1) == 1);
	CHECK(read(p[0], buf, sizeof(buf)) == 1);
}

/* The other end is closed, not elsewhere: it has nobody to read or write it. */
SUBJECT_TEST(pipe_with_one_end)
{
	int p[2], q[2];
	char c;

	signal(SIGPIPE, SIG_IGN);
	CHECK(!pipe(p) && !pipe(q));
	CHECK(write(p[1], "rest", 4) == 4);
	close(p[1]);
	close(q[0]);
	checkpoint_here();
	CHECK(reads(p[0], "rest"));
	CHECK(!read(p[0], &c, 1));
	CHECK(write(q[1], "x", 1) == -1 && errno == EPIPE);
}

SUBJECT_TEST(two_pipes_are_two)
{
	int p[2], q[2];

	CHECK(!pipe(p) && !pipe(q));
	CHECK(write(p[1], "p", 1) == 1 && write(q[1], "q", 1) == 1);
	checkpoint_here();
	CHECK(reads(q[0], "q") && reads(p[0], "p"));
	CHECK(write(q[1], "2", 1) == 1 && reads(q[0], "2"));
}

SUBJECT_TEST(fifo)
{
	int both, rd, wr;

	CHECK(!mkfifo(in_dir("fifo"), 0600));
	both = open(in_dir("fifo"), O_RDWR);
	rd = open(in_dir("fifo"), O_RDONLY | O_NONBLOCK);
	wr = open(in_dir("fifo"), O_WRONLY);
	CHECK(both >= 0 && rd >= 0 && wr >= 0);
	CHECK(write(wr, "in the fifo", 11) == 11);
	checkpoint_here();
	CHECK(reads(rd, "in the "));
	CHECK(reads(both, "fifo"));
	CHECK(fcntl(rd, F_GETFL) & O_NONBLOCK);
	CHECK(write(both, "x", 1) == 1 && reads(rd, "x"));
}

/* What is behind descriptors 0 to 2 is the restarter's: so is /dev/null here. */
SUBJECT_TEST(standard_descriptors)
{
	struct stat st;

	CHECK(dup2(1, 7) == 7);
	close(7);
	checkpoint_here();
	CHECK(!fstat(0, &st) && S_ISFIFO(st.st_mode));
	CHECK(!fstat(1, &st) && S_ISFIFO(st.st_mode));
	CHECK(closed(3));
}

/* Files that became others meanwhile */

FIXTURE(changed)
{
	struct subject s;
};

FIXTURE_SETUP(changed)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(changed)
{
	subject_close(&self->s);
	remove_dir();
}

static void reads_a_file(void)
{
	int fd = open_new("file", O_RDONLY);

	CHECK(reads(fd, "01"));
	checkpoint_here();
	CHECK(reads(fd, "23"));
}

static void save_it(struct __test_metadata *_metadata, struct subject *s,
		    void (*fn)(void))
{
	ASSERT_TRUE(subject_start(s, fn, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	close(s->in);
	close(s->out);
}

/* The restart is refused with @err, and a line that has @what in it. */
static void refused(struct __test_metadata *_metadata, struct subject *s, int err,
		    unsigned long flags, const char *what)
{
	char text[1024] = { 0 };
	int status;
	pid_t pid;

	ASSERT_EQ(0, ftruncate(s->logfd, 0));
	ASSERT_EQ(0, lseek(s->logfd, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(s->image, 0, SEEK_SET));
	pid = spawn_restart(s->pid, s->image, 0, flags, s->logfd, -1, -1);
	ASSERT_LT(0, pid);
	status = wait_ms(pid, PATIENCE);
	ASSERT_LE(0, pread(s->logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + err)
		TH_LOG("status %#x, log '%s'", status, text);
	EXPECT_TRUE(!strncmp(text, "restart: ", 9) && strstr(text, what) &&
		    one_printable_line(text))
		TH_LOG("log '%s', wanted '%s'", text, what);
}

static void accepted(struct __test_metadata *_metadata, struct subject *s,
		     unsigned long flags)
{
	s->flags = flags;
	ASSERT_TRUE(subject_restart(s));
	EXPECT_TRUE(subject_finish(s, "the restored one"));
}

TEST_F(changed, not_at_all)
{
	save_it(_metadata, &self->s, reads_a_file);
	accepted(_metadata, &self->s, 0);
	accepted(_metadata, &self->s, RESTART_RELAXED_FILES);
}

TEST_F(changed, gone)
{
	save_it(_metadata, &self->s, reads_a_file);
	ASSERT_EQ(0, unlink(in_dir("file")));
	refused(_metadata, &self->s, ENOENT, 0, in_dir("file"));
	refused(_metadata, &self->s, ENOENT, RESTART_RELAXED_FILES, in_dir("file"));
}

TEST_F(changed, longer)
{
	save_it(_metadata, &self->s, reads_a_file);
	ASSERT_EQ(0, truncate(in_dir("file"), 40));
	refused(_metadata, &self->s, ESTALE, 0,
		"/file\": it has 40 bytes instead of 36");
	accepted(_metadata, &self->s, RESTART_RELAXED_FILES);
}

TEST_F(changed, shorter)
{
	save_it(_metadata, &self->s, reads_a_file);
	ASSERT_EQ(0, truncate(in_dir("file"), 10));
	refused(_metadata, &self->s, ESTALE, 0, in_dir("file"));
	accepted(_metadata, &self->s, RESTART_RELAXED_FILES);
}

TEST_F(changed, another_file)
{
	save_it(_metadata, &self->s, reads_a_file);
	/* With the same contents. */
	ASSERT_TRUE(make_file("other", CONTENTS, strlen(CONTENTS)));
	ASSERT_EQ(0, rename(in_dir("other"), in_dir("file")));
	refused(_metadata, &self->s, ESTALE, 0, "another file");
	accepted(_metadata, &self->s, RESTART_RELAXED_FILES);
}

TEST_F(changed, another_type)
{
	save_it(_metadata, &self->s, reads_a_file);
	ASSERT_EQ(0, unlink(in_dir("file")));
	ASSERT_EQ(0, mkdir(in_dir("file"), 0700));
	refused(_metadata, &self->s, ESTALE, 0, in_dir("file"));
	refused(_metadata, &self->s, ESTALE, RESTART_RELAXED_FILES, in_dir("file"));
	ASSERT_EQ(0, rmdir(in_dir("file")));
	/* Nobody waits for somebody to write to a FIFO that should be a file. */
	ASSERT_EQ(0, mkfifo(in_dir("file"), 0600));
	refused(_metadata, &self->s, ESTALE, RESTART_RELAXED_FILES, in_dir("file"));
}

static void in_a_directory(void)
{
	CHECK(!mkdir(in_dir("cwd"), 0700) && !chdir(in_dir("cwd")));
	checkpoint_here();
}

TEST_F(changed, working_directory_is_gone)
{
	save_it(_metadata, &self->s, in_a_directory);
	ASSERT_EQ(0, rmdir(in_dir("cwd")));
	refused(_metadata, &self->s, ENOENT, 0, in_dir("cwd"));
}

/* Terminals: the restarter's own, with the settings that were */

static void on_a_terminal(void)
{
	struct termios t;
	char c;

	CHECK(!tcgetattr(3, &t));
	cfmakeraw(&t);
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 7;
	t.c_iflag |= IXON;
	CHECK(!tcsetattr(3, TCSANOW, &t));
	CHECK(write(3, "r", 1) == 1);
	/* The go-ahead comes by the terminal: three bytes, as VMIN says. */
	{
		char go[4] = { 0 };

		CHECK(read(3, go, 3) == 3 && !strcmp(go, "goo"));
	}
	memset(&t, 0, sizeof(t));
	CHECK(!tcgetattr(3, &t));
	c = t.c_cc[VMIN] == 3 && t.c_cc[VTIME] == 7 && t.c_iflag & IXON &&
	    !(t.c_lflag & (ICANON | ECHO)) && isatty(3) ? 'y' : 'n';
	CHECK(write(3, &c, 1) == 1);
	CHECK(dup2(3, 0) == 0);
}

/* A terminal of its own on the child's descriptors @first to 3. */
static pid_t on_terminal(int *master, int first, pid_t pid, struct subject *s)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = pid ? (uintptr_t)&pid : 0,
		.set_tid_size = pid ? 1 : 0,
	};
	pid_t child;
	int slave;

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0 || grantpt(*master) || unlockpt(*master))
		return -1;
	slave = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (!child) {
		int i, image, logfd;

		settle(-1, -1, -1);
		slave = fcntl(slave, F_DUPFD, 10);
		image = fcntl(s->image, F_DUPFD, 10);
		logfd = fcntl(s->logfd, F_DUPFD, 10);
		for (i = first; i <= 3; i++)
			dup2(slave, i);
		close(slave);
		if (!pid) {
			syscall(SYS_close_range, 4, ~0U, 0);
			own_memory();
			set_comm("subject");
			subject_how = KILLED;
			on_a_terminal();
			_exit(0);
		}
		set_comm("restarter");
		errno = 0;
		sys_restart(0, image, CHECKPOINT_LOG, logfd);
		_exit(100 + errno);
	}
	close(slave);
	return child;
}

static void terminal(struct __test_metadata *_metadata, struct subject *s,
		     int first)
{
	int master, status;
	pid_t pid;

	s->image = tmp_memfd();
	s->logfd = tmp_memfd();
	s->err = -1;
	s->pid = on_terminal(&master, first, 0, s);
	if (s->pid < 0)
		SKIP(return, "no pseudo-terminals: %s", strerror(errno));
	ASSERT_EQ('r', read_byte(master));
	ASSERT_TRUE(proc_wait_asleep(s->pid));
	ASSERT_LT(0, sys_checkpoint(s->pid, s->image,
				    CHECKPOINT_KILL | CHECKPOINT_LOG, s->logfd))
		show_log(_metadata, s->logfd);
	ASSERT_NE(-1, wait_ms(s->pid, PATIENCE));
	close(master);

	/* Another terminal, with other settings. */
	ASSERT_EQ(0, lseek(s->image, 0, SEEK_SET));
	pid = on_terminal(&master, first, s->pid, s);
	ASSERT_EQ(s->pid, pid);
	if (!proc_wait_comm(pid, "subject"))
		show_log(_metadata, s->logfd);
	sleep_ms(100);
	EXPECT_EQ(3, write(master, "goo", 3));
	EXPECT_EQ('y', read_byte(master));
	status = wait_ms(pid, PATIENCE);
	EXPECT_EQ(0, status);
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(master);
}

TEST_F(changed, terminal_on_the_standard_descriptors)
{
	terminal(_metadata, &self->s, 0);
}

/* Only a descriptor that is no standard one: the restarter has one as well. */
TEST_F(changed, terminal_on_another_descriptor)
{
	terminal(_metadata, &self->s, 3);
}

TEST_HARNESS_MAIN
