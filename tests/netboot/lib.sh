# shellcheck shell=bash disable=SC2034
# What the network boot tests and the demo stand on: network namespaces with a bridge, a DHCP server that knows nothing of
# us, and virtual PCs whose sleeping network card can be woken. Sourced. Everything lives in lib_dir and in namespaces
# named after this process; the trap ends what was started here, by its process id, and nothing else.
#
#   namespace g4ls$$   bridge g4lbr0 10.77.0.1/24 and fd77::1/64: our server; the virtual PCs' taps are ports of the bridge
#   namespace g4ld$$   10.77.0.2/24 and fd77::2/64: the site's own DHCP server (dnsmasq)

lib_source=${G4L_SOURCE:-$(git rev-parse --show-toplevel)}
lib_build=${G4L_BUILD:-$lib_source/build}
lib_cache=${G4L_BOOT_CACHE:-$lib_build/boot-cache}
lib_dir=$(mktemp -d "${TMPDIR:-/tmp}/g4l-netboot.XXXXXX")
chmod 0755 "$lib_dir" # the boot service, without privileges, reads below it
lib_server_ns=g4ls$$
lib_dhcp_ns=g4ld$$
lib_pids=()
lib_undo=()

export PATH=$PATH:/usr/sbin:/sbin

lib_say() { echo "$(basename "$0"): $*"; }

lib_fail() {
	echo "$(basename "$0"): FAILED: $*" >&2
	exit 1
}

lib_skip() {
	echo "$(basename "$0"): skipped: $*"
	exit 77
}

# Skips the test unless all programs are there. PROGRAM or PROGRAM:PACKAGE.
lib_need() {
	local pair

	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || lib_skip "needs ${pair%%:*} (package ${pair#*:})"
	done
}

lib_need_root() { [ "$(id -u)" -eq 0 ] || lib_skip "needs root"; }

