# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# `./dev package`: builds the packages, judges them, and tries them in a fresh Debian. Sourced by dev,
# whose helpers it uses. Everything that it makes is below build/packages; base systems: .cache.

packages_package=(
  debhelper dpkg-dev fakeroot file lintian rpm rpmlint debugedit elfutils util-linux
)

package_version() { sed -n 's/^project(novacore VERSION \([0-9.]*\).*/\1/p' "$1/CMakeLists.txt"; }

# The tree as it is, without what is ignored: to build it elsewhere.
package_copy() { # directory
  mkdir -p "$1"
  { git ls-files -z --cached --others --exclude-standard; } |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar -c --null -T - | tar -x -C "$1"
}

# Builds source $1 in $2 and packs it into $3.
package_build() {
  local log=$2.log
  mkdir -p "$3"
  { cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr \
    -DNOVACORE_TESTS=OFF && cmake --build "$2" --parallel "$jobs" -- --quiet &&
    cpack -G DEB --config "$2/CPackConfig.cmake" -B "$3"; } >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "cannot build the packages; the whole log is $log"; }
  rm -rf "$3/_CPack_Packages"
}

# Network is none of a build's needs; a namespace without any needs root.
without_network() {
  if [ "$(id -u)" = 0 ]; then unshare --net -- "$@"; else "$@"; fi
}

