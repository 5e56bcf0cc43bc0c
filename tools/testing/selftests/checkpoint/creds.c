// SPDX-License-Identifier: GPL-2.0
/*
 * Credentials: what was restored has exactly those that were saved, and a caller
 * gets none that it could not have got by other system calls.
 */
#include "subject.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>

#define BIT(cap) (1ULL << (cap))
#define ALL_CAPS (BIT(CAP_LAST_CAP + 1) - 1)

/* All of it, as the process itself sees it. */
struct who {
	unsigned int uid[4];
	unsigned int gid[4];
	unsigned int securebits;
	int ngroups;
	gid_t groups[1024];
	__u64 inheritable;
	__u64 permitted;
	__u64 effective;
	__u64 bset;
	__u64 ambient;
	int no_new_privs;
	int dumpable;
};

static struct who who_am_i(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	struct who w = { 0 };
	int cap;

	if (getresuid(&w.uid[0], &w.uid[1], &w.uid[2]) ||
	    getresgid(&w.gid[0], &w.gid[1], &w.gid[2]) ||
	    syscall(SYS_capget, &hdr, data))
		_exit(97);
	/* What -1 asks for is refused, and the answer is what is so. */
	w.uid[3] = setfsuid(-1);
	w.gid[3] = setfsgid(-1);
	w.ngroups = getgroups(ARRAY_SIZE(w.groups), w.groups);
	w.effective = data[0].effective | (__u64)data[1].effective << 32;
	w.permitted = data[0].permitted | (__u64)data[1].permitted << 32;
	w.inheritable = data[0].inheritable | (__u64)data[1].inheritable << 32;
	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (prctl(PR_CAPBSET_READ, cap) == 1)
			w.bset |= BIT(cap);
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			w.ambient |= BIT(cap);
	}
	w.securebits = prctl(PR_GET_SECUREBITS);
	w.no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	w.dumpable = prctl(PR_GET_DUMPABLE);
	return w;
}

static bool set_caps(__u64 effective, __u64 permitted, __u64 inheritable)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ effective, permitted, inheritable },
		{ effective >> 32, permitted >> 32, inheritable >> 32 },
	};

	return !syscall(SYS_capset, &hdr, data);
}

static bool set_ambient(__u64 caps)
{
	int cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (caps & BIT(cap) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return false;
	return true;
}

/* Only @caps can be got from programs. */
static bool set_bounds(__u64 caps)
{
	int cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(caps & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap))
			return false;
	return true;
}

/* Another user, who keeps all capabilities. */
static bool become_keeping(uid_t uid)
{
	return !prctl(PR_SET_KEEPCAPS, 1) && !setresgid(uid, uid, uid) &&
	       !setresuid(uid, uid, uid) && !prctl(PR_SET_KEEPCAPS, 0) &&
	       set_caps(ALL_CAPS, ALL_CAPS, 0);
}

/* In a subject: who it is now, it is afterwards. */
static void same_afterwards(void)
{
	static struct who before, after;

	before = who_am_i();
	checkpoint_here();
	after = who_am_i();
	CHECK(!memcmp(before.uid, after.uid, sizeof(before.uid)));
	CHECK(!memcmp(before.gid, after.gid, sizeof(before.gid)));
	CHECK(before.ngroups == after.ngroups);
	CHECK(!memcmp(before.groups, after.groups, sizeof(before.groups)));
	CHECK(before.inheritable == after.inheritable);
	CHECK(before.permitted == after.permitted);
	CHECK(before.effective == after.effective);
	CHECK(before.bset == after.bset);
	CHECK(before.ambient == after.ambient);
	CHECK(before.securebits == after.securebits);
	CHECK(before.no_new_privs == after.no_new_privs);
	CHECK(before.dumpable == after.dumpable);
}

SUBJECT_TEST(root)
{
	same_afterwards();
	CHECK(!getuid());
}

SUBJECT_TEST(another_user)
{
	CHECK(!setgroups(0, NULL));
	CHECK(!setresgid(1234, 1234, 1234));
	CHECK(!setresuid(1234, 1234, 1234));
	same_afterwards();
	CHECK(getuid() == 1234 && setuid(0) && errno == EPERM);
}

SUBJECT_TEST(each_user_id_another)
{
	CHECK(!setresuid(2001, 2002, 2003));
	CHECK(setfsuid(2003) == 2002);
	same_afterwards();
	/* Each is its own still. */
	CHECK(!setresuid(2003, 2001, 2002));
}

