#!/usr/bin/env python3
"""Plays firmware that QEMU does not have, against a boot service on this wire.

    pxe-client.py INTERFACE SERVER OWN_ADDRESS ARMED_MAC STRANGER_MAC

The service must have ARMED_MAC armed (and not STRANGER_MAC), and a file lpxelinux.0 in its TFTP folder, whose path is in
LOADER. Run as root in a network namespace where INTERFACE has OWN_ADDRESS and the MAC ARMED_MAC. Prints a line a case;
ends with 1 at the first that fails.
"""
import os
import random
import socket
import struct
import sys
import time

INTERFACE, SERVER, OWN, ARMED, STRANGER = sys.argv[1:6]
LOADER = open(os.environ["LOADER"], "rb").read()
QUIET_S = 0.7


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def check(ok, text):
    print(("ok: " if ok else "FAILED: ") + text, flush=True)
    if not ok:
        sys.exit(1)


# ---- DHCP ----

def option(code, value):
    return bytes([code, len(value)]) + value


def dhcp(mac, message, arch=0, class_id=None, ciaddr="0.0.0.0", extra=b"", xid=None):
    xid = xid or random.randrange(1, 1 << 32)
    if class_id is None:
        class_id = b"PXEClient:Arch:%05d:UNDI:002001" % arch
    packet = struct.pack(">BBBBIHH4s4s4s4s16s64s128s4s", 1, 1, 6, 0, xid, 0, 0x8000, socket.inet_aton(ciaddr), bytes(4),
                         bytes(4), bytes(4), mac_bytes(mac), b"", b"", b"\x63\x82\x53\x63")
    packet += option(53, bytes([message])) + option(60, class_id) + option(93, struct.pack(">H", arch))
    packet += option(97, b"\0" + bytes(range(16))) + extra + b"\xff"
    return xid, packet


def options_of(packet):
    found, at = {}, 240
    while at < len(packet) and packet[at] != 255:
        if packet[at] == 0:
            at += 1
            continue
        found[packet[at]] = packet[at + 2:at + 2 + packet[at + 1]]
        at += 2 + packet[at + 1]
    return found


def udp(port, address=""):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, INTERFACE.encode())
    s.bind((address, port))
    return s


