#!/bin/bash
# UEFI without Secure Boot: OVMF's own PXE, iPXE by TFTP, its script, kernel and initramfs by HTTP.
exec "$(dirname "$(readlink -f "$0")")/boot-test.sh" uefi