SUBJECT_TEST(each_group_id_another)
{
	CHECK(!setresgid(3001, 3002, 3003));
	setfsgid(3004);
	same_afterwards();
	CHECK(setfsgid(-1) == 3004);
}

/* That takes a capability, and is kept without it. */
SUBJECT_TEST(file_access_of_another_user)
{
	CHECK(become_keeping(2001));
	setfsuid(2004);
	CHECK(setfsuid(-1) == 2004);
	CHECK(set_caps(0, 0, 0));
	same_afterwards();
}

/* Only the saved ids are root's: there is a way back. */
SUBJECT_TEST(root_in_waiting)
{
	CHECK(!setresuid(1234, 1234, 0));
	same_afterwards();
	CHECK(!seteuid(0));
	CHECK(who_am_i().effective == who_am_i().permitted);
}

SUBJECT_TEST(groups)
{
	const gid_t groups[] = { 70000, 5, 7, 4294967294U };

	CHECK(!setgroups(ARRAY_SIZE(groups), groups));
	same_afterwards();
}

SUBJECT_TEST(a_group_twice)
{
	const gid_t groups[] = { 5, 7, 5 };

	CHECK(!setgroups(ARRAY_SIZE(groups), groups));
	same_afterwards();
	CHECK(getgroups(0, NULL) == 3);
}

SUBJECT_TEST(no_groups)
{
	CHECK(!setgroups(0, NULL));
	same_afterwards();
}

SUBJECT_TEST(many_groups)
{
	gid_t groups[1024];
	int i;

	for (i = 0; i < 1024; i++)
		groups[i] = 100000 - 3 * i;
	CHECK(!setgroups(ARRAY_SIZE(groups), groups));
	same_afterwards();
}

/* Capabilities */

SUBJECT_TEST(root_without_capabilities)
{
	CHECK(set_caps(0, 0, 0));
	same_afterwards();
}

SUBJECT_TEST(each_set_another)
{
	CHECK(set_caps(BIT(CAP_KILL), BIT(CAP_KILL) | BIT(CAP_CHOWN),
		       BIT(CAP_CHOWN) | BIT(CAP_CHECKPOINT_RESTORE)));
	CHECK(set_ambient(BIT(CAP_CHOWN)));
	same_afterwards();
}

SUBJECT_TEST(another_user_with_capabilities)
{
	CHECK(become_keeping(1234));
	CHECK(set_caps(BIT(CAP_NET_ADMIN), BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW),
		       BIT(CAP_NET_RAW)));
	CHECK(set_ambient(BIT(CAP_NET_RAW)));
	same_afterwards();
}

SUBJECT_TEST(another_user_with_all_capabilities)
{
	CHECK(become_keeping(1234));
	same_afterwards();
}

SUBJECT_TEST(inheritable_beyond_what_is_permitted)
{
	CHECK(set_caps(0, BIT(CAP_KILL), ALL_CAPS));
	same_afterwards();
}

SUBJECT_TEST(bounding_set)
{
	CHECK(set_bounds(ALL_CAPS & ~(BIT(CAP_KILL) | BIT(CAP_SETPCAP))));
	same_afterwards();
}

SUBJECT_TEST(no_bounding_set)
{
	CHECK(set_caps(BIT(CAP_SETPCAP), BIT(CAP_SETPCAP), BIT(CAP_KILL)));
	CHECK(set_bounds(0));
	CHECK(set_caps(0, 0, BIT(CAP_KILL)));
	same_afterwards();
}

/* Securebits */

static void with_securebits(unsigned int bits)
{
	CHECK(!prctl(PR_SET_SECUREBITS, bits));
	same_afterwards();
	CHECK(prctl(PR_GET_SECUREBITS) == (int)bits);
}

SUBJECT_TEST(all_securebits)
{
	with_securebits(0x555);
}

SUBJECT_TEST(all_securebits_locked)
{
	with_securebits(0xfff);
}

SUBJECT_TEST(securebits_locked_unset)
{
	with_securebits(0xaaa);
}

SUBJECT_TEST(keep_capabilities)
{
	with_securebits(SECBIT_KEEP_CAPS);
	/* It does what it did. */
	CHECK(!setresuid(1234, 1234, 1234));
	CHECK(who_am_i().permitted == ALL_CAPS);
}

