#!/bin/bash
# UEFI with Secure Boot on and Microsoft's keys: HTTP Boot of the FAT image with shim, Debian's signed GRUB and kernel.
exec "$(dirname "$(readlink -f "$0")")/boot-test.sh" secureboot
