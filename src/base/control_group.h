/* The control groups that this process is in, and those above them: any of them may limit it. Version 2, and
 * version 1, where each controller has folders of its own. */
#ifndef MG_CONTROL_GROUP_H
#define MG_CONTROL_GROUP_H

/* What the group at `folder` leaves; INFINITY: it limits nothing. version: 1 or 2, for names of files differ.
 */
typedef double mg_group_limit(const char *folder, int version);

/* The least of them all, by `controller` ("memory", "cpu"). root: "", or where a system's files are. */
double mg_control_groups_least(const char *root, const char *controller, mg_group_limit *limit);

#endif
