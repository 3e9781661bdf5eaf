/* Two directions of a leg as the two audio channels of a file. */
#include <stdint.h>

void callwright_lace(const int16_t *restrict left, const int16_t *restrict right, int samples, int16_t *restrict out)
{
    for (int i = 0; i < samples; i++) {
        out[2 * i] = left[i];
        out[2 * i + 1] = right[i];
    }
}
