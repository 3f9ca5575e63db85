# Writes version_commit.h with the commit of the source tree; a release tarball has it in the file `commit`.
# Run at each build: cmake -DSOURCE=… -DTO=… -P
cmake_minimum_required(VERSION 3.22)
find_package(Git QUIET)
set(MG_COMMIT "")
if(GIT_FOUND AND EXISTS "${SOURCE}/.git")
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} describe --always --dirty --abbrev=10 --exclude=*
                  OUTPUT_VARIABLE MG_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
elseif(EXISTS "${SOURCE}/commit")
  file(STRINGS "${SOURCE}/commit" MG_COMMIT LIMIT_COUNT 1)
endif()
file(CONFIGURE OUTPUT ${TO} CONTENT "#define MG_COMMIT \"@MG_COMMIT@\"\n" @ONLY)
