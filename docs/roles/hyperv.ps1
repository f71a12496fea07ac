# SPDX-License-Identifier: MIT
# The least that novacore's driver for Hyper-V needs: an account of its own, in two groups of the host, and
# a directory for its disks that it alone writes to. Run it on each host, in PowerShell as an administrator.
#
#   .\hyperv.ps1 -Directory D:\novacore -Template D:\templates
#
# In a domain make the account there instead, give its name by -Account, and leave out -Create. What
# `novacore target test NAME` says is missing, is missing there.
param(
    [string] $Account = "novacore",
    [string] $Directory = "D:\novacore",
    [string] $Template = "",
    [switch] $Create
)
$ErrorActionPreference = "Stop"

if ($Create) {
    New-LocalUser -Name $Account -Password (Read-Host -AsSecureString "Password of $Account") `
        -PasswordNeverExpires -UserMayNotChangePassword -Description "novacore measures this host"
}

# WinRM lets it in, and WMI answers it (S-1-5-32-580: Remote Management Users).
Add-LocalGroupMember -SID S-1-5-32-580 -Member $Account
# Hyper-V shows itself to it, and obeys it (S-1-5-32-578: Hyper-V Administrators). There is no smaller
# right: who is in that group may use all VMs of the host. novacore touches those alone whose names begin
# with novacore-.
Add-LocalGroupMember -SID S-1-5-32-578 -Member $Account

# Disks of VMs are made by Hyper-V, and deleted by the account.
New-Item -ItemType Directory -Force -Path $Directory | Out-Null
icacls $Directory /grant "${Account}:(OI)(CI)M"
if ($Template) {
    # What disks are linked to is read, and never written to.
    icacls $Template /grant "${Account}:(OI)(CI)RX"
}

# WinRM over HTTPS, port 5986: needs a certificate for the host's name in LocalMachine\My.
if (-not (Get-ChildItem WSMan:\localhost\Listener | Where-Object { $_.Keys -contains "Transport=HTTPS" })) {
    $name = [System.Net.Dns]::GetHostEntry("").HostName
    $certificate = Get-ChildItem Cert:\LocalMachine\My |
        Where-Object { $_.HasPrivateKey -and $_.NotAfter -gt (Get-Date) -and $_.DnsNameList.Unicode -contains $name } |
        Select-Object -First 1
    if (-not $certificate) {
        throw "no certificate for $name in LocalMachine\My: get one from your authority, then run this again"
    }
    New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address * -Force `
        -CertificateThumbPrint $certificate.Thumbprint | Out-Null
    New-NetFirewallRule -DisplayName "WinRM over HTTPS" -Direction Inbound -Protocol TCP -LocalPort 5986 `
        -Action Allow | Out-Null
}
