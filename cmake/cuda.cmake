# The CUDA plug-in, libmg_cuda.so: kernels/cuda and parallel/comm_nccl.c, opened by the program when a GPU is wanted.
# Built by nvcc where there is one; under MG_CUDA_ON_CPU by the host compiler, over tests/cuda_on_cpu.
include(GNUInstallDirs)
set(MG_CUDA auto CACHE STRING "Build the CUDA plug-in: auto (if nvcc and NCCL's header are there), on, off")
set(MG_CUDA_ARCHITECTURES "80-real;90a-real;80-virtual" CACHE STRING
    "What the plug-in is compiled for. The virtual one is PTX, compiled on the device for all others at the first start; a release takes 80-real;86-real;89-real;90a-real;100-real;120-real;90-virtual, which is minutes of nvcc")
set(MG_PLUGIN_FOLDER ${PROJECT_SOURCE_DIR}/kernels/cuda)
set(MG_PLUGIN_C ${MG_PLUGIN_FOLDER}/cuda_plugin.c ${PROJECT_SOURCE_DIR}/parallel/comm_nccl.c
    ${PROJECT_SOURCE_DIR}/parallel/comm_nccl_tune.c ${PROJECT_SOURCE_DIR}/parallel/mailboxes.c)

# The plug-in holds nothing of the program's: mg_fail and its like are the program's own, found when it is opened.
function(mg_plugin_finish)
  set_target_properties(mg_cuda_plugin PROPERTIES OUTPUT_NAME mg_cuda LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
                        C_VISIBILITY_PRESET hidden)
  target_include_directories(mg_cuda_plugin PRIVATE ${MG_PLUGIN_FOLDER} ${PROJECT_SOURCE_DIR}/parallel
                             ${PROJECT_SOURCE_DIR}/kernels ${PROJECT_SOURCE_DIR}/src/base)
  target_compile_definitions(mg_cuda_plugin PRIVATE MG_VERSION="${PROJECT_VERSION}")
  target_link_options(mg_cuda_plugin PRIVATE -Wl,--exclude-libs,ALL)
  add_dependencies(mg-dist mg_cuda_plugin)
  install(TARGETS mg_cuda_plugin LIBRARY DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/mg-dist COMPONENT mg-dist-cuda)
endfunction()

if(MG_CUDA_ON_CPU)
  add_library(mg_cuda_plugin MODULE ${MG_PLUGIN_C})
  set_target_properties(mg_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(mg_cuda_plugin PRIVATE $<TARGET_FILE:mg_cuda>)
  add_dependencies(mg_cuda_plugin mg_cuda)
  target_include_directories(mg_cuda_plugin BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/tests/cuda_on_cpu/include)
  target_compile_definitions(mg-dist PRIVATE MG_CUDA_ON_CPU)
  mg_plugin_finish()
  return()
endif()

if(MG_CUDA STREQUAL "off" OR MG_FUZZ OR MG_SANITIZE)
  return()
endif()
include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND EXISTS /usr/local/cuda/bin/nvcc)
  set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
endif()
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(MG_CUDA STREQUAL "on")
    message(FATAL_ERROR "MG_CUDA=on: no CUDA compiler: put nvcc on PATH, or name it in CUDACXX")
  endif()
  message(NOTICE "Left out: --device cuda (no nvcc; put it on PATH or name it in CUDACXX)")
  return()
endif()
set(CMAKE_CUDA_ARCHITECTURES ${MG_CUDA_ARCHITECTURES})
set(CMAKE_CUDA_STANDARD 17)
if(CMAKE_C_COMPILER_LAUNCHER AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
find_package(NCCL QUIET)
if(NOT NCCL_FOUND)
  if(MG_CUDA STREQUAL "on")
    message(FATAL_ERROR "MG_CUDA=on: no nccl.h: install NCCL, or name its folder in NCCL_HOME")
  endif()
  message(NOTICE "Left out: --device cuda (no nccl.h; install NCCL, or name its folder in NCCL_HOME)")
  return()
endif()

file(GLOB sources CONFIGURE_DEPENDS ${MG_PLUGIN_FOLDER}/*.cu)
add_library(mg_cuda_plugin MODULE ${sources} ${MG_PLUGIN_C} ${PROJECT_SOURCE_DIR}/parallel/nccl_library.c)
set_target_properties(mg_cuda_plugin PROPERTIES CUDA_RUNTIME_LIBRARY Static)
# A product and a sum are contracted where the source says fma, as everywhere in the program.
# ptxas says which kernel spills its registers on which device; on the two that count most, none may (tests/lint).
target_compile_options(mg_cuda_plugin PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-fvisibility=hidden;-fmad=false;-Xfatbin=-compress-all;-Xptxas=-warn-spills;-lineinfo>")
target_include_directories(mg_cuda_plugin PRIVATE ${NCCL_INCLUDE_DIR} ${CUDAToolkit_INCLUDE_DIRS})
target_link_libraries(mg_cuda_plugin PRIVATE CUDA::cudart_static)
mg_plugin_finish()
