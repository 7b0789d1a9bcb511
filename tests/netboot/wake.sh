#!/bin/bash
# The program that plays a sleeping network card, without any virtual PC: the right magic packet wakes in both of its
# forms, nothing else does, and what was started ends with it.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/netboot/lib.sh
. "$here/lib.sh"

lib_need_root
lib_need python3 ip:iproute2
lib_network_up
ip -n "$lib_server_ns" link add pcnic type veth peer name pcport
ip -n "$lib_server_ns" link set pcport master g4lbr0 up
ip -n "$lib_server_ns" link set pcnic up
mac=52:54:00:77:00:01
log=$lib_dir/nic
ip netns exec "$lib_server_ns" "$lib_build/tests/netboot/vm-nic" --interface pcnic --mac "$mac" -- \
	sh -c 'echo "machine runs"; exec sleep 1' >"$log" &
lib_pids+=($!)
nic=$!
lib_wait_file "$log" asleep 5

# Ethernet type 0x0842, as ether-wake sends it; with a pattern of its own for the tests below.
send_raw() { # TYPE DESTINATION MAC TIMES
	lib_in_server python3 -c '
import socket, sys
kind, to, mac, times = int(sys.argv[1], 16), *(bytes.fromhex(a.replace(":", "")) for a in sys.argv[2:4]), int(sys.argv[4])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("g4lbr0", 0))
s.send(to + bytes.fromhex("020000000001") + kind.to_bytes(2, "big") + b"\xff" * 6 + mac * times)' "$@"
}

lib_wake 52:54:00:77:00:02                                     # somebody else's magic packet
send_raw 0842 ff:ff:ff:ff:ff:ff 52:54:00:77:00:02 16           # the same, raw
send_raw 0842 ff:ff:ff:ff:ff:ff "$mac" 15                      # one MAC too few
send_raw 88b5 ff:ff:ff:ff:ff:ff "$mac" 16                      # another protocol
send_raw 0842 52:54:00:77:00:03 "$mac" 16                      # a frame for somebody else
sleep 1
grep -q woken "$log" && lib_fail "woke for a packet that is none of its business: $(cat "$log")"

runs() { grep -c "^[0-9.]* powered off" "$log" || true; }
lib_wake "$mac"
lib_wait_file "$log" "woken by a magic packet \(UDP\)" 5
lib_wait_file "$log" "powered off" 5
sleep 0.5
send_raw 0842 ff:ff:ff:ff:ff:ff "$mac" 16
lib_wait_file "$log" "woken by a magic packet \(Ethernet type 0842\)" 5
lib_wait_file "$log" "powered off.*" 5
sleep 1.5
[ "$(runs)" -eq 2 ] || lib_fail "ran $(runs) times, not twice"
kill -USR1 "$nic"
lib_wait_file "$log" "power button was pressed" 5
[ "$(grep -c 'machine runs' "$log")" -ge 2 ] || lib_fail "the machine did not run"

# Ending it ends the machine.
child=$(sed -n 's/.*powered on, process //p' "$log" | tail -n 1)
lib_end "$nic"
kill -0 "$child" 2>/dev/null && lib_fail "the machine still runs after its card was ended"
lib_say "done"
