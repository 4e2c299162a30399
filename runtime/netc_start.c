/* Where a program begins that is linked with the library: the C library's own start-up files serve constructors, too, of
   which there are none, and would be 1.6 KB of it. What the registers and the stack hold, the x86-64 ABI says, and what
   __libc_start_main takes, all C libraries of Linux agree upon. */
#include "system.h"

#if defined __linux__ && defined __x86_64__ && defined __LP64__
__asm__(".section .text.netc_start,\"ax\",@progbits\n"
        ".globl netc_start\n"
        ".type netc_start, @function\n"
        "netc_start:\n"
        "    xorl %ebp, %ebp\n" /* there is no frame above */
        "    movq %rdx, %r9\n"  /* to be called at exit */
        "    popq %rsi\n"       /* argc */
        "    movq %rsp, %rdx\n" /* argv */
        "    andq $-16, %rsp\n"
        "    pushq %rax\n"      /* for the alignment */
        "    pushq %rsp\n"      /* the stack's end */
        "    xorl %r8d, %r8d\n" /* no destructors */
        "    xorl %ecx, %ecx\n" /* no constructors */
        "    leaq main(%rip), %rdi\n"
        "    call *__libc_start_main@GOTPCREL(%rip)\n"
        "    hlt\n"
        ".size netc_start, . - netc_start\n"
        ".text\n");
#endif
