// SPDX-License-Identifier: GPL-2.0
/*
 * What each thread has for itself: names, masks, signals, credentials, filters,
 * scheduling, memory policy, descriptors, and more. Each sets up its own, and checks it
 * after the restart.
 */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdatomic.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "subject.h"

#define NR	4

static atomic_int ready;
static atomic_bool go;

struct of_thread {
	pthread_t thread;
	pid_t tid;
	int nr;
};

/* In a thread: everything is set up; returns when it is to be checked. */
static void set_up(void)
{
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&go))
		sleep_ms(1);
}

static struct of_thread own[NR];

static void start(void *(*fn)(void *), int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		own[i].nr = i;
		CHECK(!pthread_create(&own[i].thread, NULL, fn, &own[i]));
	}
	while (atomic_load(&ready) < nr)
		sleep_ms(1);
}

static void finish(int nr)
{
	int i;

	go = true;
	for (i = 0; i < nr; i++)
		CHECK(!pthread_join(own[i].thread, NULL));
}

/* Number, name, TLS, mask, alternate stack, robust list, rseq */

static void *identity(void *arg)
{
	static __thread int local;
	struct of_thread *me = arg;
	static char stacks[NR][65536];
	stack_t stack = { .ss_sp = stacks[me->nr], .ss_size = sizeof(stacks[0]) }, now;
	char name[16], is[16];
	sigset_t set, old;
	void *head, *again;
	size_t len;

	local = me->nr + 1;
	me->tid = gettid();
	snprintf(name, sizeof(name), "own %d", me->nr);
	pthread_setname_np(pthread_self(), name);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + me->nr);
	CHECK(!pthread_sigmask(SIG_SETMASK, &set, NULL));
	CHECK(!sigaltstack(&stack, NULL));
	CHECK(!syscall(SYS_get_robust_list, 0, &head, &len));
	set_up();
	CHECK(local == me->nr + 1 && gettid() == me->tid);
	CHECK(pthread_self() == me->thread);
	pthread_getname_np(pthread_self(), is, sizeof(is));
	CHECK(!strcmp(name, is));
	CHECK(!pthread_sigmask(SIG_SETMASK, NULL, &old));
	CHECK(sigismember(&old, SIGRTMIN + me->nr) == 1 && !sigismember(&old, SIGRTMIN + 9));
	CHECK(!sigaltstack(NULL, &now));
	CHECK(now.ss_sp == stack.ss_sp && now.ss_size == stack.ss_size && !now.ss_flags);
	CHECK(!syscall(SYS_get_robust_list, 0, &again, &len) && head == again);
	return NULL;
}

SUBJECT_TEST(identity)
{
	int i;

	start(identity, NR);
	checkpoint_here();
	for (i = 0; i < NR; i++)
		CHECK(!syscall(SYS_tgkill, getpid(), own[i].tid, 0));
	finish(NR);
}

/* Signals that wait for one thread, in their order, with what they carry */

static void *waits_for_signals(void *arg)
{
	struct of_thread *me = arg;
	struct timespec now = { 0 };
	siginfo_t info;
	sigset_t set;
	int i;

	me->tid = gettid();
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	CHECK(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	set_up();
	CHECK(sigtimedwait(&set, &info, &now) == SIGUSR1);
	/* The C library calls it that of kill(2). */
	CHECK(info.si_code == SI_TKILL || info.si_code == SI_USER);
	CHECK(info.si_pid == getpid());
	for (i = 0; i < 3; i++) {
		CHECK(sigtimedwait(&set, &info, &now) == SIGRTMIN);
		CHECK(info.si_code == SI_QUEUE && info.si_int == me->nr * 10 + i);
	}
	CHECK(sigtimedwait(&set, &info, &now) == -1 && errno == EAGAIN);
	return NULL;
}

SUBJECT_TEST(signals)
{
	int i, j;

	start(waits_for_signals, NR);
	for (j = 0; j < 3; j++) {
		for (i = 0; i < NR; i++) {
			union sigval value = { .sival_int = i * 10 + j };

			CHECK(!pthread_sigqueue(own[i].thread, SIGRTMIN, value));
		}
	}
	for (i = 0; i < NR; i++)
		CHECK(!syscall(SYS_tgkill, getpid(), own[i].tid, SIGUSR1));
	checkpoint_here();
	finish(NR);
}

/* Credentials, by raw system calls, which are of one thread */

static void *credentials(void *arg)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2], now[2];
	struct of_thread *me = arg;
	gid_t group = 700 + me->nr;
	unsigned int r, e, s;
	int i;

	CHECK(!syscall(SYS_setgroups, 1, &group));
	CHECK(!syscall(SYS_setresgid, 100 + me->nr, 200 + me->nr, 300 + me->nr));
	if (me->nr % 2) {
		CHECK(!prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
		CHECK(!prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0));
	}
	CHECK(!syscall(SYS_setresuid, 1000 + me->nr, 2000 + me->nr, 3000 + me->nr));
	CHECK(!syscall(SYS_capget, &header, caps));
	set_up();
	CHECK(!syscall(SYS_getresuid, &r, &e, &s));
	CHECK(r == 1000U + me->nr && e == 2000U + me->nr && s == 3000U + me->nr);
	CHECK(!syscall(SYS_getresgid, &r, &e, &s));
	CHECK(r == 100U + me->nr && e == 200U + me->nr && s == 300U + me->nr);
	CHECK(syscall(SYS_getgroups, 1, &r) == 1 && r == 700U + me->nr);
	CHECK(!syscall(SYS_capget, &header, now));
	for (i = 0; i < 2; i++)
		CHECK(!memcmp(&caps[i], &now[i], sizeof(now[i])));
	CHECK(!now[0].permitted == !(me->nr % 2));
	CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_BOOT, 0, 0, 0) == !(me->nr % 2));
	return NULL;
}

