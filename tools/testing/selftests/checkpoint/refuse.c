// SPDX-License-Identifier: GPL-2.0
/*
 * What cannot be saved is refused by name, and who was to be saved goes on and
 * notices nothing.
 */
#include "refuse.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/xattr.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

/* The counterpart: without any of it, the same subject is saved. */
static void nothing_special(void)
{
	checkpoint_here();
}

TEST_F(refuse, nothing_special)
{
	if (geteuid())
		SKIP(return, "needs root, to give pids");
	run_subject(_metadata, nothing_special, LEFT);
}

/* Descriptors */

REFUSE_TEST(unix_socket, "fd 5: ")
{
	with_fd(socket(AF_UNIX, SOCK_STREAM, 0), "unix");
}

REFUSE_TEST(socketpair, "fd 5: ")
{
	int sv[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK(dup2(sv[1], 9) == 9);
	close(sv[1]);
	with_fd(sv[0], "socketpair");
}

REFUSE_TEST(tcp_socket, "fd 5: ")
{
	with_fd(socket(AF_INET, SOCK_STREAM, 0), "tcp");
}

REFUSE_TEST(netlink_socket, "fd 5: ")
{
	with_fd(socket(AF_NETLINK, SOCK_RAW, 0), "netlink");
}

REFUSE_TEST(io_uring, "io_uring")
{
	struct io_uring_params params = { 0 };

	with_fd(syscall(SYS_io_uring_setup, 4, &params), "io_uring");
}

REFUSE_TEST(random_device, "fd 5: ")
{
	with_fd(open("/dev/kmsg", O_RDONLY | O_NONBLOCK), "kmsg");
}

/* Descriptor 1 is a pipe to the test; opened once more, it is another file. */
static void open_outside_at_5(void)
{
	int fd = open("/proc/self/fd/1", O_WRONLY);

	CHECK(fd >= 0 && dup2(fd, 5) == 5);
	if (fd != 5)
		close(fd);
}

REFUSE_TEST(pipe_that_leads_outside, "fd 5: ")
{
	open_outside_at_5();
	checkpoint_here();
}

/* The pipe is named as what it is: its other end is elsewhere. */
REFUSE_TEST(pipe_that_leads_outside_says_so, "fd 5: pipe: the other end is with task ")
{
	open_outside_at_5();
	checkpoint_here();
}

REFUSE_TEST(unlinked_fifo, "fd 5: a deleted file that is neither")
{
	int fd;

	CHECK(!mkfifo(in_dir("fifo"), 0600));
	fd = open(in_dir("fifo"), O_RDWR);
	CHECK(fd >= 0 && !unlink(in_dir("fifo")));
	with_fd(fd, "fifo");
}

REFUSE_TEST(unlinked_file_with_attributes, "fd 5: a deleted file with extended attributes")
{
	int fd = open(in_dir("file"), O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0);
	if (fsetxattr(fd, "trusted.x", "y", 1, 0)) {
		close(fd);
		fd = -1;
	} else {
		CHECK(!unlink(in_dir("file")));
	}
	with_fd(fd, "extended attributes");
}

REFUSE_TEST(directory_with_notify, "fd 5: a directory with F_NOTIFY")
{
	int fd = open(subject_dir, O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0);
	if (fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT)) {
		close(fd);
		fd = -1;
	}
	with_fd(fd, "F_NOTIFY");
}

/* Who opens it waits for whoever has the lease. */
static void is_told(int sig)
{
	(void)sig;
}

REFUSE_TEST(lease_that_is_being_broken, "fd 5: a lease that is being broken")
{
	int fd = open(in_dir("file"), O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0);
	close(fd);
	signal(SIGIO, is_told);
	fd = open(in_dir("file"), O_RDONLY);
	CHECK(fd >= 0);
	if (fcntl(fd, F_SETLEASE, F_RDLCK)) {
		close(fd);
		fd = -1;
	} else {
		CHECK(open(in_dir("file"), O_WRONLY | O_NONBLOCK) == -1);
	}
	with_fd(fd, "lease");
}

REFUSE_TEST(proc_file_of_its_parent, "fd 5: a file of another process in /proc")
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", getppid());
	with_fd(open(path, O_RDONLY), "proc");
}

REFUSE_TEST(proc_directory_of_its_parent, "working directory: a file of another process")
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", getppid());
	CHECK(!chdir(path));
	checkpoint_here();
}

/* Who restarts it has no lock on it, and would keep one that it got. */
REFUSE_TEST(lock_on_a_standard_stream, "fd 0: a lock on a file that the restarter provides")
{
	CHECK(!flock(0, LOCK_SH));
	checkpoint_here();
}

/* Mappings */

REFUSE_TEST(secret_memory, "secret memory")
{
	int fd = syscall(SYS_memfd_secret, 0);
	char *p;

	if (fd < 0)
		lacks("memfd_secret");
	CHECK(!ftruncate(fd, 4096));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	close(fd);
	put_text(p, "here");
	checkpoint_here();
	CHECK(!strcmp(p, "here"));
}

