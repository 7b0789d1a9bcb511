/* TFTP: requests of real loaders, and the sender against a scripted client that loses packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "hex.h"
#include "netboot/tftp.h"
#include "packets.h"

/* ---- requests ---- */

static int parse(const void *bytes, size_t len, struct tftp_request *r)
{
	const char *why = "";

	return tftp_parse_request(bytes, len, r, &why);
}

static void test_real_requests(void **state)
{
	struct packet p = packet_of(packet_ipxe_read);
	struct tftp_request r;

	assert_int_equal(parse(p.bytes, p.len, &r), 0);
	assert_string_equal(r.name, "lpxelinux.0");
	assert_int_equal(r.block_bytes, 1432);
	assert_true(r.wants_block && r.wants_size && !r.wants_window);
	p = packet_of(packet_pxelinux_read);
	assert_int_equal(parse(p.bytes, p.len, &r), 0);
	assert_string_equal(r.name, "pxelinux.cfg/01-52-54-00-66-00-01");
	assert_int_equal(r.block_bytes, 1408);
	p = packet_of(packet_uefi_read);
	assert_int_equal(parse(p.bytes, p.len, &r), 0);
	assert_int_equal(r.block_bytes, 1468);
	assert_int_equal(r.window, 4);
}

#define REQUEST(text) parse(text, sizeof(text) - 1, &r)

static void test_odd_requests(void **state)
{
	char name[400] = "\0\1";
	struct tftp_request r;

	assert_int_equal(REQUEST("\0\1a\0OcTeT\0BLKSIZE\0"
				 "65464\0windowsize\0"
				 "65535\0timeout\0"
				 "3\0"),
			 0);
	assert_int_equal(r.block_bytes, TFTP_BLOCK_MAX);
	assert_int_equal(r.window, TFTP_WINDOW_MAX);
	assert_int_equal(r.timeout_s, 3);
	assert_int_equal(REQUEST("\0\1a\0octet\0blksize\0"
				 "7\0windowsize\0"
				 "0\0timeout\0"
				 "256\0tsize\0x\0"),
			 0);
	assert_false(r.wants_block || r.wants_window || r.wants_timeout || r.wants_size);
	assert_int_equal(r.block_bytes, 512);
	assert_int_equal(r.window, 1);
	assert_int_equal(REQUEST("\0\1a\0octet\0blksize\0"
				 "99"),
			 0); /* an option that is cut off */
	assert_false(r.wants_block);
	assert_int_equal(tftp_error_of(REQUEST("\0\2a\0octet\0")), TFTP_ERROR_ACCESS);
	assert_int_equal(tftp_error_of(REQUEST("\0\1a\0netascii\0")), TFTP_ERROR_ILLEGAL);
	assert_int_equal(tftp_error_of(REQUEST("\0\1a\0octet")), TFTP_ERROR_ILLEGAL);
	assert_int_equal(tftp_error_of(REQUEST("\0\1a")), TFTP_ERROR_ILLEGAL);
	assert_int_equal(REQUEST("\0\1a"), -100 - TFTP_ERROR_ILLEGAL);
	assert_int_equal(REQUEST("\0\3\0\1x"), -1);
	assert_int_equal(REQUEST("\0\4\0\1"), -1);
	assert_int_equal(REQUEST("\0"), -1);
	assert_int_equal(REQUEST(""), -1);
	memset(name + 2, 'n', 200);
	memcpy(name + 203, "octet", 6);
	assert_int_equal(tftp_error_of(parse(name, 209, &r)), TFTP_ERROR_NOT_FOUND);
}

static void test_error_packet(void **state)
{
	uint8_t to[TFTP_PACKET_MAX];
	char text[300];

	assert_int_equal(tftp_format_error(TFTP_ERROR_NOT_FOUND, "no", to), 7);
	assert_memory_equal(to, "\0\5\0\1no\0", 7);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(tftp_format_error(TFTP_ERROR_OTHER, text, to), 105);
}

/* ---- transfers ---- */

/* A client on a wire that loses chosen packets; it does what RFC 1350 and RFC 7440 tell a receiver to do. */
struct wire {
	struct tftp_sender sender;
	struct tftp_request request;
	uint8_t *file, *got;
	size_t file_len, got_len;
	uint64_t now;
	uint64_t expected;  /* the block that must come next */
	unsigned in_window; /* blocks since the last ACK */
	unsigned packets;   /* sent by the server so far */
	unsigned lose_every, lose_ack_every, acks;
	uint8_t pending[8][4]; /* ACKs under way */
	unsigned pending_count;
	bool ended, gap_told;
	char options[128];
	size_t options_len;
	int fail_read_from;
};

