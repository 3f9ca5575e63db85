# What `cmake --install` puts where. Everything finds its neighbours by its own place: an installed tree may be moved.
include(GNUInstallDirs)
set(MG_LIBEXEC ${CMAKE_INSTALL_LIBEXECDIR}/mg-dist)
set(MG_DATA ${CMAKE_INSTALL_DATADIR}/mg-dist)

# The manual page and the completions are printed by the program, from its option tables.
set(pages ${CMAKE_BINARY_DIR}/share)
file(MAKE_DIRECTORY ${pages})
add_custom_command(OUTPUT ${pages}/mg-dist.1 ${pages}/mg-dist.bash ${pages}/_mg-dist ${pages}/mg-dist.fish
  COMMAND mg-dist --help-man > ${pages}/mg-dist.1
  COMMAND gzip -9nkf ${pages}/mg-dist.1
  COMMAND mg-dist --completion bash > ${pages}/mg-dist.bash
  COMMAND mg-dist --completion zsh > ${pages}/_mg-dist
  COMMAND mg-dist --completion fish > ${pages}/mg-dist.fish
  DEPENDS mg-dist VERBATIM)
add_custom_target(mg_pages ALL DEPENDS ${pages}/mg-dist.1)

install(TARGETS mg-dist COMPONENT mg-dist)
install(FILES ${pages}/mg-dist.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT mg-dist)
install(FILES ${pages}/mg-dist.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME mg-dist
        COMPONENT mg-dist)
install(FILES ${pages}/_mg-dist DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT mg-dist)
install(FILES ${pages}/mg-dist.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT mg-dist)

install(PROGRAMS launch/mg-launch launch/container/container-entry DESTINATION ${MG_LIBEXEC} COMPONENT mg-dist)
install(FILES launch/mg-compare.awk launch/mg-probe.sh DESTINATION ${MG_LIBEXEC} COMPONENT mg-dist)
file(CREATE_LINK ../${MG_LIBEXEC}/mg-launch ${pages}/mg-launch SYMBOLIC)
install(FILES ${pages}/mg-launch DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT mg-dist)

install(DIRECTORY launch/slurm hostfiles models/mg-demo DESTINATION ${MG_DATA} COMPONENT mg-dist
        PATTERN job.sh EXCLUDE) # the program has it
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT mg-dist-doc FILES_MATCHING PATTERN "*.md")
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT mg-dist-doc)

# cmake --build build --target uninstall: removes what the last install of this build folder has put there.
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -DMANIFEST=${CMAKE_BINARY_DIR}/install_manifest.txt
                  -DOWN=mg-dist -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake)
