# SPDX-License-Identifier: MIT
#
# novacore_add_plugin(<kind> <name>
#     SOURCES a.c b.cpp …                 not needed for a plain profile
#     [TEST test.c …]                     a program of these, the plugin's sources and the test host,
#                                         run by ctest as <kind>_<name>
#     [MANUAL name.md]                    its manual page; default: <name>.md, if that is there
#     [PACKAGES libvirt …]                pkg-config names, linked to plugin and test
#     [LIBRARIES m …]                     linked as they are, to both; NovacoreSDK::helpers, …::workload
#     [TEST_PACKAGES cmocka …]            linked to the test alone
#     [PROFILE hpc.conf]                  kind profile: its settings, embedded as text
#     [SUMMARY "one line"]                kind profile without SOURCES
#     [VERSION 1.2] [LICENSE MIT]         the same; default: the project's version, MIT
#     [INSTALL_HINTS libvirt.so.0=libvirt0 …]   package to name when a library is missing
#     [COMPONENT name]                    to install it with; default: the profiles together as
#                                         `profiles`, every other plugin as <kind>-<name>
#     [NO_INSTALL] [OUTPUT_ROOT dir]      for tests: built elsewhere than the other plugins
#
#   kind: benchmark | hypervisor | optimizer | profile
#
# Makes <build>/lib/novacore/plugins/1/<kind>/<name>.so (target plugin_<kind>_<name>) and, by running
# its entry in a throw-away process, <name>.manifest beside it. A profile without SOURCES is made
# whole from its PROFILE file; without SUMMARY the first comment of that file, after the SPDX line,
# is the summary. With SOURCES, they see `extern const char nova_profile_settings[];`.
#
# The page is installed as novacore-<kind>-<name>(7), with tables of parameters and metrics from the
# manifest; where lowdown is missing, the file itself is installed as documentation.
#
# Works within novacore's own build and, after find_package(NovacoreSDK), anywhere. There, if novacore
# is installed beside the SDK, ctest also puts the plugin through `novacore plugin check`. With
# -DBUILD_TESTING=OFF there are no tests; with -DLOWDOWN_EXECUTABLE= there is no page, but its text.

cmake_policy(VERSION 3.20...3.25) # whatever the project that includes it has chosen for itself

# Text of a file as C string literals, one per line, in `out`.
function(_novacore_c_text file out)
  file(READ ${file} text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\t" "\\t" text "${text}")
  string(REPLACE "\n" "\\n\"\n        \"" text "${text}")
  set(${out} "        \"${text}\"" PARENT_SCOPE)
endfunction()

# The first comment of a configuration text that is not its SPDX line.
function(_novacore_first_comment file out)
  file(STRINGS ${file} comments REGEX "^#")
  foreach(comment IN LISTS comments)
    if(NOT comment MATCHES "SPDX" AND comment MATCHES "^#+ *(.+)$")
      set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${out} "" PARENT_SCOPE)
endfunction()

