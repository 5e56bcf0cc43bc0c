// SPDX-License-Identifier: GPL-2.0
/*
 * Files and directories that have no name any more, or never had one, or have
 * another: what is in them is in the image, and the restored program finds it
 * as it was. On tmpfs, and on ext4.
 */
#include "proc.h"

#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MB (1L << 20)

FIXTURE(unlinked)
{
	bool mounted;
};

FIXTURE_VARIANT(unlinked)
{
	enum manner how;
	bool ext4;
};

FIXTURE_VARIANT_ADD(unlinked, tmpfs_killed) {
	.how = KILLED,
};

FIXTURE_VARIANT_ADD(unlinked, tmpfs_left) {
	.how = LEFT,
};

FIXTURE_VARIANT_ADD(unlinked, ext4_killed) {
	.how = KILLED,
	.ext4 = true,
};

FIXTURE_VARIANT_ADD(unlinked, ext4_itself) {
	.how = ITSELF,
	.ext4 = true,
};

FIXTURE_SETUP(unlinked)
{
	char command[256];

	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	if (!variant->ext4) {
		ASSERT_EQ(0, mount("tmpfs", subject_dir, "tmpfs", 0, "mode=755"));
		self->mounted = true;
		return;
	}
	if (access("/sbin/mkfs.ext4", X_OK))
		SKIP(return, "no mkfs.ext4");
	snprintf(command, sizeof(command),
		 "PATH=/sbin:/usr/sbin:/bin:/usr/bin; truncate -s 32M %s.img && mkfs.ext4 -q -F %s.img && mount -o loop %s.img %s",
		 subject_dir, subject_dir, subject_dir, subject_dir);
	ASSERT_EQ(0, system(command));
	self->mounted = true;
}

FIXTURE_TEARDOWN(unlinked)
{
	char image[64];

	if (self->mounted)
		umount2(subject_dir, MNT_DETACH);
	snprintf(image, sizeof(image), "%s.img", subject_dir);
	unlink(image);
	remove_dir();
}

#define UNLINKED_TEST(name) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(unlinked, name, 120) \
	{ \
		run_subject(_metadata, name##_subject, variant->how); \
	} \
	static void name##_subject(void)

/* A new file, which has no name any more. */
static int unlinked_file(int flags, mode_t mode)
{
	int fd = open(in_dir("file"), flags | O_CREAT | O_EXCL, mode);

	CHECK(fd >= 0);
	CHECK(!unlink(in_dir("file")));
	return fd;
}

static bool has_at(int fd, off_t at, const char *text)
{
	char buf[64] = { 0 };
	size_t len = strlen(text);

	return pread(fd, buf, len, at) == (ssize_t)len && !memcmp(buf, text, len);
}

static struct stat stat_of(int fd)
{
	struct stat st;

	CHECK(!fstat(fd, &st));
	return st;
}

/* Nothing is left in the directory by a restart. */
static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	bool empty = dir;

	while (dir && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
		    strcmp(d->d_name, "lost+found"))
			empty = false;
	if (dir)
		closedir(dir);
	return empty;
}

UNLINKED_TEST(contents)
{
	int fd = unlinked_file(O_RDWR, 0600);

	CHECK(write(fd, "contents", 8) == 8);
	CHECK(lseek(fd, 3, SEEK_SET) == 3);
	checkpoint_here();
	CHECK(lseek(fd, 0, SEEK_CUR) == 3);
	CHECK(stat_of(fd).st_size == 8);
	CHECK(stat_of(fd).st_nlink == 0);
	CHECK(has_at(fd, 0, "contents"));
	CHECK(write(fd, "XY", 2) == 2);
	CHECK(has_at(fd, 0, "conXYnts"));
	CHECK(is_empty(subject_dir));
}

UNLINKED_TEST(empty_file)
{
	int fd = unlinked_file(O_RDWR, 0600);

	checkpoint_here();
	CHECK(!stat_of(fd).st_size);
	CHECK(write(fd, "x", 1) == 1);
}

