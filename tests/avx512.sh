#!/bin/bash
# avx512.sh BUILD: runs the tests of vectorised code on an emulated CPU with AVX-512, for machines that
# have none. Bochs boots the distribution's kernel, whose only files are those tests; what they print
# follows. It does some fifty million instructions a second, so only short tests are run: ten minutes.
set -euo pipefail
build=$(realpath "$1")
tests=(
  "infer/native_test --gtest_filter=Cpus/*/avx512"
  "infer/native_test --gtest_filter=Family/*/pytorch_alpha140_size32"
  "infer/resize_test --gtest_filter=*RowsInPieces"
  "reduce/reduce_test --gtest_filter=KernelsTest.*/AVX3"
  "audit/audit_test --gtest_filter=KernelsTest.*"
  "statistics/statistics_test"
)
"$(dirname "$0")/../tools/install_packages.sh" \
  bochs bochs-term bochsbios xorriso isolinux syslinux-common busybox-static cpio
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

mkdir kernel && cd kernel
chmod 755 "$folder" && chown _apt . 2>/dev/null || true
apt-get -qq download "$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')"
dpkg -x ./*.deb . && cd ..

mkdir -p root/bin root/proc root/dev root/sys iso/isolinux
cp /bin/busybox root/bin
for test in "${tests[@]}"; do
  program=$build/tests/${test%% *}
  ldd "$program" | grep -o '/[^ ]*' | while read -r file; do cp -L --parents "$file" root; done
  cp --parents "$program" root
done
printf '%s\n' "${tests[@]}" >root/tests
cat >root/init <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1
stty -F /dev/ttyS0 -onlcr
grep -q avx512f /proc/cpuinfo || echo "NO AVX-512"
while read -r test; do
  echo "\$test"
  $build/tests/\$test --gtest_color=no --gtest_brief=1 || echo FAILED
done </tests
echo DONE
poweroff -f
INIT
chmod +x root/init
(cd root && find . | cpio --quiet -o -H newc) >iso/isolinux/initrd
cp kernel/boot/vmlinuz-* iso/isolinux/linux
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 iso/isolinux
# Bochs 2.7 gives the size of compacted states (XSAVEC, XSAVES) as that of others, and the kernel would
# do without AVX then.
cat >iso/isolinux/isolinux.cfg <<'MENU'
default linux
label linux
  kernel linux
  append initrd=initrd console=ttyS0,115200 quiet mitigations=off clearcpuid=321,323
MENU
xorriso -as mkisofs -quiet -o disc -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot \
  -boot-load-size 4 -boot-info-table iso

cat >bochsrc <<'BOCHS'
plugin_ctrl: unmapped=1, biosdev=1, serial=1
display_library: term
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_skylake_x, ips=100000000, ignore_bad_msrs=1
ata0-master: type=cdrom, path=disc, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=printed
log: log
BOCHS
echo c >go  # on, in the debugger that Debian's build has
touch printed
timeout 5400 bochs -q -f bochsrc -rc go </dev/null >told 2>&1 &
bochs=$!
# What it draws on a terminal of its own must be read, or it waits.
until screen=$(sed -n 's/.*connected to screen "\(.*\)"/\1/p' told) && [ -n "$screen" ]; do
  kill -0 $bochs || { cat told && exit 1; }
  sleep 1
done
cat "$screen" >/dev/null 2>&1 &
wait $bochs || true
cat printed
grep -q ^DONE printed
! grep -q 'FAILED\|PASSED.* 0 tests\|NO AVX-512' printed
