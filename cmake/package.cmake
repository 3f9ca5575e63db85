# Debian packages by CPack (make deb): mg-dist, mg-dist-cuda where the plug-in is built, mg-dist-doc.
set(CPACK_GENERATOR DEB)
if(NOT CPACK_PACKAGE_CONTACT) # -DCPACK_PACKAGE_CONTACT="Name <address>" for packages that go to others
  set(CPACK_PACKAGE_CONTACT "The mg-dist authors <mg-dist@packages.invalid>")
endif()
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENTS_ALL mg-dist mg-dist-doc)

set(CPACK_COMPONENT_MG-DIST_DESCRIPTION "Generates music from text, melodies and audio prompts with MusicGen models:
one clip split over the ranks of a tensor-parallel group, or a dataset over
many replicas, resumed after any interruption. One seed gives the same bytes
on any number of ranks and threads. Comes with a small demo model.")
set(CPACK_DEBIAN_MG-DIST_PACKAGE_NAME mg-dist)
set(CPACK_DEBIAN_MG-DIST_PACKAGE_SECTION sound)
set(CPACK_DEBIAN_MG-DIST_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_MG-DIST_PACKAGE_DEPENDS openmpi-bin)
set(CPACK_DEBIAN_MG-DIST_PACKAGE_RECOMMENDS openssh-client)
set(CPACK_DEBIAN_MG-DIST_PACKAGE_SUGGESTS "mg-dist-doc, slurm-client")

set(CPACK_COMPONENT_MG-DIST-DOC_DESCRIPTION "The pages of mg-dist: clips, datasets, launching, checkpoints, GPUs, the
maths of the model, and what was measured.")
set(CPACK_DEBIAN_MG-DIST-DOC_PACKAGE_NAME mg-dist-doc)
set(CPACK_DEBIAN_MG-DIST-DOC_PACKAGE_SECTION doc)
set(CPACK_DEBIAN_MG-DIST-DOC_PACKAGE_ARCHITECTURE all)

set(owners mg-dist mg-dist-doc)
if(TARGET mg_cuda_plugin AND NOT MG_CUDA_ON_CPU)
  list(APPEND CPACK_COMPONENTS_ALL mg-dist-cuda)
  list(APPEND owners mg-dist-cuda)
  set(CPACK_COMPONENT_MG-DIST-CUDA_DESCRIPTION "The backend of mg-dist for NVIDIA GPUs. The program opens it where there is a
GPU, and NCCL (libnccl2) where there is more than one rank.")
  set(CPACK_DEBIAN_MG-DIST-CUDA_PACKAGE_NAME mg-dist-cuda)
  set(CPACK_DEBIAN_MG-DIST-CUDA_PACKAGE_SECTION sound)
  set(CPACK_DEBIAN_MG-DIST-CUDA_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_MG-DIST-CUDA_PACKAGE_DEPENDS "mg-dist (= ${PROJECT_VERSION}-1)")
  set(CPACK_DEBIAN_MG-DIST-CUDA_PACKAGE_RECOMMENDS libnccl2)
endif()

# Each package has the licence and Debian's own change log, dated by SOURCE_DATE_EPOCH.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(folder ${CMAKE_BINARY_DIR}/debian)
file(READ ${PROJECT_SOURCE_DIR}/LICENSE licence)
string(REGEX REPLACE "^MIT License\n\nCopyright[^\n]*\n\n" "" licence "${licence}")
string(REGEX REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REGEX REPLACE "\n([^\n])" "\n \\1" licence "${licence}")
file(WRITE ${folder}/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: mg-dist

Files: *
Copyright: 2026 The mg-dist authors
License: Expat
 ${licence}")
foreach(owner ${owners})
  file(WRITE ${folder}/${owner}/changelog.Debian "mg-dist (${PROJECT_VERSION}-1) unstable; urgency=medium

  * See the change log of the program.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
  execute_process(COMMAND gzip -9nf ${folder}/${owner}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${folder}/copyright ${folder}/${owner}/changelog.Debian.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${owner} COMPONENT ${owner})
endforeach()
include(CPack)
