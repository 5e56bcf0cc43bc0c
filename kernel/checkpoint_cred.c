// SPDX-License-Identifier: GPL-2.0
/*
 * Who a task is and what it may do, as checkpoint(2) saves and restart(2)
 * acquires it: credentials, the label of a security module, the login uid.
 *
 * Credentials are acquired as a program would acquire them, by a sequence of
 * system calls, each with its own rule and its own security hooks. Only the
 * caller's subjective credentials change while that goes on, which nobody else
 * looks at, and they are put back. What the last step made is kept, to be
 * committed when nothing can fail any more. So a caller gets what it could have
 * got by itself, and nothing else.
 */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/checkpoint.h>
#include <linux/cred.h>
#include <linux/key.h>
#include <linux/keyctl.h>
#include <linux/sched/user.h>
#include <linux/securebits.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#define KEEP_CAPS		issecure_mask(SECURE_KEEP_CAPS)
#define KEEP_CAPS_LOCKED	issecure_mask(SECURE_KEEP_CAPS_LOCKED)
#define NO_FIXUP		issecure_mask(SECURE_NO_SETUID_FIXUP)
#define NO_FIXUP_LOCKED		issecure_mask(SECURE_NO_SETUID_FIXUP_LOCKED)
#define NO_AMBIENT		issecure_mask(SECURE_NO_CAP_AMBIENT_RAISE)
#define NO_AMBIENT_LOCKED	issecure_mask(SECURE_NO_CAP_AMBIENT_RAISE_LOCKED)

/*
 * Saving
 */

static void found(struct checkpoint_obstacles *to, const char *what)
{
	if (to->nr < ARRAY_SIZE(to->what))
		to->what[to->nr++] = what;
}

/* Keys that a session or a user shares are the restarter's. */
static void key_obstacles(const struct cred *cred, struct checkpoint_obstacles *to)
{
#ifdef CONFIG_KEYS
	if (cred->thread_keyring || cred->process_keyring)
		found(to, "a keyring of its own");
	if (cred->request_key_auth)
		found(to, "keyctl(KEYCTL_ASSUME_AUTHORITY)");
	if (cred->jit_keyring != KEY_REQKEY_DEFL_DEFAULT)
		found(to, "keyctl(KEYCTL_SET_REQKEY_KEYRING)");
#endif
}

/* Labels for what a task makes next; a module without them answers an error. */
static void label_obstacles(struct task_struct *task, struct checkpoint_obstacles *to)
{
	static const struct {
		const char *attr;
		const char *what;
	} labels[] = {
		{ "exec", "a label for the next program" },
		{ "fscreate", "a label for new files" },
		{ "keycreate", "a label for new keys" },
		{ "sockcreate", "a label for new sockets" },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(labels); i++) {
		char *label = NULL;

		if (security_getprocattr(task, LSM_ID_UNDEF, labels[i].attr, &label) > 0)
			found(to, labels[i].what);
		kfree(label);
	}
}

/* Adds what @task is or may do and no image has. */
void checkpoint_cred_obstacles(struct task_struct *task, struct checkpoint_obstacles *to)
{
	const struct cred *cred = get_task_cred(task);

	key_obstacles(cred, to);
#ifdef CONFIG_SECURITY_LANDLOCK
	if (checkpoint_landlocked(cred))
		found(to, "a Landlock domain");
#endif
	put_cred(cred);
	label_obstacles(task, to);
}

static bool checkpoint_ids_mapped(const struct cr_hdr_creds *creds)
{
	return creds->uid != (u32)-1 && creds->euid != (u32)-1 &&
	       creds->suid != (u32)-1 && creds->fsuid != (u32)-1 &&
	       creds->gid != (u32)-1 && creds->egid != (u32)-1 &&
	       creds->sgid != (u32)-1 && creds->fsgid != (u32)-1;
}

/**
 * checkpoint_creds_get - read the credentials of a task
 * @task: the task
 * @to: gets all but @ngroups, as the user namespace of the caller has them
 * @groups: gets the groups, ascending, likewise
 * @max: places in @groups
 *
 * Return: how many groups there are, which may be more than @max; -EOVERFLOW if
 * an id has no number in the namespace of the caller; -EXDEV if @task is of
 * another user namespace.
 */
