/* G.722 at 64 kbit/s, written after ITU-T Recommendation G.722 (09/2012), whose block names stand in the comments.
 *
 * Two samples of 16 kHz sound make one octet: the signal is split into two bands (quadrature mirror filters), and in
 * each the difference from what was expected is sent, 6 bits for the lower and 2 for the higher one. Octets depend on
 * those before them, so every direction of a leg has a state of its own.
 */
#include <stdint.h>
#include <string.h>

#define TAPS 24
#define ZEROS 6

struct band {
    int32_t expected;      /* s: what the predictor says the next sample is */
    int32_t from_zeros;    /* sz: the part of it that comes from past differences */
    int32_t scale_log;     /* nb: logarithm of the quantiser's step */
    int32_t scale;         /* det: the step itself */
    int32_t poles[2];      /* a1, a2 */
    int32_t zeros[ZEROS];  /* b1 to b6 */
    int32_t rebuilt[2];    /* r1, r2 */
    int32_t partial[2];    /* p1, p2 */
    int32_t past[ZEROS];   /* d1 to d6 */
};

struct g722 {
    struct band low, high;
    int32_t line[TAPS];
};

static const int32_t MIRROR[TAPS / 2] = {3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11};
static const int32_t LEVELS6[30] = {0,   35,  72,  110, 150, 190, 233,  276,  323,  370,  422,  473,  530,  587,  650,
                                    714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919};
static const int32_t MIDDLES6[30] = {136,  432,  728,  1040, 1360, 1688, 2032,  2400,  2776,  3168,
                                     3576, 4008, 4464, 4944, 5456, 6000, 6576,  7192,  7856,  8576,
                                     9360, 10232, 11192, 12280, 13512, 14984, 16704, 19008, 21904, 24808};
static const int32_t MIDDLES4[8] = {0, 20456, 12896, 8968, 6288, 4240, 2584, 1200};
static const int32_t STEPS_LOW[8] = {-60, 3042, 1198, 538, 334, 172, 58, -30};
static const int32_t ANTILOG[32] = {2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543,
                                    2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025, 3091, 3158, 3228,
                                    3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008};
#define HIGH_LEVEL 564
#define HIGH_INNER 1616
#define HIGH_OUTER 7408

static int32_t saturated(int32_t value)
{
    return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}

