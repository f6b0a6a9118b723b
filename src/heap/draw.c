/* SPDX-License-Identifier: MIT */
/*
 * draw - random numbers of the distributions that sampling needs. See draw.h.
 */
#include "heap/draw.h"

#include <string.h>

/* The steps of splitmix64, a public-domain generator. */
static uint64_t draw_bits(struct draw *draw)
{
    draw->state += 0x9e3779b97f4a7c15;
    uint64_t z = draw->state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void draw_begin(struct draw *draw, uint64_t seed)
{
    draw->state = seed;
    (void)draw_bits(draw);
}

/* x = m * 2^e with m from 1/sqrt(2) to sqrt(2); the series of the inverse
 * hyperbolic tangent converges fast there. */
double draw_log(double x)
{
    const double log_2 = 0.693147180559945309417;
    const double root_2 = 1.414213562373095048802;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    bits = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > root_2) {
        m /= 2;
        exponent++;
    }
    const double s = (m - 1) / (m + 1);
    const double square = s * s;
    double sum = 0;
    for (int n = 19; n >= 1; n -= 2)
        sum = sum * square + 1.0 / n;
    return exponent * log_2 + 2 * s * sum;
}

double draw_exponential(struct draw *draw)
{
    /* From 2^-53 to 1. */
    const double u = (double)((draw_bits(draw) >> 11) + 1) * 0x1p-53;
    const double x = -draw_log(u);
    return x > 0 ? x : 0x1p-60;
}