# Ends one process that was started here, and waits for it. After 5 seconds by force.
lib_end() { # PID
	local tries

	kill "$1" 2>/dev/null || return 0
	for ((tries = 0; tries < 50; tries++)); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

lib_cleanup() {
	local status=$? i

	trap - EXIT INT TERM
	for ((i = ${#lib_pids[@]} - 1; i >= 0; i--)); do
		lib_end "${lib_pids[i]}"
	done
	for ((i = ${#lib_undo[@]} - 1; i >= 0; i--)); do
		eval "${lib_undo[i]}" || true
	done
	if [ -n "${G4L_KEEP:-}" ]; then
		echo "kept: $lib_dir"
	else
		rm -rf "$lib_dir"
	fi
	exit "$status"
}
trap lib_cleanup EXIT
trap 'exit 130' INT TERM

# --- the network --------------------------------------------------------------------------------------------------------

# Runs a command in the server's namespace. Not for the background: $! would be the shell in between, and what it started would stay.
lib_in_server() { ip netns exec "$lib_server_ns" "$@"; }

# Makes both namespaces, the bridge, and a cable between them; starts the site's DHCP server.
lib_network_up() {
	local ns dhcp_dir=$lib_dir/dhcp

	lib_need_root
	lib_need ip:iproute2 dnsmasq:dnsmasq-base
	for ns in "$lib_server_ns" "$lib_dhcp_ns"; do
		ip netns add "$ns" 2>/dev/null || lib_skip "needs network namespaces"
		lib_undo+=("ip netns del $ns")
		ip -n "$ns" link set lo up
	done
	ip -n "$lib_server_ns" link add g4lbr0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	ip -n "$lib_server_ns" link add dhcp type veth peer name eth0 netns "$lib_dhcp_ns"
	ip -n "$lib_server_ns" link set dhcp master g4lbr0 up
	ip -n "$lib_server_ns" addr add 10.77.0.1/24 dev g4lbr0
	ip -n "$lib_server_ns" addr add fd77::1/64 dev g4lbr0 nodad
	ip -n "$lib_server_ns" link set g4lbr0 up
	ip -n "$lib_dhcp_ns" addr add 10.77.0.2/24 dev eth0
	ip -n "$lib_dhcp_ns" addr add fd77::2/64 dev eth0 nodad
	ip -n "$lib_dhcp_ns" link set eth0 up

	# Leases, a router and name server, and router advertisements for iPXE; not a word about booting.
	mkdir -p "$dhcp_dir"
	ip netns exec "$lib_dhcp_ns" dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file="$dhcp_dir/pid" \
		--user=root --port=0 --interface=eth0 --bind-interfaces --log-dhcp --log-facility="$dhcp_dir/log" \
		--dhcp-leasefile="$dhcp_dir/leases" --dhcp-range=10.77.0.100,10.77.0.199,1h --dhcp-option=3,10.77.0.2 \
		--dhcp-authoritative --no-ping --enable-ra --dhcp-range=fd77::,ra-only --ra-param=eth0,4,1800 &
	lib_pids+=($!)
	lib_dhcp_log=$dhcp_dir/log
	lib_wait_file "$lib_dhcp_log" "DHCP, IP range" 10
}

# Waits until a file holds a line that matches, not looking at its first FROM bytes. Fails at once at a line that matches
# the pattern of failures.
lib_wait_file() { # FILE PATTERN SECONDS [FAILURES] [FROM]
	local file=$1 pattern=$2 seconds=$3 failures=${4:-} from=${5:-0} end text

	end=$((SECONDS + seconds))
	while :; do
		text=$(tail -c "+$((from + 1))" "$file" 2>/dev/null | tr -d '\0' || true)
		grep -aqE -- "$pattern" <<<"$text" && return 0
		if [ -n "$failures" ] && grep -aqE -- "$failures" <<<"$text"; then
			tail -n 30 <<<"$text" >&2
			lib_fail "waited for '$pattern' in $(basename "$file"), but saw: $(grep -aEm1 -- "$failures" <<<"$text" | tr -d '\r')"
		fi
		if [ "$SECONDS" -ge "$end" ]; then
			tail -n 30 <<<"$text" >&2
			lib_fail "no '$pattern' in $(basename "$file") within $seconds s"
		fi
		sleep 0.2
	done
}

# --- virtual PCs --------------------------------------------------------------------------------------------------------

# Defines a PC that is switched off: its tap and its sleeping card become ports of the bridge.
vm_define() { # NAME bios|uefi|secureboot MAC DISK [QEMU ARGUMENTS...]
	local name=$1 firmware=$2 mac=$3 disk=$4 dir=$lib_dir/$1 accel=tcg,thread=multi tap=${1}tap rom='' qemu i=0 uuid
	shift 4
	lib_need qemu-system-x86_64:qemu-system-x86
	# Emulated, the plainest CPU is the fastest: SHA-256 at 24 MiB/s against 12 with -cpu max, ChaCha20 at 115 against 12.
	if [ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo; then accel=kvm; fi
	mkdir -p "$dir"
	: >"$dir/serial"
	ip -n "$lib_server_ns" tuntap add "$tap" mode tap
	ip -n "$lib_server_ns" link set "$tap" master g4lbr0 up
	ip -n "$lib_server_ns" link add "${name}nic" type veth peer name "${name}port"
	ip -n "$lib_server_ns" link set "${name}port" master g4lbr0 up
	ip -n "$lib_server_ns" link set "${name}nic" up
	uuid=$(printf 'a7c0ffee-0000-4000-8000-%s' "${mac//:/}")
	qemu=(qemu-system-x86_64 -name "$name" -accel "$accel" -cpu qemu64 -smp 2 -m "${VM_MEMORY:-1024}" -uuid "$uuid"
		-nodefaults -display none -vga std -no-user-config
		-chardev "file,id=serial,path=$dir/serial,append=on" -serial chardev:serial
		-qmp "unix:$dir/qmp,server=on,wait=off"
		-drive "file=$disk,if=none,id=disk,format=raw,cache=unsafe,discard=unmap"
		-device virtio-rng-pci
		-device "virtio-blk-pci,drive=disk,serial=G4L-$name,bootindex=2"
		-netdev "tap,id=net,ifname=$tap,script=no,downscript=no")
	case $firmware in
	bios) qemu+=(-machine pc) ;;
	uefi | secureboot)
		[ -e /usr/share/OVMF/OVMF_CODE_4M.ms.fd ] || lib_skip "needs OVMF (package ovmf)"
		rom=,romfile=
		local code=/usr/share/OVMF/OVMF_CODE_4M.fd vars=/usr/share/OVMF/OVMF_VARS_4M.fd
		if [ "$firmware" = secureboot ]; then
			code=/usr/share/OVMF/OVMF_CODE_4M.ms.fd
			vars=/usr/share/OVMF/OVMF_VARS_4M.ms.fd
			# straight to HTTP Boot: each PXE entry that fails costs a minute
			qemu+=(-machine "q35,smm=on" -global "driver=cfi.pflash01,property=secure,value=on"
				-fw_cfg "name=opt/org.tianocore/IPv4PXESupport,string=n"
				-fw_cfg "name=opt/org.tianocore/IPv6PXESupport,string=n")
		else
			qemu+=(-machine q35 -fw_cfg "name=opt/org.tianocore/IPv6PXESupport,string=n")
		fi
		cp "$vars" "$dir/vars.fd"
		qemu+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$code"
			-drive "if=pflash,unit=1,format=raw,file=$dir/vars.fd")
		;;
	*) lib_fail "vm_define: unknown firmware $firmware" ;;
	esac
	qemu+=(-device "virtio-net-pci,netdev=net,mac=$mac,bootindex=1$rom" "$@")
	printf '%q ' "${qemu[@]}" >"$dir/command"

	ip netns exec "$lib_server_ns" "$lib_build/tests/netboot/vm-nic" --interface "${name}nic" --mac "$mac" -- \
		"${qemu[@]}" >"$dir/nic" 2>"$dir/qemu.log" &
	echo $! >"$dir/pid"
	lib_pids+=($!)
	lib_wait_file "$dir/nic" "asleep" 5
}

# Presses the power button; pulls the plug.
vm_power_on() { kill -USR1 "$(cat "$lib_dir/$1/pid")"; }
vm_pull_plug() { kill -USR2 "$(cat "$lib_dir/$1/pid")"; }

# Where the serial port's text ends now, to be given to vm_wait_serial later.
vm_mark() { stat -c %s "$lib_dir/$1/serial"; }

# What loaders and kernels say when a boot has gone wrong.
readonly vm_failures='PXE-E|grub>|grub rescue>|Could not boot|Boot failed|Kernel panic|No bootable device|Security Violation'

vm_wait_serial() { # NAME PATTERN SECONDS [FROM] [FAILURES]
	lib_wait_file "$lib_dir/$1/serial" "$2" "$3" "${5-$vm_failures}" "${4:-0}"
}

vm_is_off() { [ "$(tail -n 1 "$lib_dir/$1/nic" | cut -d ' ' -f 2)" = asleep ]; }

# Waits until the PC is off again.
vm_wait_off() { # NAME SECONDS
	local end=$((SECONDS + $2))

	sleep 0.3
	until vm_is_off "$1"; do
		if [ "$SECONDS" -ge "$end" ]; then
			tail -n 20 "$lib_dir/$1/serial" >&2
			lib_fail "$1 did not power off within $2 s"
		fi
		sleep 0.2
	done
	if tail -n 2 "$lib_dir/$1/nic" | grep -q 'the machine failed'; then
		cat "$lib_dir/$1/qemu.log" >&2
		lib_fail "the virtual machine of $1 failed"
	fi
}

# Sends a magic packet in the server's network, as any tool of the site would.
lib_wake() { # MAC
	lib_in_server python3 -c '
import socket, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.sendto(b"\xff" * 6 + mac * 16, ("10.77.0.255", 9))' "$1"
}

# A picture of the screen, as a PPM file.
vm_screen() { # NAME FILE
	python3 -c '
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rw")
f.readline()
for command in {"execute": "qmp_capabilities"}, {"execute": "screendump", "arguments": {"filename": sys.argv[2]}}:
    f.write(json.dumps(command) + "\n")
    f.flush()
    while "return" not in (answer := json.loads(f.readline())):
        assert "error" not in answer, answer' "$lib_dir/$1/qmp" "$2"
}

# --- our server ---------------------------------------------------------------------------------------------------------

g4l=$lib_build/src/cli/g4l

# Makes the boot image and a store, and starts g4ld in its namespace.
lib_server_up() { # full|small
	local tries arguments=()

	lib_need jq
	[ "$1" = full ] || arguments+=("--$1")
	"$g4l" bootimage build --out "$lib_dir/boot" --cache "$lib_cache" "${arguments[@]}" 2>"$lib_dir/bootimage.log" || {
		cat "$lib_dir/bootimage.log" >&2
		lib_fail "the boot image was not built"
	}
	export G4L_SOCKET=$lib_dir/g4ld.sock G4L_STORE=${LIB_STORE:-$lib_dir/store}
	"$g4l" store init "$G4L_STORE" >/dev/null
	cat >"$lib_dir/g4ld.conf" <<-END
		[server]
		store = $G4L_STORE
		state_dir = $lib_dir/state
		socket = $G4L_SOCKET
		[network]
		interface = g4lbr0
		address = 10.77.0.1
		[boot]
		boot_dir = $lib_dir/boot
		boot_user = nobody
		bootd = $lib_build/src/netboot/g4l-bootd
		${LIB_LIMITS:+[limits]
		$LIB_LIMITS}
	END
	ip netns exec "$lib_server_ns" "$lib_build/src/server/g4ld" --config "$lib_dir/g4ld.conf" --verbose 2>"$lib_dir/g4ld.log" &
	lib_server_pid=$!
	lib_pids+=($!)
	for ((tries = 0; tries < 100; tries++)); do
		"$g4l" status >/dev/null 2>&1 && return 0
		kill -0 "$lib_server_pid" 2>/dev/null || break
		sleep 0.1
	done
	cat "$lib_dir/g4ld.log" >&2
	lib_fail "g4ld did not start"
}

# What there is to see when a job ended otherwise than it should.
lib_explain() { # NAME
	"$g4l" status "$1" >&2 || true
	tail -n 30 "$lib_dir/g4ld.log" >&2
	tail -c 1500 "$lib_dir/$1/serial" | tr -d '\0' >&2
	cat "$lib_dir/$1/nic" >&2
}

# Ends a test unless a member of a job's or host's JSON is what it should be.
lib_is() { # FILE JQ-EXPRESSION WANTED
	local got

	got=$(jq -r "$2" "$1")
	[ "$got" = "$3" ] || lib_fail "$2 is '$got', not '$3'"
}