SUBJECT_TEST(no_fixup)
{
	CHECK(!prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP));
	CHECK(!setresuid(1234, 1234, 1234));
	with_securebits(SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED);
}

/* Ambient capabilities that nobody could raise any more. */
SUBJECT_TEST(ambient_set_before_the_lock)
{
	CHECK(become_keeping(1234));
	CHECK(set_caps(ALL_CAPS, ALL_CAPS, BIT(CAP_KILL)));
	CHECK(set_ambient(BIT(CAP_KILL)));
	CHECK(!prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE |
					SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED |
					SECBIT_KEEP_CAPS_LOCKED));
	CHECK(set_caps(0, BIT(CAP_KILL), BIT(CAP_KILL)));
	same_afterwards();
}

SUBJECT_TEST(no_new_privs)
{
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	same_afterwards();
}

/* A change of users makes a process one that cannot be dumped. */
SUBJECT_TEST(dumpable_as_it_was_made)
{
	CHECK(!setresuid(1234, 1234, 1234));
	CHECK(!prctl(PR_SET_DUMPABLE, 1));
	same_afterwards();
}

/* Files stay open for who could not open them any more. */
SUBJECT_TEST(file_opened_before)
{
	char c;
	int fd;

	CHECK(make_file("file", "abc", 3));
	CHECK(!chmod(subject_dir, 0755));
	fd = open(in_dir("file"), O_RDONLY);
	CHECK(fd >= 0 && read(fd, &c, 1) == 1);
	CHECK(!setgroups(0, NULL) && !setresgid(1234, 1234, 1234));
	CHECK(!setresuid(1234, 1234, 1234));
	same_afterwards();
	CHECK(read(fd, &c, 1) == 1 && c == 'b');
	CHECK(open(in_dir("file"), O_RDONLY) == -1 && errno == EACCES);
}

/* The processes of a user are counted where they belong. */
SUBJECT_TEST(processes_of_the_user)
{
	struct rlimit rl = { 2, 2 };
	pid_t pid;
	int i;

	CHECK(!setrlimit(RLIMIT_NPROC, &rl));
	CHECK(!setresuid(54321, 54321, 54321));
	same_afterwards();
	CHECK(!setrlimit(RLIMIT_NPROC, &rl));
	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid)
			_exit(0);
		CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	}
	/* One more than there may be. */
	pid = fork();
	if (!pid) {
		pid = fork();
		_exit(pid == -1 && errno == EAGAIN ? 0 : 1);
	}
	CHECK(waitpid(pid, &i, 0) == pid && !i);
}

/* Callers with less than root has */

FIXTURE(caller)
{
	char path[48];
	char dir[32];		/* with a program that all may start */
	struct tiny tiny;
	struct walk w;
};

FIXTURE_SETUP(caller)
{
	static const gid_t groups[] = { 10, 20 };
	char from[PATH_MAX], cmd[2 * PATH_MAX];

	if (skip_without_root(_metadata, "to change ids"))
		return;
	put_text(self->dir, "/tmp/ckpt-selftest-XXXXXX");
	ASSERT_TRUE(!!mkdtemp(self->dir));
	ASSERT_EQ(0, chmod(self->dir, 0755));
	ASSERT_EQ(0, chdir("/"));
	tiny_path(from, sizeof(from));
	snprintf(self->path, sizeof(self->path), "%s/tiny", self->dir);
	snprintf(cmd, sizeof(cmd), "cp '%s' '%s' && chmod 755 '%s'", from,
		 self->path, self->path);
	ASSERT_EQ(0, system(cmd));
	/* So that the image has room for two. */
	ASSERT_EQ(0, setgroups(ARRAY_SIZE(groups), groups));
	ASSERT_TRUE(tiny_start_path(&self->tiny, self->path));
}

/* In the parent, which has kept its privileges. */
FIXTURE_TEARDOWN_PARENT(caller)
{
	unlink(self->path);
	rmdir(self->dir);
}

/*
 * @become makes a caller. The image is of a process that is the same but for
 * what @craft changes. It must not be restarted, with @err and a line that has
 * @what in it; or it must, if @err is 0.
 */
FIXTURE_VARIANT(caller)
{
	void (*become)(void);
	void (*craft)(struct cr_hdr_creds *creds, __u32 *groups,
		      struct cr_hdr_task_attrs *attrs);
	int err;
	const char *what;
};

/* The child's, for the test to read. */
struct said {
	int err;
	bool same;
	char log[1024];
};