package_debs() {
  say "packages: $work/one"
  package_build "$root" "$work/one" "$out"
  say "the same packages, built elsewhere from a copy of the tree"
  package_copy "$work/elsewhere/a/tree"
  TZ=Pacific/Chatham LC_ALL=C HOME=/nonexistent USER=somebody \
    package_build "$work/elsewhere/a/tree" "$work/elsewhere/objects" "$work/again"
  local deb different=
  for deb in "$out"/*.deb; do
    cmp -s "$deb" "$work/again/${deb##*/}" || different+=" ${deb##*/}"
  done
  [ -z "$different" ] || die "two builds differ:$different"
  (cd "$out" && sha256sum ./*.deb >SHA256SUMS && wc -l <SHA256SUMS | sed 's/$/ packages, bit for bit the same/')
  say "lintian"
  lintian --allow-root --fail-on error "$out"/*.deb || die "lintian found errors"
}

package_debhelper() {
  local log=$work/debhelper.log deb version
  say "dpkg-buildpackage, source and binary"
  rm -rf "$work/debhelper"
  version=$(package_version "$root")
  package_copy "$work/debhelper/novacore-$version"
  tar -c -z --exclude "novacore-$version/debian" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
    --numeric-owner -C "$work/debhelper" -f "$work/debhelper/novacore_$version.orig.tar.gz" "novacore-$version"
  (cd "$work/debhelper/novacore-$version" &&
    DEB_BUILD_OPTIONS="nocheck parallel=$jobs" without_network dpkg-buildpackage -us -uc -d) \
    >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "dpkg-buildpackage failed; the whole log is $log"; }
  mkdir -p "$out/debhelper"
  find "$work/debhelper" -maxdepth 1 -type f -exec mv -t "$out/debhelper" {} +
  lintian --allow-root --fail-on error "$out"/debhelper/*.changes || die "lintian found errors"
  for deb in "$out"/*.deb; do
    [ -e "$out/debhelper/${deb##*/}" ] || die "debian/ makes no ${deb##*/}, but cpack does"
  done
}

package_rpms() {
  local log=$work/rpm.log top=$work/rpm version tree
  version=$(package_version "$root")
  say "rpmbuild"
  rm -rf "$top"
  mkdir -p "$top/SOURCES"
  package_copy "$top/novacore-$version"
  tar -c -z -f "$top/SOURCES/novacore-$version.tar.gz" -C "$top" "novacore-$version"
  without_network rpmbuild -bb --nodeps --define "_topdir $top" --define "_dbpath $top/db" --define "_buildhost reproducible" \
    packaging/novacore.spec >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "rpmbuild failed; the whole log is $log"; }
  mkdir -p "$out/rpm"
  mv "$top"/RPMS/*/*.rpm "$out/rpm/"
  tree=$work/rpm-tree
  rm -rf "$tree"
  mkdir -p -m 755 "$tree"
  for rpm in "$out"/rpm/*.rpm; do
    (cd "$tree" && rpm2cpio "$rpm" | cpio -idm --quiet)
  done
  "$tree/usr/bin/novacore" plugin list --refused | tee "$log.refused"
  grep -q "^No plugin was refused" "$log.refused" || die "a plugin of the RPM packages is refused"
  rpmlint -r packaging/novacore.rpmlintrc "$out"/rpm/*.rpm packaging/novacore.spec >"$log.lint" 2>&1 || {
    grep ' E: ' "$log.lint" >&2
    die "rpmlint found errors; all that it says is in $log.lint"
  }
  tail -n 1 "$log.lint"
}

# --- installing them ------------------------------------------------------------------------------

# The next version: other numbers, and a driver that is another file.
package_next() {
  local tree=$work/next/tree version
  say "the next version, for an upgrade"
  package_copy "$tree"
  version=$(package_version "$tree")
  sed -i "s/^project(novacore VERSION $version/&.1/" "$tree/CMakeLists.txt"
  sed -i 's/\.version = "\([^"]*\)"/.version = "\1.1"/' "$tree"/plugins/hypervisors/sim/sim.c
  [ "$(package_version "$tree")" != "$version" ] || die "cannot make a next version of $version"
  package_build "$tree" "$work/next/objects" "$out/next"
}

# Runs packaging/test/NAME.sh in a fresh base system with the packages in /srv/packages (and the next
# version's in /srv/next), which apt knows as an archive.
package_try() { # name
  local target=$cache/try-$1 archives=$cache/archives
  say "in a fresh Debian 12: $1"
  rm -rf --one-file-system "$target"
  cp -a --reflink=auto "$cache/base" "$target"
  mkdir -p "$target/srv/packages" "$target/srv/next" "$target/srv/test" "$archives/partial"
  cp "$out"/*.deb "$target/srv/packages/"
  cp "$out"/next/*.deb "$target/srv/next/"
  cp packaging/test/*.sh tests/docs/tutorial.py README.md "$target/srv/test/"
  local folder
  for folder in packages next; do
    (cd "$target/srv/$folder" && dpkg-scanpackages --multiversion . >Packages 2>/dev/null)
  done
  echo "deb [trusted=yes] file:/srv/packages ./" >"$target/etc/apt/sources.list.d/novacore.list"
  cp -a --reflink=auto "$archives/." "$target/var/cache/apt/archives/"
  local status=0
  enter_bare_root "$target" bash -eu "/srv/test/$1.sh" </dev/null || status=$?
  cp -a -n "$target"/var/cache/apt/archives/*.deb "$archives/" 2>/dev/null || true
  [ $status = 0 ] || die "$1 failed; its system is left in $target"
  rm -rf --one-file-system "$target"
}

package_base() {
  [ -x "$cache/base/usr/bin/apt-get" ] && [ -z "$(find "$cache/base.log" -mtime +7)" ] && return
  rm -rf --one-file-system "$cache/base"
  mkdir -p "$cache/base"
  make_bare_root "$cache/base"
  enter_bare_root "$cache/base" apt-get -q update >>"$cache/base.log" 2>&1 ||
    { tail -n 5 "$cache/base.log" >&2; die "cannot read the package lists"; }
}

command_package() {
  local try=1 build=1 only=(sim kvm drivers sdk tutorial upgrade) name
  while [ $# -gt 0 ]; do
    case $1 in
    --no-test) try= ;;
    --try) [ $# -gt 1 ] || die "--try needs the name of a file in packaging/test"
           build='' only=("$2"); shift ;;
    *) die "./dev package knows --no-test and --try NAME, not $1" ;;
    esac
    shift
  done
  [ -z "$try" ] || [ "$(id -u)" = 0 ] || die "trying packages in a fresh system needs root; --no-test only builds them"
  need "${packages_build[@]}" "${packages_package[@]}"
  out=$root/build/packages work=$root/build/packages.work cache=$root/.cache/package
  umask 022
  export SOURCE_DATE_EPOCH
  SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)
  mkdir -p "$cache"
  if [ -n "$build" ]; then
    rm -rf "$out" "$work"
    mkdir -p "$work"
    package_debs
    package_debhelper
    package_rpms
    [ -z "$try" ] || package_next
  fi
  if [ -n "$try" ]; then
    need "${packages_bare[@]}"
    package_base
    for name in "${only[@]}"; do package_try "$name"; done
  fi
  rm -rf "$work"
  say "build/packages"
  (cd "$out" && ls -l ./*.deb | awk '{ printf "%8d  %s\n", $5, $9 }')
}
