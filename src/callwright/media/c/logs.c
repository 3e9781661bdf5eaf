/* The logs of instances: what many of them have to say is written in one call, which gives the interpreter up once. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

/* Append each of `count` texts to its file, which is made if it is not there, and give the file its second name, if
 * `seconds` has one. Stop at the first that does not go as usual and return how many are done; `written` are the octets
 * that the next one already has in its file.
 */
int callwright_write_logs(int count, const char *const *paths, const char *const *texts, const int64_t *lengths,
                          const char *const *seconds, int64_t *written)
{
    for (int i = 0; i < count; i++) {
        *written = 0;
        if (lengths[i] > 0) {
            int file = open(paths[i], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
            if (file < 0)
                return i;
            while (*written < lengths[i]) {
                ssize_t taken = write(file, texts[i] + *written, (size_t)(lengths[i] - *written));
                if (taken < 0 && errno == EINTR)
                    continue;
                if (taken <= 0)
                    break;
                *written += taken;
            }
            close(file);
            if (*written < lengths[i])
                return i;
        }
        if (seconds[i] && link(paths[i], seconds[i]) != 0 && errno != EEXIST)
            return i;
    }
    return count;
}
