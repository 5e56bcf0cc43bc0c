// SPDX-License-Identifier: GPL-2.0
/*
 * Standing still: all of a tree does before the first byte of its image is there,
 * whoever cannot is named, and all go on afterwards, whatever happens to who saves
 * them and to who is saved.
 */
#include "busy.h"

#include <linux/futex.h>
#include <linux/fuse.h>
#include <sys/epoll.h>
#include <sys/mount.h>

FIXTURE(park)
{
	struct subject s;
};

FIXTURE_SETUP(park)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	counts = map_counts();
	ASSERT_TRUE(!!counts);
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(park)
{
	if (self->s.pid > 0)
		subject_close(&self->s);
	remove_dir();
}

/* A failed test leaves nobody behind. */
#define START(fn) do { \
	ASSERT_TRUE(subject_start(&self->s, fn, LEFT)); \
	self->s.ready = read_byte(self->s.out); \
	ASSERT_EQ(SAY_READY[0], self->s.ready) \
		subject_finish(&self->s, "not ready"); \
} while (0)

/* All stands still when there is something to read, and as long as nobody does. */
TEST_F_TIMEOUT(park, all_stand_still_first, 180)
{
	struct saver saver;
	int round;

	START(busy_tree);
	for (round = 0; round < 10; round++) {
		ASSERT_TRUE(all_count());
		ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
		EXPECT_TRUE(saver_wait(&saver));
		EXPECT_TRUE(none_counts(round ? 10 : 200));
		EXPECT_EQ(0, saver_drain(&saver, self->s.image));
		EXPECT_TRUE(all_count())
			TH_LOG("round %d: not all go on", round);
	}
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	counts->over = 0;
	ASSERT_TRUE(subject_restart(&self->s));
	EXPECT_TRUE(all_count());
	EXPECT_TRUE(subject_finish(&self->s, "the restored one"));
}

/* Nobody saves what somebody saves: not all of it, nor a part. */
TEST_F_TIMEOUT(park, overlapping_trees, 120)
{
	struct saver saver;
	__u64 begin;

	START(busy_tree);
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->s.pid, self->s.image), EBUSY,
				  "(subject): another checkpoint of it");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(counts->pids[3], self->s.image), EBUSY,
				  "another checkpoint of it");
	EXPECT_GT(4 * SEC, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_TRUE(none_counts(20));
	EXPECT_EQ(0, saver_drain(&saver, -1));
	EXPECT_TRUE(all_count());

	/* The part first. */
	ASSERT_TRUE(saver_start(&saver, counts->pids[3], 0));
	ASSERT_TRUE(saver_wait(&saver));
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->s.pid, self->s.image), EBUSY,
				  "another checkpoint of it");
	EXPECT_EQ(0, saver_drain(&saver, -1));
	EXPECT_TRUE(all_count());
	ASSERT_EQ(0, ftruncate(self->s.image, 0));
	ASSERT_EQ(0, lseek(self->s.image, 0, SEEK_SET));
	EXPECT_LT(0, sys_checkpoint(self->s.pid, self->s.image, 0, 0));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
}

/* Its root waits in a call that answers EINTR to whatever interrupts it. */
static void waiting_tree(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ep, status;
	pid_t pid;

	have_much();
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		count_spinning((void *)0L);
		_exit(0);
	}
	counts->pids[0] = pid;
	ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, 0, &event));
	say(SAY_READY);
	CHECK(epoll_wait(ep, &event, 1, -1) == 1);
	wait_go();
	counts->over = 1;
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

/* Who is asked to stand still, and let go before that, does not notice either. */
TEST_F_TIMEOUT(park, let_go_on_the_way, 120)
{
	struct saver saver;
	int tries;

	START(waiting_tree);
	ASSERT_TRUE(proc_wait_asleep(self->s.pid));
	ASSERT_TRUE(saver_start(&saver, counts->pids[0], 0));
	ASSERT_TRUE(saver_wait(&saver));
	for (tries = 0; tries < 100; tries++)
		EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->s.pid, self->s.image), EBUSY,
					  "another checkpoint of it");
	EXPECT_EQ(0, saver_drain(&saver, -1));
	EXPECT_TRUE(proc_wait_asleep(self->s.pid));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
}