int checkpoint_creds_get(struct task_struct *task, struct cr_hdr_creds *to,
			 u32 *groups, int max)
{
	struct user_namespace *ns = current_user_ns();
	const struct cred *cred = get_task_cred(task);
	int ret, i;

	to->uid = from_kuid(ns, cred->uid);
	to->euid = from_kuid(ns, cred->euid);
	to->suid = from_kuid(ns, cred->suid);
	to->fsuid = from_kuid(ns, cred->fsuid);
	to->gid = from_kgid(ns, cred->gid);
	to->egid = from_kgid(ns, cred->egid);
	to->sgid = from_kgid(ns, cred->sgid);
	to->fsgid = from_kgid(ns, cred->fsgid);
	to->securebits = cred->securebits;
	to->cap_inheritable = cred->cap_inheritable.val;
	to->cap_permitted = cred->cap_permitted.val;
	to->cap_effective = cred->cap_effective.val;
	to->cap_bset = cred->cap_bset.val;
	to->cap_ambient = cred->cap_ambient.val;
	to->no_new_privs = task_no_new_privs(task);

	ret = cred->group_info->ngroups;
	if (cred->user_ns != ns)
		ret = -EXDEV;
	else if (!checkpoint_ids_mapped(to))
		ret = -EOVERFLOW;
	for (i = 0; i < min(ret, max); i++) {
		groups[i] = from_kgid(ns, cred->group_info->gid[i]);
		if (groups[i] == (u32)-1)
			ret = -EOVERFLOW;
	}
	put_cred(cred);
	return ret;
}

/*
 * Acquiring
 */

/**
 * struct checkpoint_acquire - credentials on their way from the caller's to the
 *	image's
 * @uid: wanted, like all that follow
 * @euid: likewise
 * @suid: likewise
 * @fsuid: likewise
 * @gid: likewise
 * @egid: likewise
 * @sgid: likewise
 * @fsgid: likewise
 * @groups: sorted; this is a reference
 * @inheritable: a set of capabilities
 * @permitted: likewise
 * @effective: likewise
 * @bset: likewise
 * @ambient: likewise
 * @securebits: SECBIT_*
 * @last: what the last step made, which current_cred() is; NULL before the first
 * @field: what a step is about
 */
struct checkpoint_acquire {
	kuid_t uid, euid, suid, fsuid;
	kgid_t gid, egid, sgid, fsgid;
	struct group_info *groups;
	kernel_cap_t inheritable, permitted, effective, bset, ambient;
	u32 securebits;
	struct cred *last;
	const char *field;
};

static bool caps_equal(kernel_cap_t a, kernel_cap_t b)
{
	return a.val == b.val;
}

static bool groups_equal(const struct group_info *a, const struct group_info *b)
{
	return a->ngroups == b->ngroups &&
	       !memcmp(a->gid, b->gid, array_size(a->ngroups, sizeof(a->gid[0])));
}

/* Takes a step, or drops what was prepared for it if @ret is an error. */
static int acquired(struct checkpoint_acquire *to, struct cred *new, int ret)
{
	if (ret < 0) {
		abort_creds(new);
		return ret;
	}
	override_creds(new);
	if (to->last)
		put_cred(to->last);
	to->last = new;
	return 0;
}

/* As capset(2). */
static int acquire_caps(struct checkpoint_acquire *to, kernel_cap_t effective,
			kernel_cap_t inheritable, kernel_cap_t permitted)
{
	const struct cred *now = current_cred();
	struct cred *new;

	if (caps_equal(effective, now->cap_effective) &&
	    caps_equal(inheritable, now->cap_inheritable) &&
	    caps_equal(permitted, now->cap_permitted))
		return 0;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	return acquired(to, new, security_capset(new, now, &effective,
						 &inheritable, &permitted));
}

/*
 * Makes all effective that is permitted. A security module may forbid it; who
 * needs one of them then does not find it.
 */
static int acquire_effective(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	int ret = acquire_caps(to, now->cap_permitted, now->cap_inheritable,
			       now->cap_permitted);

	return ret == -ENOMEM ? ret : 0;
}

static int acquire_inheritable(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();

	to->field = "cap_inheritable";
	return acquire_caps(to, now->cap_effective, to->inheritable,
			    now->cap_permitted);
}

/* The last step: what is permitted only becomes less. */
static int acquire_permitted(struct checkpoint_acquire *to)
{
	to->field = cap_issubset(to->permitted, current_cred()->cap_permitted) ?
		    "cap_effective" : "cap_permitted";
	return acquire_caps(to, to->effective, to->inheritable, to->permitted);
}

