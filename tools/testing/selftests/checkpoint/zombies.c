// SPDX-License-Identifier: GPL-2.0
/*
 * Those that have ended: how, what they had used up, whose they were; and
 * processes of which only the leader has.
 */
#include <linux/sched.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "restarter.h"
#include "subject.h"

/* All that waitid(2) says of a zombie, which stays. */
struct end {
	siginfo_t info;
	struct rusage used;
};

static void look(pid_t pid, struct end *end)
{
	/* It leaves its processor for good a moment after its parent knows. */
	CHECK(!waitid(P_PID, pid, &end->info, WEXITED | WNOWAIT | __WALL));
	sleep_ms(20);
	memset(end, 0, sizeof(*end));
	CHECK(!syscall(SYS_waitid, P_PID, pid, &end->info,
		       WEXITED | WNOWAIT | __WALL, &end->used));
	CHECK(end->info.si_pid == pid);
}

static void check_same(const struct end *before, pid_t pid)
{
	struct end now;

	look(pid, &now);
	CHECK(now.info.si_code == before->info.si_code);
	CHECK(now.info.si_status == before->info.si_status);
	CHECK(now.info.si_uid == before->info.si_uid);
	CHECK(!memcmp(&now.used, &before->used, sizeof(now.used)));
}

static void burn(unsigned int ms)
{
	struct rusage used;
	long now;

	do {
		getrusage(RUSAGE_THREAD, &used);
		now = used.ru_utime.tv_sec * 1000 + used.ru_utime.tv_usec / 1000;
	} while (now < ms);
}

static void touch(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	CHECK(p != MAP_FAILED);
	for (i = 0; i < size; i += 4096)
		p[i] = 1;
	munmap(p, size);
}

SUBJECT_TEST(ended_by_signals)
{
	const int signals[] = { SIGTERM, SIGKILL, SIGSEGV, SIGRTMIN };
	struct end before[4];
	pid_t pids[4];
	int status, i;

	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (!pids[i])
			for (;;)
				pause();
		CHECK(!kill(pids[i], signals[i]));
		look(pids[i], &before[i]);
	}
	checkpoint_here();
	for (i = 0; i < 4; i++) {
		check_same(&before[i], pids[i]);
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
	}
}

/* With a core, if the machine makes one. */
SUBJECT_TEST(dumped)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct end before;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!chdir(subject_dir) && !setrlimit(RLIMIT_CORE, &limit));
		abort();
	}
	look(pid, &before);
	checkpoint_here();
	check_same(&before, pid);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGABRT);
	CHECK(!!WCOREDUMP(status) == (before.info.si_code == CLD_DUMPED));
}

static void *burner(void *arg)
{
	(void)arg;
	burn(30);
	return NULL;
}

static bool same_ms(struct timeval total, struct timeval before, struct timeval of)
{
	struct timeval sum, diff;

	timeradd(&before, &of, &sum);
	timersub(&total, &sum, &diff);
	/* Each is cut to microseconds. */
	return !diff.tv_sec && diff.tv_usec <= 2;
}

/* Itself, a thread, and children that it has waited for. */
SUBJECT_TEST(usage)
{
	struct rusage before, after, used;
	pthread_t thread;
	struct end end;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		if (!fork()) {
			touch(24 << 20);
			burn(40);
			_exit(0);
		}
		wait(NULL);
		pthread_create(&thread, NULL, burner, NULL);
		pthread_join(thread, NULL);
		touch(8 << 20);
		burn(50);
		sleep_ms(1);
		_exit(3);
	}
	look(pid, &end);
	CHECK(end.used.ru_utime.tv_usec >= 100000 || end.used.ru_utime.tv_sec);
	CHECK(end.used.ru_maxrss >= 24 << 10 && end.used.ru_minflt >= 16);
	CHECK(end.used.ru_nvcsw >= 3);
	checkpoint_here();
	check_same(&end, pid);

	CHECK(!getrusage(RUSAGE_CHILDREN, &before));
	CHECK(wait4(pid, &status, 0, &used) == pid && WEXITSTATUS(status) == 3);
	CHECK(!memcmp(&used, &end.used, sizeof(used)));
	CHECK(!getrusage(RUSAGE_CHILDREN, &after));
	CHECK(same_ms(after.ru_utime, before.ru_utime, used.ru_utime));
	CHECK(same_ms(after.ru_stime, before.ru_stime, used.ru_stime));
	CHECK(after.ru_minflt == before.ru_minflt + used.ru_minflt);
	CHECK(after.ru_nvcsw == before.ru_nvcsw + used.ru_nvcsw);
	CHECK(after.ru_maxrss >= used.ru_maxrss);
}