/* Who saves is killed when all stand still. */
TEST_F_TIMEOUT(park, saver_killed, 120)
{
	struct saver saver;
	int round;

	START(busy_tree);
	for (round = 0; round < 10; round++) {
		ASSERT_TRUE(saver_start(&saver, self->s.pid,
					round & 1 ? CHECKPOINT_KILL : 0));
		/* And when they are about to. */
		if (round >= 5)
			sleep_ms(round);
		else
			ASSERT_TRUE(saver_wait(&saver));
		kill(saver.pid, SIGKILL);
		EXPECT_EQ(SIGKILL, wait_ms(saver.pid, PATIENCE));
		close(saver.image);
		close(saver.logfd);
		EXPECT_TRUE(all_count())
			TH_LOG("round %d: not all go on", round);
	}
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	EXPECT_EQ(0, saver_drain(&saver, self->s.image));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
}

/* Who is saved is killed meanwhile: there is no image, and the others go on. */
TEST_F_TIMEOUT(park, saved_killed, 120)
{
	char text[512] = { 0 };
	struct saver saver;
	struct walk w;
	int status;

	START(busy_tree);
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	EXPECT_EQ(0, kill(counts->pids[0], SIGKILL));
	w = walk_fd(saver.image);
	EXPECT_NE(NULL, w.wrong);
	walk_free(&w);
	status = wait_ms(saver.pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + ESRCH)
		TH_LOG("status %#x", status);
	EXPECT_LT(0, pread(saver.logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!!strstr(text, "it was killed meanwhile"))
		TH_LOG("log '%s'", text);
	close(saver.image);
	close(saver.logfd);
	/* One of four has not ended well. */
	EXPECT_EQ(1, write(self->s.in, "g", 1));
	EXPECT_TRUE(read_text(self->s.out, text, sizeof(text)));
	EXPECT_TRUE(!!strstr(text, "!status"))
		TH_LOG("it said '%s'", text);
	counts->over = 1;
	EXPECT_NE(-1, wait_ms(self->s.pid, PATIENCE));
	EXPECT_TRUE(subject_reap());
}

/* File systems of which the test is the server. */

struct server {
	int fd;
};

/* One that answers nothing but that it is there. */
static bool server_start(struct server *server)
{
	char buf[FUSE_MIN_READ_BUFFER], opts[128];
	struct fuse_in_header *in = (void *)buf;
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} out = {
		.header.len = sizeof(out),
		.init.major = FUSE_KERNEL_VERSION,
		.init.minor = FUSE_KERNEL_MINOR_VERSION,
		.init.max_write = 4096,
	};

	if (mkdir(in_dir("fuse"), 0700))
		return false;
	server->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", server->fd);
	if (server->fd < 0 || mount("fuse", in_dir("fuse"), "fuse", 0, opts))
		return false;
	if (read(server->fd, buf, sizeof(buf)) <= 0 || in->opcode != FUSE_INIT)
		return false;
	out.header.unique = in->unique;
	return write(server->fd, &out, sizeof(out)) == sizeof(out);
}

static void server_stop(struct server *server)
{
	close(server->fd);
	umount2(in_dir("fuse"), MNT_DETACH);
}

/* One of the children waits for the server, whom only SIGKILL or its end moves. */
static void stuck_tree(void)
{
	pid_t pid, other;
	int status;

	counts = map_counts();
	CHECK(!!counts);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		set_comm("stuck");
		status = access(in_dir("fuse/file"), F_OK);
		_exit(status == -1 && errno == ECONNABORTED ? 0 : errno);
	}
	other = fork();
	CHECK(other >= 0);
	if (!other) {
		count_spinning((void *)0L);
		_exit(0);
	}
	counts->pids[0] = pid;
	say(SAY_READY);
	wait_go();
	counts->over = 1;
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(waitpid(other, &status, 0) == other && !status);
}