static void call_restart(struct walk *w, void (*become)(void),
			 void (*craft)(struct cr_hdr_creds *, __u32 *,
				       struct cr_hdr_task_attrs *),
			 struct said *said)
{
	int fd, logfd = tmp_memfd();
	static struct who before, after;
	struct cr_hdr_creds *creds = walk_find(w, CR_HDR_CREDS);
	__u32 *groups = walk_find(w, CR_HDR_GROUPS);

	become();
	before = who_am_i();
	if (before.ngroups != 2 || creds->ngroups != 2)
		_exit(5);
	*creds = (struct cr_hdr_creds) {
		.uid = before.uid[0], .euid = before.uid[1],
		.suid = before.uid[2], .fsuid = before.uid[3],
		.gid = before.gid[0], .egid = before.gid[1],
		.sgid = before.gid[2], .fsgid = before.gid[3],
		.securebits = before.securebits, .ngroups = 2,
		.cap_inheritable = before.inheritable,
		.cap_permitted = before.permitted,
		.cap_effective = before.effective,
		.cap_bset = before.bset, .cap_ambient = before.ambient,
		.no_new_privs = before.no_new_privs,
	};
	groups[0] = before.groups[0];
	groups[1] = before.groups[1];
	craft(creds, groups, walk_find(w, CR_HDR_TASK_ATTRS));
	walk_seal(w);
	fd = tmp_memfd();
	if (fd < 0 || !write_all(fd, w->buf, w->len) || lseek(fd, 0, SEEK_SET))
		_exit(6);
	errno = 0;
	sys_restart(0, fd, CHECKPOINT_LOG, logfd);
	said->err = errno;
	if (pread(logfd, said->log, sizeof(said->log) - 1, 0) < 0)
		_exit(7);
	after = who_am_i();
	said->same = !memcmp(&before, &after, sizeof(before));
	_exit(3);
}

TEST_F(caller, gets_what_it_could_get)
{
	struct tiny again = { 0 };
	struct said *said = shared(sizeof(*said));
	int in[2], out[2], fd = tmp_memfd(), status;

	ASSERT_TRUE(!!said);
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, fd, 0, 0));
	self->w = walk_file(fd);
	ASSERT_EQ(NULL, self->w.wrong);
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	again.pid = fork();
	ASSERT_LE(0, again.pid);
	if (!again.pid) {
		settle(in[0], out[1], -1);
		syscall(SYS_close_range, 3, ~0U, 0);
		call_restart(&self->w, variant->become, variant->craft, said);
	}
	close(in[0]);
	close(out[1]);
	again.in = in[1];
	again.out = out[0];
	if (!variant->err) {
		EXPECT_TRUE(tiny_answers(&again))
			TH_LOG("errno %d, log '%s'", said->err, said->log);
		EXPECT_TRUE(tiny_stop(&again));
		return;
	}
	status = wait_ms(again.pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3)
		TH_LOG("status %#x", status);
	EXPECT_EQ(variant->err, said->err);
	EXPECT_TRUE(said->same);
	EXPECT_TRUE(one_printable_line(said->log));
	EXPECT_TRUE(!!strstr(said->log, variant->what))
		TH_LOG("log '%s', wanted '%s'", said->log, variant->what);
}

#define CALLER(name, who, error, text) \
	static void craft_##name(struct cr_hdr_creds *c, __u32 *groups, \
				 struct cr_hdr_task_attrs *attrs); \
	FIXTURE_VARIANT_ADD(caller, name) { \
		.become = who, .craft = craft_##name, .err = (error), \
		.what = (text), \
	}; \
	static void craft_##name(struct cr_hdr_creds *c __maybe_unused, \
				 __u32 *groups __maybe_unused, \
				 struct cr_hdr_task_attrs *attrs __maybe_unused)

#define MUST(cond) do { \
	if (!(cond)) \
		_exit(50); \
} while (0)

/* User 1000, who may nothing special. */
static void a_user(void)
{
	MUST(!setresgid(1000, 1000, 1000) && !setresuid(1000, 1000, 1000));
}

CALLER(user_as_it_is, a_user, 0, NULL)
{
}

CALLER(user_to_root, a_user, EPERM, "credentials: uid is 1000, the image has 0")
{
	c->uid = 0;
}

CALLER(user_to_euid, a_user, EPERM, "credentials: euid is 1000, the image has 0")
{
	c->euid = 0;
}