function(_novacore_profile_source name file summary version license whole out)
  cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  if(NOT summary)
    _novacore_first_comment(${file} summary)
  endif()
  if(whole AND NOT summary)
    message(FATAL_ERROR "profile ${name}: give SUMMARY, or begin ${file} with a comment")
  endif()
  cmake_path(GET file FILENAME NOVACORE_PROFILE_FILE)
  set(NOVACORE_PROFILE_NAME ${name})
  set(NOVACORE_PROFILE_VERSION ${version})
  set(NOVACORE_PROFILE_LICENSE "${license}")
  string(REPLACE "\\" "\\\\" summary "${summary}")
  string(REPLACE "\"" "\\\"" NOVACORE_PROFILE_SUMMARY "${summary}")
  _novacore_c_text(${file} NOVACORE_PROFILE_TEXT)
  set(template settings)
  if(whole)
    set(template profile)
  endif()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}_${template}.c)
  configure_file(${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${template}.c.in ${source} @ONLY)
  set(${out} ${source} PARENT_SCOPE)
endfunction()

# Installs the .so and, after `cmake --install --strip` has stripped it, its manifest with the digest
# of what now lies there. By a script that is generated: in install(CODE) a project with policies of
# before CMake 3.14 would get no generator expressions.
function(_novacore_install_plugin target kind name manifest component)
  set(folder lib/novacore/plugins/1/${kind})
  install(TARGETS ${target} LIBRARY DESTINATION ${folder} COMPONENT ${component})
  set(script ${CMAKE_CURRENT_BINARY_DIR}/${target}_install)
  set(script_of_config ${script}.cmake)
  set(script_installed ${script}.cmake)
  get_property(many GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
  if(many)
    set(script_of_config ${script}_$<CONFIG>.cmake)
    set(script_installed "${script}_\${CMAKE_INSTALL_CONFIG_NAME}.cmake")
  endif()
  set(outside FALSE)
  if(NOT TARGET novacore_flags)
    set(outside TRUE)
  endif()
  file(GENERATE OUTPUT ${script_of_config} CONTENT
"cmake_policy(VERSION 3.20...3.25)
set(installed \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder}/${name}\")
execute_process(COMMAND \"$<TARGET_FILE:NovacoreSDK::manifest>\" --rehash \"\${installed}.so\"
  --from \"${manifest}\" --output \"\${installed}.manifest\" COMMAND_ERROR_IS_FATAL ANY)
file(CHMOD \"\${installed}.manifest\" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
message(STATUS \"Installing: \${installed}.manifest\")
# A plugin that nobody finds is a riddle: say where novacore looks.
if(${outside} AND NOT DEFINED ENV{DESTDIR} AND NOT EXISTS \"\${CMAKE_INSTALL_PREFIX}/bin/novacore\")
  message(STATUS \"No novacore is in \${CMAKE_INSTALL_PREFIX}/bin: one elsewhere finds this plugin \"
    \"only by NOVACORE_PLUGIN_PATH=\${CMAKE_INSTALL_PREFIX}/lib/novacore/plugins\")
endif()
")
  install(CODE "include(\"${script_installed}\")" COMPONENT ${component})
endfunction()

# What plugin and test are compiled and linked with alike.
function(_novacore_use target packages libraries)
  target_link_libraries(${target} PRIVATE NovacoreSDK::headers)
  if(TARGET novacore_flags)
    target_link_libraries(${target} PRIVATE novacore_flags)
  endif()
  if(packages)
    find_package(PkgConfig REQUIRED)
  endif()
  foreach(package IN LISTS packages)
    if(NOT TARGET PkgConfig::${package})
      pkg_check_modules(${package} REQUIRED IMPORTED_TARGET GLOBAL ${package})
    endif()
    target_link_libraries(${target} PRIVATE PkgConfig::${package})
  endforeach()
  target_link_libraries(${target} PRIVATE ${libraries})
endfunction()

function(_novacore_test kind name tests sources packages libraries)
  set(test test_${kind}_${name})
  add_executable(${test} ${tests} ${sources})
  set_target_properties(${test} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  _novacore_use(${test} "${packages}" "${libraries}")
  target_link_libraries(${test} PRIVATE NovacoreSDK::testhost)
  add_test(NAME ${kind}_${name} COMMAND ${test})
  set_tests_properties(${kind}_${name} PROPERTIES TIMEOUT 60 LABELS unit SKIP_RETURN_CODE 77)
endfunction()

# novacore-<kind>-<name>(7), made after the plugin, of a Markdown file and the manifest.
function(_novacore_manual kind name file manifest component)
  set(page novacore-${kind}-${name})
  include(GNUInstallDirs)
  cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "novacore_add_plugin(${kind} ${name}): there is no MANUAL ${file}")
  endif()
  find_program(LOWDOWN_EXECUTABLE lowdown)
  if(NOT LOWDOWN_EXECUTABLE)
    install(FILES ${file} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${page} COMPONENT ${component})
    return()
  endif()
  if(TARGET novacore_flags)
    set(origin "novacore ${PROJECT_VERSION}")
  else()
    set(origin "${PROJECT_NAME} ${PROJECT_VERSION}")
  endif()
  set(folder ${CMAKE_BINARY_DIR}/share/man/man7)
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/page.sh)
  add_custom_command(OUTPUT ${folder}/${page}.7
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0
      sh ${script} ${LOWDOWN_EXECUTABLE} ${origin} ${page} 7 ${file}
      $<TARGET_FILE:NovacoreSDK::manifest> ${manifest} > ${folder}/${page}.7.new
    COMMAND ${CMAKE_COMMAND} -E rename ${folder}/${page}.7.new ${folder}/${page}.7
    DEPENDS ${script} ${file} plugin_${kind}_${name} VERBATIM)
  add_custom_target(manual_${kind}_${name} ALL DEPENDS ${folder}/${page}.7)
  install(FILES ${folder}/${page}.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7 COMPONENT ${component})
endfunction()

function(_novacore_check_arguments kind name)
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "novacore_add_plugin(${kind} ${name}): what is ${ARG_UNPARSED_ARGUMENTS}?")
  endif()
  if(NOT kind MATCHES "^(benchmark|hypervisor|optimizer|profile)$")
    message(FATAL_ERROR "novacore_add_plugin: `${kind}` is no kind of plugin; there are benchmark, "
      "hypervisor, optimizer and profile")
  endif()
  if(NOT name MATCHES "^[a-z0-9][a-z0-9-]*$")
    message(FATAL_ERROR "novacore_add_plugin: `${name}` must match [a-z0-9][a-z0-9-]*")
  endif()
  if(ARG_PROFILE AND NOT kind STREQUAL "profile")
    message(FATAL_ERROR "novacore_add_plugin(${kind} ${name}): only a profile takes PROFILE")
  endif()
  if(NOT ARG_SOURCES AND NOT ARG_PROFILE)
    message(FATAL_ERROR "novacore_add_plugin(${kind} ${name}): it has no SOURCES")
  endif()
endfunction()

function(novacore_add_plugin kind name)
  cmake_parse_arguments(ARG "NO_INSTALL"
    "PROFILE;SUMMARY;VERSION;LICENSE;OUTPUT_ROOT;COMPONENT;MANUAL"
    "SOURCES;TEST;TEST_PACKAGES;PACKAGES;LIBRARIES;INSTALL_HINTS" ${ARGN})
  _novacore_check_arguments("${kind}" "${name}")
  if(NOT ARG_VERSION)
    set(ARG_VERSION ${PROJECT_VERSION})
  endif()
  if(NOT ARG_VERSION)
    set(ARG_VERSION 0) # a project need not have one
  endif()
  if(NOT ARG_LICENSE)
    set(ARG_LICENSE MIT)
  endif()
  if(NOT ARG_COMPONENT)
    set(ARG_COMPONENT ${kind}-${name})
    if(kind STREQUAL "profile")
      set(ARG_COMPONENT profiles)
    endif()
  endif()
  if(NOT ARG_OUTPUT_ROOT)
    set(ARG_OUTPUT_ROOT ${CMAKE_BINARY_DIR}/lib/novacore/plugins)
  endif()
  if(NOT ARG_MANUAL AND NOT ARG_NO_INSTALL AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}.md)
    set(ARG_MANUAL ${name}.md)
  endif()
  if(ARG_PROFILE)
    set(whole FALSE)
    if(NOT ARG_SOURCES)
      set(whole TRUE)
    endif()
    _novacore_profile_source(${name} ${ARG_PROFILE} "${ARG_SUMMARY}" "${ARG_VERSION}"
      "${ARG_LICENSE}" ${whole} source)
    list(APPEND ARG_SOURCES ${source})
  endif()

  set(target plugin_${kind}_${name})
  set(folder ${ARG_OUTPUT_ROOT}/1/${kind})
  set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  add_library(${target} MODULE ${ARG_SOURCES})
  # $<0:>: no folder per configuration below it, whichever the generator
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${folder}$<0:>
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    SKIP_BUILD_RPATH ON INSTALL_RPATH ""
    LINK_DEPENDS "${map};$<TARGET_FILE:NovacoreSDK::manifest>")
  _novacore_use(${target} "${ARG_PACKAGES}" "${ARG_LIBRARIES}")
  target_link_options(${target} PRIVATE -Wl,-z,now -Wl,-z,relro -Wl,--version-script=${map})
  # clang leaves its sanitizers' symbols to the program, so they are undefined in a library.
  if(NOT (NOVACORE_SANITIZE AND CMAKE_C_COMPILER_ID MATCHES "Clang"))
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()

  set(hints)
  foreach(hint IN LISTS ARG_INSTALL_HINTS)
    list(APPEND hints --hint ${hint})
  endforeach()
  # Client libraries leak on purpose at exit; that is not what a manifest is about.
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0
      $<TARGET_FILE:NovacoreSDK::manifest> $<TARGET_FILE:${target}> ${hints}
    BYPRODUCTS ${folder}/${name}.manifest VERBATIM)
  add_dependencies(${target} NovacoreSDK::manifest)
  if(NOT ARG_NO_INSTALL)
    _novacore_install_plugin(${target} ${kind} ${name} ${folder}/${name}.manifest
      ${ARG_COMPONENT})
    set_target_properties(${target} PROPERTIES NOVACORE_COMPONENT ${ARG_COMPONENT})
    set_property(GLOBAL APPEND PROPERTY NOVACORE_PLUGINS ${kind}-${name})
  endif()
  if(ARG_MANUAL AND NOT NOVACORE_SANITIZE AND NOT NOVACORE_FUZZ)
    _novacore_manual(${kind} ${name} ${ARG_MANUAL} ${folder}/${name}.manifest ${ARG_COMPONENT})
  endif()
  # NOVACORE_…: the tree's own options; BUILD_TESTING: everybody's
  if((DEFINED BUILD_TESTING AND NOT BUILD_TESTING) OR NOVACORE_FUZZ
     OR (DEFINED NOVACORE_TESTS AND NOT NOVACORE_TESTS))
    return()
  endif()
  if(ARG_TEST)
    list(APPEND ARG_TEST_PACKAGES ${ARG_PACKAGES})
    _novacore_test(${kind} ${name} "${ARG_TEST}" "${ARG_SOURCES}" "${ARG_TEST_PACKAGES}"
      "${ARG_LIBRARIES}")
  endif()
  if(NovacoreSDK_PROGRAM)
    add_test(NAME ${kind}_${name}_check
      COMMAND ${NovacoreSDK_PROGRAM} plugin check $<TARGET_FILE:${target}>)
    set_tests_properties(${kind}_${name}_check PROPERTIES TIMEOUT 300)
  endif()
endfunction()

# novacore_add_package(CONTACT "Ada Lovelace <ada@example.org>" [NAME package] [RELEASE 1])
#
# For a project outside of novacore's tree, after its plugins: `cpack` in the build directory then
# makes a Debian package of it, novacore-<kind>-<name> after the first plugin. It depends on what its
# libraries come from and on the plugin ABI, its minor and newer.
function(novacore_add_package)
  cmake_parse_arguments(ARG "" "CONTACT;NAME;RELEASE" "" ${ARGN})
  get_property(plugins GLOBAL PROPERTY NOVACORE_PLUGINS)
  if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_CONTACT OR NOT plugins)
    message(FATAL_ERROR "novacore_add_package: give CONTACT \"NAME <ADDRESS>\", after novacore_add_plugin")
  endif()
  list(GET plugins 0 first)
  if(NOT ARG_NAME)
    set(ARG_NAME novacore-${first})
  endif()
  if(NOT ARG_RELEASE)
    set(ARG_RELEASE 1)
  endif()
  foreach(file LICENSE COPYING)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      install(FILES ${file} DESTINATION share/doc/${ARG_NAME} RENAME copyright)
      break()
    endif()
  endforeach()
  set(abi ${NovacoreSDK_ABI_MAJOR})
  set(CPACK_GENERATOR DEB)
  set(CPACK_PACKAGE_NAME ${ARG_NAME})
  set(CPACK_PACKAGE_CONTACT "${ARG_CONTACT}")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  list(JOIN plugins ", " plugins)
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "novacore plugin: ${plugins}")
  # While it is installed, and never after: the manifest has the digest of what is packed.
  set(CPACK_STRIP_FILES ON)
  # Whatever umask it is made with: novacore trusts no directory that others may write to.
  set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_BINARY_DIR}/novacore_package.cmake)
  file(CONFIGURE OUTPUT ${CPACK_PRE_BUILD_SCRIPTS} @ONLY CONTENT
    "execute_process(COMMAND find \${CPACK_TEMPORARY_DIRECTORY} -type d -exec chmod 755 {} +)\n")
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_RELEASE ${ARG_RELEASE})
  set(CPACK_DEBIAN_PACKAGE_SECTION admin)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "novacore-abi-${abi} (>= ${abi}.${NovacoreSDK_ABI_MINOR})")
  include(CPack)
endfunction()