TEST_F_TIMEOUT(park, uninterruptible_sleep, 120)
{
	char who[96];
	unsigned long was;
	struct server server;
	__u64 begin;

	if (access("/dev/fuse", W_OK))
		SKIP(return, "the kernel has no FUSE");
	ASSERT_TRUE(server_start(&server));
	START(stuck_tree);
	ASSERT_TRUE(proc_wait_state(counts->pids[0], 'S') ||
		    proc_wait_state(counts->pids[0], 'D'));
	begin = now_ns(CLOCK_MONOTONIC);
	snprintf(who, sizeof(who),
		 "task %d (stuck): does not come to rest: it sleeps uninterruptibly",
		 counts->pids[0]);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(self->s.pid, self->s.image), EBUSY, who);
	EXPECT_GT(20 * SEC, now_ns(CLOCK_MONOTONIC) - begin);
	was = READ_ONCE(counts->of[0]);
	sleep_ms(50);
	EXPECT_NE(was, READ_ONCE(counts->of[0]));
	EXPECT_EQ(0, file_size(self->s.image));
	/* The server is gone: it ends as if nobody had asked it anything. */
	server_stop(&server);
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
}

/* Frozen ones */

static bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

static char cgroup_dir[64];

static const char *in_cgroup(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/ckpt-park/%s", cgroup_dir, name);
	return path;
}

/* A control group of the test's own, in a hierarchy that it mounts. */
static bool cgroup_make(const char *type, const char *options)
{
	snprintf(cgroup_dir, sizeof(cgroup_dir), "%s", in_dir("cgroup"));
	if (mkdir(cgroup_dir, 0700) || mount("none", cgroup_dir, type, 0, options))
		return false;
	return !mkdir(in_cgroup(""), 0700) || errno == EEXIST;
}

static void cgroup_remove(void)
{
	int tries;

	for (tries = 0; tries < 100 && rmdir(in_cgroup("")); tries++)
		sleep_ms(10);
	umount2(cgroup_dir, MNT_DETACH);
	rmdir(cgroup_dir);
}

static bool cgroup_says(const char *file, const char *what)
{
	char text[256];
	int tries;

	for (tries = 0; tries < PATIENCE / 5; tries++) {
		int fd = open(in_cgroup(file), O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, text, sizeof(text) - 1);

		close(fd);
		text[n > 0 ? n : 0] = 0;
		if (strstr(text, what))
			return true;
		sleep_ms(5);
	}
	return false;
}

static bool cgroup_enter(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return write_to(in_cgroup("cgroup.procs"), text);
}

/* Threads that sleep and that run, and a child; all in the control group. */
static void frozen_tree(void)
{
	pthread_t threads[3];
	int status;
	pid_t pid;
	long i;

	counts = map_counts();
	CHECK(!!counts);
	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL,
				      i ? count_spinning : count_sleeping, (void *)i));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		count_sleeping((void *)3L);
		_exit(0);
	}
	counts->pids[0] = pid;
	say(SAY_READY);
	wait_go();
	counts->over = 1;
	for (i = 0; i < 3; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

TEST_F_TIMEOUT(park, frozen_by_cgroup2, 120)
{
	int i;

	if (!cgroup_make("cgroup2", NULL))
		SKIP(return, "no cgroup2: %s", strerror(errno));
	START(frozen_tree);
	ASSERT_TRUE(cgroup_enter(self->s.pid) && cgroup_enter(counts->pids[0]));
	ASSERT_TRUE(write_to(in_cgroup("cgroup.freeze"), "1"));
	ASSERT_TRUE(cgroup_says("cgroup.events", "frozen 1"));
	ASSERT_TRUE(none_counts(20));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ftruncate(self->s.image, 0));
		ASSERT_EQ(0, lseek(self->s.image, 0, SEEK_SET));
		EXPECT_LT(0, sys_checkpoint(self->s.pid, self->s.image, CHECKPOINT_LOG,
					    self->s.logfd))
			show_log(_metadata, self->s.logfd);
		EXPECT_TRUE(none_counts(50));
		EXPECT_TRUE(cgroup_says("cgroup.events", "frozen 1"));
	}
	ASSERT_TRUE(write_to(in_cgroup("cgroup.freeze"), "0"));
	ASSERT_TRUE(cgroup_says("cgroup.events", "frozen 0"));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	counts->over = 0;
	if (subject_restart(&self->s))
		subject_finish(&self->s, "the restored one");
	cgroup_remove();
}

