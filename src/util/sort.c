/* SPDX-License-Identifier: MIT */
/*
 * sort - pointers in an order, where they lie. See sort.h.
 *
 * A heap: each pointer is not before the one at half its place, so that the
 * last of all is in front. It goes to the end, again and again.
 */
#include "util/sort.h"

/* Put a pointer into the heap, whose place at the hole is empty. */
static void sort_sift(void **at, size_t hole, size_t count, void *pointer,
    bool (*before)(const void *, const void *))
{
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= count)
            break;
        if (child + 1 < count && before(at[child], at[child + 1]))
            child++;
        if (!before(pointer, at[child]))
            break;
        at[hole] = at[child];
        hole = child;
    }
    at[hole] = pointer;
}

void sort_pointers(void **at, size_t count,
    bool (*before)(const void *left, const void *right))
{
    for (size_t i = count / 2; i-- > 0;)
        sort_sift(at, i, count, at[i], before);
    while (count > 1) {
        void *front = at[0];
        void *back = at[--count];
        sort_sift(at, 0, count, back, before);
        at[count] = front;
    }
}