CALLER(user_to_suid, a_user, EPERM, "credentials: suid is 1000, the image has 0")
{
	c->suid = 0;
}

CALLER(user_to_fsuid, a_user, EPERM, "credentials: fsuid is 1000, the image has 0")
{
	c->fsuid = 0;
}

CALLER(user_to_gid, a_user, EPERM, "credentials: gid is 1000, the image has 0")
{
	c->gid = 0;
}

CALLER(user_to_egid, a_user, EPERM, "credentials: egid is 1000, the image has 0")
{
	c->egid = 0;
}

CALLER(user_to_sgid, a_user, EPERM, "credentials: sgid is 1000, the image has 0")
{
	c->sgid = 0;
}

CALLER(user_to_fsgid, a_user, EPERM, "credentials: fsgid is 1000, the image has 0")
{
	c->fsgid = 0;
}

CALLER(user_to_groups, a_user, EPERM, "credentials: the image has other supplementary groups")
{
	groups[0] = 11;
}

CALLER(user_to_permitted, a_user, EPERM, "credentials: cap_permitted is 0x0, the image has 0x1")
{
	c->cap_permitted = 1;
}

CALLER(user_to_effective, a_user, EPERM, "credentials: cap_permitted is 0x0, the image has 0x3")
{
	c->cap_permitted = 3;
	c->cap_effective = 1;
}

CALLER(user_to_inheritable, a_user, EPERM, "credentials: cap_inheritable is 0x0, the image has 0x1")
{
	c->cap_inheritable = 1;
}

CALLER(user_to_fewer_bounds, a_user, EPERM, "credentials: cap_bset is ")
{
	c->cap_bset &= ~1ULL;
}

CALLER(user_to_securebits, a_user, EPERM, "credentials: securebits is 0x0, the image has 0x1")
{
	c->securebits = SECBIT_NOROOT;
}

/* Anybody may set these. */
CALLER(user_keeps_capabilities, a_user, 0, NULL)
{
	c->securebits = SECBIT_KEEP_CAPS | SECBIT_EXEC_RESTRICT_FILE |
			SECBIT_EXEC_RESTRICT_FILE_LOCKED;
}

CALLER(user_to_no_new_privs, a_user, 0, NULL)
{
	c->no_new_privs = 1;
}