/* Frozen while it is saved: it goes on to be frozen. */
TEST_F_TIMEOUT(park, frozen_by_cgroup2_meanwhile, 120)
{
	struct saver saver;

	if (!cgroup_make("cgroup2", NULL))
		SKIP(return, "no cgroup2: %s", strerror(errno));
	START(busy_tree);
	ASSERT_TRUE(cgroup_enter(self->s.pid));
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	ASSERT_TRUE(write_to(in_cgroup("cgroup.freeze"), "1"));
	EXPECT_EQ(0, saver_drain(&saver, self->s.image));
	EXPECT_TRUE(cgroup_says("cgroup.events", "frozen 1"));
	ASSERT_TRUE(write_to(in_cgroup("cgroup.freeze"), "0"));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	cgroup_remove();
}

/* Killed by its control group while it is saved. */
TEST_F_TIMEOUT(park, killed_by_cgroup2_meanwhile, 120)
{
	struct saver saver;
	int i, status;

	if (!cgroup_make("cgroup2", NULL))
		SKIP(return, "no cgroup2: %s", strerror(errno));
	START(busy_tree);
	for (i = 0; i < 4; i++)
		ASSERT_TRUE(cgroup_enter(counts->pids[i]));
	ASSERT_TRUE(cgroup_enter(self->s.pid));
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	ASSERT_TRUE(write_to(in_cgroup("cgroup.kill"), "1"));
	EXPECT_EQ(SIGKILL, wait_ms(self->s.pid, PATIENCE));
	status = saver_drain(&saver, -1);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + ESRCH);
	close(self->s.in);
	close(self->s.out);
	EXPECT_TRUE(subject_reap());
	cgroup_remove();
}

static bool freezer_set(const char *state)
{
	return write_to(in_cgroup("freezer.state"), state) &&
	       cgroup_says("freezer.state", state);
}

static void spinning_tree(void)
{
	counts = map_counts();
	CHECK(!!counts);
	say(SAY_READY);
	while (!READ_ONCE(counts->over))
		count_one(0);
	wait_go();
}

/* The other freezer: who was in user mode stands at the edge of it. */
TEST_F_TIMEOUT(park, frozen_by_freezer, 120)
{
	int i;

	if (!cgroup_make("cgroup", "freezer"))
		SKIP(return, "no freezer: %s", strerror(errno));
	START(spinning_tree);
	ASSERT_TRUE(cgroup_enter(self->s.pid));
	ASSERT_TRUE(freezer_set("FROZEN"));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ftruncate(self->s.image, 0));
		ASSERT_EQ(0, lseek(self->s.image, 0, SEEK_SET));
		EXPECT_LT(0, sys_checkpoint(self->s.pid, self->s.image, CHECKPOINT_LOG,
					    self->s.logfd))
			show_log(_metadata, self->s.logfd);
		sleep_ms(20);
		EXPECT_TRUE(cgroup_says("freezer.state", "FROZEN"));
	}
	ASSERT_TRUE(freezer_set("THAWED"));
	counts->over = 1;
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	if (subject_restart(&self->s))
		subject_finish(&self->s, "the restored one");
	cgroup_remove();
}

/* Who was in a system call may be anywhere. */
TEST_F_TIMEOUT(park, frozen_by_freezer_midway, 120)
{
	char who[96];
	__u64 begin;

	if (!cgroup_make("cgroup", "freezer"))
		SKIP(return, "no freezer: %s", strerror(errno));
	START(frozen_tree);
	/* In the middle of a nap. */
	ASSERT_TRUE(cgroup_enter(counts->pids[0]));
	ASSERT_TRUE(freezer_set("FROZEN"));
	snprintf(who, sizeof(who), "task %d (subject): is frozen in the middle of a system call",
		 counts->pids[0]);
	begin = now_ns(CLOCK_MONOTONIC);
	if (proc_state(counts->pids[0]) == 'D') {
		struct outcome o = try_checkpoint(self->s.pid, self->s.image);

		/* Unless it was between two of them. */
		if (o.ret < 0)
			EXPECT_CHECKPOINT_REFUSED(o, EBUSY, who);
		EXPECT_GT(4 * SEC, now_ns(CLOCK_MONOTONIC) - begin);
	}
	ASSERT_TRUE(freezer_set("THAWED"));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	cgroup_remove();
}

