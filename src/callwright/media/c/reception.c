/* The usual packet: the next one of a known stream, G.711, 20 ms long, with a plain header.
 *
 * It is counted (RFC 3550, appendix A), its jitter measured, and, where the row is listened to, its sound put in its
 * place of the jitter buffer, all exactly as callwright/media/reception.py and jitter.py do it. Every other packet is
 * left to them untouched.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define HEADER_BYTES 12
#define FRAME 160
#define SEQUENCE_JUMP 3000
#define WHEEL 4294967296.0

/* One array entry per row of a leg; the names are those of the Python attributes. */
struct reception {
    const uint8_t *law;
    const int16_t *payload_type, *event_type, *other_event_type;
    const uint8_t *seen;
    const uint32_t *ssrc;
    int64_t *highest, *received;
    double *jitter, *transit;
    uint8_t *has_transit;
    double *last_at;
    const uint8_t *listening;
    const uint8_t *synced;
    int16_t *ring;
    const int64_t *read_frame, *read_timestamp;
    int64_t *late, *least_lead, *most_lead;
    const int16_t *decode;
    int64_t ring_frames;
    int64_t plain_laws;
};

static double wrapped(double value)
{
    double rest = fmod(value, WHEEL);
    return rest < 0 ? rest + WHEEL : rest;
}

/* Take the usual ones of `count` packets (`stride` octets apart); write the indexes of the others to `rest` and return
 * how many they are.
 */
int callwright_take(const struct reception *to, int count, const int64_t *rows, const uint8_t *packets, int stride,
                    const int64_t *lengths, const double *at, int64_t *rest)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        const uint8_t *packet = packets + (size_t)i * (size_t)stride;
        int64_t row = rows[i];
        int kind = packet[1] & 0x7F, law;
        if (lengths[i] != HEADER_BYTES + FRAME || packet[0] != 0x80 || kind == to->event_type[row] ||
            kind == to->other_event_type[row] || !to->seen[row] || to->law[row] >= to->plain_laws)
            goto unusual;
        if (kind == to->payload_type[row])
            law = to->law[row];
        else if (kind == 0 || kind == 8)
            law = kind == 8;
        else
            goto unusual;
        uint32_t ssrc = (uint32_t)packet[8] << 24 | (uint32_t)packet[9] << 16 | (uint32_t)packet[10] << 8 | packet[11];
        uint32_t timestamp =
            (uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 | (uint32_t)packet[6] << 8 | packet[7];
        int step = (int16_t)(uint16_t)((packet[2] << 8 | packet[3]) - (to->highest[row] & 0xFFFF));
        if (ssrc != to->ssrc[row] || step > SEQUENCE_JUMP || step < -SEQUENCE_JUMP)
            goto unusual;
        if (to->listening[row]) {
            int64_t lead = (int32_t)(timestamp - (uint32_t)to->read_timestamp[row]);
            if (!to->synced[row] || lead < 0 || lead % FRAME != 0 || lead + FRAME > to->ring_frames * FRAME)
                goto unusual;
            int64_t frame = (to->read_frame[row] + lead / FRAME) % to->ring_frames;
            int16_t *place = to->ring + (row * to->ring_frames + frame) * FRAME;
            const int16_t *sample_of = to->decode + 256 * law;
            for (int sample = 0; sample < FRAME; sample++)
                place[sample] = sample_of[packet[HEADER_BYTES + sample]];
            to->late[row] = 0;
            if (lead < to->least_lead[row])
                to->least_lead[row] = lead;
            if (lead > to->most_lead[row])
                to->most_lead[row] = lead;
        }
        if (step > 0)
            to->highest[row] += step;
        to->received[row]++;
        to->last_at[row] = at[i];
        double transit = wrapped(at[i] * 8000 - (double)timestamp);
        double change = fabs(wrapped(transit - to->transit[row] + WHEEL / 2) - WHEEL / 2);
        if (to->has_transit[row] && change < 8000)
            to->jitter[row] += (change - to->jitter[row]) / 16;
        to->transit[row] = transit;
        to->has_transit[row] = 1;
        continue;
    unusual:
        rest[left++] = i;
    }
    return left;
}
