# The functions of a job script, launch/slurm/job.sh, as a string of C: mg-dist --job-functions prints it.
set(file ${PROJECT_SOURCE_DIR}/launch/slurm/job.sh)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
file(READ ${file} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/job_functions/job_functions.h @ONLY
     CONTENT "static const char job_functions[] =\n    \"@text@\";\n")
target_include_directories(mg-dist PRIVATE ${PROJECT_BINARY_DIR}/job_functions)
