# SPDX-License-Identifier: MIT
# novacore_add_plugin(<kind> <name> SOURCES a.c … [PACKAGES pkg-config names] [LIBRARIES …]
#                     [PROFILE file.conf] [INSTALL_HINTS libvirt.so.0=libvirt0 …])
#   kind: benchmark | hypervisor | optimizer | profile