/* One that lives has used up something before, too. */
SUBJECT_TEST(usage_so_far)
{
	int gate[2], ready[2], status;
	struct rusage used;
	pid_t pid;
	char c;

	CHECK(!pipe(gate) && !pipe(ready));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (!fork()) {
			burn(100);
			_exit(0);
		}
		wait(NULL);
		burn(100);
		close(gate[1]);
		if (write(ready[1], "r", 1) != 1 || read(gate[0], &c, 1))
			_exit(99);
		_exit(0);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	checkpoint_here();
	close(gate[1]);
	CHECK(wait4(pid, &status, 0, &used) == pid && !status);
	CHECK(used.ru_utime.tv_sec || used.ru_utime.tv_usec >= 190000);
}

/* What the restarter has had is none of what others have. */
static void touch_much(void)
{
	touch(96 << 20);
}

RESTARTER_TEST(peak_of_a_child, .before = touch_much)
{
	struct rusage used, children;
	int gate[2], status;
	long before;
	pid_t pid;
	char c;

	CHECK(!pipe(gate));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(gate[1]);
		touch(24 << 20);
		CHECK(!getrusage(RUSAGE_SELF, &used));
		before = used.ru_maxrss;
		CHECK(!read(gate[0], &c, 1));
		CHECK(!getrusage(RUSAGE_SELF, &used));
		_exit(used.ru_maxrss == before ? 8 : 9);
	}
	CHECK(proc_wait_asleep(pid));
	checkpoint_here();
	close(gate[1]);
	CHECK(wait4(pid, &status, 0, &used) == pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 8);
	CHECK(used.ru_maxrss >= 24 << 10 && used.ru_maxrss < 48 << 10);
	CHECK(!getrusage(RUSAGE_CHILDREN, &children));
	CHECK(children.ru_maxrss == used.ru_maxrss);
	/* Its own are those of the restarter. */
	CHECK(!getrusage(RUSAGE_SELF, &used) && used.ru_maxrss >= 96 << 10);
}

static void text_of(pid_t pid, const char *name, char *to, size_t size, uid_t *owner)
{
	char path[64];
	struct stat st;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && !fstat(fd, &st));
	len = read(fd, to, size - 1);
	CHECK(len > 0);
	to[len] = 0;
	*owner = st.st_uid;
	close(fd);
}

