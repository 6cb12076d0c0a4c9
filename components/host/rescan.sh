# shellcheck shell=sh
# Runs on an ESXi host (busybox sh) after a VMFS volume was made through another host.
set -eu
esxcli storage core adapter rescan --all
esxcli storage filesystem rescan
