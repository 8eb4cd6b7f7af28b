#!/bin/sh
# Gathers in DIR the files that the daemon needs to run (node, ip, nft, both iptables, the libraries that
# these load) and nothing else: no shell, no package manager, no npm to be scanned and patched.
# Scanners still see the contents: the packages of the files are listed as in distroless images
# (var/lib/dpkg/status.d), with their copyright files.
#
#   assemble-root.sh DIR
set -eu
root=$1

# Prints the path of a file with the links in its directory followed, but not the file's own.
place() {
  printf '%s/%s\n' "$(realpath "$(dirname "$1")")" "$(basename "$1")"
}

# Copies a file to its place in the new root, and for a link also its target.
copy() {
  file=$(place "$1")
  if [ -e "$root$file" ] || [ -L "$root$file" ]; then return; fi
  mkdir -p "$root$(dirname "$file")"
  cp -a "$file" "$root$file"
  if [ -L "$file" ]; then
    case $(readlink "$file") in
    /*) copy "$(readlink "$file")" ;;
    *) copy "$(dirname "$file")/$(readlink "$file")" ;;
    esac
  fi
}

# Prints the libraries that a program or a plug-in loads, including the loader.
libraries() {
  ldd "$1" 2>/dev/null | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p'
}

# Prints the package of a file, or nothing for node, which is from none. Packages from before the merge
# of / and /usr name their files without /usr.
owner() {
  { dpkg-query -S "$1" || dpkg-query -S "${1#/usr}" || true; } 2>/dev/null | cut -d: -f1 | head -n 1
}

mkdir -p "$root"
for link in /bin /sbin /lib /lib32 /lib64 /libx32; do
  if [ -L $link ]; then cp -a $link "$root$link"; fi
done

copy "$(command -v node)"
for name in ip nft; do copy "$(command -v $name)"; done
# Both back ends of iptables: the node's own rules decide which of them is used.
for family in iptables ip6tables; do
  for backend in '' -nft -legacy; do
    for action in '' -save -restore; do copy "$(command -v $family$backend$action)"; done
  done
done
for plugin in /usr/lib/*/xtables/*.so; do copy "$plugin"; done

find "$root" -type f | sed "s|^$root||" >/tmp/files
while read -r file; do
  libraries "$file" | while read -r library; do copy "$library"; done
done </tmp/files

mkdir -p "$root/var/lib/dpkg/status.d"
find "$root" -type f | sed "s|^$root||" | while read -r file; do owner "$file"; done | sort -u |
  while read -r package; do
    dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
    mkdir -p "$root/usr/share/doc/$package"
    cp "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
  done
copy /etc/os-release

mkdir -p "$root/etc/coredns" "$root/run" "$root/proc" "$root/sys" "$root/dev"
mkdir -m 1777 "$root/tmp"
ln -s /run "$root/var/run"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'root:x:0:0:root:/:/nonexistent
nonroot:x:65532:65532:nonroot:/:/nonexistent' >"$root/etc/passwd"
echo 'root:x:0:
nonroot:x:65532:' >"$root/etc/group"
