# What `cmake --install` puts where. The engine looks for its helpers beside itself.
include(GNUInstallDirs)

install(TARGETS coffer cofferd coffer-oci coffer-logger coffer-shim coffer-init coffer-unpack coffer-files
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# Manual pages and completions are what the command lines say about themselves.
set(share ${CMAKE_BINARY_DIR}/share)
set(commands)
foreach(program coffer coffer-oci)
  list(APPEND commands COMMAND ${program} man --output ${share}/man/man1)
  foreach(place bash:bash-completion/completions/${program} zsh:zsh/site-functions/_${program}
                fish:fish/vendor_completions.d/${program}.fish)
    string(REPLACE ":" ";" place ${place})
    list(GET place 0 shell)
    list(GET place 1 file)
    list(APPEND commands COMMAND sh -c "\"$0\" completion \"$1\" >\"$2\"" $<TARGET_FILE:${program}>
      ${shell} ${share}/${file})
  endforeach()
endforeach()
list(APPEND commands COMMAND sh -c "\"$0\" --man >\"$1\"" $<TARGET_FILE:cofferd> ${share}/man/man8/cofferd.8)
add_custom_command(OUTPUT ${share}/stamp DEPENDS coffer cofferd coffer-oci VERBATIM
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${share}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${share}/man/man8 ${share}/bash-completion/completions
    ${share}/zsh/site-functions ${share}/fish/vendor_completions.d
  ${commands}
  COMMAND ${CMAKE_COMMAND} -E touch ${share}/stamp)
add_custom_target(share ALL DEPENDS ${share}/stamp)
install(DIRECTORY ${share}/ DESTINATION ${CMAKE_INSTALL_DATADIR} PATTERN stamp EXCLUDE)