SUBJECT_TEST(credentials_and_name)
{
	char name[2][32], groups[2][4096];
	struct end before;
	uid_t owner[2];
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!setresgid(101, 102, 103) && !setresuid(1001, 1002, 1003));
		set_comm("was it");
		_exit(1);
	}
	look(pid, &before);
	CHECK(before.info.si_uid == 1001);
	text_of(pid, "comm", name[0], sizeof(name[0]), &owner[0]);
	checkpoint_here();
	check_same(&before, pid);
	text_of(pid, "comm", name[1], sizeof(name[1]), &owner[1]);
	CHECK(!strcmp(name[1], "was it\n") && !strcmp(name[0], name[1]));
	CHECK(owner[0] == owner[1]);
	text_of(pid, "status", groups[0], sizeof(groups[0]), &owner[0]);
	CHECK(strstr(groups[0], "Uid:\t1001\t1002\t1003\t1002\n"));
	CHECK(strstr(groups[0], "Gid:\t101\t102\t103\t102\n"));
	CHECK(strstr(groups[0], "State:\tZ"));
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* Only those wait for them who ask for such children. */
SUBJECT_TEST(other_exit_signals)
{
	const int signals[] = { SIGUSR2, 0, SIGRTMIN };
	struct end before;
	int status, i;
	pid_t pids[3];

	for (i = 0; i < 3; i++) {
		signal(signals[i], SIG_IGN);
		pids[i] = syscall(SYS_clone, signals[i], 0, 0, 0, 0);
		CHECK(pids[i] >= 0);
		if (!pids[i])
			_exit(10 + i);
		look(pids[i], &before);
	}
	checkpoint_here();
	check_same(&before, pids[2]);
	CHECK(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
	for (i = 0; i < 3; i++) {
		CHECK(waitpid(pids[i], &status, i % 2 ? __WALL : __WCLONE) == pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 10 + i);
	}
}

/* The signal comes when one ends that lived. */
SUBJECT_TEST(exit_signal_to_come)
{
	int gate[2], status;
	char c;
	pid_t pid;

	CHECK(!pipe(gate));
	block_signal(SIGUSR2);
	block_signal(SIGCHLD);
	pid = syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
	CHECK(pid >= 0);
	if (!pid) {
		close(gate[1]);
		_exit(read(gate[0], &c, 1) ? 99 : 12);
	}
	checkpoint_here();
	CHECK(!took_signal(SIGUSR2));
	close(gate[1]);
	CHECK(waitpid(pid, &status, __WCLONE) == pid && WEXITSTATUS(status) == 12);
	CHECK(took_signal(SIGUSR2) && !took_signal(SIGCHLD));
}

/* Ignored since: a zombie that there is has to be waited for. */
SUBJECT_TEST(parent_ignores_sigchld)
{
	struct end before;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		_exit(4);
	look(pid, &before);
	signal(SIGCHLD, SIG_IGN);
	checkpoint_here();
	check_same(&before, pid);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(5);
	CHECK(waitpid(pid, &status, 0) == -1 && errno == ECHILD);
}

static int told;

static void count(int sig)
{
	(void)sig;
	told++;
}

/* Who was told is not told again, who was not is told once. */
SUBJECT_TEST(told_once)
{
	struct timespec now = { 0 };
	struct end before;
	siginfo_t info;
	sigset_t set;
	int i;
	pid_t pid[2];

	signal(SIGCHLD, count);
	for (i = 0; i < 2; i++) {
		if (i)
			block_signal(SIGCHLD);
		pid[i] = fork();
		CHECK(pid[i] >= 0);
		if (!pid[i])
			_exit(20 + i);
		look(pid[i], &before);
	}
	CHECK(told == 1);
	checkpoint_here();
	CHECK(told == 1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	CHECK(sigtimedwait(&set, &info, &now) == SIGCHLD);
	CHECK(info.si_pid == pid[1] && info.si_status == 21 && info.si_code == CLD_EXITED);
	CHECK(sigtimedwait(&set, &info, &now) == -1 && errno == EAGAIN);
	CHECK(waitpid(pid[0], NULL, 0) == pid[0] && waitpid(pid[1], NULL, 0) == pid[1]);
}

/* One that ends when the gate is closed: the whole process, or the thread. */
struct outliver {
	int gate[2];
	int ready[2];
	bool alone;
};

static struct outliver out;

static void *outlive(void *arg)
{
	char c;

	(void)arg;
	while (proc_state(getpid()) != 'Z')
		sleep_ms(1);
	if (write(out.ready[1], "r", 1) != 1 || read(out.gate[0], &c, 1))
		_exit(99);
	if (out.alone)
		syscall(SYS_exit, 6);
	_exit(getsid(0) > 0 ? 7 : 98);
}

/* A process of which the leader ends, with 5, and the other thread lives. */
static pid_t outlived(bool alone, bool session)
{
	pthread_t thread;
	pid_t pid;
	char c;

	CHECK(!pipe(out.gate) && !pipe(out.ready));
	out.alone = alone;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(out.gate[1]);
		if (session)
			setsid();
		if (pthread_create(&thread, NULL, outlive, NULL))
			_exit(97);
		syscall(SYS_exit, 5);
	}
	CHECK(read(out.ready[0], &c, 1) == 1);
	return pid;
}

static void check_outlived(pid_t pid, int code)
{
	char path[64], text[2048];
	struct end end;
	int status;
	uid_t uid;

	CHECK(proc_state(pid) == 'Z');
	text_of(pid, "status", text, sizeof(text), &uid);
	CHECK(strstr(text, "Threads:\t2\n"));
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	CHECK(!access(path, F_OK));
	CHECK(!waitpid(pid, &status, WNOHANG));
	close(out.gate[1]);
	look(pid, &end);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
	close(out.gate[0]);
	close(out.ready[0]);
	close(out.ready[1]);
}

SUBJECT_TEST(outlived_then_exit_group)
{
	pid_t pid = outlived(false, false);

	checkpoint_here();
	check_outlived(pid, 7);
}

SUBJECT_TEST(outlived_then_exit)
{
	pid_t pid = outlived(true, false);

	checkpoint_here();
	/* That of the last thread. */
	check_outlived(pid, 6);
}

SUBJECT_TEST(outlived_session_leader)
{
	pid_t pid = outlived(false, true);

	checkpoint_here();
	CHECK(getsid(pid) == pid && getpgid(pid) == pid);
	check_outlived(pid, 7);
}

/* Signals reach the thread that lives. */
SUBJECT_TEST(outlived_then_killed)
{
	pid_t pid = outlived(false, false);
	int status;

	checkpoint_here();
	CHECK(!kill(pid, SIGTERM));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/*
 * As the first of a tree. The subject ends with 5, and a thread of it goes on. Nothing
 * of what the kernel did at that end happens again.
 */
static struct {
	pid_t tid;
	unsigned int cleared;
	int code;
} first;

/* What /proc says of the leader, from its state on. */
static const char *stat_of_leader(void)
{
	static char text[1024];
	char path[64];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	CHECK(len > 0);
	text[len] = 0;
	CHECK(strrchr(text, ')'));
	return strrchr(text, ')') + 2;
}

static void check_first(void)
{
	const char *stat = stat_of_leader();

	/* The last number is its exit code. */
	CHECK(*stat == 'Z' && atoi(strrchr(stat, ' ')) == 5 << 8);
	CHECK(gettid() == first.tid && getpid() != first.tid);
	CHECK(getsid(0) == getpid() && first.cleared == 42);
}

/* Where the checkpoint happens: the leader sleeps no more. */
static void first_here(void)
{
	if (subject_how == ITSELF) {
		checkpoint_here();
	} else {
		say(SAY_BUSY);
		wait_go();
	}
}

static void *first_goes_on(void *arg)
{
	first.tid = gettid();
	while (first.cleared)
		sleep_ms(1);
	while (*stat_of_leader() != 'Z')
		sleep_ms(1);
	/* Where the kernel wrote a zero at the end of the leader. */
	first.cleared = 42;
	check_first();
	first_here();
	/* At once: nobody runs before that. */
	check_first();
	((void (*)(void))arg)();
	say("ok\n");
	syscall(first.code ? SYS_exit_group : SYS_exit, first.code);
	return NULL;
}

static void first_ends(void (*then)(void))
{
	pthread_t thread;

	first.cleared = 1;
	syscall(SYS_set_tid_address, &first.cleared);
	CHECK(!pthread_create(&thread, NULL, first_goes_on, then));
	syscall(SYS_exit, 5);
}

static int taken;

static void take(int sig)
{
	taken = sig;
}

static void use_process(void)
{
	struct rlimit limit;
	pthread_t thread;
	void *value;
	int status;
	pid_t pid;

	/* A signal of the process finds who lives. */
	signal(SIGUSR1, take);
	CHECK(!kill(getpid(), SIGUSR1));
	CHECK(taken == SIGUSR1);
	CHECK(!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur == 333);
	/* It makes others. */
	CHECK(!pthread_create(&thread, NULL, burner, NULL));
	CHECK(!pthread_join(thread, &value) && !value);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(getppid() == getsid(0) ? 4 : 9);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
}

SUBJECT_TEST(first_is_outlived)
{
	struct rlimit limit = { 333, 333 };

	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	first_ends(use_process);
}

static int gate_of_child[2];
static pid_t child_of_first;

static void end_child(void)
{
	int status;

	close(gate_of_child[1]);
	CHECK(waitpid(child_of_first, &status, 0) == child_of_first);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* It has children: a process like it, and they are not orphans. */
SUBJECT_TEST(first_is_outlived_parent)
{
	int ready[2];
	char c;

	CHECK(!pipe(gate_of_child) && !pipe(ready));
	child_of_first = fork();
	CHECK(child_of_first >= 0);
	if (!child_of_first) {
		pid_t parent = getppid();

		close(gate_of_child[1]);
		if (write(ready[1], "r", 1) != 1 || read(gate_of_child[0], &c, 1))
			_exit(99);
		_exit(getppid() == parent && proc_state(parent) == 'Z' ? 7 : 98);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	first_ends(end_child);
}

static void nothing(void)
{
}

static void first_ends_later(void)
{
	first.code = 7;
	first_ends(nothing);
}

static void wait_for_kill(void)
{
	say("k");
	for (;;)
		pause();
}

static void first_is_killed_later(void)
{
	first_ends(wait_for_kill);
}

/* What the parent is told is of those that lived on. */
static void check_end_of_first(struct __test_metadata *_metadata, void (*fn)(void),
			       int sig, int expect)
{
	struct subject s = { .metadata = _metadata };
	siginfo_t info;
	int status;

	ASSERT_TRUE(subject_start(&s, fn, KILLED));
	ASSERT_TRUE(subject_checkpoint(&s, KILLED, CHECKPOINT_KILL));
	close(s.in);
	close(s.out);
	ASSERT_TRUE(subject_restart(&s));
	/* It comes behind the name. The end of the leader is none of the process. */
	EXPECT_TRUE(proc_wait_state(s.pid, 'Z'));
	info.si_pid = 0;
	EXPECT_EQ(0, waitid(P_PID, s.pid, &info, WEXITED | WNOWAIT | WNOHANG));
	EXPECT_EQ(0, info.si_pid);
	EXPECT_EQ(1, write(s.in, "g", 1));
	if (sig) {
		EXPECT_EQ('k', read_byte(s.out));
		EXPECT_EQ(0, kill(s.pid, sig));
	} else {
		EXPECT_EQ('o', read_byte(s.out));
	}
	status = wait_ms(s.pid, PATIENCE);
	EXPECT_EQ(expect, status);
	if (status == -1) {
		kill(s.pid, SIGKILL);
		waitpid(s.pid, NULL, 0);
	}
	close(s.in);
	close(s.out);
	subject_close(&s);
}

FIXTURE(first)
{
	char none;
};

FIXTURE_SETUP(first)
{
	skip_without_root(_metadata, "to give pids");
}

FIXTURE_TEARDOWN(first)
{
}

TEST_F(first, ends_with_exit_group)
{
	check_end_of_first(_metadata, first_ends_later, 0, 7 << 8);
}

TEST_F(first, is_killed)
{
	check_end_of_first(_metadata, first_is_killed_later, SIGTERM, SIGTERM);
}

/* Dead, and leader of a session and a group in which somebody lives. */
SUBJECT_TEST(leads_others)
{
	int gate[2], ready[2], status;
	pid_t leader, member;
	struct end before;
	char c;

	CHECK(!pipe(gate) && !pipe(ready) && !prctl(PR_SET_CHILD_SUBREAPER, 1));
	leader = fork();
	CHECK(leader >= 0);
	if (!leader) {
		setsid();
		member = fork();
		if (member) {
			if (write(ready[1], &member, sizeof(member)) != sizeof(member))
				_exit(99);
			_exit(0);
		}
		close(gate[1]);
		_exit(read(gate[0], &c, 1) ? 99 : 0);
	}
	CHECK(read(ready[0], &member, sizeof(member)) == sizeof(member));
	look(leader, &before);
	checkpoint_here();
	check_same(&before, leader);
	CHECK(getsid(member) == leader && getpgid(member) == leader);
	CHECK(getsid(leader) == leader && getpgid(leader) == leader);
	/* What is left of it has the number. */
	CHECK(waitpid(leader, NULL, 0) == leader);
	CHECK(getsid(member) == leader && !kill(-leader, 0));
	close(gate[1]);
	CHECK(waitpid(member, &status, 0) == member && !status);
	CHECK(kill(-leader, 0) == -1 && errno == ESRCH);
}

TEST_HARNESS_MAIN