static int read_file(void *arg, uint64_t offset, void *to, size_t len)
{
	struct wire *w = arg;

	assert_true(offset <= w->file_len && len <= w->file_len - offset);
	if (w->fail_read_from && offset >= (uint64_t)w->fail_read_from)
		return -EIO;
	memcpy(to, w->file + offset, len);
	return 0;
}

/* One of n packets on average, but not each n-th: that could fall together with the window. n 1: all. */
static bool is_lost(unsigned count, unsigned n)
{
	return n && (count * 2654435761u >> 16) % n == 0;
}

static void queue_ack(struct wire *w, uint64_t block)
{
	if (is_lost(++w->acks, w->lose_ack_every))
		return;
	assert_true(w->pending_count < 8);
	bytes_put_be16(w->pending[w->pending_count], 4);
	bytes_put_be16(w->pending[w->pending_count++] + 2, (uint16_t)block);
}

static void take_data(struct wire *w, const uint8_t *packet, size_t len)
{
	uint16_t number = bytes_be16(packet + 2);

	if (number != (uint16_t)w->expected) {
		/* A gap, or an old block: tell what we have, once for each gap. */
		if (!w->gap_told)
			queue_ack(w, w->expected - 1);
		w->gap_told = true;
		w->in_window = 0;
		return;
	}
	w->gap_told = false;
	assert_true(len - 4 <= w->file_len - w->got_len);
	memcpy(w->got + w->got_len, packet + 4, len - 4);
	w->got_len += len - 4;
	w->expected++;
	w->in_window++;
	w->ended = len - 4 < w->request.block_bytes;
	if (w->ended || w->in_window == w->request.window) {
		queue_ack(w, w->expected - 1);
		w->in_window = 0;
	}
}

static void from_server(void *arg, const uint8_t *packet, size_t len)
{
	struct wire *w = arg;

	w->packets++;
	if (is_lost(w->packets, w->lose_every))
		return;
	switch (bytes_be16(packet)) {
	case 3:
		take_data(w, packet, len);
		break;
	case 6:
		memcpy(w->options, packet, len);
		w->options_len = len;
		queue_ack(w, 0);
		break;
	case 5:
		w->ended = true;
		break;
	default:
		fail();
	}
}

static void wire_open(struct wire *w, size_t bytes, const char *request, size_t request_len)
{
	assert_int_equal(parse(request, request_len, &w->request), 0);
	w->file_len = bytes;
	w->file = malloc(bytes + 1);
	w->got = malloc(bytes + 1);
	w->expected = 1;
	for (size_t i = 0; i < bytes; i++)
		w->file[i] = (uint8_t)(i * 2654435761u >> 13);
}

static void wire_start(struct wire *w)
{
	struct tftp_source source = {.read = read_file, .arg = w, .size = w->file_len};

	tftp_sender_start(&w->sender, &w->request, &source, from_server, w, w->now);
}

static void wire_close(struct wire *w)
{
	free(w->file);
	free(w->got);
}

/* Until the sender is at an end: delivers ACKs; when nothing is under way, time passes. */
static void wire_run(struct wire *w)
{
	for (unsigned steps = 0; w->sender.state == TFTP_RUNNING; steps++) {
		assert_true(steps < 1000000);
		if (w->pending_count) {
			uint8_t ack[4];

			memcpy(ack, w->pending[0], 4);
			memmove(w->pending[0], w->pending[1], 4 * (size_t)--w->pending_count);
			tftp_sender_packet(&w->sender, ack, 4, w->now);
		} else {
			w->now = w->sender.deadline_ms;
			w->gap_told = false;
			tftp_sender_tick(&w->sender, w->now);
		}
	}
}

static void assert_whole(const struct wire *w)
{
	assert_int_equal(w->sender.state, TFTP_DONE);
	assert_int_equal(w->got_len, w->file_len);
	assert_memory_equal(w->got, w->file, w->file_len);
}

#define PLAIN "\0\1f\0octet\0"
#define WINDOW                                                                                                         \
	"\0\1f\0octet\0tsize\0"                                                                                        \
	"0\0blksize\0"                                                                                                 \
	"1468\0windowsize\0"                                                                                           \
	"8\0"

static void transfer(size_t bytes, const char *request, size_t request_len, unsigned lose, unsigned lose_ack)
{
	struct wire w = {.lose_every = lose, .lose_ack_every = lose_ack};

	wire_open(&w, bytes, request, request_len);
	wire_start(&w);
	wire_run(&w);
	assert_whole(&w);
	wire_close(&w);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 511, 512, 513, 1024, 1467, 1468, 1469, 8 * 1468, 8 * 1468 + 1, 100000};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		transfer(sizes[i], PLAIN, sizeof PLAIN - 1, 0, 0);
		transfer(sizes[i], WINDOW, sizeof WINDOW - 1, 0, 0);
	}
}

