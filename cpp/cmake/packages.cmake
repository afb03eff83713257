# A tarball and Debian packages of what is installed: `make debs`.
set(CPACK_PACKAGE_NAME libvolest)
set(CPACK_PACKAGE_VENDOR volest)
set(CPACK_PACKAGE_FILE_NAME libvolest-${PROJECT_VERSION}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "how much is in a truck bed, from lidar and weight")
# Lines of Debian's descriptions have at most 80 characters.
set(WHAT "The C library of volest: volume, mass, density and wetness of one load\nwithin a millisecond, in memory that the caller gives.")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "${WHAT}\nThis package holds the shared library.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "${WHAT}\nThis package holds the header, the static library, files for CMake and\npkg-config, and an example.")
set(CPACK_COMPONENTS_ALL runtime development)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The volest authors <volest@volest.invalid>")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
    WORLD_READ WORLD_EXECUTE)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
endif()
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libvolest${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "libc6 (>= ${VOLEST_GLIBC})")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libvolest-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${CPACK_DEBIAN_RUNTIME_PACKAGE_NAME} (= ${PROJECT_VERSION}), libc6-dev")

# Debian's papers, a copy a package.
string(TIMESTAMP VOLEST_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC) # or SOURCE_DATE_EPOCH
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${CMAKE_CURRENT_BINARY_DIR}/changelog @ONLY)
execute_process(COMMAND gzip -9nf changelog WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY)
foreach(COMPONENT runtime development)
  string(TOUPPER ${COMPONENT} NAME)
  set(PAPERS ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${NAME}_PACKAGE_NAME})
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz DESTINATION ${PAPERS}
          COMPONENT ${COMPONENT})
endforeach()
# Debian has its text already; the tarball, which takes all components, brings it along.
install(FILES ../LICENSE DESTINATION . COMPONENT license)
install(FILES examples/estimate.c ../docs/c.md DESTINATION ${PAPERS}/examples COMPONENT development)
include(CPack)
