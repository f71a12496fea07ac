#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds kube-apiserver from Debian's source package `kubernetes` into DIRECTORY (below .cache: it takes
# minutes, once). Exit status 77, with the reason, where it cannot be had.
#
#   build.sh DIRECTORY
set -euo pipefail
directory=$1

[ ! -x "$directory/kube-apiserver" ] || exit 0
for tool in go dpkg-source apt-get rsync make; do
	command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed (./dev test --all installs it)"; exit 77; }
done
reflect=/usr/share/gocode/src/github.com/modern-go/reflect2
[ -d $reflect ] || { echo "skipped: golang-github-modern-go-reflect2-dev is not installed"; exit 77; }
mkdir -p "$directory" 2>/dev/null && [ -w "$directory" ] || { echo "skipped: $directory is not writable"; exit 77; }
exec 9>"$directory/lock"
flock 9
[ ! -x "$directory/kube-apiserver" ] || exit 0

work=$(mktemp -d -p "$directory")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

# the machine's own Debian archive, its sources as well, without touching the machine's lists
mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(CREATED_BY)' 2>/dev/null |
	sed -n 's/^\([^ ]*\/debian\/\?\) bookworm Packages$/\1/p' | head -1)
[ -n "$mirror" ] || { echo "skipped: apt's sources name no Debian archive of bookworm"; exit 77; }
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >sources.list
mkdir -p lists/partial
apt=(apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
	-o APT::Sandbox::User=)
if ! "${apt[@]}" update >apt.log 2>&1 || ! "${apt[@]}" source --download-only kubernetes >>apt.log 2>&1; then
	echo "skipped: the source package kubernetes cannot be fetched: $(grep -m1 '^E:' apt.log || tail -1 apt.log)"
	exit 77
fi

dpkg-source --no-check --skip-patches -x kubernetes_*.dsc source >/dev/null
# the copy that it brings crashes on the first CustomResourceDefinition when Go is 1.18 or newer
rm -rf source/vendor/github.com/modern-go/reflect2
cp -r $reflect source/vendor/github.com/modern-go/
mkdir -p gopath/src/k8s.io
ln -s "$work/source" gopath/src/k8s.io/kubernetes
cd gopath/src/k8s.io/kubernetes
env GOPATH="$work/gopath" GOCACHE="$work/gocache" GO111MODULE=off GOPROXY=off CGO_ENABLED=0 GOFLAGS= \
	KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_TREE_STATE=clean KUBE_GIT_COMMIT=debian \
	nice -n 19 make WHAT=cmd/kube-apiserver >"$work/make.log" 2>&1 || { tail -20 "$work/make.log"; exit 1; }
mv "$work"/source/_output/local/bin/linux/*/kube-apiserver "$directory/kube-apiserver"
