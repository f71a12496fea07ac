/* SPDX-License-Identifier: MIT */
/* Reads the ELF note of a plugin from its file's bytes; nothing is mapped for execution. */
#ifndef NOVACORE_NOTE_H
#define NOVACORE_NOTE_H

#include <gelf.h>
#include <novacore/abi.h>

/*
 * Looks through the PT_NOTE segments (never the section headers: a stripped or lying section table
 * changes nothing). Returns how many novacore notes of full size there are; *note is the first.
 */
int nova_note_find(Elf *elf, struct nova_note *note);

#endif