static void a_user_without_privs(void)
{
	a_user();
	MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

CALLER(no_new_privs_to_new_privs, a_user_without_privs, EPERM, "no_new_privs is 1")
{
	c->no_new_privs = 0;
}

/* Ids that are all its own may change places. */
static void a_setuid_program(void)
{
	MUST(!setresgid(1001, 1002, 1003) && !setresuid(1001, 1002, 1003));
}

CALLER(own_ids_change_places, a_setuid_program, 0, NULL)
{
	c->uid = 1003;
	c->euid = 1001;
	c->suid = 1001;
	c->fsuid = 1003;
	c->gid = 1002;
	c->egid = 1003;
	c->sgid = 1001;
	c->fsgid = 1001;
}

CALLER(own_ids_and_another, a_setuid_program, EPERM, "suid is 1003, the image has 1004")
{
	c->uid = 1003;
	c->suid = 1004;
}

/* What is permitted need not be effective: it can become so. */
static void with_permitted(__u64 caps)
{
	MUST(!prctl(PR_SET_KEEPCAPS, 1));
	a_user();
	MUST(!prctl(PR_SET_KEEPCAPS, 0) && set_caps(0, caps, 0));
}

static void may_setuid(void)
{
	with_permitted(BIT(CAP_SETUID));
}

CALLER(setuid_sets_users, may_setuid, 0, NULL)
{
	c->uid = 1;
	c->euid = 2;
	c->suid = 3;
	c->fsuid = 4;
	c->cap_permitted = 0;
}

CALLER(setuid_sets_no_groups, may_setuid, EPERM, "credentials: gid is 1000, the image has 1001")
{
	c->gid = 1001;
}

CALLER(setuid_to_root_gains_nothing, may_setuid, EPERM, "credentials: cap_permitted is ")
{
	c->uid = 0;
	c->euid = 0;
	c->suid = 0;
	c->fsuid = 0;
	c->cap_permitted = ALL_CAPS;
	c->cap_effective = ALL_CAPS;
}

static void may_setgid(void)
{
	with_permitted(BIT(CAP_SETGID));
}

CALLER(setgid_sets_groups, may_setgid, 0, NULL)
{
	c->gid = 1;
	c->egid = 2;
	c->sgid = 3;
	c->fsgid = 4;
	groups[0] = 7;
}

CALLER(setgid_sets_no_users, may_setgid, EPERM, "credentials: uid is 1000, the image has 1001")
{
	c->uid = 1001;
}

static void may_setpcap(void)
{
	with_permitted(BIT(CAP_SETPCAP));
}

CALLER(setpcap_sets_bounds, may_setpcap, 0, NULL)
{
	c->cap_bset = 1;
	c->cap_inheritable = 3;
	c->securebits = 0xff;
}

CALLER(setpcap_raises_no_bounds, may_setpcap, EPERM, "is 0x100, the image has 0x101")
{
	c->cap_permitted |= 1;
}

static void with_fewer_bounds(void)
{
	MUST(!prctl(PR_CAPBSET_DROP, CAP_CHOWN));
}

CALLER(bounds_are_not_raised, with_fewer_bounds, EPERM, "credentials: cap_bset is ")
{
	c->cap_bset |= 1;
}

/* Not inheritable before, not in bounds now. */
CALLER(inheritable_out_of_bounds, with_fewer_bounds, EPERM, "credentials: cap_inheritable is ")
{
	c->cap_inheritable |= 1;
}

static void with_locked_bits(void)
{
	MUST(!prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
}

CALLER(locked_bit, with_locked_bits, EPERM, "credentials: securebits is 0x3, the image has 0x2")
{
	c->securebits &= ~SECBIT_NOROOT;
}

CALLER(lock, with_locked_bits, EPERM, "credentials: securebits is 0x3, the image has 0x1")
{
	c->securebits &= ~SECBIT_NOROOT_LOCKED;
}

static void without_ambient(void)
{
	MUST(set_caps(ALL_CAPS, ALL_CAPS, ALL_CAPS));
	MUST(!prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE |
				       SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED));
}

CALLER(no_ambient, without_ambient, EPERM, "credentials: cap_ambient is 0x0, the image has 0x1")
{
	c->cap_ambient = 1;
}

/* A root who loses its capabilities with its user, whatever it does. */
static void cannot_keep(void)
{
	MUST(!prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED |
				       SECBIT_NO_SETUID_FIXUP_LOCKED));
}

static void all_uids(struct cr_hdr_creds *c, __u32 uid)
{
	c->uid = uid;
	c->euid = uid;
	c->suid = uid;
	c->fsuid = uid;
}

static void all_gids(struct cr_hdr_creds *c, __u32 gid)
{
	c->gid = gid;
	c->egid = gid;
	c->sgid = gid;
	c->fsgid = gid;
}

CALLER(nothing_is_kept, cannot_keep, EPERM, "credentials: cap_permitted is ")
{
	all_uids(c, 1000);
}

/* What takes capabilities is done before they are lost. */
CALLER(done_before_it_is_lost, cannot_keep, 0, NULL)
{
	all_uids(c, 1000);
	all_gids(c, 1000);
	c->cap_permitted = 0;
	c->cap_effective = 0;
	c->cap_ambient = 0;
	c->cap_bset = 1;
	c->securebits |= SECBIT_NOROOT | SECBIT_NO_CAP_AMBIENT_RAISE;
	groups[1] = 99;
}

/* Not even one that keeps some of them, but for a while. */
static void cannot_keep_all(void)
{
	MUST(!prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED));
}

CALLER(kept_without_fixup, cannot_keep_all, 0, NULL)
{
	all_uids(c, 1000);
	c->cap_permitted = 3;
	c->cap_effective = 1;
}

static void put_line(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY);

	MUST(fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line));
	close(fd);
}

/* Its ids are given by a process that stays outside. */
static void root_of_a_namespace(void)
{
	pid_t outside, self = getpid();
	char path[64], c;
	int p[2], status;

	MUST(!pipe(p));
	outside = fork();
	if (!outside) {
		MUST(read(p[0], &c, 1) == 1);
		snprintf(path, sizeof(path), "/proc/%d/uid_map", self);
		put_line(path, "0 0 1");
		snprintf(path, sizeof(path), "/proc/%d/gid_map", self);
		put_line(path, "0 0 100");
		_exit(0);
	}
	MUST(outside > 0 && !unshare(CLONE_NEWUSER) && write(p[1], "", 1) == 1);
	MUST(waitpid(outside, &status, 0) == outside && !status);
	close(p[0]);
	close(p[1]);
}

