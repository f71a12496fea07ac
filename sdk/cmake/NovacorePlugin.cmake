# SPDX-License-Identifier: MIT
#
# novacore_add_plugin(<kind> <name>
#     SOURCES a.c …                       not needed for a plain profile
#     [PACKAGES libvirt …]                pkg-config names, linked
#     [LIBRARIES m …]                     linked as they are
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

set(NOVACORE_ABI_MAJOR 1)
set(NOVACORE_PLUGIN_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

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
  configure_file(${NOVACORE_PLUGIN_CMAKE_DIR}/${template}.c.in ${source} @ONLY)
  set(${out} ${source} PARENT_SCOPE)
endfunction()

# Installs the .so and, after `cmake --install --strip` has stripped it, its manifest with the digest
# of what now lies there.
function(_novacore_install_plugin target kind name manifest component)
  set(folder lib/novacore/plugins/${NOVACORE_ABI_MAJOR}/${kind})
  install(TARGETS ${target} LIBRARY DESTINATION ${folder} COMPONENT ${component})
  install(CODE "
    set(installed \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder}/${name}\")
    execute_process(COMMAND \"$<TARGET_FILE:novacore-manifest>\" --rehash \"\${installed}.so\"
      --from \"${manifest}\" --output \"\${installed}.manifest\" COMMAND_ERROR_IS_FATAL ANY)
    message(STATUS \"Installing: \${installed}.manifest\")" COMPONENT ${component})
endfunction()

function(novacore_add_plugin kind name)
  cmake_parse_arguments(ARG "NO_INSTALL" "PROFILE;SUMMARY;VERSION;LICENSE;OUTPUT_ROOT;COMPONENT"
    "SOURCES;PACKAGES;LIBRARIES;INSTALL_HINTS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "novacore_add_plugin(${kind} ${name}): what is ${ARG_UNPARSED_ARGUMENTS}?")
  endif()
  if(NOT kind MATCHES "^(benchmark|hypervisor|optimizer|profile)$")
    message(FATAL_ERROR "novacore_add_plugin: `${kind}` is no kind of plugin")
  endif()
  if(NOT name MATCHES "^[a-z0-9][a-z0-9-]*$")
    message(FATAL_ERROR "novacore_add_plugin: `${name}` must match [a-z0-9][a-z0-9-]*")
  endif()
  if(ARG_PROFILE AND NOT kind STREQUAL "profile")
    message(FATAL_ERROR "novacore_add_plugin(${kind} ${name}): only a profile takes PROFILE")
  endif()
  if(NOT ARG_VERSION)
    set(ARG_VERSION ${PROJECT_VERSION})
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
  set(folder ${ARG_OUTPUT_ROOT}/${NOVACORE_ABI_MAJOR}/${kind})
  add_library(${target} MODULE ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${folder}
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    SKIP_BUILD_RPATH ON INSTALL_RPATH ""
    LINK_DEPENDS "${NOVACORE_PLUGIN_CMAKE_DIR}/plugin.map;$<TARGET_FILE:novacore-manifest>")
  target_link_libraries(${target} PRIVATE novacore_sdk_headers)
  if(TARGET novacore_flags)
    target_link_libraries(${target} PRIVATE novacore_flags)
  endif()
  foreach(package IN LISTS ARG_PACKAGES)
    if(NOT TARGET PkgConfig::${package})
      pkg_check_modules(${package} REQUIRED IMPORTED_TARGET GLOBAL ${package})
    endif()
    target_link_libraries(${target} PRIVATE PkgConfig::${package})
  endforeach()
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES})
  target_link_options(${target} PRIVATE -Wl,-z,now -Wl,-z,relro
    -Wl,--version-script=${NOVACORE_PLUGIN_CMAKE_DIR}/plugin.map)
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
      $<TARGET_FILE:novacore-manifest> $<TARGET_FILE:${target}> ${hints}
    BYPRODUCTS ${folder}/${name}.manifest VERBATIM)
  add_dependencies(${target} novacore-manifest)
  if(NOT ARG_NO_INSTALL)
    _novacore_install_plugin(${target} ${kind} ${name} ${folder}/${name}.manifest
      ${ARG_COMPONENT})
    set_target_properties(${target} PROPERTIES NOVACORE_COMPONENT ${ARG_COMPONENT})
  endif()
endfunction()
