#!/bin/bash
# ShellCheck has nothing to say about any shell script of the project.
set -euo pipefail
cd "$1"
command -v shellcheck >/dev/null || { echo "needs shellcheck"; exit 77; }
mapfile -t scripts < <(find . \( -name .git -o -name 'build*' -type d \) -prune -o -type f -print0 |
	xargs -0 grep -lE '^#!/(usr/)?bin/(env )?(ba)?sh' | sort)
[ "${#scripts[@]}" -gt 20 ] || { echo "found only ${#scripts[@]} scripts"; exit 1; }
shellcheck "${scripts[@]}"
echo "${#scripts[@]} scripts"
