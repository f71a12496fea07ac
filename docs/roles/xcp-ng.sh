#!/bin/sh
# SPDX-License-Identifier: MIT
# The least that novacore's driver for XCP-ng needs: an account of the directory that the pool asks, with a
# role. Run it on the pool's master, as root, after the pool was joined to a directory (xe pool-enable-external-auth).
#
#   ./xcp-ng.sh bench [vm-power-admin|vm-admin|pool-operator]
#
# XCP-ng has roles of its own and no others can be made, so the least is the lowest of them that suffices:
#
#   read-only       sees VMs and statistics
#   vm-admin        makes, starts, stops and deletes VMs, uploads images, sets knobs
#   vm-power-admin  also snapshots, which host a VM runs on, migration      (the default: all but networks)
#   pool-operator   also networks of a run
#
# They reach all VMs of the pool; novacore touches those alone whose names begin with novacore-. Without a
# directory there is root only. What `novacore target test NAME` says is missing, is missing in the role.
set -eu
account=${1:?name of the account}
role=${2:-vm-power-admin}

subject=$(xe subject-add subject-name="$account")
xe subject-role-add uuid="$subject" role-name="$role"
xe subject-list uuid="$subject" params=subject-identifier,roles
