# SPDX-License-Identifier: MIT
# The least that novacore's driver for vSphere needs, as a role of vCenter. Run it in PowerCLI, connected
# as an administrator; then give the role to an account on the objects that are named below.
#
#   Connect-VIServer vcenter.example
#   ./vsphere.ps1
#
# On a host without vCenter make the role in its Host Client (Manage, Security & users, Roles). What
# `novacore target test NAME` says is missing, is missing there.

# On the folder of the VMs (parameter `folder`; the datacenter's if there is none), with propagation.
# Without snapshots, guest commands or migration leave out what begins so; without images (disks that novacore
# uploads) VirtualMachine.Config.AddExistingDisk, and Datastore.FileManagement below; without knobs
# VirtualMachine.Config.Resource.
New-VIRole -Name NovacoreVMs -Privilege (Get-VIPrivilege -Id @(
    "VirtualMachine.Inventory.Create"
    "VirtualMachine.Inventory.CreateFromExisting"
    "VirtualMachine.Inventory.Delete"
    "VirtualMachine.Interact.PowerOn"
    "VirtualMachine.Interact.PowerOff"
    "VirtualMachine.Interact.Suspend"
    "VirtualMachine.Interact.Reset"
    "VirtualMachine.Config.CPUCount"
    "VirtualMachine.Config.Memory"
    "VirtualMachine.Config.AddNewDisk"
    "VirtualMachine.Config.AddExistingDisk"
    "VirtualMachine.Config.Resource"
    "VirtualMachine.Config.AddRemoveDevice"
    "VirtualMachine.Provisioning.Clone"
    "VirtualMachine.State.CreateSnapshot"
    "VirtualMachine.State.RevertToSnapshot"
    "VirtualMachine.State.RemoveSnapshot"
    "VirtualMachine.GuestOperations.Execute"
    "VirtualMachine.GuestOperations.Modify"
    "VirtualMachine.GuestOperations.Query"
    "Resource.HotMigrate"
    "Resource.ColdMigrate"
))

# On the resource pool (or the cluster), the datastore, the network and the template; with propagation
# on the pool. ReadOnly on the datacenter, the cluster and its hosts, so that they can be found.
New-VIRole -Name NovacorePlaces -Privilege (Get-VIPrivilege -Id @(
    "Resource.AssignVMToPool"
    "Datastore.AllocateSpace"
    "Datastore.FileManagement"
    "Network.Assign"
    "VirtualMachine.Provisioning.DeployTemplate"
))
