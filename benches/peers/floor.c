/*
 * The floor of a replay: the least that a program does which writes each frame of a pcap file with
 * outer headers in front. It maps the capture, walks its records, copies 66 bytes of headers and
 * the frame to a buffer, and writes the buffer whenever it is full. It parses no packet, evaluates
 * no rule and counts nothing.
 *
 *     floor INPUT.pcap OUTPUT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_HEADER_LEN = 24,
    RECORD_HEADER_LEN = 16,
    OUTER_LEN = 50,
    BUFFER_LEN = 256 * 1024,
    MAX_FRAME_LEN = 256 * 1024,
};

static uint8_t buffer[BUFFER_LEN + RECORD_HEADER_LEN + OUTER_LEN + MAX_FRAME_LEN];

static void fail(const char *name)
{
    fprintf(stderr, "floor: %s: %s\n", name, strerror(errno));
    exit(1);
}

static void write_all(int output, const uint8_t *bytes, size_t len, const char *name)
{
    while (len > 0) {
        ssize_t written = write(output, bytes, len);
        if (written < 0)
            fail(name);
        bytes += written;
        len -= (size_t)written;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: floor INPUT.pcap OUTPUT\n");
        return 2;
    }
    int input = open(argv[1], O_RDONLY);
    struct stat status;
    if (input < 0 || fstat(input, &status) != 0)
        fail(argv[1]);
    int output = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (output < 0)
        fail(argv[2]);
    size_t len = (size_t)status.st_size;
    if (len < FILE_HEADER_LEN) {
        fprintf(stderr, "floor: %s: expected a pcap file\n", argv[1]);
        return 1;
    }
    const uint8_t *capture = mmap(NULL, len, PROT_READ, MAP_PRIVATE, input, 0);
    if (capture == MAP_FAILED)
        fail(argv[1]);
    madvise((void *)capture, len, MADV_SEQUENTIAL);

    static const uint8_t outer[RECORD_HEADER_LEN + OUTER_LEN];
    memcpy(buffer, capture, FILE_HEADER_LEN);
    size_t used = FILE_HEADER_LEN;
    for (size_t at = FILE_HEADER_LEN; len - at >= RECORD_HEADER_LEN;) {
        uint32_t frame_len;
        memcpy(&frame_len, capture + at + 8, sizeof frame_len);
        if (frame_len > MAX_FRAME_LEN || len - at - RECORD_HEADER_LEN < frame_len)
            break;
        uint8_t *record = buffer + used;
        uint32_t record_len = OUTER_LEN + frame_len;
        memcpy(record, outer, sizeof outer);
        memcpy(record, capture + at, 8); /* the time */
        memcpy(record + 8, &record_len, sizeof record_len);
        memcpy(record + 12, &record_len, sizeof record_len);
        memcpy(record + sizeof outer, capture + at + RECORD_HEADER_LEN, frame_len);
        used += sizeof outer + frame_len;
        at += RECORD_HEADER_LEN + frame_len;
        if (used >= BUFFER_LEN) {
            write_all(output, buffer, used, argv[2]);
            used = 0;
        }
    }
    write_all(output, buffer, used, argv[2]);
    return 0;
}
