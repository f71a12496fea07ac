# SPDX-License-Identifier: MIT
# What cpack does between installing and packing, as debhelper does it for debian/: copyright,
# changelogs, compressed pages. Must not touch a plugin.
unset(ENV{DESTDIR}) # of the component installed last

function(_gzip file)
  execute_process(COMMAND gzip -9n -f "${file}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  set(root ${CPACK_TEMPORARY_DIRECTORY}/${component})
  set(usr ${root}${CPACK_PACKAGING_INSTALL_PREFIX})
  set(doc ${usr}/share/doc/${package})
  file(INSTALL ${CPACK_NOVACORE_SOURCE}/debian/copyright DESTINATION ${doc})
  file(INSTALL ${CPACK_NOVACORE_SOURCE}/debian/changelog DESTINATION ${doc} RENAME changelog.Debian)
  file(INSTALL ${CPACK_NOVACORE_SOURCE}/CHANGELOG.md DESTINATION ${doc} RENAME changelog)
  _gzip(${doc}/changelog.Debian)
  _gzip(${doc}/changelog)
  if(component STREQUAL "sdk")
    set(helper ${CPACK_NOVACORE_SOURCE}/packaging/debhelper)
    # not the source's mode: an archive of git lets the group write
    file(INSTALL ${helper}/dh_novacore DESTINATION ${usr}/bin FILE_PERMISSIONS OWNER_READ OWNER_WRITE
      OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
    file(INSTALL ${helper}/novacore.pm DESTINATION ${usr}/share/perl5/Debian/Debhelper/Sequence)
    file(INSTALL ${helper}/dh_novacore.1 DESTINATION ${usr}/share/man/man1)
  endif()
  file(GLOB pages ${usr}/share/man/man*/*.[0-9])
  foreach(page IN LISTS pages)
    _gzip(${page})
  endforeach()
  file(GLOB_RECURSE archives ${usr}/lib/*.a)
  foreach(archive IN LISTS archives)
    execute_process(COMMAND ${CPACK_NOVACORE_STRIP} --strip-debug --enable-deterministic-archives
      --remove-section=.comment --remove-section=.note ${archive} COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
  if(EXISTS ${usr}/share/zsh/site-functions) # Debian's zsh looks elsewhere
    file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
  endif()
  if(component STREQUAL "novacore") # the administrator's
    file(MAKE_DIRECTORY ${root}/etc/novacore/keys.d)
  endif()
  set(overrides ${CPACK_NOVACORE_SOURCE}/debian/${package}.lintian-overrides)
  if(EXISTS ${overrides})
    file(INSTALL ${overrides} DESTINATION ${usr}/share/lintian/overrides RENAME ${package})
  endif()
endforeach()
# Whatever umask this is done with.
execute_process(COMMAND find ${CPACK_TEMPORARY_DIRECTORY} -type d -exec chmod 755 {} +
  COMMAND_ERROR_IS_FATAL ANY)

# Debug symbols, as debhelper packs them. Not as components of cpack: it leaves out what begins with
# a dot, and a debugger looks into .build-id.
function(_pack_symbols component package)
  set(root ${CPACK_TEMPORARY_DIRECTORY}-dbgsym/${package})
  file(REMOVE_RECURSE ${root})
  set(ENV{DESTDIR} ${root})
  execute_process(COMMAND ${CPACK_NOVACORE_CMAKE} --install ${CPACK_NOVACORE_BINARY}
    --component ${component}-dbgsym --prefix ${CPACK_PACKAGING_INSTALL_PREFIX}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  unset(ENV{DESTDIR})
  set(usr ${root}${CPACK_PACKAGING_INSTALL_PREFIX})
  file(GLOB files RELATIVE ${usr}/lib/debug/.build-id ${usr}/lib/debug/.build-id/*/*.debug)
  list(TRANSFORM files REPLACE "[/]|[.]debug" "")
  list(SORT files)
  list(JOIN files " " ids)
  if(NOT ids)
    return()
  endif()
  file(MAKE_DIRECTORY ${usr}/share/doc ${root}/DEBIAN)
  file(CREATE_LINK ${package} ${usr}/share/doc/${package}-dbgsym SYMBOLIC)
  set(version ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
  file(WRITE ${root}/DEBIAN/control "Package: ${package}-dbgsym
Source: novacore
Version: ${version}
Auto-Built-Package: debug-symbols
Architecture: ${CPACK_NOVACORE_ARCHITECTURE}
Maintainer: ${CPACK_PACKAGE_CONTACT}
Depends: ${package} (= ${version})
Section: debug
Priority: optional
Description: debug symbols for ${package}
Build-Ids: ${ids}
")
  execute_process(COMMAND find ${root} -type d -exec chmod 755 {} + COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND dpkg-deb --root-owner-group -Zxz --build ${root}
    ${CPACK_PACKAGE_DIRECTORY}/${package}-dbgsym_${version}_${CPACK_NOVACORE_ARCHITECTURE}.deb
    COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE_RECURSE ${root})
endfunction()

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  _pack_symbols(${component} ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
endforeach()