SUBJECT_TEST(credentials)
{
	start(credentials, NR);
	checkpoint_here();
	CHECK(!getuid() && !geteuid());
	finish(NR);
}

/* Filters: of one thread; and in common, to which more can be added for all */

static int filter(int number, int error, unsigned int flags)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, insns };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void *filtered(void *arg)
{
	struct of_thread *me = arg;

	if (me->nr) {
		CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		CHECK(!filter(SYS_getppid, 100 + me->nr, 0));
	}
	set_up();
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == !!me->nr);
	errno = 0;
	CHECK(me->nr ? syscall(SYS_getppid) == -1 && errno == 100 + me->nr :
		       syscall(SYS_getppid) > 0);
	return NULL;
}

SUBJECT_TEST(filter_of_one_thread)
{
	start(filtered, NR);
	checkpoint_here();
	CHECK(syscall(SYS_getppid) > 0);
	finish(NR);
}

static void *in_common(void *arg)
{
	(void)arg;
	set_up();
	CHECK(syscall(SYS_getpgid, 0) == -1 && errno == 90);
	CHECK(syscall(SYS_getpriority, 0, 0) == -1 && errno == 91);
	CHECK(syscall(SYS_getppid) == -1 && errno == 92);
	return NULL;
}

SUBJECT_TEST(filters_in_common)
{
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!filter(SYS_getpgid, 90, 0));
	start(in_common, NR);
	CHECK(!filter(SYS_getpriority, 91, SECCOMP_FILTER_FLAG_TSYNC));
	checkpoint_here();
	/* It would name a thread with other filters. */
	CHECK(!filter(SYS_getppid, 92, SECCOMP_FILTER_FLAG_TSYNC));
	finish(NR);
}

/* Scheduling, and what prctl(2) sets for one thread */

static void *scheduled(void *arg)
{
	struct of_thread *me = arg;
	struct sched_param param = { .sched_priority = me->nr };
	int policy = me->nr ? SCHED_RR : SCHED_BATCH;
	cpu_set_t cpus, now;
	int signal;

	CPU_ZERO(&cpus);
	CPU_SET(me->nr % 2, &cpus);
	CHECK(!sched_setaffinity(0, sizeof(cpus), &cpus));
	CHECK(!setpriority(PRIO_PROCESS, 0, me->nr));
	CHECK(!syscall(SYS_ioprio_set, 1, 0, 2 << 13 | me->nr));
	CHECK(!prctl(PR_SET_TIMERSLACK, 1000 + me->nr, 0, 0, 0));
	CHECK(!prctl(PR_SET_PDEATHSIG, SIGRTMIN + me->nr, 0, 0, 0));
	personality(me->nr % 2 ? ADDR_NO_RANDOMIZE : UNAME26);
	CHECK(!sched_setscheduler(0, policy, &param));
	set_up();
	CHECK(sched_getscheduler(0) == policy);
	CHECK(!sched_getparam(0, &param) && param.sched_priority == me->nr);
	CHECK(!sched_getaffinity(0, sizeof(now), &now) && CPU_EQUAL(&cpus, &now));
	CHECK(getpriority(PRIO_PROCESS, 0) == me->nr);
	CHECK(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | me->nr));
	if (!me->nr)
		CHECK(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 1000);
	CHECK(!prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) && signal == SIGRTMIN + me->nr);
	CHECK(personality(~0U) == (me->nr % 2 ? ADDR_NO_RANDOMIZE : UNAME26));
	return NULL;
}

SUBJECT_TEST(scheduling)
{
	start(scheduled, NR);
	checkpoint_here();
	CHECK(!sched_getscheduler(0) && !getpriority(PRIO_PROCESS, 0));
	finish(NR);
}

/* Memory policy: one thread prefers a node, others have none */

static void *with_policy(void *arg)
{
	struct of_thread *me = arg;
	unsigned long node = 1, now = 0;
	int modes[] = { MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE };
	int mode;

	if (syscall(SYS_set_mempolicy, modes[me->nr], me->nr ? &node : NULL, 2) &&
	    errno == ENOSYS) {
		set_up();
		return NULL;
	}
	set_up();
	CHECK(!syscall(SYS_get_mempolicy, &mode, &now, 64, NULL, 0));
	CHECK(mode == modes[me->nr] && now == !!me->nr);
	return NULL;
}

