/* Time for those who measure how long the compiler takes. */
#ifndef NETC_CLOCK_H
#define NETC_CLOCK_H

double clock_seconds(void); /* of a clock that never goes back */

#endif
