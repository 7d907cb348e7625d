/* A ring buffer of bytes: one writer, one reader, no allocation after start. */
#include <stddef.h>
#include <stdint.h>

struct ring {
    uint8_t *bytes;
    size_t size;   /* a power of two */
    size_t head;   /* next byte to write */
    size_t tail;   /* next byte to read */
};

size_t ring_used(const struct ring *ring) {
    return ring->head - ring->tail;
}

/* Returns how many bytes were taken, which is less than n when the ring is nearly full. */
size_t ring_write(struct ring *ring, const uint8_t *from, size_t n) {
    size_t room = ring->size - ring_used(ring);
    if (n > room) n = room;
    for (size_t i = 0; i < n; i++)
        ring->bytes[(ring->head + i) & (ring->size - 1)] = from[i];
    ring->head += n;
    return n;
}

size_t ring_read(struct ring *ring, uint8_t *to, size_t n) {
    size_t used = ring_used(ring);
    if (n > used) n = used;
    for (size_t i = 0; i < n; i++)
        to[i] = ring->bytes[(ring->tail + i) & (ring->size - 1)];
    ring->tail += n;
    return n;
}
