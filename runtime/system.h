/* Included first by every file of the runtime: what it asks of the system and of optional libraries. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#ifndef NETC_SYSTEM_H
#define NETC_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files and kernels are little-endian");

/* gcc's -fwhole-program keeps what is marked so. */
#if defined __GNUC__ && !defined __clang__
#define NETC_ENTRY __attribute__((externally_visible))
#else
#define NETC_ENTRY
#endif

/* What is linked only with programs that ask for it, if the library keeps it apart. */
#ifdef NETC_PARTS
#define NETC_PART __attribute__((weak, visibility("hidden")))
#else
#define NETC_PART
#endif

/* The optional libraries; a build may set them, else the headers' presence decides. */
#ifndef NETC_HAVE_ZLIB
#if __has_include(<zlib.h>)
#define NETC_HAVE_ZLIB 1
#else
#define NETC_HAVE_ZLIB 0
#endif
#endif
#ifndef NETC_HAVE_PNG
#if __has_include(<png.h>)
#define NETC_HAVE_PNG 1
#else
#define NETC_HAVE_PNG 0
#endif
#endif

#endif
