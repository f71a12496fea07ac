#!/bin/bash
# SPDX-License-Identifier: MIT
# installed.sh NOVACORE CMAKE SOURCE: the SDK below a prefix knows nothing of where it was built, and
# a newcomer's plugin of each kind is written, built, tested, installed and used with nothing else;
# as this user, as an ordinary one, and after the prefix was moved.
here=$(dirname "$(readlink -f "$0")")
cmake=$2 source=$(readlink -f "$3")
. "$here/../run/lib.sh"
build=$(dirname "$novacore")
umask 022

note 'installed below DESTDIR: no word of the source or the build tree'
DESTDIR=$scratch/root expect 0 "$cmake" --install "$build" --prefix /opt/novacore --strip
prefix=$scratch/root/opt/novacore
for place in "$source" "$build"; do
  ! grep -rlF "$place" "$prefix" || fail "these name $place"
done
! find "$prefix" -type l | grep . || fail 'links lead out of a prefix that is moved'

note 'the SDK is a component of its own, and has all that is needed'
expect 0 "$cmake" --install "$build" --prefix "$scratch/sdk" --component sdk --strip
for file in include/novacore/sdk.h include/novacore/testhost.h bin/novacore-manifest; do
  [ -s "$scratch/sdk/$file" ] || fail "component sdk has no $file"
done
! find "$scratch/sdk" -name '*.so' | grep . || fail 'component sdk has plugins'
[ ! -e "$scratch/sdk/bin/novacore" ] || fail 'component sdk has novacore'

note 'a newcomer, each kind of plugin'
bash "$here/journey.sh" "$prefix" "$cmake" benchmark hypervisor optimizer profile

note 'from another place'
mkdir "$scratch/else where"
mv "$prefix" "$scratch/else where/novacore"
prefix="$scratch/else where/novacore"
rm "$prefix"/lib/novacore/plugins/1/*/my-*
bash "$here/journey.sh" "$prefix" "$cmake" benchmark

if [ "$(id -u)" = 0 ]; then
  note 'an ordinary user, with a copy of their own'
  rm "$prefix"/lib/novacore/plugins/1/*/my-*
  "$source/tests/as-user" bash "$here/journey.sh" "$prefix" "$cmake" benchmark hypervisor
fi

note 'without the SDK it is said what to install'
mv "$prefix/share/novacore/template" template
expect 3 "$prefix/bin/novacore" plugin new benchmark hello
says 'novacore-sdk-dev'
[ ! -e hello ] || fail 'something was written'
mv template "$prefix/share/novacore/template"

note 'versions are those of the ABI'
sed -n 's/^#define NOVA_ABI_\(MAJOR\|MINOR\) \([0-9]*\)u.*/\2/p' "$prefix/include/novacore/abi.h" >numbers
read -r -d '' major minor <numbers || true
mkdir versions
printf 'cmake_minimum_required(VERSION 3.25)\nproject(v LANGUAGES C)\nfind_package(NovacoreSDK ${WANTED} REQUIRED)\n' >versions/CMakeLists.txt
configure() { expect "$1" "$cmake" -S versions -B versions/build "-DCMAKE_PREFIX_PATH=$prefix" "-DWANTED=$2"; }
configure 0 "$major"
configure 0 "$major.$minor"
configure 1 "$((major + 1))"
says "version: $major.$minor"
configure 1 "$major.$((minor + 1))"

note 'wrong calls of novacore_add_plugin are refused with a reason'
# refuses ARGUMENTS TEXT
refuses() {
  mkdir -p calls && touch calls/x.c
  printf 'cmake_minimum_required(VERSION 3.25)\nproject(calls LANGUAGES C)\nfind_package(NovacoreSDK REQUIRED)\nnovacore_add_plugin(%s)\n' "$1" >calls/CMakeLists.txt
  expect 1 "$cmake" -S calls -B calls/build "-DCMAKE_PREFIX_PATH=$prefix"
  says "$2"
}
refuses 'benchmarks x SOURCES x.c' 'is no kind of plugin'
refuses 'benchmark X SOURCES x.c' 'must match'
refuses 'benchmark x' 'has no SOURCES'
refuses 'benchmark x SOURCES x.c PROFILE x.conf' 'only a profile takes PROFILE'
refuses 'benchmark x SOURCES x.c MANUAL y.md' 'there is no MANUAL'

note 'a driver with the helpers; without their libraries only that is refused, by name'
[ -s "$prefix/lib/cmake/NovacoreSDK/NovacoreSDKHelpers.cmake" ] || fail 'the SDK has no helpers'
mkdir helped
cat >helped/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(helped LANGUAGES C)
find_package(NovacoreSDK 1.0 REQUIRED COMPONENTS ${PARTS})
if(TARGET NovacoreSDK::xml)
  novacore_add_plugin(hypervisor acme SOURCES acme/acme.c helped.c LIBRARIES NovacoreSDK::xml NovacoreSDK::ssh)
endif()
END
# Something that pulls most of the helpers in.
cat >helped/helped.c <<'END'
#include <novacore/helpers/call.h>
#include <novacore/helpers/http.h>
#include <novacore/helpers/json.h>
#include <novacore/helpers/ssh.h>
#include <novacore/helpers/xml.h>
json_t *helped(const char *text);
json_t *helped(const char *text)
{
	nova_ssh_close(NULL);
	nova_xml_free(nova_xml_parse(text, 2, NULL, 0));
	return nova_json_parse(text, 2, NULL, 0);
}
END
expect 0 "$prefix/bin/novacore" plugin new hypervisor acme helped/acme
expect 0 "$cmake" -S helped -B helped/build "-DCMAKE_PREFIX_PATH=$prefix" "-DPARTS=helpers;xml;ssh"
expect 0 "$cmake" --build helped/build
[ -s helped/build/lib/novacore/plugins/1/hypervisor/acme.manifest ] || fail 'no driver was built'
export PKG_CONFIG_LIBDIR=$scratch/nothing
expect 1 "$cmake" -S helped -B helped/without "-DCMAKE_PREFIX_PATH=$prefix" -DPARTS=helpers
says 'libcurl4-openssl-dev'
expect 1 "$cmake" -S helped -B helped/without "-DCMAKE_PREFIX_PATH=$prefix" -DPARTS=xml
says 'libxml2-dev'
expect 1 "$cmake" -S helped -B helped/without "-DCMAKE_PREFIX_PATH=$prefix" -DPARTS=ssh
says 'libssh-dev'
expect 0 "$cmake" -S helped -B helped/other "-DCMAKE_PREFIX_PATH=$prefix" -DPARTS=
unset PKG_CONFIG_LIBDIR