/* The descriptor is gone for the process, by which it would be refused as well. */
REFUSE_TEST(userfaultfd_memory, "userfaultfd memory")
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pid_t parent = getpid(), keeper;
	char *p;

	if (fd < 0)
		lacks("userfaultfd");
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	reg.range.start = (uintptr_t)p;
	reg.range.len = 4096;
	CHECK(!ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg));
	/* A brother keeps it open: without anyone, the memory is ordinary again. */
	keeper = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	CHECK(keeper >= 0);
	if (!keeper) {
		close(0);
		close(1);
		while (!kill(parent, 0))
			usleep(1000);
		_exit(0);
	}
	close(fd);
	checkpoint_here();
	CHECK(!kill(keeper, SIGKILL));
}

REFUSE_TEST(device_memory, "memory of a device")
{
	/* The BIOS, which may be read whatever else of memory may not. */
	int fd = open("/dev/mem", O_RDONLY);
	char *p;

	if (fd < 0)
		lacks("/dev/mem");
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0xf0000);
	if (p == MAP_FAILED)
		lacks("/dev/mem");
	close(fd);
	checkpoint_here();
	CHECK(!munmap(p, 4096));
}

REFUSE_TEST(system_v_shared_memory_of_huge_pages, "System V shared memory")
{
	int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY), id;
	char *p;

	if (fd < 0 || write(fd, "4", 1) != 1)
		lacks("hugetlb");
	close(fd);
	id = shmget(IPC_PRIVATE, 2 << 20, SHM_HUGETLB | 0600);
	if (id < 0)
		lacks("hugetlb");
	p = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	CHECK(p != (void *)-1);
	put_text(p, "here");
	checkpoint_here();
	CHECK(!strcmp(p, "here") && !shmdt(p));
	fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "0", 1) == 1);
	close(fd);
}

REFUSE_TEST(system_v_shared_memory, "System V shared memory")
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	char *p;

	if (id < 0)
		lacks("System V shared memory");
	p = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	CHECK(p != (void *)-1);
	put_text(p, "here");
	checkpoint_here();
	CHECK(!strcmp(p, "here"));
}

/* Others that share something with it */

static pid_t sharer;

/*
 * With CLONE_PARENT the new process is a child of the subject's parent, which
 * is the test.
 */
static void share_with_a_sibling(unsigned long flags)
{
	sharer = syscall(SYS_clone, flags | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	CHECK(sharer >= 0);
	if (!sharer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			syscall(SYS_pause);
	}
	sleep_ms(50);
	checkpoint_here();
	CHECK(!kill(sharer, SIGKILL));
}

REFUSE_TEST(shared_descriptor_table, "a descriptor table that is shared with task ")
{
	share_with_a_sibling(CLONE_FILES);
}

REFUSE_TEST(shared_working_directory, "a working directory that is shared with task ")
{
	share_with_a_sibling(CLONE_FS);
}

REFUSE_TEST(shared_semaphore_undos, "a list for SEM_UNDO that is shared with task ")
{
	share_with_a_sibling(CLONE_SYSVSEM);
}

static int share_forever(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		syscall(SYS_pause);
	return !arg;
}

/* As share_with_a_sibling(), which needs a stack of its own here. */
static void share_memory(int flags)
{
	static char stack[65536];

	sharer = clone(share_forever, stack + sizeof(stack),
		       flags | CLONE_VM | CLONE_PARENT | SIGCHLD, NULL);
	CHECK(sharer >= 0);
	sleep_ms(50);
	checkpoint_here();
	CHECK(!kill(sharer, SIGKILL));
}

REFUSE_TEST(shared_memory, "memory that is shared with task ")
{
	share_memory(0);
}

REFUSE_TEST(shared_signal_handlers, "signal handlers that are shared with task ")
{
	share_memory(CLONE_SIGHAND);
}

/* Namespaces */

static void in_a_namespace(int flag)
{
	if (unshare(flag))
		lacks("namespace");
	checkpoint_here();
}

REFUSE_TEST(uts_namespace, "another UTS namespace")
{
	in_a_namespace(CLONE_NEWUTS);
}

REFUSE_TEST(ipc_namespace, "another IPC namespace")
{
	in_a_namespace(CLONE_NEWIPC);
}

REFUSE_TEST(mount_namespace, "another mount namespace")
{
	in_a_namespace(CLONE_NEWNS);
}

REFUSE_TEST(network_namespace, "another network namespace")
{
	in_a_namespace(CLONE_NEWNET);
}

REFUSE_TEST(cgroup_namespace, "another cgroup namespace")
{
	in_a_namespace(CLONE_NEWCGROUP);
}

REFUSE_TEST(user_namespace, "another user namespace")
{
	in_a_namespace(CLONE_NEWUSER);
}

REFUSE_TEST(pid_namespace_for_children, "a pid namespace for its children")
{
	in_a_namespace(CLONE_NEWPID);
}

REFUSE_TEST(time_namespace_for_children, "a time namespace for its children")
{
	in_a_namespace(CLONE_NEWTIME);
}

/* What else a process may have */

REFUSE_TEST(io_ports, "access to I/O ports")
{
	if (ioperm(0x80, 1, 1))
		lacks("ioperm");
	checkpoint_here();
	CHECK(!ioperm(0x80, 1, 0));
}

/* Another may set one, and leave it behind. It counts with perf. */
REFUSE_TEST(hardware_breakpoint, "a perf event")
{
	static long watched;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		pid_t parent = getppid();
		bool ok = !ptrace(PTRACE_ATTACH, parent, 0, 0) &&
			  waitpid(parent, NULL, __WALL) == parent &&
			  !ptrace(PTRACE_POKEUSER, parent,
				  offsetof(struct user, u_debugreg[0]), &watched) &&
			  !ptrace(PTRACE_POKEUSER, parent,
				  offsetof(struct user, u_debugreg[7]), 0xd0001);

		ptrace(PTRACE_DETACH, parent, 0, 0);
		_exit(!ok);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status)
		lacks("hardware breakpoints");
	checkpoint_here();
	CHECK(!READ_ONCE(watched));
}