/* More than one run of bulk data. */
UNLINKED_TEST(megabytes)
{
	int fd = unlinked_file(O_RDWR, 0600), i;
	static unsigned int page[1024];

	for (i = 0; i < 5 * MB / 4096; i++) {
		memset(page, 0, sizeof(page));
		page[0] = i;
		page[1023] = ~i;
		CHECK(write(fd, page, sizeof(page)) == sizeof(page));
	}
	CHECK(write(fd, "tail", 4) == 4);
	checkpoint_here();
	CHECK(stat_of(fd).st_size == 5 * MB + 4);
	for (i = 0; i < 5 * MB / 4096; i++) {
		CHECK(pread(fd, page, sizeof(page), i * 4096L) == sizeof(page));
		CHECK(page[0] == (unsigned int)i && page[1023] == ~(unsigned int)i);
	}
	CHECK(has_at(fd, 5 * MB, "tail"));
}

UNLINKED_TEST(holes_stay_holes)
{
	int fd = unlinked_file(O_RDWR, 0600);
	blkcnt_t blocks;

	CHECK(pwrite(fd, "low", 3, 0) == 3);
	CHECK(pwrite(fd, "high", 4, 900 * MB) == 4);
	CHECK(!ftruncate(fd, 1000 * MB));
	blocks = stat_of(fd).st_blocks;
	checkpoint_here();
	CHECK(stat_of(fd).st_size == 1000 * MB);
	CHECK(stat_of(fd).st_blocks <= blocks + 64);
	CHECK(has_at(fd, 0, "low"));
	CHECK(has_at(fd, 900 * MB, "high"));
	CHECK(lseek(fd, 4096 * 4, SEEK_DATA) >= 900 * MB - 65536);
	CHECK(lseek(fd, 950 * MB, SEEK_DATA) == -1 && errno == ENXIO);
}

/* Once in the image, whoever has it: two open files, a dup, a mapping. */
UNLINKED_TEST(one_inode_in_many_places)
{
	char path[64];
	char *p;
	int a = unlinked_file(O_RDWR, 0600), b, c;

	CHECK(write(a, "0123456789", 10) == 10);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", a);
	b = open(path, O_RDONLY);
	c = dup(a);
	CHECK(b >= 0 && c >= 0);
	CHECK(lseek(a, 4, SEEK_SET) == 4);
	CHECK(lseek(b, 7, SEEK_SET) == 7);
	CHECK(!ftruncate(a, 4096));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
	CHECK(p != MAP_FAILED);
	p[100] = 'm';
	checkpoint_here();
	CHECK(stat_of(a).st_ino == stat_of(b).st_ino);
	CHECK(lseek(c, 0, SEEK_CUR) == 4 && lseek(b, 0, SEEK_CUR) == 7);
	CHECK(has_at(b, 0, "0123456789") && has_at(b, 100, "m"));
	p[0] = 'P';
	CHECK(has_at(b, 0, "P123456789"));
	CHECK(pwrite(a, "W", 1, 1) == 1 && p[1] == 'W');
	CHECK(write(b, "x", 1) == -1 && errno == EBADF);
}

/* Only the mapping is left. */
UNLINKED_TEST(mappings_without_a_descriptor)
{
	int fd = unlinked_file(O_RDWR, 0600);
	char *shared, *private;

	CHECK(!ftruncate(fd, 8192));
	CHECK(pwrite(fd, "file", 4, 4096) == 4);
	shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	close(fd);
	memcpy(shared, "shared", 6);
	memcpy(private + 4096, "mine", 4);
	checkpoint_here();
	CHECK(!memcmp(shared, "shared", 6) && !memcmp(private, "shared", 6));
	CHECK(!memcmp(shared + 4096, "file", 4) && !memcmp(private + 4096, "mine", 4));
	shared[0] = 'S';
	CHECK(private[0] == 'S');
}

UNLINKED_TEST(permissions_times_and_owner)
{
	int fd = unlinked_file(O_RDWR, 0600);
	const struct timespec times[2] = { { 1000000000, 123 }, { 1100000000, 456 } };

	CHECK(write(fd, "x", 1) == 1);
	CHECK(!fchown(fd, 123, 456));
	CHECK(!fchmod(fd, 06751));
	CHECK(!futimens(fd, times));
	checkpoint_here();
	CHECK(stat_of(fd).st_mode == (S_IFREG | 06751));
	CHECK(stat_of(fd).st_uid == 123 && stat_of(fd).st_gid == 456);
	CHECK(stat_of(fd).st_atim.tv_sec == 1000000000 &&
	      stat_of(fd).st_atim.tv_nsec == 123);
	CHECK(stat_of(fd).st_mtim.tv_sec == 1100000000 &&
	      stat_of(fd).st_mtim.tv_nsec == 456);
}