/* As prctl(PR_CAPBSET_DROP). */
static int acquire_bset(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	struct cred *new;

	if (caps_equal(to->bset, now->cap_bset))
		return 0;
	to->field = "cap_bset";
	if (!cap_issubset(to->bset, now->cap_bset) ||
	    !ns_capable(now->user_ns, CAP_SETPCAP))
		return -EPERM;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->cap_bset = to->bset;
	return acquired(to, new, 0);
}

/* As prctl(PR_CAP_AMBIENT). */
static int acquire_ambient(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	kernel_cap_t may = cap_intersect(now->cap_permitted, now->cap_inheritable);
	struct cred *new;

	if (caps_equal(to->ambient, now->cap_ambient))
		return 0;
	to->field = "cap_ambient";
	if (now->securebits & NO_AMBIENT)
		may = now->cap_ambient;
	if (!cap_issubset(to->ambient, may))
		return -EPERM;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->cap_ambient = to->ambient;
	return acquired(to, new, 0);
}

/* As prctl(PR_SET_SECUREBITS) and prctl(PR_SET_KEEPCAPS). */
static int acquire_securebits(struct checkpoint_acquire *to, u32 bits)
{
	const u32 anybody = SECURE_ALL_UNPRIVILEGED |
			    SECURE_ALL_UNPRIVILEGED << 1 | KEEP_CAPS;
	const struct cred *now = current_cred();
	const u32 changed = bits ^ now->securebits;
	const u32 locks = now->securebits & SECURE_ALL_LOCKS;
	struct cred *new;

	if (!changed)
		return 0;
	to->field = "securebits";
	if (changed & (locks | locks >> 1) ||
	    bits & ~(SECURE_ALL_BITS | SECURE_ALL_LOCKS))
		return -EPERM;
	if (changed & ~anybody && !ns_capable(now->user_ns, CAP_SETPCAP))
		return -EPERM;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->securebits = bits;
	return acquired(to, new, 0);
}

/* The bits with which as little as possible is lost on the way. */
static u32 acquire_working_bits(void)
{
	const struct cred *now = current_cred();
	u32 bits = now->securebits;

	if (!(bits & KEEP_CAPS_LOCKED))
		bits |= KEEP_CAPS;
	if (bits & NO_FIXUP && !(bits & NO_AMBIENT))
		return bits;
	if (ns_capable_noaudit(now->user_ns, CAP_SETPCAP)) {
		if (!(bits & NO_FIXUP_LOCKED))
			bits |= NO_FIXUP;
		if (!(bits & NO_AMBIENT_LOCKED))
			bits &= ~NO_AMBIENT;
	}
	return bits;
}

/* As setgroups(2). */
static int acquire_groups(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	struct cred *new;

	if (groups_equal(to->groups, now->group_info))
		return 0;
	to->field = "groups";
	if (!may_setgroups())
		return -EPERM;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	set_groups(new, to->groups);
	return acquired(to, new, security_task_fix_setgroups(new, now));
}

static bool has_gid(const struct cred *cred, kgid_t gid)
{
	return gid_eq(gid, cred->gid) || gid_eq(gid, cred->egid) ||
	       gid_eq(gid, cred->sgid);
}

static bool has_uid(const struct cred *cred, kuid_t uid)
{
	return uid_eq(uid, cred->uid) || uid_eq(uid, cred->euid) ||
	       uid_eq(uid, cred->suid);
}

/* As setresgid(2). */
static int acquire_gids(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	struct cred *new;

	if (gid_eq(to->gid, now->gid) && gid_eq(to->egid, now->egid) &&
	    gid_eq(to->sgid, now->sgid))
		return 0;
	to->field = !has_gid(now, to->gid) ? "gid" :
		    !has_gid(now, to->egid) ? "egid" :
		    !has_gid(now, to->sgid) ? "sgid" : NULL;
	if (to->field && !ns_capable_setid(now->user_ns, CAP_SETGID))
		return -EPERM;
	to->field = "gid";
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->gid = to->gid;
	new->egid = to->egid;
	new->sgid = to->sgid;
	new->fsgid = to->egid;
	return acquired(to, new, security_task_fix_setgid(new, now, LSM_SETID_RES));
}

/* As setfsgid(2). */
static int acquire_fsgid(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	struct cred *new;

	if (gid_eq(to->fsgid, now->fsgid))
		return 0;
	to->field = "fsgid";
	if (!has_gid(now, to->fsgid) &&
	    !ns_capable_setid(now->user_ns, CAP_SETGID))
		return -EPERM;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->fsgid = to->fsgid;
	return acquired(to, new, security_task_fix_setgid(new, now, LSM_SETID_FS));
}

