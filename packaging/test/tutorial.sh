# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A new user: the packages that the tutorials name, then every step of README and tutorials, timed.
. /srv/test/lib.sh

note "what the tutorials say to install"
apt install gcc cmake make pkg-config lowdown dpkg-dev file novacore novacore-sdk-dev novacore-hypervisor-sim \
  libcurl4-openssl-dev libjansson-dev libssl-dev openssl python3 sudo patch
useradd --create-home you
echo 'you ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/you

files >before
for page in /srv/test/README.md /usr/share/doc/novacore-sdk*/tutorial-plugin.md \
  /usr/share/doc/novacore-sdk*/tutorial-driver.md; do
  note "$page, word by word"
  timeout -k 5 600 python3 /srv/test/tutorial.py --system you "$page" || fail "$page is not what one sees"
  # the next page's reader has not read this one
  files | comm -13 before - | grep '^/usr/' | xargs -r rm -rf
done
