// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors that cannot be saved are refused by a name that says what they
 * are.
 */
#include "refuse.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_fsopen
#define SYS_fsopen 430
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif

REFUSE_TEST(fanotify, "fd 5: fanotify is not supported")
{
	with_fd(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), "fanotify");
}

REFUSE_TEST(userfaultfd, "fd 5: userfaultfd is not supported")
{
	with_fd(syscall(SYS_userfaultfd, 0), "userfaultfd");
}

REFUSE_TEST(bpf_map, "fd 5: bpf-map is not supported")
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
		.max_entries = 1,
	};

	with_fd(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)), "bpf");
}

REFUSE_TEST(bpf_program, "fd 5: bpf-prog is not supported")
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2,
		.insns = (uintptr_t)insns, .license = (uintptr_t)"GPL",
	};

	with_fd(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), "bpf");
}

/* The task is refused for it, or the descriptor. */
REFUSE_TEST(perf_event, "perf")
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};

	with_fd(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), "perf");
}

REFUSE_TEST(memfd_secret, "fd 5: secretmem is not supported")
{
	with_fd(syscall(SYS_memfd_secret, 0), "memfd_secret");
}

REFUSE_TEST(unix_socket, "fd 5: a socket is not supported")
{
	with_fd(socket(AF_UNIX, SOCK_DGRAM, 0), "unix");
}

REFUSE_TEST(udp_socket, "fd 5: a socket is not supported")
{
	with_fd(socket(AF_INET, SOCK_DGRAM, 0), "udp");
}

REFUSE_TEST(netlink_socket, "fd 5: a socket is not supported")
{
	with_fd(socket(AF_NETLINK, SOCK_RAW, 0), "netlink");
}

REFUSE_TEST(message_queue, "fd 5: a POSIX message queue is not supported")
{
	char name[64];
	int queue;

	snprintf(name, sizeof(name), "/ckpt-%d", getpid());
	queue = syscall(SYS_mq_open, name + 1, O_RDWR | O_CREAT, 0600, NULL);
	syscall(SYS_mq_unlink, name + 1);
	with_fd(queue, "mqueue");
}

REFUSE_TEST(detached_mount, "fd 5: a mount that is not attached is not supported")
{
	with_fd(syscall(SYS_open_tree, AT_FDCWD, "/tmp", OPEN_TREE_CLONE),
		"open_tree");
}

REFUSE_TEST(filesystem_context, "fd 5: fscontext is not supported")
{
	with_fd(syscall(SYS_fsopen, "tmpfs", 0), "fsopen");
}

REFUSE_TEST(landlock_ruleset, "fd 5: landlock-ruleset is not supported")
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE,
	};

	with_fd(syscall(SYS_landlock_create_ruleset, &attr,
			sizeof(attr.handled_access_fs), 0), "landlock");
}

REFUSE_TEST(namespace_of_its_own, "fd 5: a namespace is not supported")
{
	with_fd(open("/proc/self/ns/uts", O_RDONLY), "namespace");
}

REFUSE_TEST(namespace_of_another, "fd 5: a namespace is not supported")
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", getppid());
	with_fd(open(path, O_RDONLY), "namespace");
}

/* The filter may be saved; the listener is not, and who listens is not known. */
REFUSE_TEST(seccomp_listener, "is not supported")
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	with_fd(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog), "listener");
}

/*
 * A process that keeps open what the subject closes, but not @fd. With CLONE_PARENT it is a
 * child of the subject's parent, which is the test.
 */
static pid_t keep_open(int fd)
{
	pid_t pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		syscall(SYS_close_range, 0, 2, 0);
		close(fd);
		set_comm("keeper");
		for (;;)
			syscall(SYS_pause);
	}
	CHECK(proc_wait_comm(pid, "keeper"));
	return pid;
}

/* pidfd */

REFUSE_TEST(pidfd_of_a_process_that_is_gone,
	    "fd 5: a pidfd of a process that is gone is not supported")
{
	pid_t pid = fork();
	int fd;

	CHECK(pid >= 0);
	while (!pid)
		pause();
	fd = syscall(SYS_pidfd_open, pid, 0);
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
	with_fd(fd, "pidfd");
}

/* epoll */

REFUSE_TEST(epoll_item_without_a_descriptor,
	    "fd 5: waiting for what was descriptor 9 and is open elsewhere")
{
	struct epoll_event event = { .events = EPOLLIN };
	int ep = epoll_create1(0), fd = eventfd(0, 0);
	pid_t keeper;

	CHECK(ep >= 0 && dup2(fd, 9) == 9 && !close(fd));
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, 9, &event));
	keeper = keep_open(ep);
	CHECK(!close(9));
	with_fd(ep, "epoll");
	CHECK(!kill(keeper, SIGKILL));
}

struct busy_poll {
	__u32 busy_poll_usecs;
	__u16 busy_poll_budget;
	__u8 prefer_busy_poll;
	__u8 pad;
};

REFUSE_TEST(epoll_parameters, "fd 5: an epoll instance with EPIOCSPARAMS")
{
	struct busy_poll params = { .busy_poll_usecs = 10 };
	int ep = epoll_create1(0);

	CHECK(ep >= 0);
	if (ioctl(ep, _IOW(0x8a, 1, struct busy_poll), &params))
		lacks("EPIOCSPARAMS");
	with_fd(ep, "epoll");
}

/* inotify */

REFUSE_TEST(watch_of_a_deleted_file,
	    "fd 5: watch 1: a watched file that has no path is not supported")
{
	int fd = inotify_init1(0);
	pid_t keeper;

	CHECK(fd >= 0 && make_file("file", "x", 1));
	CHECK(dup2(open(in_dir("file"), O_RDONLY), 20) == 20);
	CHECK(inotify_add_watch(fd, in_dir("file"), IN_MODIFY) == 1);
	keeper = keep_open(fd);
	CHECK(!unlink(in_dir("file")) && !syscall(SYS_close_range, fd + 1, ~0U, 0));
	/* Another file has its name now. */
	CHECK(make_file("file", "y", 1));
	with_fd(fd, "inotify");
	CHECK(!kill(keeper, SIGKILL));
}

TEST_HARNESS_MAIN