static int acquire_user(struct cred *new, const struct cred *now)
{
	struct user_struct *user;

	if (uid_eq(new->uid, now->uid))
		return 0;
	user = alloc_uid(new->uid);
	if (!user)
		return -EAGAIN;
	free_uid(new->user);
	new->user = user;
	return 0;
}

/* As setresuid(2). */
static int acquire_uids(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	struct cred *new;
	int ret;

	if (uid_eq(to->uid, now->uid) && uid_eq(to->euid, now->euid) &&
	    uid_eq(to->suid, now->suid))
		return 0;
	to->field = !has_uid(now, to->uid) ? "uid" :
		    !has_uid(now, to->euid) ? "euid" :
		    !has_uid(now, to->suid) ? "suid" : NULL;
	if (to->field && !ns_capable_setid(now->user_ns, CAP_SETUID))
		return -EPERM;
	to->field = "uid";
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->uid = to->uid;
	new->euid = to->euid;
	new->suid = to->suid;
	new->fsuid = to->euid;
	ret = acquire_user(new, now);
	if (!ret)
		ret = security_task_fix_setuid(new, now, LSM_SETID_RES);
	if (!ret)
		ret = set_cred_ucounts(new);
	return acquired(to, new, ret);
}

/* As setfsuid(2). */
static int acquire_fsuid(struct checkpoint_acquire *to)
{
	const struct cred *now = current_cred();
	struct cred *new;

	if (uid_eq(to->fsuid, now->fsuid))
		return 0;
	to->field = "fsuid";
	if (!has_uid(now, to->fsuid) &&
	    !ns_capable_setid(now->user_ns, CAP_SETUID))
		return -EPERM;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->fsuid = to->fsuid;
	return acquired(to, new, security_task_fix_setuid(new, now, LSM_SETID_FS));
}

/*
 * The order in which most can be had: all that is permitted is used as long as
 * it is there, and what may end that, the change of users, comes late.
 */
static int acquire_all(struct checkpoint_acquire *to)
{
	u32 bits;
	int ret;

	ret = acquire_effective(to);
	if (!ret)
		ret = acquire_inheritable(to);
	if (!ret)
		ret = acquire_bset(to);
	if (!ret)
		ret = acquire_groups(to);
	if (!ret)
		ret = acquire_gids(to);
	if (!ret)
		ret = acquire_fsgid(to);
	if (ret)
		return ret;

	bits = acquire_working_bits();
	ret = acquire_securebits(to, bits);
	if (!ret && !(bits & (KEEP_CAPS | NO_FIXUP))) {
		/* Who is not root any more has no capabilities then. */
		ret = acquire_ambient(to);
		if (!ret)
			ret = acquire_securebits(to, to->securebits);
	}
	if (!ret)
		ret = acquire_uids(to);
	if (!ret)
		ret = acquire_effective(to);
	if (!ret)
		ret = acquire_fsuid(to);
	if (!ret)
		ret = acquire_effective(to);
	if (!ret)
		ret = acquire_ambient(to);
	if (!ret)
		ret = acquire_securebits(to, to->securebits);
	if (!ret)
		ret = acquire_permitted(to);
	return ret;
}

/* The first field of @cred that is not as it is wanted, NULL if all are. */
static const char *acquire_differs(const struct checkpoint_acquire *to,
				   const struct cred *cred)
{
	const struct {
		bool equal;
		const char *field;
	} fields[] = {
		{ uid_eq(to->uid, cred->uid), "uid" },
		{ uid_eq(to->euid, cred->euid), "euid" },
		{ uid_eq(to->suid, cred->suid), "suid" },
		{ uid_eq(to->fsuid, cred->fsuid), "fsuid" },
		{ gid_eq(to->gid, cred->gid), "gid" },
		{ gid_eq(to->egid, cred->egid), "egid" },
		{ gid_eq(to->sgid, cred->sgid), "sgid" },
		{ gid_eq(to->fsgid, cred->fsgid), "fsgid" },
		{ groups_equal(to->groups, cred->group_info), "groups" },
		{ caps_equal(to->inheritable, cred->cap_inheritable), "cap_inheritable" },
		{ caps_equal(to->permitted, cred->cap_permitted), "cap_permitted" },
		{ caps_equal(to->effective, cred->cap_effective), "cap_effective" },
		{ caps_equal(to->bset, cred->cap_bset), "cap_bset" },
		{ caps_equal(to->ambient, cred->cap_ambient), "cap_ambient" },
		{ to->securebits == cred->securebits, "securebits" },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!fields[i].equal)
			return fields[i].field;
	return NULL;
}

