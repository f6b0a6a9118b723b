/* SPDX-License-Identifier: MIT */
/*
 * plugin - code that is loaded by frames.c: ROOM bytes of stack, and a call.
 */
void enter(void (*call)(void));

__attribute__((noinline)) static void enter_deeper(void (*call)(void))
{
    volatile char room[ROOM];
    room[0] = 1;
    call();
    room[ROOM - 1] = 1;
}

void enter(void (*call)(void))
{
    volatile char room[ROOM];
    room[0] = 1;
    enter_deeper(call);
    room[ROOM - 1] = 1;
}
