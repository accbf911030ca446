/* The time stamp in the UDP payload of a frame. load.c writes it, probe.c reads it.
 *
 *   0       4        8             16
 *   | magic | number | realtime_ns |   host byte order: both programs run on one machine
 */
#ifndef STAMP_H
#define STAMP_H

#include <stdint.h>

#define STAMP_MAGIC 0x744d7246u

struct __attribute__((packed)) stamp {
    uint32_t magic;
    uint32_t number;
    uint64_t realtime_ns;
};

#endif
