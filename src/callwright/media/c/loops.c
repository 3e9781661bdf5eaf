/* The media worker's socket loops: what is due on all legs in one call each way.
 *
 * Called through ctypes, so without the interpreter's lock. Nothing is allocated and nothing waits. The Python side of
 * every function is callwright/media_worker/loops.py; both read and write the same arrays.
 */
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#define MOST_EVENTS 2048
#define ADDRESS_BYTES 32

/* Changed whenever a signature or the meaning of an argument is: an old build beside new Python code is not used. */
int callwright_helper_version(void) { return 2; }

/* The kernel's arrival time of a datagram in epoch seconds, 0 when it gave none. */
static double arrival(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(part), sizeof at);
            return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
        }
    }
    return 0.0;
}

/* Take one datagram from every ready socket whose row is known; name the other ready descriptors in `others`.
 *
 * `row_of` has `descriptors` entries, -1 for a socket that Python reads itself. Row i of `packets` (`width` octets)
 * becomes the i-th datagram, of `lengths[i]` octets, that came at `stamps[i]` for leg `rows[i]`; `capacity` is how many
 * fit, as many as `others` has room for. Returns how many datagrams were taken and writes the number of others.
 */
int callwright_receive(int epoll, const int32_t *row_of, int descriptors, uint8_t *packets, int width, int64_t *rows,
                       int64_t *lengths, double *stamps, int32_t *others, int capacity, int32_t *other_count)
{
    struct epoll_event events[MOST_EVENTS];
    int taken = 0, left = 0;
    int ready = epoll_wait(epoll, events, capacity < MOST_EVENTS ? capacity : MOST_EVENTS, 0);
    for (int i = 0; i < ready; i++) {
        int socket = events[i].data.fd;
        if (socket < 0 || socket >= descriptors || row_of[socket] < 0) {
            others[left++] = socket;
            continue;
        }
        char control[CMSG_SPACE(sizeof(struct timespec))];
        struct iovec place = {packets + (size_t)taken * (size_t)width, (size_t)width};
        struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t length = recvmsg(socket, &message, MSG_DONTWAIT);
        /* An error is an ICMP message about an earlier packet of ours (the far end's port is closed). */
        if (length < 0)
            continue;
        rows[taken] = row_of[socket];
        lengths[taken] = length;
        stamps[taken] = arrival(&message);
        taken++;
    }
    *other_count = left;
    return taken;
}

/* Send row i of `packets` (`stride` octets apart), `lengths[i]` octets of it, from the socket of leg `rows[i]`.
 *
 * `socket_of` is -1 for a leg that has nobody to send to; `address_bytes` is 0 for a connected socket. A length of 0 is
 * left out. A packet that the kernel does not take is lost, as any packet may be.
 */
void callwright_send(int count, const int64_t *rows, const uint8_t *packets, int stride, const int32_t *lengths,
                     const int32_t *socket_of, const uint8_t *addresses, const uint8_t *address_bytes)
{
    for (int i = 0; i < count; i++) {
        int64_t row = rows[i];
        if (lengths[i] <= 0 || socket_of[row] < 0)
            continue;
        socklen_t size = address_bytes[row];
        const void *target = size ? addresses + row * ADDRESS_BYTES : NULL;
        sendto(socket_of[row], packets + (size_t)i * (size_t)stride, (size_t)lengths[i], MSG_DONTWAIT | MSG_NOSIGNAL,
               target, size);
    }
}
