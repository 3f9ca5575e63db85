# Texts of launch/slurm as strings of C: job.sh, which mg-dist --job-functions prints, and the lines of run.sbatch before
# it starts the ranks, which mg-dist plan --sbatch writes.
function(mg_text_header name text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/job_functions/${name}.h @ONLY
       CONTENT "static const char ${name}[] =\n    \"@text@\";\n")
endfunction()

set(folder ${PROJECT_SOURCE_DIR}/launch/slurm)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/job.sh ${folder}/run.sbatch)
file(READ ${folder}/job.sh text)
mg_text_header(job_functions "${text}")
file(READ ${folder}/run.sbatch text)
if(NOT text MATCHES "\ntrap mg_told.*\neval [^\n]*\n")
  message(FATAL_ERROR "launch/slurm/run.sbatch: no lines from trap to eval")
endif()
mg_text_header(before_ranks "${CMAKE_MATCH_0}")
target_include_directories(mg-dist PRIVATE ${PROJECT_BINARY_DIR}/job_functions)