REFUSE_TEST(pty_master, "fd 5: the master of a pty")
{
	with_fd(open("/dev/ptmx", O_RDWR | O_NOCTTY), "ptmx");
}

REFUSE_TEST(hung_up_terminal, "fd 5: ")
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), slave, unlock = 0;

	if (master < 0)
		lacks("ptmx");
	CHECK(!ioctl(master, TIOCSPTLCK, &unlock));
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
	close(master);
	with_fd(slave, "pty");
}

REFUSE_TEST(block_device, "fd 5: a block device")
{
	with_fd(open("/dev/ram0", O_RDONLY), "ram0");
}

REFUSE_TEST(traced, "a traced task")
{
	/* The test's own process traces it, who is its parent. */
	CHECK(!ptrace(PTRACE_TRACEME, 0, 0, 0));
	checkpoint_here();
}

REFUSE_TEST(perf_event, "a perf event")
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};
	__u64 count;
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	CHECK(fd >= 0);
	checkpoint_here();
	CHECK(read(fd, &count, sizeof(count)) == sizeof(count) && count > 0);
}

/* Timers and filters */

REFUSE_TEST(timer_of_another, "a timer for the processor time of another process")
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct itimerspec its = { .it_value.tv_sec = 1000 };
	clockid_t clock;
	int id;

	CHECK(!clock_getcpuclockid(1, &clock));
	CHECK(!syscall(SYS_timer_create, clock, &ev, &id));
	CHECK(!syscall(SYS_timer_settime, id, 0, &its, NULL));
	checkpoint_here();
	CHECK(!syscall(SYS_timer_gettime, id, &its) && its.it_value.tv_sec > 900);
}

REFUSE_TEST(seccomp_listener, "a seccomp filter with a listener")
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };
	int fd;

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	CHECK(fd >= 0);
	checkpoint_here();
	CHECK(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER);
}

/* Keys and labels */

/* Makes a keyring of its own, empty as it may be. */
static void with_keyring(int special)
{
	long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, special, 1);

	if (id < 0)
		lacks("keyring");
	checkpoint_here();
	CHECK(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, special, 0) == id);
}

REFUSE_TEST(thread_keyring, "a keyring of its own")
{
	with_keyring(KEY_SPEC_THREAD_KEYRING);
}

REFUSE_TEST(process_keyring, "a keyring of its own")
{
	with_keyring(KEY_SPEC_PROCESS_KEYRING);
}

REFUSE_TEST(keyring_for_requested_keys, "keyctl(KEYCTL_SET_REQKEY_KEYRING)")
{
	if (syscall(SYS_keyctl, KEYCTL_SET_REQKEY_KEYRING,
		    KEY_REQKEY_DEFL_USER_KEYRING) < 0)
		lacks("keyring");
	checkpoint_here();
	CHECK(syscall(SYS_keyctl, KEYCTL_SET_REQKEY_KEYRING,
		      KEY_REQKEY_DEFL_NO_CHANGE) == KEY_REQKEY_DEFL_USER_KEYRING);
}

REFUSE_TEST(landlock_domain, "a Landlock domain")
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK,
	};
	int fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (fd < 0)
		lacks("Landlock");
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!syscall(SYS_landlock_restrict_self, fd, 0));
	close(fd);
	checkpoint_here();
	CHECK(mknod(in_dir("socket"), S_IFSOCK | 0600, 0) && errno == EACCES);
}

/* Who saves itself has to see its own files: there is no path for them else. */
TEST_F(refuse, files_outside_of_the_root)
{
	char text[1024] = { 0 };
	int status, fd = tmp_memfd(), logfd = tmp_memfd();
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root, for chroot(2)");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (chroot(subject_dir) || chdir("/"))
			_exit(100);
		errno = 0;
		_exit(sys_checkpoint(0, fd, CHECKPOINT_LOG, logfd) == -1 ? errno : 101);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EOPNOTSUPP, WEXITSTATUS(status));
	ASSERT_LE(0, pread(logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!!strstr(text, "a file that is not below the root"))
		TH_LOG("log '%s'", text);
	EXPECT_EQ(0, file_size(fd));
	close(fd);
	close(logfd);
}

TEST_HARNESS_MAIN
