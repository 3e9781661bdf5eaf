/* Recordings: two directions of a leg become the audio channels of its tape, and blocks of samples go to their files. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define FRAME 160

/* One array entry per row of a leg, but for `sound`: `tape_frames` frames of it a row, left and right side by side. */
struct tapes {
    int16_t *sound;
    int64_t *fill;
    const int64_t *limit;
    const uint8_t *muted;
    int64_t *muted_still;
    int64_t tape_frames;
};

/* Put one frame of each direction on the tapes of `count` rows; write those that have reached their limit to `full`
 * and return how many they are.
 */
int callwright_tape(const struct tapes *to, int count, const int64_t *rows, const int16_t *restrict received,
                    const int16_t *restrict sent, int64_t *full)
{
    int filled = 0;
    for (int i = 0; i < count; i++, received += FRAME, sent += FRAME) {
        int64_t row = rows[i];
        if (to->fill[row] < 0 || to->fill[row] >= to->tape_frames)
            continue;
        int16_t *restrict place = to->sound + (row * to->tape_frames + to->fill[row]) * 2 * FRAME;
        if (to->muted[row] || to->muted_still[row] > 0) {
            memset(place, 0, 2 * FRAME * sizeof *place);
            if (to->muted_still[row] > 0)
                to->muted_still[row]--;
        } else {
            for (int sample = 0; sample < FRAME; sample++) {
                place[2 * sample] = received[sample];
                place[2 * sample + 1] = sent[sample];
            }
        }
        if (++to->fill[row] >= to->limit[row])
            full[filled++] = row;
    }
    return filled;
}

static int written(int file, const uint8_t *octets, int64_t count, int64_t at)
{
    while (count > 0) {
        ssize_t taken = pwrite(file, octets, (size_t)count, at);
        if (taken < 0 && errno != EINTR)
            return errno;
        if (taken == 0)
            return ENOSPC;
        if (taken > 0) {
            octets += taken;
            count -= taken;
            at += taken;
        }
    }
    return 0;
}

/* Write each of `count` pieces to its file and then the file's header anew, so that it never promises more than there
 * is. A piece that fails has its errno in `errors` and leaves the header as it was.
 */
void callwright_write(int count, const int64_t *files, const int64_t *offsets, const uint64_t *pieces,
                      const int64_t *lengths, const uint8_t *headers, int stride, const int64_t *header_lengths,
                      int64_t *errors)
{
    for (int i = 0; i < count; i++) {
        int file = (int)files[i];
        errors[i] = written(file, (const uint8_t *)(uintptr_t)pieces[i], lengths[i], offsets[i]);
        if (errors[i] == 0)
            errors[i] = written(file, headers + (size_t)i * (size_t)stride, header_lengths[i], 0);
    }
}
