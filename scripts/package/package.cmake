# What is installed beside the program, and the Debian package (cpack -G DEB).
include(GNUInstallDirs)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# The options are described once, in src/cli/option_list.cc.
set(made ${PROJECT_BINARY_DIR}/package)
set(docs_py ${CMAKE_CURRENT_LIST_DIR}/docs.py)
set(manual_in ${CMAKE_CURRENT_LIST_DIR}/tcpsaga.8.in)
add_custom_command(
  OUTPUT ${made}/tcpsaga.8 ${made}/tcpsaga.bash ${made}/_tcpsaga
  COMMAND sh -c "\"$0\" --describe | \"$1\" -B \"$2\" \"$3\" \"$4\""
          $<TARGET_FILE:tcpsaga> ${Python3_EXECUTABLE} ${docs_py} ${manual_in} ${made}
  DEPENDS tcpsaga ${docs_py} ${manual_in} COMMENT "Manual page and completions" VERBATIM)
# gzip -n: the same bytes from each build
add_custom_command(
  OUTPUT ${made}/tcpsaga.8.gz ${made}/changelog.gz
  COMMAND sh -c "gzip -9nc \"$0/tcpsaga.8\" > \"$0/tcpsaga.8.gz\" && gzip -9nc \"$1\" > \"$0/changelog.gz\""
          ${made} ${CMAKE_CURRENT_LIST_DIR}/changelog
  DEPENDS ${made}/tcpsaga.8 ${CMAKE_CURRENT_LIST_DIR}/changelog VERBATIM)
add_custom_target(package_docs ALL DEPENDS ${made}/tcpsaga.8.gz ${made}/changelog.gz ${made}/tcpsaga.bash)

install(TARGETS tcpsaga RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(FILES ${made}/tcpsaga.8.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${made}/tcpsaga.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME tcpsaga)
install(FILES ${made}/_tcpsaga DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright ${made}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(SYSTEMD_FOUND) # Type=notify
  configure_file(${CMAKE_CURRENT_LIST_DIR}/tcpsaga.service.in ${made}/tcpsaga.service @ONLY)
  install(FILES ${made}/tcpsaga.service DESTINATION lib/systemd/system)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "the tcpsaga authors")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "the tcpsaga authors <tcpsaga@example.org>")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_PACKAGE_DESCRIPTION
"Follows each TCP connection of a host from bind and SYN through the accept
queue to the end of TIME_WAIT, live, from eBPF: who listens, who connects,
how long the handshake and the accept queue took, who closed and how, full
queues and failed connects. A line per event or per connection, for people
or as JSON; every count is compared with the kernel's own counters.")
# Folders are 0755 whatever the umask of whoever builds
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
    GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
