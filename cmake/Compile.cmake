# SPDX-License-Identifier: MIT
# Flags that all of our code is compiled with, as the interface target novacore_flags.
add_library(novacore_flags INTERFACE)
target_compile_options(novacore_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<BOOL:${NOVACORE_WERROR}>:-Werror>
  -fno-strict-aliasing -fstack-protector-strong
  $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
target_compile_definitions(novacore_flags INTERFACE _GNU_SOURCE)
target_link_options(novacore_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
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
