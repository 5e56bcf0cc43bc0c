// SPDX-License-Identifier: GPL-2.0
/*
 * What checkpoint(2) has to know of Landlock.
 */
#include <linux/checkpoint.h>
#include <linux/cred.h>

#include "cred.h"
#include "setup.h"

/*
 * Tells whether landlock_restrict_self(2) was called with anything that lasts. A
 * domain is made of what is open and mounted, and has no form that could be
 * saved.
 */
bool checkpoint_landlocked(const struct cred *cred)
{
	const struct landlock_cred_security *landlock;

	if (!landlock_initialized)
		return false;
	landlock = landlock_cred(cred);
#ifdef CONFIG_SECURITY_LANDLOCK_LOG
	if (landlock->log_subdomains_off)
		return true;
#endif
	return landlock->domain;
}
