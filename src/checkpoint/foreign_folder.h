/* Folders without weights that this program looks for, told by what lies in them. */
#ifndef MG_FOREIGN_FOLDER_H
#define MG_FOREIGN_FOLDER_H

#include "status.h"

/* MG_EFAIL with what the folder is and what to give or do instead, where that can be told; else MG_OK. */
mg_status mg_foreign_folder_refuse(const char *path);

#endif