static void test_losses(void **state)
{
	for (unsigned lose = 5; lose < 16; lose++) {
		transfer(60000, PLAIN, sizeof PLAIN - 1, lose, 0);
		transfer(60000, PLAIN, sizeof PLAIN - 1, 0, lose);
		transfer(60000, WINDOW, sizeof WINDOW - 1, lose, 0);
		transfer(60000, WINDOW, sizeof WINDOW - 1, 0, lose);
		transfer(60000, WINDOW, sizeof WINDOW - 1, lose, lose + 1);
	}
}

/* Block numbers wrap after 65535; with 8 bytes a block that needs half a MiB only. */
static void test_wrap(void **state)
{
	static const char request[] = "\0\1f\0octet\0blksize\0"
				      "8\0windowsize\0"
				      "16\0";

	transfer(8 * 70000 + 3, request, sizeof request - 1, 0, 0);
	transfer(8 * 70000 + 3, request, sizeof request - 1, 1009, 0);
}

static void test_options(void **state)
{
	struct wire w = {0};
	static const char want[] = "\0\6blksize\0"
				   "1468\0tsize\0"
				   "5000\0windowsize\0"
				   "8";

	wire_open(&w, 5000, WINDOW, sizeof WINDOW - 1);
	wire_start(&w);
	assert_int_equal(w.options_len, sizeof want);
	assert_memory_equal(w.options, want, sizeof want);
	/* Nothing but the option acknowledgement before it is answered; and then one window. */
	assert_int_equal(w.packets, 1);
	wire_run(&w);
	assert_whole(&w);
	wire_close(&w);
}

static void test_size_only(void **state)
{
	struct wire w = {0};

	wire_open(&w, 5000, WINDOW, sizeof WINDOW - 1);
	wire_start(&w);
	tftp_sender_packet(&w.sender, (const uint8_t *)"\0\5\0\0stop", 9, 0);
	assert_int_equal(w.sender.state, TFTP_DECLINED);
	tftp_sender_packet(&w.sender, (const uint8_t *)"\0\4\0\0", 4, 0);
	assert_int_equal(w.packets, 1);
	wire_close(&w);
}

static void test_abandoned(void **state)
{
	struct wire w = {.lose_every = 1};

	wire_open(&w, 5000, PLAIN, sizeof PLAIN - 1);
	wire_start(&w);
	wire_run(&w);
	assert_int_equal(w.sender.state, TFTP_TIMED_OUT);
	assert_int_equal(w.packets, TFTP_TRIES);
	wire_close(&w);
}

/* In lock step a duplicate ACK must not double the data from there on (the Sorcerer's Apprentice). */
static void test_duplicate_acks(void **state)
{
	struct wire w = {.lose_every = 1};
	unsigned before;

	wire_open(&w, 5000, PLAIN, sizeof PLAIN - 1);
	wire_start(&w);
	tftp_sender_packet(&w.sender, (const uint8_t *)"\0\4\0\1", 4, 0);
	before = w.packets;
	for (int i = 0; i < 3; i++)
		tftp_sender_packet(&w.sender, (const uint8_t *)"\0\4\0\1", 4, 0);
	assert_int_equal(w.packets, before);
	/* An ACK of what was never sent, and of what is long past. */
	tftp_sender_packet(&w.sender, (const uint8_t *)"\0\4\0\7", 4, 0);
	tftp_sender_packet(&w.sender, (const uint8_t *)"\0\4\0\0", 4, 0);
	assert_int_equal(w.packets, before);
	assert_int_equal(w.sender.acked, 1);
	wire_close(&w);
}

static void test_repeated_request(void **state)
{
	struct wire w = {.lose_every = 1};

	wire_open(&w, 5000, WINDOW, sizeof WINDOW - 1);
	wire_start(&w);
	tftp_sender_repeat(&w.sender, 0);
	assert_int_equal(w.packets, 2);
	w.lose_every = 0;
	tftp_sender_repeat(&w.sender, 0);
	wire_run(&w);
	assert_whole(&w);
	wire_close(&w);
}

static void test_unreadable(void **state)
{
	struct wire w = {.fail_read_from = 2048};

	wire_open(&w, 5000, PLAIN, sizeof PLAIN - 1);
	wire_start(&w);
	wire_run(&w);
	assert_int_equal(w.sender.state, TFTP_UNREADABLE);
	assert_true(w.ended);
	assert_int_equal(w.got_len, 2048);
	wire_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_requests),	 cmocka_unit_test(test_odd_requests),
		cmocka_unit_test(test_error_packet),	 cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_losses),		 cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_options),		 cmocka_unit_test(test_size_only),
		cmocka_unit_test(test_abandoned),	 cmocka_unit_test(test_duplicate_acks),
		cmocka_unit_test(test_repeated_request), cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