static int32_t limited(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* LOGSCL, SCALEL and LOGSCH, SCALEH: the step grows after outer codes and shrinks after inner ones. */
static void rescale(struct band *band, int32_t step, int32_t most, int32_t shift)
{
    band->scale_log = limited(((band->scale_log * 127) >> 7) + step, 0, most);
    int32_t mantissa = ANTILOG[(band->scale_log >> 6) & 31];
    int32_t down = shift - (band->scale_log >> 11);
    band->scale = (down < 0 ? mantissa << -down : mantissa >> down) << 2;
}

/* Block 4: adapt the predictor to a quantised difference and say what is expected next. */
static void adapt(struct band *band, int32_t difference)
{
    int32_t rebuilt = saturated(band->expected + difference);
    int32_t partial = saturated(band->from_zeros + difference);
    int same1 = (partial < 0) == (band->partial[0] < 0), same2 = (partial < 0) == (band->partial[1] < 0);

    /* UPPOL2, UPPOL1 */
    int32_t lean = saturated(band->poles[0] * 4);
    lean = saturated(same1 ? -lean : lean);
    int32_t second = limited((lean >> 7) + (same2 ? 128 : -128) + ((band->poles[1] * 32512) >> 15), -12288, 12288);
    int32_t most = 15360 - second;
    int32_t first = limited(saturated((same1 ? 192 : -192) + ((band->poles[0] * 32640) >> 15)), -most, most);

    /* UPZERO, DELAYA, FILTEZ */
    int32_t gain = difference == 0 ? 0 : 128, sum = 0;
    for (int i = ZEROS - 1; i >= 0; i--) {
        int same = (band->past[i] < 0) == (difference < 0);
        band->zeros[i] = saturated((same ? gain : -gain) + ((band->zeros[i] * 32640) >> 15));
    }
    memmove(band->past + 1, band->past, (ZEROS - 1) * sizeof band->past[0]);
    band->past[0] = difference;
    for (int i = 0; i < ZEROS; i++)
        sum += (band->zeros[i] * saturated(2 * band->past[i])) >> 15;
    band->from_zeros = saturated(sum);

    /* DELAYA, FILTEP, PREDIC */
    band->rebuilt[1] = band->rebuilt[0];
    band->rebuilt[0] = rebuilt;
    band->partial[1] = band->partial[0];
    band->partial[0] = partial;
    band->poles[0] = first;
    band->poles[1] = second;
    int32_t from_poles = saturated(((first * saturated(2 * band->rebuilt[0])) >> 15) +
                                   ((second * saturated(2 * band->rebuilt[1])) >> 15));
    band->expected = saturated(from_poles + band->from_zeros);
}

/* INVQAL and what follows it: the encoder and the decoder do this alike, with the upper four bits of the low code. */
static void follow_low(struct band *band, int32_t code)
{
    int32_t four = code >> 2;
    /* 1 to 7 are negative and 8 to 14 positive, the outermost first; 0 and 15 are the innermost. */
    int32_t rank = four < 8 ? four : four < 15 ? four - 7 : 0;
    int32_t difference = (band->scale * (four < 8 ? -MIDDLES4[rank] : MIDDLES4[rank])) >> 15;
    rescale(band, STEPS_LOW[rank], 18432, 8);
    adapt(band, difference);
}

static int32_t high_difference(const struct band *band, int32_t code)
{
    int32_t size = code & 1 ? HIGH_INNER : HIGH_OUTER;
    return (band->scale * (code & 2 ? size : -size)) >> 15;
}

static void follow_high(struct band *band, int32_t code)
{
    int32_t difference = high_difference(band, code);
    rescale(band, code & 1 ? -214 : 798, 22528, 10);
    adapt(band, difference);
}

static int32_t encoded_low(const struct band *band, int32_t sample)
{
    int32_t error = saturated(sample - band->expected);
    int32_t size = error < 0 ? -(error + 1) : error;
    int rank = 1;
    while (rank < 30 && size >= (LEVELS6[rank] * band->scale) >> 12)
        rank++;
    /* QUANTL: positive codes fall from 61, negative ones from 31 but for the two innermost, 63 and 62. */
    if (error >= 0)
        return 62 - rank;
    return rank <= 2 ? 64 - rank : 34 - rank;
}

static int32_t decoded_low(const struct band *band, int32_t code)
{
    int32_t middle;
    if (code >= 62)
        middle = code == 62 ? -MIDDLES6[1] : -MIDDLES6[0];
    else if (code >= 32)
        middle = MIDDLES6[61 - code];
    else if (code >= 4)
        middle = -MIDDLES6[33 - code];
    else
        middle = -MIDDLES6[0]; /* no encoder sends these */
    return limited(band->expected + ((band->scale * middle) >> 15), -16384, 16383);
}

static int32_t encoded_high(const struct band *band, int32_t sample)
{
    int32_t error = saturated(sample - band->expected);
    int32_t size = error < 0 ? -(error + 1) : error;
    int outer = size >= (HIGH_LEVEL * band->scale) >> 12;
    return (error < 0 ? 0 : 2) + !outer;
}

int callwright_g722_state_ints(void) { return sizeof(struct g722) / sizeof(int32_t); }

void callwright_g722_begin(int32_t *state)
{
    struct g722 *to = (struct g722 *)state;
    memset(to, 0, sizeof *to);
    to->low.scale = 32;
    to->high.scale = 8;
}

/* Encode `octets` octets of each of `count` rows; row i's state is the `rows[i]`-th of `states`. */
void callwright_g722_encode(int count, const int64_t *rows, int32_t *states, const int16_t *sound, int octets,
                            uint8_t *out)
{
    for (int i = 0; i < count; i++) {
        struct g722 *of = (struct g722 *)states + rows[i];
        for (int k = 0; k < octets; k++, sound += 2) {
            int32_t odd = 0, even = 0;
            memmove(of->line, of->line + 2, (TAPS - 2) * sizeof of->line[0]);
            of->line[TAPS - 2] = sound[0];
            of->line[TAPS - 1] = sound[1];
            for (int tap = 0; tap < TAPS / 2; tap++) {
                odd += of->line[2 * tap] * MIRROR[tap];
                even += of->line[2 * tap + 1] * MIRROR[TAPS / 2 - 1 - tap];
            }
            int32_t low = encoded_low(&of->low, (even + odd) >> 14);
            int32_t high = encoded_high(&of->high, (even - odd) >> 14);
            follow_low(&of->low, low);
            follow_high(&of->high, high);
            *out++ = (uint8_t)(high << 6 | low);
        }
    }
}

/* Decode `octets` octets of each of `count` rows into twice as many samples. */
void callwright_g722_decode(int count, const int64_t *rows, int32_t *states, const uint8_t *coded, int octets,
                            int16_t *sound)
{
    for (int i = 0; i < count; i++) {
        struct g722 *of = (struct g722 *)states + rows[i];
        for (int k = 0; k < octets; k++, sound += 2) {
            int32_t code = *coded++, low_code = code & 0x3F, high_code = code >> 6;
            int32_t low = decoded_low(&of->low, low_code);
            int32_t high = limited(of->high.expected + high_difference(&of->high, high_code), -16384, 16383);
            follow_low(&of->low, low_code);
            follow_high(&of->high, high_code);
            int32_t first = 0, second = 0;
            memmove(of->line, of->line + 2, (TAPS - 2) * sizeof of->line[0]);
            of->line[TAPS - 2] = low + high;
            of->line[TAPS - 1] = low - high;
            for (int tap = 0; tap < TAPS / 2; tap++) {
                second += of->line[2 * tap] * MIRROR[tap];
                first += of->line[2 * tap + 1] * MIRROR[TAPS / 2 - 1 - tap];
            }
            sound[0] = (int16_t)saturated(first >> 11);
            sound[1] = (int16_t)saturated(second >> 11);
        }
    }
}
