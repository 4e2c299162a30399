/* What a program says of itself, by --help and by `info`, depends on its description alone. So the compiler says it, and most
   programs carry it packed; where the descriptor is text the program makes it as it starts. */
#ifndef NETC_SAID_H
#define NETC_SAID_H

#include "description.h"

#include <stdio.h>

/* The texts, one behind the other: the help of no command, of each in the order of its bit, and what `info` says. */
enum { SAID_INFO = 6, SAID_INFO_JSON };
enum { SAID_PROGRAM = 1 /* stands for the program's name as it was called */, SAID_END = '\f' };

/* To be freed; NULL: no memory. */
char *said_text(const Description *description);

/* In info.c, a part of the above. */
void info_print(FILE *out, const Description *description, bool json);

/* One of description->said. */
void said_print(FILE *out, const Description *description, int which, const char *program);

#endif
