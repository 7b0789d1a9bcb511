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
