#!/bin/bash
# The boot service on a wire of its own: two network namespaces, a scripted client that plays firmware, real packets.
# Needs root. NETBOOT_RUN and BOOTD name the programs.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root"; exit 77; }
for program in ip python3; do
	command -v "$program" >/dev/null || { echo "skipped: needs $program"; exit 77; }
done

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/g4l-bootd.XXXXXX")
server=g4lbs$$ client=g4lbc$$
mac=52:54:00:67:00:01
pids=()

cleanup() {
	local status=$? pid

	trap - EXIT INT TERM
	exec 7>&- || true
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	ip netns del "$server" 2>/dev/null || true
	ip netns del "$client" 2>/dev/null || true
	[ "$status" -eq 0 ] || sed 's/^/event: /' "$dir/events"
	rm -rf "$dir"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

ip netns add "$server" 2>/dev/null || { echo "skipped: cannot make network namespaces"; exit 77; }
ip netns add "$client"
ip -n "$server" link add wire type veth peer name nic netns "$client"
ip -n "$server" addr add 10.67.0.1/24 dev wire
ip -n "$server" link set wire up
# The server has a second NIC on the same network, and the client believes that the server's address is there: both answer
# ARP for it. TFTP and port 4011 come in by the wrong door and must be served all the same.
ip -n "$client" link add bridge type bridge stp_state 0 forward_delay 0
ip -n "$client" link set nic name port0
ip -n "$client" link add nic type veth peer name port1
ip -n "$client" link add port2 type veth peer name wire2 netns "$server"
ip netns exec "$client" sysctl -q -w net.ipv4.conf.all.arp_ignore=1 # the client itself is of one piece
for port in port0 port1 port2; do ip -n "$client" link set "$port" master bridge up; done
ip -n "$client" link set bridge up
ip -n "$client" addr flush dev port0
ip -n "$client" link set nic address "$mac" up
ip -n "$client" addr add 10.67.0.2/24 dev nic
ip -n "$server" link set wire2 up
second=$(ip netns exec "$server" cat /sys/class/net/wire2/address)
ip -n "$client" neigh replace 10.67.0.1 lladdr "$second" dev nic nud permanent

mkdir "$dir/tftp"
head -c 150000 /dev/urandom >"$dir/tftp/lpxelinux.0"
chmod 755 "$dir" "$dir/tftp"
chmod 644 "$dir/tftp/lpxelinux.0"
mkfifo "$dir/commands"
: >"$dir/events"
ip netns exec "$server" "$NETBOOT_RUN" "$BOOTD" "$dir/tftp" nobody wire <"$dir/commands" >"$dir/events" 2>&1 &
pids+=($!)
exec 7>"$dir/commands"

wait_for() { # PATTERN
	local tries

	for ((tries = 0; tries < 50; tries++)); do
		grep -q -- "$1" "$dir/events" && return 0
		sleep 0.1
	done
	echo "FAILED: no event: $1"
	exit 1
}

wait_for '^ready '
nonce=00112233445566778899aabbccddeeff
echo "arm john $mac http://10.67.0.1:8067/boot/$nonce g4l.test=1" >&7
wait_for '^ok'
LOADER=$dir/tftp/lpxelinux.0 ip netns exec "$client" python3 "$here/pxe-client.py" nic 10.67.0.1 10.67.0.2 "$mac" \
	52:54:00:67:00:99
wait_for "^offer $mac john asked for a loader (BIOS)"
wait_for "^offer $mac john asked for a loader (UEFI)"
wait_for "^loader $mac john has fetched lpxelinux.0"
wait_for "^menu $mac john has fetched pxelinux.cfg/01-52-54-00-67-00-01"
wait_for "^stranger 52:54:00:67:00:99"
wait_for "^error $mac john cannot be booted: its firmware is 32-bit UEFI"
[ "$(grep -c '^stranger' "$dir/events")" -eq 1 ] || { echo "FAILED: a stranger is reported more than once"; exit 1; }

# The neighbour table tells who asks: once disarmed, the same machine gets neither loader nor menu.
echo "disarm $mac" >&7
sleep 0.3
for name in lpxelinux.0 "pxelinux.cfg/01-${mac//:/-}"; do
	ip netns exec "$client" python3 - "$name" <<-'PY'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(2)
		s.sendto(b"\0\1" + sys.argv[1].encode() + b"\0octet\0", ("10.67.0.1", 69))
		sys.exit(0 if s.recv(600)[:4] == b"\0\5\0\1" else 1)
	PY
	echo "ok: disarmed: no $name"
done

# A wake-up packet goes out of this interface, by UDP and as Ethernet type 0x0842.
: >"$dir/woken"
ip netns exec "$client" timeout 10 python3 - "$mac" >"$dir/woken" <<-'PY' &
	import socket, sys
	mac = bytes.fromhex(sys.argv[1].replace(":", ""))
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
	s.bind(("nic", 0))
	print("listening", flush=True)
	seen = set()
	while len(seen) < 2:
	    frame = s.recv(2000)
	    magic = b"\xff" * 6 + mac * 16
	    if frame[:6] != b"\xff" * 6:
	        continue
	    if frame[12:14] == b"\x08\x42" and frame[14:116] == magic:
	        seen.add("ethernet")
	    if frame[12:14] == b"\x08\x00" and frame[36:38] == b"\0\x09" and frame[42:144] == magic:
	        seen.add("udp")
	print(sorted(seen), flush=True)
PY
listener=$!
for _ in {1..50}; do
	grep -q listening "$dir/woken" && break
	sleep 0.1
done
echo "wake wire $mac" >&7
wait "$listener" || { echo "FAILED: no magic packet by UDP and Ethernet"; exit 1; }
echo "ok: magic packets: $(tail -1 "$dir/woken")"