CALLER(group_of_its_namespace, root_of_a_namespace, 0, NULL)
{
	c->gid = 99;
	groups[0] = 98;
}

CALLER(no_user_of_its_namespace, root_of_a_namespace, EINVAL, "uid 5: none in the caller's")
{
	c->uid = 5;
}

CALLER(no_group_of_its_namespace, root_of_a_namespace, EINVAL, "groups: one is none in")
{
	groups[1] = 100;
}

/* Logins */

static long number_in(const char *path)
{
	char text[32] = { 0 };
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 ? strtol(text, NULL, 10) : -1;
}

/* The number of the session is another afterwards: nobody can choose one. */
SUBJECT_TEST(login_uid)
{
	long session;

	put_line("/proc/self/loginuid", "1234");
	session = number_in("/proc/self/sessionid");
	CHECK(session > 0 && session < UINT_MAX);
	same_afterwards();
	CHECK(number_in("/proc/self/loginuid") == 1234);
	session = number_in("/proc/self/sessionid");
	CHECK(session > 0 && session < UINT_MAX);
}

static void logged_in(void)
{
	put_line("/proc/self/loginuid", "1000");
	MUST(set_caps(ALL_CAPS & ~BIT(CAP_AUDIT_CONTROL),
		      ALL_CAPS & ~BIT(CAP_AUDIT_CONTROL), 0));
}

static void login_as(struct cr_hdr_task_attrs *attrs, __u32 uid)
{
	attrs->flags |= CR_ATTR_LOGINUID;
	attrs->loginuid = uid;
	attrs->sessionid = 1;
}

CALLER(login_of_its_own, logged_in, 0, NULL)
{
	login_as(attrs, 1000);
}

CALLER(login_of_another, logged_in, EPERM, "login uid 2000: EPERM")
{
	login_as(attrs, 2000);
}

/* The first login takes no capability. */
CALLER(login_of_who_has_none, a_user, 0, NULL)
{
	login_as(attrs, 2000);
}

static void in_charge_of_audit(void)
{
	put_line("/proc/self/loginuid", "1000");
}

CALLER(login_by_audit_control, in_charge_of_audit, 0, NULL)
{
	login_as(attrs, 2000);
}

/* Labels */

#define SMACK "/proc/self/attr/smack/current"

/* The file is there in any case. */
static bool has_labels(void)
{
	int fd = open(SMACK, O_RDONLY | O_CLOEXEC);
	char c;
	bool has = fd >= 0 && read(fd, &c, 1) == 1;

	close(fd);
	return has;
}

FIXTURE(label)
{
	struct subject s;
};

FIXTURE_SETUP(label)
{
	if (skip_without_root(_metadata, "to set labels"))
		return;
	if (!has_labels())
		SKIP(return, "Smack is not active: boot with lsm=smack");
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(label)
{
	remove_dir();
}

static void labelled(void)
{
	char label[64] = { 0 };
	int fd;

	put_line(SMACK, "ckpt");
	checkpoint_here();
	fd = open(SMACK, O_RDONLY);
	CHECK(read(fd, label, sizeof(label) - 1) >= 4);
	CHECK(!strncmp(label, "ckpt", 4));
}

TEST_F(label, must_be_that_of_the_caller)
{
	struct subject *s = &self->s;
	char text[512] = { 0 };
	int status;
	pid_t pid;

	ASSERT_TRUE(subject_start(s, labelled, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	close(s->in);
	close(s->out);
	ASSERT_EQ(0, lseek(s->image, 0, SEEK_SET));
	pid = spawn_restart(0, s->image, 0, 0, s->logfd, -1, -1);
	ASSERT_LT(0, pid);
	status = wait_ms(pid, PATIENCE);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + EPERM)
		TH_LOG("status %#x", status);
	ASSERT_LT(0, pread(s->logfd, text, sizeof(text) - 1, 0));
	EXPECT_TRUE(!!strstr(text,
			     "label of a security module is \"_\", the image has \"ckpt\""))
		TH_LOG("log '%s'", text);

	/* Restarters inherit it. */
	put_line(SMACK, "ckpt");
	if (subject_restart(s))
		subject_finish(s, "of the same label");
	subject_close(s);
}

TEST_HARNESS_MAIN
