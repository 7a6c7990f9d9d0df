# What `cmake --install` puts where. The engine looks for its helpers beside itself.
include(GNUInstallDirs)

install(TARGETS coffer cofferd coffer-oci coffer-logger coffer-shim coffer-unpack coffer-files
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# Manual pages and completions are what the command line says about itself.
set(share ${CMAKE_BINARY_DIR}/share)
add_custom_command(OUTPUT ${share}/stamp DEPENDS coffer VERBATIM
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${share}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${share}/man ${share}/bash-completion/completions
    ${share}/zsh/site-functions ${share}/fish/vendor_completions.d
  COMMAND coffer man --output ${share}/man/man1
  COMMAND sh -c "\"$0\" completion bash >${share}/bash-completion/completions/coffer" $<TARGET_FILE:coffer>
  COMMAND sh -c "\"$0\" completion zsh >${share}/zsh/site-functions/_coffer" $<TARGET_FILE:coffer>
  COMMAND sh -c "\"$0\" completion fish >${share}/fish/vendor_completions.d/coffer.fish" $<TARGET_FILE:coffer>
  COMMAND ${CMAKE_COMMAND} -E touch ${share}/stamp)
add_custom_target(share ALL DEPENDS ${share}/stamp)
install(DIRECTORY ${share}/ DESTINATION ${CMAKE_INSTALL_DATADIR} PATTERN stamp EXCLUDE)
