/* Which program this is. */
#ifndef MG_VERSION_H
#define MG_VERSION_H

/* "0.1.0", as sound files are tagged: the same bytes from every commit of a release. */
#define MG_VERSION_NAME "mg-dist " MG_VERSION

/* "0.1.0+4fc06081b2": the release and the commit it was built from, "-dirty" if the tree was changed; a
 * tarball has no commit. */
const char *mg_version(void);

#endif
