/* SPDX-License-Identifier: MIT */
/*
 * bignum - numbers of one to eight words, each result a new block.
 *
 * Stands for arithmetic on big numbers, rationals and boxed values: every
 * operation takes a block of 8 to 64 bytes for its result and soon gives back
 * an operand.  A few values live on, the rest are temporaries.  Each step is
 * x = x + y * z with two temporaries, so two or three blocks are in flight.
 */
#include "../work.h"

static uint64_t values = 16;
static uint64_t ops = 1000000;

static const struct work_option options[] = {
    {"values", &values, 3, 1 << 20, NULL},
    {"ops", &ops, 1, UINT64_MAX, NULL},
};

enum { WORDS_MAX = 8 };

struct number {
    uint64_t *words;
    uint32_t length;
};

static struct number number(uint32_t length)
{
    struct number new = {malloc(length * sizeof(uint64_t)), length};
    if (new.words == NULL)
        work_die(1, "malloc(%zu) failed", length * sizeof(uint64_t));
    return new;
}

/* x * factor, one word longer until there is no more room. */
static struct number scale(struct number x, uint64_t factor)
{
    const uint32_t length = x.length < WORDS_MAX ? x.length + 1 : WORDS_MAX;
    struct number result = number(length);
    unsigned __int128 carry = 0;
    for (uint32_t i = 0; i < length; i++) {
        if (i < x.length)
            carry += (unsigned __int128)x.words[i] * factor;
        result.words[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return result;
}

static struct number add(struct number x, struct number y)
{
    const uint32_t length = x.length > y.length ? x.length : y.length;
    struct number result = number(length);
    unsigned __int128 carry = 0;
    for (uint32_t i = 0; i < length; i++) {
        carry += i < x.length ? x.words[i] : 0;
        carry += i < y.length ? y.words[i] : 0;
        result.words[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return result;
}

/* The lower words only, of a random length: numbers shrink as they grow. */
static struct number cut(struct number x, uint32_t length)
{
    struct number result = number(length < x.length ? length : x.length);
    for (uint32_t i = 0; i < result.length; i++)
        result.words[i] = x.words[i];
    return result;
}

/* x = cut(x + y * z): three blocks are taken and three given back. */
static void step(struct number *x, struct number y, uint64_t z, uint32_t length)
{
    const struct number product = scale(y, z);
    const struct number total = add(*x, product);
    free(product.words);
    free(x->words);
    *x = cut(total, length);
    free(total.words);
}

int main(int argc, char **argv)
{
    work_options(argc, argv, options, WORK_COUNT(options));
    struct number *all = work_map(values * sizeof *all);
    /* The lowest words, reckoned without a heap. */
    uint64_t *low = work_map(values * sizeof *low);
    for (uint64_t i = 0; i < values; i++) {
        all[i] = number(1);
        all[i].words[0] = low[i] = i + 1;
    }
    struct work_random random = work_random(0);
    for (uint64_t i = 0; i < ops; i++) {
        const uint32_t x = work_below(&random, (uint32_t)values);
        const uint32_t y = work_below(&random, (uint32_t)values);
        const uint64_t z = work_next(&random);
        low[x] += low[y] * z;
        step(&all[x], all[y], z, work_between(&random, 1, WORDS_MAX));
    }
    for (uint64_t i = 0; i < values; i++) {
        if (all[i].words[0] != low[i])
            work_die(1, "value %llu is wrong", (unsigned long long)i);
        free(all[i].words);
    }
    work_say("ops=%llu", (unsigned long long)(3 * ops));
    return 0;
}