/* Frozen while it stands still: that it is saved again is no matter. */
TEST_F_TIMEOUT(park, frozen_by_freezer_meanwhile, 120)
{
	struct saver saver;
	int status;

	if (!cgroup_make("cgroup", "freezer"))
		SKIP(return, "no freezer: %s", strerror(errno));
	START(busy_tree);
	ASSERT_TRUE(cgroup_enter(self->s.pid));
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	/* It may not be asleep yet, and then is when it goes on. */
	ASSERT_TRUE(write_to(in_cgroup("freezer.state"), "FROZEN"));
	EXPECT_EQ(0, saver_drain(&saver, -1));
	EXPECT_TRUE(cgroup_says("freezer.state", "FROZEN"));
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	/* In the middle of what was done to it, or at the edge: that is said soon. */
	status = saver_drain(&saver, -1);
	EXPECT_TRUE(!status || WEXITSTATUS(status) == 100 + EBUSY)
		TH_LOG("status %#x", status);
	ASSERT_TRUE(freezer_set("THAWED"));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	cgroup_remove();
}

/* Stopped ones: who lets them go on while they are saved does so afterwards. */
static void stopped_tree(void)
{
	counts = map_counts();
	CHECK(!!counts);
	say(SAY_READY);
	wait_go();
}

TEST_F_TIMEOUT(park, continued_and_killed_meanwhile, 120)
{
	char *much = mmap(NULL, MUCH, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct saver saver;
	int status;

	/* The subject has it, too. */
	memset(much, 1, MUCH);
	START(stopped_tree);
	kill(self->s.pid, SIGSTOP);
	ASSERT_EQ(self->s.pid, waitpid(self->s.pid, &status, WUNTRACED));
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	kill(self->s.pid, SIGCONT);
	sleep_ms(20);
	EXPECT_EQ(0, saver_drain(&saver, -1));
	EXPECT_TRUE(proc_wait_asleep(self->s.pid));

	kill(self->s.pid, SIGSTOP);
	ASSERT_EQ(self->s.pid, waitpid(self->s.pid, &status, WUNTRACED));
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	kill(self->s.pid, SIGKILL);
	EXPECT_EQ(SIGKILL, wait_ms(self->s.pid, PATIENCE));
	status = saver_drain(&saver, -1);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + ESRCH);
	close(self->s.in);
	close(self->s.out);
}

/*
 * Those that sleep where nothing has to be done before they can be saved: they sleep on,
 * and who wakes them up meanwhile does so afterwards.
 */
enum {
	BY_FUTEX,	/* of a file that the test maps, too */
	BY_BITSET,	/* of the process */
	BY_PAUSE,	/* a child */
	SLEEPERS,
};

static __u32 own_word;

static __u32 *sleepers_word(void)
{
	return (__u32 *)&counts->of[WORKERS - 1];
}

static void *sleeps_by_futex(void *arg)
{
	(void)arg;
	counts->pids[BY_FUTEX] = gettid();
	while (!READ_ONCE(*sleepers_word()))
		syscall(SYS_futex, sleepers_word(), FUTEX_WAIT, 0, NULL);
	count_one(BY_FUTEX);
	return NULL;
}

static void *sleeps_by_bitset(void *arg)
{
	(void)arg;
	counts->pids[BY_BITSET] = gettid();
	while (!READ_ONCE(own_word))
		syscall(SYS_futex, &own_word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0,
			NULL, NULL, 4);
	count_one(BY_BITSET);
	return NULL;
}

static void counts_signal(int sig)
{
	(void)sig;
	count_one(BY_PAUSE);
}

