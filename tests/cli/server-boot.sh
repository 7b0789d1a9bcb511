#!/bin/bash
# Boot files over plain HTTP: kernel, initramfs, iPXE script and the FAT image with its own grub.cfg; HEAD and ranges.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"
# shellcheck source=tests/cli/server-functions.sh
. "$(dirname "$0")/server-functions.sh"
need curl jq

configure
expect 0 "$g4l" store init "$work/store"
mkdir "$work/boot"
head -c 300000 /dev/urandom >"$work/boot/linux"
head -c 700001 /dev/urandom >"$work/boot/initrd"
head -c 1000000 /dev/urandom >"$work/boot/uefi.img"
cat >"$work/boot/manifest.json" <<M
{"kernel": "6.1", "linux": {"file": "linux", "bytes": 300000}, "initrd": {"file": "initrd", "bytes": 700001},
 "uefi_img": {"file": "uefi.img", "bytes": 1000000, "grub_cfg_offset": 500123, "grub_cfg_bytes": 4096}}
M
start_g4ld
asks 200 /hosts -d "{\"name\":\"john\",\"macs\":[\"$mac\"]}"
asks 200 /jobs -d '{"kind":"backup","host":"john"}'
job=$(jq .job "$work/out")
await "$job" waking
base=$(armed base)

fetch() {
	curl -sS -m 20 -o "$work/got" -D "$work/head" -w '%{http_code}' "$@"
}
is "$(fetch -I "$base/linux")" 200
grep -qi '^content-length: 300000' "$work/head" || fail "HEAD does not give the length"
is "$(api "/jobs/$job" | jq -r .state)" waking "HEAD alone is not a boot"
is "$(fetch "$base/linux")" 200
cmp "$work/got" "$work/boot/linux"
is "$(api "/jobs/$job" | jq -r .state)" booting
is "$(fetch "$base/initrd")" 200
cmp "$work/got" "$work/boot/initrd"
is "$(fetch -r 700000- "$base/initrd")" 206
cmp "$work/got" <(tail -c 1 "$work/boot/initrd")
grep -qi '^content-range: bytes 700000-700000/700001' "$work/head" || fail "no Content-Range"
is "$(fetch -r 700001- "$base/initrd")" 416
is "$(fetch -r -10 "$base/initrd")" 206
cmp "$work/got" <(tail -c 10 "$work/boot/initrd")

# the FAT image: the same but for the place of grub.cfg, whole and by ranges that cut it
is "$(fetch "$base/uefi.img")" 200
cp "$work/got" "$work/image"
is "$(stat -c %s "$work/image")" 1000000
cmp -n 500123 "$work/image" "$work/boot/uefi.img"
cmp -i 504219 "$work/image" "$work/boot/uefi.img"
dd if="$work/image" bs=1 skip=500123 count=4096 of="$work/grub.cfg" 2>/dev/null
grep -q "$(armed token)" "$work/grub.cfg" || fail "grub.cfg does not hold the command line"
is "$(fetch -r 500000-500200 "$base/uefi.img")" 206
cmp "$work/got" <(dd if="$work/image" bs=1 skip=500000 count=201 2>/dev/null)
is "$(fetch -r 504218-504300 "$base/uefi.img")" 206
cmp "$work/got" <(dd if="$work/image" bs=1 skip=504218 count=83 2>/dev/null)

is "$(fetch "$base/boot.ipxe")" 200
grep -q '^#!ipxe' "$work/got" && grep -q "$(armed token)" "$work/got" || fail "boot.ipxe is no script for this host"
for object in passwd ../../state.db manifest.json linux/x ''; do
	is "$(fetch --path-as-is "$base/$object")" 404 "$object"
done
is "$(fetch -d x "$base/linux")" 405

# a manifest that does not fit its files is an error, not a boot
truncate -s 299999 "$work/boot/linux"
is "$(fetch "$base/linux")" 500
asks 200 "/jobs/$job/cancel" -X POST
is "$(fetch "$base/initrd")" 404 "the nonce of a job that is over"
echo "all well"