/* As make_kuid() and make_kgid(), for an id with a name. */
static bool acquire_kuid(struct checkpoint_acquire *to, kuid_t *kuid, u32 uid,
			 const char *field)
{
	to->field = field;
	*kuid = make_kuid(current_user_ns(), uid);
	return uid_valid(*kuid);
}

static bool acquire_kgid(struct checkpoint_acquire *to, kgid_t *kgid, u32 gid,
			 const char *field)
{
	to->field = field;
	*kgid = make_kgid(current_user_ns(), gid);
	return gid_valid(*kgid);
}

/* Notes what is wanted. */
static int acquire_want(struct checkpoint_acquire *to, const struct cr_hdr_creds *from,
			const u32 *groups, int ngroups)
{
	int i;

	if (!acquire_kuid(to, &to->uid, from->uid, "uid") ||
	    !acquire_kuid(to, &to->euid, from->euid, "euid") ||
	    !acquire_kuid(to, &to->suid, from->suid, "suid") ||
	    !acquire_kuid(to, &to->fsuid, from->fsuid, "fsuid") ||
	    !acquire_kgid(to, &to->gid, from->gid, "gid") ||
	    !acquire_kgid(to, &to->egid, from->egid, "egid") ||
	    !acquire_kgid(to, &to->sgid, from->sgid, "sgid") ||
	    !acquire_kgid(to, &to->fsgid, from->fsgid, "fsgid"))
		return -EINVAL;

	to->field = "groups";
	if (ngroups < 0 || ngroups > NGROUPS_MAX)
		return -EINVAL;
	to->groups = groups_alloc(ngroups);
	if (!to->groups)
		return -ENOMEM;
	for (i = 0; i < ngroups; i++)
		if (!acquire_kgid(to, &to->groups->gid[i], groups[i], "groups"))
			return -EINVAL;
	groups_sort(to->groups);

	/* A set that has no place for a bit of the image differs in the end. */
	to->inheritable.val = from->cap_inheritable & CAP_VALID_MASK;
	to->permitted.val = from->cap_permitted & CAP_VALID_MASK;
	to->effective.val = from->cap_effective & CAP_VALID_MASK;
	to->bset.val = from->cap_bset & CAP_VALID_MASK;
	to->ambient.val = from->cap_ambient & CAP_VALID_MASK;
	to->securebits = from->securebits;
	return 0;
}

/* Keyrings of its own end with the caller's program, as by execve(2). */
static bool acquire_has_keys(const struct cred *cred)
{
#ifdef CONFIG_KEYS
	return cred->thread_keyring || cred->process_keyring ||
	       cred->request_key_auth ||
	       cred->jit_keyring != KEY_REQKEY_DEFL_DEFAULT;
#else
	return false;
#endif
}

static void acquire_drop_keys(struct cred *cred)
{
#ifdef CONFIG_KEYS
	key_put(cred->thread_keyring);
	cred->thread_keyring = NULL;
	key_put(cred->process_keyring);
	cred->process_keyring = NULL;
	key_put(cred->request_key_auth);
	cred->request_key_auth = NULL;
	cred->jit_keyring = KEY_REQKEY_DEFL_DEFAULT;
#endif
}

static int acquire(struct checkpoint_acquire *to, struct cred **prepared)
{
	const struct cred *own = current_cred();
	int ret = 0;

	if (acquire_differs(to, own)) {
		ret = acquire_all(to);
		if (!ret) {
			to->field = acquire_differs(to, current_cred());
			ret = to->field ? -EPERM : 0;
		}
		revert_creds(own);
	}
	if (!ret && !to->last && acquire_has_keys(own)) {
		to->last = prepare_creds();
		if (!to->last)
			ret = -ENOMEM;
	}
	if (ret) {
		if (to->last)
			abort_creds(to->last);
		return ret;
	}
	if (to->last)
		acquire_drop_keys(to->last);
	*prepared = to->last;
	return 0;
}

/**
 * checkpoint_creds_prepare - acquire credentials for the current task
 * @from: what an image says; @ngroups is not looked at
 * @groups: its groups
 * @ngroups: how many
 * @prepared: gets the credentials, NULL if those of the task are as they should
 *	be; for checkpoint_creds_commit() or checkpoint_creds_drop()
 * @field: gets the name of what the task cannot get, if it is for a reason that
 *	belongs to one; else NULL
 *
 * Return: 0; -EPERM if the task may not get them; -EINVAL for an id that is none
 * in its user namespace; another error of the system calls that set these.
 */
