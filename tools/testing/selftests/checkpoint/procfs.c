// SPDX-License-Identifier: GPL-2.0
/*
 * Files in /proc and /sys: those of the process itself are about the restored
 * one, and of the others only the path counts.
 */
#include "subject.h"

#include <sys/stat.h>
#include <sys/vfs.h>

static char text[65536];

/* All of a file, from where it stands. */
static const char *rest_of(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	CHECK(!n);
	text[len] = '\0';
	return text;
}

static int open_it(const char *path, int flags)
{
	int fd = open(path, flags);

	CHECK(fd >= 0);
	return fd;
}

static bool pid_line(const char *status)
{
	char line[32];

	snprintf(line, sizeof(line), "\nPid:\t%d\n", getpid());
	return strstr(status, line);
}

SUBJECT_TEST(status_of_itself)
{
	char path[64];
	int fd, by_number;

	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	fd = open_it("/proc/self/status", O_RDONLY);
	by_number = open_it(path, O_RDONLY);
	checkpoint_here();
	CHECK(pid_line(rest_of(fd)));
	CHECK(pid_line(rest_of(by_number)));
}

SUBJECT_TEST(status_of_its_thread)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", gettid());
	fd = open_it(path, O_RDONLY);
	checkpoint_here();
	CHECK(pid_line(rest_of(fd)));
}

/* It shows the mappings of the address space that is there now. */
SUBJECT_TEST(maps)
{
	int fd = open_it("/proc/self/maps", O_RDONLY);
	char line[64];
	void *p = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	checkpoint_here();
	snprintf(line, sizeof(line), "%lx-", (unsigned long)p);
	CHECK(strstr(rest_of(fd), "[stack]"));
	CHECK(!munmap(p, 4096));
	CHECK(!lseek(fd, 0, SEEK_SET));
	CHECK(!strstr(rest_of(fd), line));
}

SUBJECT_TEST(memory)
{
	int fd = open_it("/proc/self/mem", O_RDWR);
	static volatile long here = 0x1234;
	long seen;

	CHECK(lseek(fd, (off_t)&here, SEEK_SET) == (off_t)&here);
	checkpoint_here();
	CHECK(read(fd, &seen, sizeof(seen)) == sizeof(seen) && seen == 0x1234);
	seen = 0x5678;
	CHECK(pwrite(fd, &seen, sizeof(seen), (off_t)&here) == sizeof(seen));
	CHECK(here == 0x5678);
}

SUBJECT_TEST(offset)
{
	int fd = open_it("/proc/self/status", O_RDONLY);
	char c[5] = { 0 };

	CHECK(read(fd, c, 3) == 3 && !strcmp(c, "Nam"));
	checkpoint_here();
	CHECK(lseek(fd, 0, SEEK_CUR) == 3);
	CHECK(read(fd, c, 2) == 2 && !strncmp(c, "e:", 2));
}

SUBJECT_TEST(flags_and_numbers)
{
	int fd = open_it("/proc/self/comm", O_RDWR | O_CLOEXEC);

	CHECK(dup3(fd, 77, O_CLOEXEC) == 77);
	CHECK(dup2(fd, 40) == 40);
	close(fd);
	checkpoint_here();
	CHECK(fcntl(77, F_GETFD) == FD_CLOEXEC && !fcntl(40, F_GETFD));
	CHECK((fcntl(77, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(write(77, "renamed", 7) == 7);
	CHECK(proc_comm_is(getpid(), "renamed"));
	/* They are one open file. */
	CHECK(lseek(40, 0, SEEK_CUR) == lseek(77, 0, SEEK_CUR));
}

SUBJECT_TEST(directories)
{
	char path[64], cwd[128], want[64];
	int fd = open_it("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	int dir = open_it("/proc/self", O_PATH | O_DIRECTORY);

	CHECK(!chdir("/proc/self/task"));
	checkpoint_here();
	snprintf(path, sizeof(path), "%d", fd);
	CHECK(!faccessat(fd, path, F_OK, AT_SYMLINK_NOFOLLOW));
	fd = openat(dir, "status", O_RDONLY);
	CHECK(fd >= 0 && pid_line(rest_of(fd)));
	snprintf(want, sizeof(want), "/proc/%d/task", getpid());
	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, want));
}

SUBJECT_TEST(of_the_system)
{
	int meminfo = open_it("/proc/meminfo", O_RDONLY);
	int sysctl = open_it("/proc/sys/kernel/ostype", O_RDONLY);
	int dir = open_it("/proc", O_RDONLY | O_DIRECTORY);

	checkpoint_here();
	CHECK(strstr(rest_of(meminfo), "MemTotal:"));
	CHECK(!strcmp(rest_of(sysctl), "Linux\n"));
	CHECK(!faccessat(dir, "self", F_OK, 0));
}

SUBJECT_TEST(sysfs)
{
	int fd = open("/sys/kernel/profiling", O_RDONLY), other;

	if (fd < 0)
		fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
	if (fd < 0)
		fd = open("/sys/devices/system/cpu/online", O_RDONLY);
	CHECK(fd >= 0);
	other = open_it("/sys/devices/system/cpu/online", O_RDONLY);
	checkpoint_here();
	rest_of(fd);
	CHECK(rest_of(other)[0] == '0');
}

/* With another pid, they are about whoever it is then. */
static void other_pid_subject(void)
{
	int fd = open_it("/proc/self/status", O_RDONLY);
	char path[64];
	int task;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", getpid(), gettid());
	task = open_it(path, O_RDONLY);
	checkpoint_here();
	CHECK(pid_line(rest_of(fd)));
	CHECK(pid_line(rest_of(task)));
}

TEST_F_TIMEOUT(subject, other_pid, 120)
{
	struct subject s = { .metadata = _metadata };

	if (variant->how != KILLED)
		SKIP(return, "one manner does");
	ASSERT_TRUE(subject_start(&s, other_pid_subject, KILLED));
	ASSERT_TRUE(subject_checkpoint(&s, KILLED, CHECKPOINT_KILL));
	close(s.in);
	close(s.out);
	/* Any that is free. */
	s.pid = 0;
	{
		int in[2], out[2];

		ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
		ASSERT_EQ(0, lseek(s.image, 0, SEEK_SET));
		s.pid = spawn_restart(0, s.image, 0, 0, s.logfd, in[0], out[1]);
		ASSERT_LT(0, s.pid);
		close(in[0]);
		close(out[1]);
		s.in = in[1];
		s.out = out[0];
	}
	subject_finish(&s, "the one with another pid");
	subject_close(&s);
}

TEST_HARNESS_MAIN
