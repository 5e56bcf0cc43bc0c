// SPDX-License-Identifier: GPL-2.0
/*
 * Files in /proc and /sys: those of the process itself are about the restored
 * one, and of the others only the path counts.
 */
#include "restarter.h"
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

/* Files of others in the tree */

static pid_t pid_in(int fd)
{
	char stat[512] = { 0 };

	return pread(fd, stat, sizeof(stat) - 1, 0) > 0 ? atoi(stat) : -1;
}

static int open_stat(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return open_it(path, O_RDONLY);
}

/* Tasks 2, which lives, and 3, which does not. */
static void make_two(pid_t pids[2], int gate[2])
{
	siginfo_t info;
	int i;
	char c;

	CHECK(!pipe(gate));
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i])
			continue;
		close(gate[1]);
		_exit(!i && read(gate[0], &c, 1) ? 99 : 0);
	}
	CHECK(!waitid(P_PID, pids[1], &info, WEXITED | WNOWAIT));
}

static void end_two(pid_t pids[2], int gate[2])
{
	int status, i;

	close(gate[1]);
	for (i = 0; i < 2; i++)
		CHECK(waitpid(pids[i], &status, 0) == pids[i] && !status);
}

SUBJECT_TEST(of_a_zombie)
{
	int gate[2], fd;
	pid_t pids[2];

	make_two(pids, gate);
	fd = open_stat(pids[1]);
	checkpoint_here();
	CHECK(pid_in(fd) == pids[1]);
	CHECK(strstr(rest_of(fd), ") Z "));
	end_two(pids, gate);
	CHECK(!lseek(fd, 0, SEEK_SET) && pid_in(fd) == -1 && errno == ESRCH);
}

/* What the file of task 2 becomes that of. */
static void aim_at(struct walk *w, __u32 target)
{
	struct rec *r;
	int i;

	for (i = 0; (r = walk_nth(w, CR_HDR_FILE, i)); i++) {
		struct cr_hdr_file *file = walk_payload(w, r);

		if (file->kind == CR_FILE_PROC && file->target == 2)
			file->target = target;
	}
}

static void aim_at_the_zombie(struct walk *w)
{
	aim_at(w, 3);
}

static void aim_behind_the_last(struct walk *w)
{
	aim_at(w, 4);
}

static void aim_far_behind(struct walk *w)
{
	aim_at(w, CR_TASKS_MAX);
}

static void aim_too_far(struct walk *w)
{
	aim_at(w, CR_TASKS_MAX + 1);
}

static void has_stat_of_a_child(void)
{
	int gate[2], fd;
	pid_t pids[2];

	make_two(pids, gate);
	fd = open_stat(pids[0]);
	checkpoint_here();
	CHECK(pid_in(fd) == pids[0]);
	end_two(pids, gate);
}

/* It may be: others can open it. */
RESTARTER_TEST(aimed_at_a_zombie, .craft = aim_at_the_zombie)
{
	int gate[2], fd;
	pid_t pids[2];

	make_two(pids, gate);
	fd = open_stat(pids[0]);
	checkpoint_here();
	CHECK(pid_in(fd) == pids[1]);
	end_two(pids, gate);
}

RESTARTER_TEST(aimed_behind_the_last, .craft = aim_behind_the_last, .err = EINVAL,
	       .what = "its task is not there")
{
	has_stat_of_a_child();
}

RESTARTER_TEST(aimed_far_behind, .craft = aim_far_behind, .err = EINVAL,
	       .what = "its task is not there")
{
	has_stat_of_a_child();
}

RESTARTER_TEST(aimed_too_far, .craft = aim_too_far, .err = EINVAL,
	       .what = "FILE: target 65537 is over the limit of 65536")
{
	has_stat_of_a_child();
}

TEST_HARNESS_MAIN