/* What the permissions forbid now, an open file may have been allowed before. */
UNLINKED_TEST(open_for_what_its_mode_forbids)
{
	int fd = unlinked_file(O_RDWR, 0600);

	CHECK(!fchmod(fd, 0));
	CHECK(write(fd, "before", 6) == 6);
	checkpoint_here();
	CHECK(stat_of(fd).st_mode == S_IFREG);
	CHECK(has_at(fd, 0, "before"));
	CHECK(write(fd, "after", 5) == 5);
}

UNLINKED_TEST(flags)
{
	int fd = unlinked_file(O_WRONLY | O_APPEND | O_NONBLOCK | O_SYNC | O_NOATIME, 0600);
	int flags = fcntl(fd, F_GETFL);

	CHECK(write(fd, "one", 3) == 3);
	checkpoint_here();
	CHECK(fcntl(fd, F_GETFL) == flags);
	CHECK(!lseek(fd, 0, SEEK_SET));
	CHECK(write(fd, "two", 3) == 3);
	CHECK(stat_of(fd).st_size == 6);
}

/* Made without a name, which it may still get. */
UNLINKED_TEST(tmpfile_is_linked)
{
	int fd = open(subject_dir, O_RDWR | O_TMPFILE, 0600);
	char path[64];

	CHECK(fd >= 0 && write(fd, "tmpfile", 7) == 7);
	checkpoint_here();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(!linkat(AT_FDCWD, path, AT_FDCWD, in_dir("name"), AT_SYMLINK_FOLLOW));
	fd = open(in_dir("name"), O_RDONLY);
	CHECK(fd >= 0 && has_at(fd, 0, "tmpfile"));
	CHECK(!unlink(in_dir("name")));
}

UNLINKED_TEST(unlinked_file_is_not_linked)
{
	int fd = open(subject_dir, O_RDWR | O_TMPFILE | O_EXCL, 0600);
	int other = unlinked_file(O_RDWR, 0600);
	char path[64];
	int i;

	CHECK(fd >= 0 && write(fd, "tmpfile", 7) == 7);
	checkpoint_here();
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", i ? other : fd);
		CHECK(linkat(AT_FDCWD, path, AT_FDCWD, in_dir("name"),
			     AT_SYMLINK_FOLLOW) == -1 && errno == ENOENT);
	}
	CHECK(has_at(fd, 0, "tmpfile"));
}

/* The name by which it was opened is gone, and another is there. */
UNLINKED_TEST(another_name)
{
	int fd;

	CHECK(make_file("first", "hard", 4));
	CHECK(!link(in_dir("first"), in_dir("second")));
	fd = open(in_dir("first"), O_RDWR);
	CHECK(fd >= 0 && !unlink(in_dir("first")));
	checkpoint_here();
	CHECK(stat_of(fd).st_nlink == 1);
	CHECK(has_at(fd, 0, "hard"));
	CHECK(pwrite(fd, "H", 1, 0) == 1);
	fd = open(in_dir("second"), O_RDWR);
	CHECK(fd >= 0 && has_at(fd, 1, "ard"));
	/* Whoever comes next finds it as it was. */
	CHECK(pwrite(fd, "h", 1, 0) == 1);
}

/* Linked by its number after all, it has a name. */
UNLINKED_TEST(tmpfile_that_was_linked)
{
	int fd = open(subject_dir, O_RDWR | O_TMPFILE, 0600);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(fd >= 0 && write(fd, "named", 5) == 5);
	CHECK(!linkat(AT_FDCWD, path, AT_FDCWD, in_dir("name"), AT_SYMLINK_FOLLOW));
	checkpoint_here();
	CHECK(stat_of(fd).st_nlink == 1 && has_at(fd, 0, "named"));
}

UNLINKED_TEST(renamed_file)
{
	int fd;

	CHECK(make_file("old", "text", 4));
	fd = open(in_dir("old"), O_RDONLY);
	CHECK(fd >= 0 && !rename(in_dir("old"), in_dir("new")));
	checkpoint_here();
	CHECK(has_at(fd, 0, "text"));
}