static void policies(bool of_leader)
{
	unsigned long node = 1, now = 0;
	bool has = !syscall(SYS_set_mempolicy, MPOL_BIND, &node, 2);
	int mode;

	CHECK(has || errno == ENOSYS);
	if (has && !of_leader)
		CHECK(!syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	start(with_policy, NR);
	checkpoint_here();
	if (has) {
		CHECK(!syscall(SYS_get_mempolicy, &mode, &now, 64, NULL, 0));
		CHECK(mode == (of_leader ? MPOL_BIND : MPOL_DEFAULT));
	}
	finish(NR);
}

SUBJECT_TEST(memory_policy)
{
	policies(false);
}

SUBJECT_TEST(memory_policy_of_all)
{
	policies(true);
}

/* Who shares a core: two and two have one cookie */

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE	62
#endif

static unsigned long cookie_of(pid_t tid)
{
	unsigned long cookie = 0;

	CHECK(!prctl(PR_SCHED_CORE, 0 /* GET */, tid, 0, &cookie));
	return cookie;
}

static void *shares_core(void *arg)
{
	struct of_thread *me = arg;

	me->tid = gettid();
	if (me->nr < 2)
		CHECK(!prctl(PR_SCHED_CORE, 1 /* CREATE */, 0, 0, 0));
	set_up();
	return NULL;
}

SUBJECT_TEST(core_cookies)
{
	unsigned long probe;

	if (prctl(PR_SCHED_CORE, 0, 0, 0, &probe)) {
		/* No two processors share a core here: there is nothing to save. */
		CHECK(errno == ENODEV || errno == EINVAL);
		checkpoint_here();
		return;
	}
	start(shares_core, NR);
	/* The third has that of the first, by way of this one; the fourth has none. */
	CHECK(!prctl(PR_SCHED_CORE, 3 /* SHARE_FROM */, own[0].tid, 0, 0));
	CHECK(!prctl(PR_SCHED_CORE, 2 /* SHARE_TO */, own[2].tid, 0, 0));
	checkpoint_here();
	CHECK(cookie_of(own[0].tid) && cookie_of(own[1].tid));
	CHECK(cookie_of(own[0].tid) != cookie_of(own[1].tid));
	CHECK(cookie_of(own[0].tid) == cookie_of(own[2].tid));
	CHECK(cookie_of(own[0].tid) == cookie_of(0));
	CHECK(!cookie_of(own[3].tid));
	finish(NR);
}

/* Descriptors and directories of one thread's own */

static void *unshares(void *arg)
{
	struct of_thread *me = arg;
	char cwd[64], want[64];
	struct stat st;
	mode_t mask;

	if (me->nr & 1) {
		CHECK(!unshare(CLONE_FS));
		snprintf(want, sizeof(want), "/proc");
		CHECK(!chdir(want));
		umask(me->nr);
	}
	if (me->nr & 2) {
		CHECK(!unshare(CLONE_FILES));
		CHECK(dup2(0, 100 + me->nr) == 100 + me->nr);
	}
	set_up();
	CHECK(getcwd(cwd, sizeof(cwd)));
	CHECK(!strcmp(cwd, me->nr & 1 ? "/proc" : "/tmp"));
	mask = umask(me->nr & 1 ? me->nr : 022);
	CHECK(mask == (me->nr & 1 ? (mode_t)me->nr : 022));
	CHECK(!fstat(100 + me->nr, &st) == !!(me->nr & 2));
	CHECK(fstat(me->nr == 3 ? 102 : 103, &st) == -1);
	/* That of all is seen by those who share it. */
	CHECK(!fstat(50, &st) == !(me->nr & 2));
	return NULL;
}

SUBJECT_TEST(unshared)
{
	CHECK(!chdir("/tmp"));
	umask(022);
	start(unshares, NR);
	checkpoint_here();
	CHECK(dup2(0, 50) == 50);
	finish(NR);
}

/* The first thread of a child has ended */

static void child_leader_ends(void)
{
	int gate[2], ready_pipe[2], status;
	pid_t pid;
	char c;

	CHECK(!pipe(gate) && !pipe(ready_pipe));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(gate[1]);
		dup2(gate[0], 0);
		start(waits_for_signals, 1);
		CHECK(write(ready_pipe[1], "r", 1) == 1);
		pthread_exit(NULL);
	}
	CHECK(read(ready_pipe[0], &c, 1) == 1);
	CHECK(proc_wait_state(pid, 'Z'));
	checkpoint_here();
	CHECK(proc_state(pid) == 'Z');
	CHECK(!waitpid(pid, &status, WNOHANG));
	CHECK(!kill(pid, SIGTERM));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

SUBJECT_TEST(child_outlives_its_leader)
{
	child_leader_ends();
}

TEST_HARNESS_MAIN