def answer_from(s, xid, seconds=2.0):
    """The boot service's answer to xid, or None; the site's DHCP server answers too and is passed over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            packet, sender = s.recvfrom(2000)
        except socket.timeout:
            break
        if sender[0] == SERVER and packet[4:8] == struct.pack(">I", xid):
            return packet, sender
    return None


def ask(port, packet, xid, own_port, seconds=2.0):
    """port 67: a broadcast. 4011: to the server, from own_port."""
    with udp(own_port) as s:
        s.sendto(packet, ("255.255.255.255" if port == 67 else SERVER, port))
        return answer_from(s, xid, seconds)


def assert_answer(got, message, loader, text):
    check(got is not None, text + ": answered")
    packet, _ = got
    opts = options_of(packet)
    good = (packet[0] == 2 and opts.get(53) == bytes([message]) and opts.get(60) == b"PXEClient" and
            opts.get(54) == socket.inet_aton(SERVER) and packet[16:20] == bytes(4) and
            packet[20:24] == socket.inet_aton(SERVER) and packet[108:236].rstrip(b"\0") == loader and
            opts.get(97) == b"\0" + bytes(range(16)))
    check(good, text + ": says what a proxy has to say")
    return opts


def proxy_cases():
    xid, packet = dhcp(ARMED, 1)
    assert_answer(ask(67, packet, xid, 68), 2, b"lpxelinux.0", "DISCOVER of a BIOS")
    xid, packet = dhcp(ARMED, 1, arch=7)
    opts = assert_answer(ask(67, packet, xid, 68), 2, b"snponly.efi", "DISCOVER of UEFI")
    check(opts.get(43, b"").startswith(b"\x06\x01\x08"), "the offer spares the client port 4011")
    for own_port in (68, 4011, 30011):
        xid, packet = dhcp(ARMED, 3, arch=7, ciaddr=OWN)
        got = ask(4011, packet, xid, own_port)
        assert_answer(got, 5, b"snponly.efi", "REQUEST to 4011 from port %d" % own_port)
        check(got[1][1] == 4011, "it comes from port 4011")
    item = option(43, b"\x47\x04\x80\x00\x00\x00\xff")
    xid, packet = dhcp(ARMED, 8, ciaddr=OWN, extra=item)
    opts = assert_answer(ask(4011, packet, xid, 4011), 5, b"lpxelinux.0", "INFORM to 4011")
    check(b"\x47\x04\x80\x00\x00\x00" in opts.get(43, b""), "the boot item comes back")


def silent_cases():
    for text, port, mac, message, arch, class_id in (
            ("DISCOVER of a stranger", 67, STRANGER, 1, 0, None),
            ("DISCOVER of a stranger with UEFI", 67, STRANGER, 1, 7, None),
            ("HTTP Boot of a stranger", 67, STRANGER, 1, 16, b"HTTPClient:Arch:00016:UNDI:003001"),
            ("REQUEST of a stranger on 4011", 4011, STRANGER, 3, 7, None),
            ("DISCOVER of an armed host's own system", 67, ARMED, 1, 0, b"dhcpcd"),
            ("REQUEST on port 67", 67, ARMED, 3, 0, None),
            ("32-bit UEFI", 67, ARMED, 1, 6, None),
            ("ARM", 67, ARMED, 1, 11, None)):
        xid, packet = dhcp(mac, message, arch, class_id, ciaddr=OWN if port == 4011 else "0.0.0.0")
        check(ask(port, packet, xid, 68, QUIET_S) is None, text + ": silence")


def broken_cases():
    rng = random.Random(4711)
    xid, good = dhcp(ARMED, 1)
    with udp(68) as s:
        for n in range(0, 240, 7):
            s.sendto(good[:n], ("255.255.255.255", 67))
            s.sendto(good[:n], (SERVER, 4011))
        for _ in range(300):
            bad = bytearray(good)
            for _ in range(rng.randrange(1, 9)):
                bad[rng.randrange(240, len(bad))] = rng.randrange(256)
            s.sendto(bytes(bad), (SERVER, 4011))
        s.sendto(rng.randbytes(1400), (SERVER, 67))
    with udp(0) as s:
        for _ in range(100):
            s.sendto(b"\0\1" + rng.randbytes(rng.randrange(1, 300)), (SERVER, 69))
            s.sendto(rng.randbytes(rng.randrange(1, 300)), (SERVER, 69))
    time.sleep(0.2)
    xid, packet = dhcp(ARMED, 1)
    assert_answer(ask(67, packet, xid, 68), 2, b"lpxelinux.0", "after 600 broken packets")


# ---- TFTP ----

def tftp_request(name, **options):
    packet = b"\0\1" + name.encode() + b"\0octet\0"
    for key, value in options.items():
        packet += key.encode() + b"\0" + str(value).encode() + b"\0"
    return packet


def granted(packet):
    parts = packet[2:].split(b"\0")
    return {parts[i].decode(): int(parts[i + 1]) for i in range(0, len(parts) - 1, 2)}


def fetch(name, lose=0.0, **options):
    """A receiver as RFC 1350 and RFC 7440 want it, on a wire that loses packets both ways. The bytes, and the options
    that were granted."""
    rng = random.Random(lose)
    with udp(0, OWN) as s:
        s.sendto(tftp_request(name, **options), (SERVER, 69))
        s.settimeout(0.3)
        got, expected, in_window, last, sender = b"", 1, 0, tftp_request(name, **options), (SERVER, 69)
        grant, end = {}, time.monotonic() + 40
        block, window = 512, 1
        while time.monotonic() < end:
            try:
                packet, sender = s.recvfrom(2000)
            except socket.timeout:
                s.sendto(last, sender)
                in_window = 0
                continue
            if rng.random() < lose:
                continue
            kind, number = struct.unpack(">HH", packet[:4])
            if kind == 5:
                return None, packet
            if kind == 6:
                grant = granted(packet)
                block, window = grant.get("blksize", 512), grant.get("windowsize", 1)
                last = b"\0\4\0\0"
            elif number == expected & 0xffff:
                got += packet[4:]
                expected += 1
                in_window += 1
                last = b"\0\4" + struct.pack(">H", (expected - 1) & 0xffff)
                done = len(packet) - 4 < block
                if in_window < window and not done:
                    continue
                in_window = 0
                if done:
                    s.sendto(last, sender)
                    return got, grant
            else:
                in_window = 0
                last = b"\0\4" + struct.pack(">H", (expected - 1) & 0xffff)
            if rng.random() >= lose:
                s.sendto(last, sender)
    return None, b"time over"


def tftp_cases():
    for text, lose, options in (("plain", 0, {}), ("blksize 1468, windowsize 8", 0, {"blksize": 1468, "windowsize": 8}),
                                ("blksize 1408, tsize", 0, {"blksize": 1408, "tsize": 0}),
                                ("blksize 1024, timeout 1, 3 % lost", 0.03, {"blksize": 1024, "timeout": 1}),
                                ("windowsize 8, 3 % lost", 0.03, {"blksize": 1468, "windowsize": 8}),
                                ("blksize 65464, windowsize 64", 0, {"blksize": 65464, "windowsize": 64})):
        data, grant = fetch("lpxelinux.0", lose, **options)
        check(data == LOADER, "TFTP %s: whole (%s)" % (text, grant))
    check(grant == {"blksize": 1468, "windowsize": 16}, "what is too large is granted smaller")
    start = time.monotonic()
    for name in ("boot.cfg", "pxelinux.cfg/default", "../../etc/passwd", "pxelinux.cfg/01-" + STRANGER.replace(":", "-")):
        data, packet = fetch(name)
        check(data is None and packet[:4] == b"\0\5\0\1", "TFTP %s: no such file" % name)
    check(time.monotonic() - start < 0.5, "errors come at once")
    data, _ = fetch("pxelinux.cfg/01-" + ARMED.replace(":", "-"), blksize=1408, tsize=0)
    check(data is not None and b"KERNEL http://" in data, "TFTP: the menu of an armed host")


def size_only_and_reuse():
    """Asks for the size, declines, and asks again from the same port, as boot ROMs do."""
    with udp(0, OWN) as s:
        s.settimeout(0.5)
        s.sendto(tftp_request("lpxelinux.0", tsize=0), (SERVER, 69))
        packet, sender = s.recvfrom(2000)
        check(packet == b"\0\6tsize\0%d\0" % len(LOADER), "TFTP tsize alone: the size")
        s.sendto(b"\0\5\0\0no\0", sender)
        s.sendto(tftp_request("lpxelinux.0"), (SERVER, 69))
        packet, second = s.recvfrom(2000)
        check(packet[:4] == b"\0\3\0\1" and second != sender, "TFTP again from the same port: at once, a new transfer")
        s.sendto(tftp_request("lpxelinux.0"), (SERVER, 69))
        packet, third = s.recvfrom(2000)
        check(packet[:4] == b"\0\3\0\1" and third == second, "TFTP request repeated: the same transfer")


def abandoned():
    """Leaves transfers in the middle; the limit for one host must come free again."""
    sockets = []
    refused = 0
    for _ in range(10):
        s = udp(0, OWN)
        s.settimeout(0.5)
        s.sendto(tftp_request("lpxelinux.0"), (SERVER, 69))
        refused += s.recvfrom(2000)[0][1] == 5
        sockets.append(s)
    check(refused >= 2, "TFTP: too many transfers of one host are refused")
    for s in sockets:
        s.close()
    time.sleep(1.5)  # the next repetition meets a closed port
    data, _ = fetch("lpxelinux.0", blksize=1468)
    check(data == LOADER, "TFTP after abandoned transfers: whole")


proxy_cases()
silent_cases()
broken_cases()
tftp_cases()
size_only_and_reuse()
abandoned()
