# SPDX-License-Identifier: MIT
# Writes a C file with the texts of files: cmake -DOUTPUT=… -DINPUTS="name=file;…" -P embed.cmake
set(text "/* Made by core/profiler/embed.cmake. */\n#include \"core/profiler/flame.h\"\n")
foreach(input IN LISTS INPUTS)
  string(REGEX MATCH "^([^=]*)=(.*)$" _ "${input}")
  set(name ${CMAKE_MATCH_1})
  file(READ ${CMAKE_MATCH_2} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(0x[89a-f])" "(char)\\1" bytes "${bytes}")
  string(APPEND text "const char ${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
