# Writes version_commit.h with the commit of the source tree; a tarball has none. Run at each build: cmake -DSOURCE=… -DTO=… -P
cmake_minimum_required(VERSION 3.25)
find_package(Git QUIET)
set(MG_COMMIT "")
if(GIT_FOUND AND EXISTS "${SOURCE}/.git")
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} describe --always --dirty --abbrev=10 --exclude=*
                  OUTPUT_VARIABLE MG_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${TO} CONTENT "#define MG_COMMIT \"@MG_COMMIT@\"\n" @ONLY)