/* Its directory went with it, and that of the directory. */
UNLINKED_TEST(directory_is_gone_too)
{
	int fd;

	CHECK(!mkdir(in_dir("a"), 0700) && !mkdir(in_dir("a/b"), 0700));
	fd = open(in_dir("a/b/file"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && write(fd, "deep", 4) == 4);
	CHECK(!unlink(in_dir("a/b/file")) && !rmdir(in_dir("a/b")) &&
	      !rmdir(in_dir("a")));
	checkpoint_here();
	CHECK(has_at(fd, 0, "deep"));
	CHECK(is_empty(subject_dir));
}

UNLINKED_TEST(directories)
{
	char cwd[256];
	int fd, path;

	CHECK(!mkdir(in_dir("dir"), 0700) && !mkdir(in_dir("cwd"), 0750));
	fd = open(in_dir("dir"), O_RDONLY | O_DIRECTORY);
	path = open(in_dir("dir"), O_PATH);
	CHECK(fd >= 0 && path >= 0 && !fchmod(fd, 01775));
	CHECK(!chdir(in_dir("cwd")));
	CHECK(!rmdir(in_dir("dir")) && !rmdir(in_dir("cwd")));
	checkpoint_here();
	CHECK(stat_of(fd).st_mode == (S_IFDIR | 01775));
	CHECK(stat_of(fd).st_ino == stat_of(path).st_ino);
	CHECK(openat(fd, "x", O_RDWR | O_CREAT, 0600) == -1 && errno == ENOENT);
	CHECK(syscall(SYS_getcwd, cwd, sizeof(cwd)) == -1 && errno == ENOENT);
	CHECK(!access(".", R_OK));
	CHECK(open("x", O_RDWR | O_CREAT, 0600) == -1 && errno == ENOENT);
	CHECK(is_empty(subject_dir));
}

UNLINKED_TEST(path_only)
{
	int fd, path;

	CHECK(make_file("file", "x", 1));
	fd = open(in_dir("file"), O_RDONLY);
	path = open(in_dir("file"), O_PATH);
	CHECK(fd >= 0 && path >= 0 && !unlink(in_dir("file")));
	checkpoint_here();
	CHECK(stat_of(path).st_ino == stat_of(fd).st_ino);
	CHECK(read(path, &fd, 1) == -1 && errno == EBADF);
}

/* A program that is not there any more: a copy of this one, by execve(2). */
static void deleted_program(void)
{
	char link[256] = { 0 };

	CHECK(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
	CHECK(strstr(link, " (deleted)"));
	checkpoint_here();
	memset(link, 0, sizeof(link));
	CHECK(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
	CHECK(strstr(link, " (deleted)"));
	/* What it executes is there: this calls something new. */
	CHECK(atoi("42") == 42 && getpriority(PRIO_PROCESS, 0) == 0);
	CHECK(open("/proc/self/exe", O_WRONLY) == -1 && errno == ETXTBSY);
}

static bool copy_of_self(const char *to)
{
	static char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY);
	int out = open(to, O_WRONLY | O_CREAT, 0700);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (!write_all(out, buf, n))
			return false;
	close(in);
	return !close(out) && !n;
}

UNLINKED_TEST(program)
{
	const char *how = subject_how == ITSELF ? "itself" : "other";

	CHECK(copy_of_self(in_dir("program")));
	execl(in_dir("program"), "deleted-program", how, subject_dir, NULL);
	CHECK(!"execve");
}

__attribute__((constructor)) static void be_program(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[0], "deleted-program"))
		return;
	snprintf(subject_dir, sizeof(subject_dir), "%s", argv[2]);
	subject_how = strcmp(argv[1], "itself") ? LEFT : ITSELF;
	CHECK(!unlink(in_dir("program")));
	set_comm("subject");
	deleted_program();
	say("ok\n");
	_exit(0);
}

/* Restarts that fail, and images that lie */

FIXTURE(deleted)
{
	struct subject s;
	struct walk w;
};

static void one_file_subject(void)
{
	int fd = unlinked_file(O_RDWR, 0600);

	CHECK(write(fd, "0123456789", 10) == 10);
	CHECK(dup2(fd, 5) == 5);
	if (fd != 5)
		close(fd);
	checkpoint_here();
	CHECK(has_at(5, 0, "0123456789"));
}

FIXTURE_SETUP(deleted)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
	self->w = subject_walk(&self->s, one_file_subject);
	ASSERT_EQ(1U, walk_count(&self->w, CR_HDR_INODE));
}

FIXTURE_TEARDOWN(deleted)
{
	walk_free(&self->w);
	subject_close(&self->s);
	remove_dir();
}

/* A restart of the image as it is now fails, and leaves no file. */
static void restart_fails(struct __test_metadata *_metadata, struct subject *s,
			  struct walk *w, int err, const char *what)
{
	subject_unfit(s, w, err, what);
	EXPECT_TRUE(is_empty(subject_dir));
}

