#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the peer that prepare.sh has prepared.
#
#   start.sh DIRECTORY [vpx|esx]
cd "$1" && exec ./peer -model "${2:-vpx}" -cert cert.pem -key cert-key.pem
