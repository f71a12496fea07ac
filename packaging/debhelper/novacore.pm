# SPDX-License-Identifier: MIT
# dh $@ --with novacore
use warnings;
use strict;
use Debian::Debhelper::Dh_Lib;

insert_after('dh_strip', 'dh_novacore');

1;
