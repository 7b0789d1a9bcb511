/*
 * A TFTP client: the input is a row of packets, each with one byte of length in front. The first is the request, the
 * rest goes to the transfer; between them time passes now and then. Nothing may be read outside the file, and no more
 * than a window may be under way.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "netboot/tftp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_BYTES 3000

static void require(bool ok)
{
	if (!ok)
		abort();
}

static int read_file(void *arg, uint64_t offset, void *to, size_t len)
{
	require(offset < FILE_BYTES && len && len <= FILE_BYTES - offset);
	memset(to, 'x', len);
	return 0;
}

static void count_packet(void *arg, const uint8_t *packet, size_t len)
{
	unsigned *sent = arg;

	require(len >= 4 && len <= TFTP_PACKET_MAX);
	++*sent;
}

static void run(struct tftp_sender *s, struct cursor *c, unsigned *sent)
{
	uint64_t now = 0;

	while (cursor_left(c) && s->state == TFTP_RUNNING) {
		uint8_t n = cursor_u8(c);
		const uint8_t *packet;

		*sent = 0;
		if (n == 255) {
			now += 700;
			tftp_sender_tick(s, now);
		} else if (n == 254) {
			tftp_sender_repeat(s, now);
		} else if ((packet = cursor_take(c, n))) {
			tftp_sender_packet(s, packet, n, now);
		} else {
			return;
		}
		require(*sent <= TFTP_WINDOW_MAX && s->sent - s->acked <= s->window && s->sent <= s->last_block);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct tftp_source source = {.read = read_file, .size = FILE_BYTES};
	struct tftp_request request;
	struct tftp_sender sender;
	const char *why = "";
	unsigned sent = 0;
	uint8_t n = cursor_u8(&c);
	const uint8_t *packet = cursor_take(&c, n);

	if (!packet || tftp_parse_request(packet, n, &request, &why) < 0)
		return 0;
	require(request.block_bytes >= 8 && request.block_bytes <= TFTP_BLOCK_MAX);
	require(request.window >= 1 && request.window <= TFTP_WINDOW_MAX);
	tftp_sender_start(&sender, &request, &source, count_packet, &sent, 0);
	run(&sender, &c, &sent);
	return 0;
}