int checkpoint_creds_prepare(const struct cr_hdr_creds *from, const u32 *groups,
			     int ngroups, struct cred **prepared, const char **field)
{
	struct checkpoint_acquire to = {};
	int ret;

	*prepared = NULL;
	*field = NULL;
	if (task_no_new_privs(current) && !from->no_new_privs) {
		*field = "no_new_privs";
		return -EPERM;
	}
	ret = acquire_want(&to, from, groups, ngroups);
	if (!ret)
		ret = acquire(&to, prepared);
	if (to.groups)
		put_group_info(to.groups);
	if (ret == -EPERM || ret == -EINVAL)
		*field = to.field;
	return ret;
}

/* Gives back what checkpoint_creds_prepare() made. */
void checkpoint_creds_drop(struct cred *prepared)
{
	abort_creds(prepared);
}

/*
 * Gives the current task what checkpoint_creds_prepare() made, if it made
 * something. The limit of processes is that of the caller, as for setresuid(2).
 */
void checkpoint_creds_commit(struct cred *prepared, bool no_new_privs)
{
	if (no_new_privs)
		task_set_no_new_privs(current);
	if (!prepared)
		return;
	audit_log_capset(prepared, current_cred());
	flag_nproc_exceeded(prepared);
	commit_creds(prepared);
}

/*
 * Labels and login uids
 */

/**
 * checkpoint_label_get - read the label that a security module gave to a task
 * @task: the task
 * @to: gets the label
 * @max: bytes in @to
 *
 * Return: bytes of the label, without a NUL or a newline at its end; 0 if there
 * is none; -E2BIG if it is longer than @max; another error of the module.
 */
int checkpoint_label_get(struct task_struct *task, char *to, unsigned int max)
{
	char *label = NULL;
	int len;

	len = security_getprocattr(task, LSM_ID_UNDEF, "current", &label);
	/* Nobody gives labels to tasks. */
	if (len == -EINVAL || len == -EOPNOTSUPP)
		len = 0;
	while (len > 0 && (!label[len - 1] || label[len - 1] == '\n'))
		len--;
	if (len > 0 && len > max)
		len = -E2BIG;
	if (len > 0)
		memcpy(to, label, len);
	kfree(label);
	return len;
}

/**
 * checkpoint_loginuid_get - read what the audit subsystem knows of a task
 * @task: the task
 * @loginuid: gets the login uid, as the user namespace of the caller has it
 * @sessionid: gets the number of the session
 *
 * Return: 1; 0 if it was never set; -EOVERFLOW if the login uid has no number
 * in the namespace of the caller.
 */
int checkpoint_loginuid_get(struct task_struct *task, u32 *loginuid, u32 *sessionid)
{
	kuid_t kuid = audit_get_loginuid(task);

	if (!uid_valid(kuid))
		return 0;
	*loginuid = from_kuid(current_user_ns(), kuid);
	*sessionid = audit_get_sessionid(task);
	return *loginuid == (u32)-1 ? -EOVERFLOW : 1;
}

/**
 * checkpoint_loginuid_prepare - find out whether the current task may set its
 *	login uid
 * @loginuid: the new one, in its user namespace; -1 to have none
 *
 * The rule is that of a write to /proc/self/loginuid.
 *
 * Return: 1 if it may; 0 if it has that one; -EPERM if it may not; -EINVAL if it
 * is no user.
 */
int checkpoint_loginuid_prepare(u32 loginuid)
{
	kuid_t kuid = make_kuid(current_user_ns(), loginuid);
	kuid_t own = audit_get_loginuid(current);

	if (loginuid != (u32)-1 && !uid_valid(kuid))
		return -EINVAL;
	if (uid_eq(kuid, own) || (!uid_valid(kuid) && !uid_valid(own)))
		return 0;
#ifdef CONFIG_AUDIT
	return audit_set_loginuid_perm(kuid) ?: 1;
#else
	return -EPERM;
#endif
}

/*
 * Sets the login uid, after checkpoint_loginuid_prepare() has returned 1. The
 * session gets a number that no other has.
 */
void checkpoint_loginuid_commit(u32 loginuid)
{
#ifdef CONFIG_AUDIT
	audit_change_loginuid(make_kuid(current_user_ns(), loginuid), 0);
#endif
}
