# SPDX-License-Identifier: MIT
# Installs the SDK so that nothing in it knows where it was built or will lie: CMake's package finds
# its prefix from its own place, pkg-config's from ${pcfiledir}. Included by sdk/CMakeLists.txt.
include(CMakePackageConfigHelpers)
set(cmakedir ${CMAKE_INSTALL_LIBDIR}/cmake/NovacoreSDK)
set(pkgconfigdir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(templatedir ${CMAKE_INSTALL_DATADIR}/novacore/template)

# Archives keep their debugging information; it shall not name the tree they were built in.
foreach(target novacore_testhost novacore_workload novacore_helpers novacore_xml novacore_ssh)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_compile_options(${target} PRIVATE
      -ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=novacore-sdk
      # spelt otherwise than in novacore_flags: CMake drops repetitions, and there the order counts
      -fdebug-prefix-map=${CMAKE_BINARY_DIR}=. -fmacro-prefix-map=${CMAKE_BINARY_DIR}=.)
  endif()
endforeach()

set_target_properties(novacore_sdk_headers PROPERTIES EXPORT_NAME headers)
set_target_properties(novacore_testhost PROPERTIES EXPORT_NAME testhost)
set_target_properties(novacore_workload PROPERTIES EXPORT_NAME workload)
set_target_properties(novacore-manifest PROPERTIES EXPORT_NAME manifest)
install(TARGETS novacore_sdk_headers novacore_testhost novacore_workload novacore-manifest EXPORT NovacoreSDKTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT sdk
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)
install(EXPORT NovacoreSDKTargets NAMESPACE NovacoreSDK:: DESTINATION ${cmakedir} COMPONENT sdk)
# In files of their own: only who links them needs their libraries.
foreach(part helpers xml ssh)
  if(TARGET novacore_${part})
    string(TOUPPER ${part} file)
    string(REPLACE "HELPERS" "Helpers" file ${file})
    set_target_properties(novacore_${part} PROPERTIES EXPORT_NAME ${part})
    install(TARGETS novacore_${part} EXPORT NovacoreSDK${file}
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)
    install(EXPORT NovacoreSDK${file} NAMESPACE NovacoreSDK:: DESTINATION ${cmakedir} COMPONENT sdk)
  endif()
endforeach()

set(made ${CMAKE_CURRENT_BINARY_DIR}/made)
configure_package_config_file(cmake/NovacoreSDKConfig.cmake.in ${made}/NovacoreSDKConfig.cmake
  INSTALL_DESTINATION ${cmakedir})
configure_file(cmake/NovacoreSDKConfigVersion.cmake.in ${made}/NovacoreSDKConfigVersion.cmake @ONLY)
install(FILES ${made}/NovacoreSDKConfig.cmake ${made}/NovacoreSDKConfigVersion.cmake
  cmake/NovacorePlugin.cmake cmake/plugin.map cmake/profile.c.in cmake/settings.c.in
  DESTINATION ${cmakedir} COMPONENT sdk)
install(PROGRAMS cmake/page.sh DESTINATION ${cmakedir} COMPONENT sdk)

# From <libdir>/pkgconfig up to the prefix.
file(RELATIVE_PATH up "/prefix/${pkgconfigdir}" "/prefix")
string(REGEX REPLACE "/$" "" up "${up}")
configure_file(cmake/novacore-sdk.pc.in ${made}/novacore-sdk.pc @ONLY)
install(FILES ${made}/novacore-sdk.pc DESTINATION ${pkgconfigdir} COMPONENT sdk)

install(DIRECTORY template/ DESTINATION ${templatedir} COMPONENT sdk
  PATTERN .clang-format EXCLUDE)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/novacore-sdk COMPONENT sdk)
foreach(page docs/sdk docs/tutorial-plugin docs/tutorial-driver ABI)
  install(FILES ../${page}.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/novacore-sdk COMPONENT sdk OPTIONAL)
endforeach()
# `novacore plugin new` of the build tree finds them where an installed one does.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/novacore)
file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/template ${CMAKE_BINARY_DIR}/share/novacore/template
  SYMBOLIC)
