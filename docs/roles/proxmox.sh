#!/bin/sh
# SPDX-License-Identifier: MIT
# The least that novacore's driver for Proxmox VE needs: roles, a user without a password, and a token, whose
# secret is shown once. Run it on a node, as root.
#
#   ./proxmox.sh [STORAGE [IMAGE-STORAGE]]      # of VMs' disks, and of uploaded images: local-lvm, local
#
# Without migration leave out VM.Migrate; without the guest agent VM.GuestAgent.Unrestricted (VM.Monitor before
# Proxmox VE 9); without boot = "disk" and knobs VM.Config.Disk, VM.Config.HWType and VM.Config.Network; without
# uploaded images the role NovacoreImages. The roles reach every VM: where that is too much, make a pool, set the
# parameter pool, and give NovacoreBench on /pool/NAME and VM.Audit and VM.Clone on /vms/NUMBER-OF-THE-TEMPLATE
# instead. What `novacore target test NAME` says is missing, is missing here.
set -eu
storage=${1:-local-lvm}
images=${2:-local}

agent=VM.GuestAgent.Unrestricted
pveversion | grep -q 'pve-manager/[5-8]\.' && agent=VM.Monitor

pveum role add NovacoreBench --privs "VM.Allocate VM.Audit VM.Clone VM.Config.CPU VM.Config.Disk \
  VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options VM.Migrate VM.PowerMgmt VM.Snapshot $agent"
pveum role add NovacoreStore --privs "Datastore.AllocateSpace"
pveum role add NovacoreImages --privs "Datastore.Allocate Datastore.AllocateTemplate"
pveum role add NovacoreNet --privs "SDN.Use"
pveum user add bench@pve
pveum user token add bench@pve novacore --privsep 1

# A token that is separated from its user needs the roles itself, and the user too.
give() {
	pveum acl modify "$1" --roles "$2" --users bench@pve --tokens 'bench@pve!novacore'
}
give /vms NovacoreBench
give "/storage/$storage" NovacoreStore
give "/storage/$images" NovacoreStore,NovacoreImages
give /sdn/zones/localnetwork NovacoreNet
