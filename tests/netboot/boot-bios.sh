#!/bin/bash
# BIOS: SeaBIOS and iPXE's ROM, lpxelinux by TFTP, kernel and initramfs by HTTP. With the full boot image.
exec "$(dirname "$(readlink -f "$0")")/boot-test.sh" bios full