static void sleeping_tree(void)
{
	pthread_t threads[2];
	int i, status;
	pid_t pid;

	have_much();
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		signal(SIGUSR1, counts_signal);
		counts->pids[BY_PAUSE] = getpid();
		CHECK(pause() == -1 && errno == EINTR);
		_exit(0);
	}
	CHECK(!pthread_create(&threads[0], NULL, sleeps_by_futex, NULL));
	CHECK(!pthread_create(&threads[1], NULL, sleeps_by_bitset, NULL));
	say(SAY_READY);
	wait_go();
	__atomic_store_n(&own_word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &own_word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
	for (i = 0; i < 2; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

#define POLL_UNTIL(is) ({ \
	int _tries = 0; \
	bool _is; \
	while (!(_is = (is)) && _tries++ < PATIENCE / 5) \
		sleep_ms(5); \
	_is; \
})

static bool all_sleep(void)
{
	int i;

	for (i = 0; i < SLEEPERS; i++)
		if (!POLL_UNTIL(READ_ONCE(counts->pids[i]) > 0) ||
		    !proc_wait_asleep(counts->pids[i]))
			return false;
	/* On the way there they may have slept for another reason. */
	sleep_ms(50);
	return true;
}

/* How often they have gone to sleep. */
static unsigned long sleeps_of(pid_t tid)
{
	static const char name[] = "voluntary_ctxt_switches:";
	char path[64], line[256];
	unsigned long nr = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			nr = strtoul(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return nr;
}

/* Wakes up those whom the test reaches. */
static void wake_sleepers(struct __test_metadata *_metadata)
{
	__atomic_store_n(sleepers_word(), 1, __ATOMIC_SEQ_CST);
	EXPECT_EQ(1, syscall(SYS_futex, sleepers_word(), FUTEX_WAKE, 1));
	EXPECT_EQ(0, kill(counts->pids[BY_PAUSE], SIGUSR1));
}

/* Has each of them been woken up so often? */
static void sleepers_came(struct subject *s, unsigned long times, const char *which)
{
	struct __test_metadata *_metadata = s->metadata;
	int i;

	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(times, counts->of[i])
			TH_LOG("%s: %d", which, i);
}

/* They sleep again, until they are woken up. */
static void restored_sleepers(struct subject *s)
{
	struct __test_metadata *_metadata = s->metadata;

	memset(counts->of, 0, sizeof(counts->of));
	EXPECT_TRUE(subject_restart(s))
		return;
	EXPECT_TRUE(all_sleep());
	sleepers_came(s, 0, "the restored one");
	wake_sleepers(_metadata);
	EXPECT_TRUE(subject_finish(s, "the restored one"));
	sleepers_came(s, 1, "the restored one");
}

TEST_F_TIMEOUT(park, sleepers_sleep_on, 120)
{
	unsigned long sleeps[SLEEPERS];
	struct saver saver;
	int i, round;

	START(sleeping_tree);
	ASSERT_TRUE(all_sleep());
	for (i = 0; i < SLEEPERS; i++) {
		sleeps[i] = sleeps_of(counts->pids[i]);
		EXPECT_LT(0UL, sleeps[i]);
	}
	for (round = 0; round < 10; round++) {
		ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
		ASSERT_EQ(0, saver_drain(&saver, round ? -1 : self->s.image));
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(sleeps[i], sleeps_of(counts->pids[i]))
			TH_LOG("%d", i);
	wake_sleepers(_metadata);
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	sleepers_came(&self->s, 1, "the one that went on");
	restored_sleepers(&self->s);
}

/* Woken up while the image waits to be read. */
TEST_F_TIMEOUT(park, sleepers_woken_meanwhile, 120)
{
	struct saver saver;

	START(sleeping_tree);
	ASSERT_TRUE(all_sleep());
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	wake_sleepers(_metadata);
	sleep_ms(100);
	EXPECT_EQ(0UL, counts->of[BY_FUTEX]);
	EXPECT_EQ(0UL, counts->of[BY_PAUSE]);
	EXPECT_EQ(0, saver_drain(&saver, self->s.image));
	EXPECT_TRUE(POLL_UNTIL(READ_ONCE(counts->of[BY_FUTEX])));
	EXPECT_TRUE(POLL_UNTIL(READ_ONCE(counts->of[BY_PAUSE])));
	EXPECT_TRUE(subject_finish(&self->s, "the one that went on"));
	/* What was saved knows nothing of that. */
	restored_sleepers(&self->s);
}

/* Killed meanwhile: that is no image. */
TEST_F_TIMEOUT(park, sleepers_killed_meanwhile, 120)
{
	struct saver saver;
	int status;

	START(sleeping_tree);
	ASSERT_TRUE(all_sleep());
	ASSERT_TRUE(saver_start(&saver, self->s.pid, 0));
	ASSERT_TRUE(saver_wait(&saver));
	EXPECT_EQ(0, kill(counts->pids[BY_PAUSE], SIGKILL));
	status = saver_drain(&saver, -1);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + ESRCH)
		TH_LOG("status %#x", status);
	EXPECT_EQ(0, kill(self->s.pid, SIGKILL));
	EXPECT_EQ(SIGKILL, wait_ms(self->s.pid, PATIENCE));
	close(self->s.in);
	close(self->s.out);
	EXPECT_TRUE(subject_reap());
}

/* Who saves is one of those that are saved. */

/* INSIDE_TEST() - what follows is the body of the subject. */
#define INSIDE_TEST(name) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(park, name, 120) \
	{ \
		run_subject(_metadata, name##_subject, ITSELF); \
	} \
	static void name##_subject(void)

/* In the restored one there is no pipe for an image. */
static bool is_restored(void)
{
	struct stat st;

	CHECK(!fstat(2, &st));
	return !S_ISFIFO(st.st_mode);
}

static void check_id(long id)
{
	CHECK(is_restored() ? id == 0 : id > 0);
}

INSIDE_TEST(child_saves_parent)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		check_id(sys_checkpoint(getppid(), 2, CHECKPOINT_LOG, 1));
		_exit(33);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 33);
	wait_go();
}

