"""`esxcli` of the lab's ESXi hosts: the calls that Perenne makes, with ESXi 8's syntax and output.

iSCSI is real (libiscsi, from the VMkernel adapters' addresses); VMkernel adapters are the simulated vCenter's, which is
told what storage the host sees. It runs in the container with Debian's Python alone.
"""
