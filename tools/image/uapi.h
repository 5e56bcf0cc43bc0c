/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What build.rs has bindgen translate.
 */
#include "../../include/uapi/linux/checkpoint.h"
#include "../../include/uapi/linux/checkpoint_hdr.h"

/*
 * From <linux/magic.h>. The one on the host does not have them: it belongs to
 * the running kernel. A test holds them against the patch.
 */
#define CHECKPOINT_MAGIC_HEAD	0x00feed0cc0a2d200
#define CHECKPOINT_MAGIC_TAIL	0x002d2a0cc0deef00
