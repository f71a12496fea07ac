# SPDX-License-Identifier: MIT
# Flags that all of our code is compiled with, as the interface target novacore_flags.
include(CheckCCompilerFlag)
include(CheckPIESupported)
check_pie_supported()
add_library(novacore_flags INTERFACE)
target_compile_options(novacore_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<BOOL:${NOVACORE_WERROR}>:-Werror>
  -fno-strict-aliasing -fstack-protector-strong
  $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>
  # no directory of the machine that it was built on, in messages or in debug information; of two
  # that match the compiler takes the last, and the build tree may be inside
  $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.>
  $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${CMAKE_BINARY_DIR}=.>)
foreach(flag -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "NOVACORE_HAS${flag}" has)
  check_c_compiler_flag(${flag} ${has}) # the second is x86's
  if(${has})
    target_compile_options(novacore_flags INTERFACE ${flag})
  endif()
endforeach()
target_compile_definitions(novacore_flags INTERFACE _GNU_SOURCE)
target_link_options(novacore_flags INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,--build-id)
if(NOVACORE_SANITIZE)
  # Not -static-libasan: plugins are loaded by a sanitised host and share its runtime.
  target_compile_options(novacore_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(novacore_flags INTERFACE -fsanitize=address,undefined)
endif()
if(NOVACORE_FUZZ)
  # The rooms are watched too, not only the fuzzers; tests/fuzz links the engine itself.
  target_compile_options(novacore_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(novacore_flags INTERFACE -fsanitize=address,undefined)
endif()
find_package(PkgConfig REQUIRED)
