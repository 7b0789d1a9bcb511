#!/bin/bash
# Secure Boot keeps its promise on our path: a kernel with one flipped bit in the FAT image is not started, the job does not
# end as done, and cancelling it disarms the PC.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/netboot/lib.sh
. "$here/lib.sh"

mac=52:54:00:67:34:6c
lib_network_up
lib_server_up small
python3 - "$lib_dir/boot" <<'END'
import sys
folder = sys.argv[1]
linux = open(f"{folder}/linux", "rb").read()
with open(f"{folder}/uefi.img", "r+b") as f:
    at = f.read().find(linux)
    assert at > 0, "the kernel does not lie in one piece in the FAT image"
    f.seek(at + len(linux) // 2)
    byte = f.read(1)[0]
    f.seek(-1, 1)
    f.write(bytes([byte ^ 1]))
END
started='\[ +[0-9]+\.[0-9]{6}\]|ghost4linux: (network|disks|waiting|the agent)' # the kernel's lines, the agent's or init's
truncate -s 64M "$lib_dir/disk.img"
vm_define pc1 secureboot "$mac" "$lib_dir/disk.img"
"$g4l" host add pc1 "$mac"
"$g4l" backup pc1 --detach --json >"$lib_dir/job.json"
vm_wait_serial pc1 'bad shim signature|Security Violation|Verification failed' 400 0 "$started"
sleep 5
grep -qaE "$started" "$lib_dir/pc1/serial" && lib_fail "the tampered kernel was started"
"$g4l" status pc1 --json | head -n 1 >"$lib_dir/job.json"
lib_is "$lib_dir/job.json" .state booting
"$g4l" cancel "$(jq -r .job "$lib_dir/job.json")"
"$g4l" status pc1 --json | head -n 1 >"$lib_dir/job.json"
lib_is "$lib_dir/job.json" .state cancelled
vm_pull_plug pc1
vm_wait_off pc1 20
lib_say "done: the tampered kernel was refused"
