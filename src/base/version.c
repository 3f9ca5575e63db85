#include "version.h"

#include "version_commit.h"

const char *mg_version(void)
{
    return sizeof MG_COMMIT > 1 ? MG_VERSION "+" MG_COMMIT : MG_VERSION;
}