static pid_t to_save;

static void *thread_saves(void *arg)
{
	(void)arg;
	return (void *)sys_checkpoint(to_save, 2, CHECKPOINT_LOG, 1);
}

static void let_thread_save(void)
{
	pthread_t thread;
	void *id;

	CHECK(!pthread_create(&thread, NULL, thread_saves, NULL));
	CHECK(!pthread_join(thread, &id));
	check_id((long)id);
	wait_go();
}

INSIDE_TEST(thread_saves_0)
{
	to_save = 0;
	let_thread_save();
}

INSIDE_TEST(thread_saves_own)
{
	to_save = getpid();
	let_thread_save();
}

static void *sleeps(void *arg)
{
	char c;

	*(pid_t *)arg = gettid();
	__atomic_store_n(&to_save, gettid(), __ATOMIC_SEQ_CST);
	while (read(9, &c, 1) == 1)
		;
	return NULL;
}

/* By the number of another thread. */
INSIDE_TEST(thread_saves_thread)
{
	pthread_t thread;
	pid_t tid;
	int p[2];

	CHECK(!pipe(p) && dup2(p[0], 9) == 9 && !close(p[0]));
	CHECK(!pthread_create(&thread, NULL, sleeps, &tid));
	while (!__atomic_load_n(&to_save, __ATOMIC_SEQ_CST))
		sleep_ms(1);
	CHECK(to_save != getpid());
	let_thread_save();
	close(p[1]);
	CHECK(!pthread_join(thread, NULL));
}