/* Likewise by a caller that @limits itself. */
static void limited_restart_fails(struct __test_metadata *_metadata, struct subject *s,
				  struct walk *w, bool (*limits)(void), int err)
{
	int status;
	pid_t pid;

	subject_rewrite(s, w);
	ASSERT_EQ(0, chmod(subject_dir, 0777));
	pid = fork();
	if (!pid) {
		if (!limits())
			_exit(1);
		errno = 0;
		/* Without a log: that is a file, too. */
		sys_restart(0, s->image, 0, -1);
		_exit(100 + errno);
	}
	status = wait_ms(pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + err)
		TH_LOG("status %#x", status);
	EXPECT_TRUE(is_empty(subject_dir));
}

TEST_F(deleted, directory_that_is_gone)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, rmdir(subject_dir));
	ASSERT_EQ(0, lseek(self->s.image, 0, SEEK_SET));
	pid = spawn_restart(0, self->s.image, 0, 0, self->s.logfd, -1, -1);
	status = wait_ms(pid, PATIENCE);
	EXPECT_EQ(100 + ENOENT, WEXITSTATUS(status));
	ASSERT_EQ(0, mkdir(subject_dir, 0700));
}

TEST_F(deleted, size_beyond_every_limit)
{
	struct cr_hdr_inode *inode = walk_find(&self->w, CR_HDR_INODE);

	inode->size = 1ULL << 63;
	restart_fails(_metadata, &self->s, &self->w, EINVAL, "INODE: size");
}

/* Who has it writes nothing that long. */
static bool small_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit))
		return false;
	limit.rlim_cur = 4;
	return !setrlimit(RLIMIT_FSIZE, &limit);
}

TEST_F(deleted, size_beyond_the_limit_of_the_caller)
{
	limited_restart_fails(_metadata, &self->s, &self->w, small_files, EFBIG);
}

/* Contents that end behind the size that was said. */
TEST_F(deleted, contents_behind_the_end)
{
	struct cr_hdr_inode *inode = walk_find(&self->w, CR_HDR_INODE);

	inode->size = 5;
	restart_fails(_metadata, &self->s, &self->w, EINVAL, "");
}

TEST_F(deleted, contents_of_a_directory)
{
	struct cr_hdr_inode *inode = walk_find(&self->w, CR_HDR_INODE);

	inode->mode = S_IFDIR | 0700;
	inode->size = 0;
	restart_fails(_metadata, &self->s, &self->w, EINVAL, "");
}

TEST_F(deleted, directory_with_a_size)
{
	struct cr_hdr_inode *inode = walk_find(&self->w, CR_HDR_INODE);

	inode->mode = S_IFDIR | 0700;
	restart_fails(_metadata, &self->s, &self->w, EINVAL, "size");
}

TEST_F(deleted, neither_file_nor_directory)
{
	struct cr_hdr_inode *inode = walk_find(&self->w, CR_HDR_INODE);

	inode->mode = S_IFBLK | 0600;
	restart_fails(_metadata, &self->s, &self->w, EINVAL, "mode");
}

TEST_F(deleted, file_that_is_said_to_be_a_directory)
{
	size_t i;

	for (i = 0; i < self->w.nr; i++) {
		struct cr_hdr_file *file = walk_payload(&self->w, &self->w.recs[i]);

		if (self->w.recs[i].type != CR_HDR_FILE || file->kind != CR_FILE_REG ||
		    !file->target)
			continue;
		file->kind = CR_FILE_DIR;
		file->mode = S_IFDIR | 0700;
	}
	restart_fails(_metadata, &self->s, &self->w, EINVAL,
		      "its type is not that of the deleted file");
}

TEST_F(deleted, owner_of_nobody)
{
	struct cr_hdr_inode *inode = walk_find(&self->w, CR_HDR_INODE);

	inode->uid = -1;
	restart_fails(_metadata, &self->s, &self->w, EINVAL, "uid");
}

/* A caller without capabilities cannot make a file that is somebody else's. */
static bool some_user(void)
{
	return !setresgid(1000, 1000, 1000) && !setresuid(1000, 1000, 1000);
}

TEST_F(deleted, owner_that_the_caller_cannot_give)
{
	struct cr_hdr_inode *inode = walk_find(&self->w, CR_HDR_INODE);

	inode->uid = 4321;
	limited_restart_fails(_metadata, &self->s, &self->w, some_user, EPERM);
}

TEST_HARNESS_MAIN
