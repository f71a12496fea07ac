/* SPDX-License-Identifier: MIT */
/*
 * ABI version, the ELF note that announces it, and the one export of a plugin.
 *
 * The note is read from the file before anything is opened for execution. A plugin loads on every
 * host of its major whose minor is at least the plugin's min_minor, without being rebuilt.
 */
#ifndef NOVACORE_ABI_H
#define NOVACORE_ABI_H

#include <stddef.h>
#include <stdint.h>

#define NOVA_ABI_MAJOR 1u
#define NOVA_ABI_MINOR 0u

/*
 * The lowest minor of a host that the plugin works with. Headers of a later minor also build
 * plugins for hosts of an earlier one: define it before the first include (a compiler's option
 * -DNOVA_ABI_MIN_MINOR=0u), and ask NOVA_HAS before using what a newer minor added.
 */
#ifndef NOVA_ABI_MIN_MINOR
#define NOVA_ABI_MIN_MINOR NOVA_ABI_MINOR
#endif

#define NOVA_ENTRY_NAME "nova_plugin_entry_v1"

/* How large a struct is whose last member is `field`. */
#define NOVA_SIZE_TO(type, field) (offsetof(type, field) + sizeof(((const type *)0)->field))

/*
 * True if `field` of the struct at `pointer` was there when its writer was compiled. Every
 * pointed-to struct starts with `uint32_t struct_size`.
 */
#define NOVA_HAS(pointer, type, field) ((pointer)->struct_size >= NOVA_SIZE_TO(type, field))

/* The note: section .note.novacore, name "novacore", type 1. All fields in the file's byte order.
 */
#define NOVA_NOTE_NAME "novacore"
#define NOVA_NOTE_TYPE 1u

struct nova_note {
	uint32_t name_bytes; /* 9 */
	uint32_t data_bytes; /* 20 */
	uint32_t type;       /* NOVA_NOTE_TYPE */
	char name[12];       /* "novacore", padded with NUL */
	uint32_t major, minor;
	uint32_t min_minor; /* the lowest minor of a host that this plugin can work with */
	uint32_t kind;      /* NOVA_KIND_* */
	uint32_t draft;     /* 0; another number: built before 1.0 was frozen, and refused */
};

#ifdef __cplusplus
#define NOVA_EXTERN_C extern "C"
#else
#define NOVA_EXTERN_C extern
#endif
#define NOVA_EXPORT __attribute__((visibility("default")))

struct nova_host;
struct nova_plugin;

/*
 * Registers a plugin: once, at file scope. `kind` is NOVA_KIND_*, `descriptor` the name of a
 * `static const struct nova_plugin`. A plugin that uses `host` in its entry writes the entry itself
 * and uses NOVA_PLUGIN_NOTE(kind) beside it.
 */
#define NOVA_PLUGIN(kind, descriptor)                                                              \
	NOVA_PLUGIN_NOTE(kind);                                                                    \
	NOVA_EXTERN_C NOVA_EXPORT const struct nova_plugin *nova_plugin_entry_v1(                  \
	        const struct nova_host *host);                                                     \
	const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host)               \
	{                                                                                          \
		(void)host;                                                                        \
		return &(descriptor);                                                              \
	}

#define NOVA_PLUGIN_NOTE(kind_)                                                                    \
	__attribute__((section(".note.novacore"), used,                                            \
	               aligned(4))) static const struct nova_note nova_note_v1 = {                 \
	        9u,                                                                                \
	        20u,                                                                               \
	        NOVA_NOTE_TYPE,                                                                    \
	        NOVA_NOTE_NAME,                                                                    \
	        NOVA_ABI_MAJOR,                                                                    \
	        NOVA_ABI_MINOR,                                                                    \
	        NOVA_ABI_MIN_MINOR,                                                                \
	        (kind_),                                                                           \
	        0u,                                                                                \
	}

#endif