/* A thread of a grandchild, while its own leader waits for it. */
INSIDE_TEST(grandchild_saves)
{
	int status;
	pid_t pid;

	to_save = getpid();
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		pid = fork();
		if (!pid) {
			pthread_t thread;
			void *id;

			CHECK(!pthread_create(&thread, NULL, thread_saves, NULL));
			CHECK(!pthread_join(thread, &id));
			check_id((long)id);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		_exit(status);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	wait_go();
}

/* Leaders that change: execve(2) of a thread, while somebody saves the process. */

static void *execs(void *arg)
{
	sleep_ms((long)arg % 5);
	execl("/proc/self/exe", "park", "--again", (char *)arg, NULL);
	_exit(97);
}

static void exec_forever(const char *left)
{
	static char text[16];
	pthread_t thread, others[3];
	int i, n = atoi(left);

	if (!n) {
		say("ok\n");
		_exit(0);
	}
	snprintf(text, sizeof(text), "%d", n - 1);
	for (i = 0; i < 3; i++)
		pthread_create(&others[i], NULL, count_spinning, (void *)1L);
	pthread_create(&thread, NULL, execs, text);
	for (;;)
		pause();
}

/* The program, again: see exec_forever(). */
__attribute__((constructor(65535))) static void again(int argc, char **argv)
{
	static struct counts none;

	counts = &none;
	if (argc == 3 && !strcmp(argv[1], "--again"))
		exec_forever(argv[2]);
}

static void exec_subject(void)
{
	say(SAY_READY);
	wait_go();
	execl("/proc/self/exe", "park", "--again", "15", NULL);
}

TEST_F_TIMEOUT(park, leader_changes, 180)
{
	int good = 0, rounds = 0, status = -1;
	char text[16];

	START(exec_subject);
	EXPECT_EQ(1, write(self->s.in, "g", 1));
	while (waitpid(self->s.pid, &status, WNOHANG) == 0) {
		long id;

		ASSERT_EQ(0, ftruncate(self->s.image, 0));
		ASSERT_EQ(0, lseek(self->s.image, 0, SEEK_SET));
		ASSERT_EQ(0, ftruncate(self->s.logfd, 0));
		ASSERT_EQ(0, lseek(self->s.logfd, 0, SEEK_SET));
		/* Not by way of every_nth.h, as the process ends by itself. */
		id = syscall(__NR_checkpoint, self->s.pid, self->s.image,
			     CHECKPOINT_LOG, self->s.logfd);
		EXPECT_TRUE(id > 0 || errno == ESRCH) {
			TH_LOG("round %d: %s", rounds, strerror(errno));
			show_log(_metadata, self->s.logfd);
		}
		rounds++;
		good += id > 0;
		/* Others want to run, too. */
		sleep_ms(rounds * 7 % 40);
	}
	EXPECT_EQ(0, status);
	EXPECT_LT(0, good);
	EXPECT_TRUE(read_text(self->s.out, text, sizeof(text)));
	EXPECT_STREQ("ok\n", text);
	TH_LOG("%d of %d checkpoints", good, rounds);
}

/* A tree that is being restarted is nobody's to save. */
TEST_F_TIMEOUT(park, saved_while_restarted, 120)
{
	int in[2], out[2], image[2], status;
	struct saver saver;
	struct walk w;
	pid_t pid;

	START(busy_tree);
	ASSERT_TRUE(saver_start(&saver, self->s.pid, CHECKPOINT_KILL));
	ASSERT_EQ(0, saver_drain(&saver, self->s.image));
	EXPECT_EQ(SIGKILL, wait_ms(self->s.pid, PATIENCE));
	close(self->s.in);
	close(self->s.out);
	ASSERT_TRUE(subject_reap());

	ASSERT_EQ(0, pipe2(image, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	pid = spawn_restart(self->s.pid, image[0], 0, 0, self->s.logfd, in[0], out[1]);
	ASSERT_EQ(self->s.pid, pid);
	close(in[0]);
	close(out[1]);
	close(image[0]);
	self->s.in = in[1];
	self->s.out = out[0];
	w = walk_file(self->s.image);
	ASSERT_EQ(NULL, w.wrong);
	/* All but the TAIL: all tasks are there. */
	ASSERT_TRUE(write_all(image[1], w.buf, w.recs[w.nr - 1].at));
	while (!kill(counts->pids[3], 0) ? false : proc_state(pid))
		sleep_ms(1);
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(pid, tmp_memfd()), EBUSY,
				  "(restarter): another checkpoint of it, or its restart");
	EXPECT_CHECKPOINT_REFUSED(try_checkpoint(counts->pids[3], tmp_memfd()), EBUSY,
				  "or its restart, is under way");
	ASSERT_TRUE(write_all(image[1], w.buf + w.recs[w.nr - 1].at,
			      w.len - w.recs[w.nr - 1].at));
	close(image[1]);
	walk_free(&w);
	ASSERT_TRUE(proc_wait_comm(pid, "subject"));
	EXPECT_TRUE(all_count());
	/* And now it is. */
	ASSERT_TRUE(saver_start(&saver, pid, 0));
	status = saver_drain(&saver, -1);
	EXPECT_EQ(0, status);
	EXPECT_TRUE(subject_finish(&self->s, "the restored one"));
}

TEST_HARNESS_MAIN
