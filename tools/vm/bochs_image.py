#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# bochs_image.py VMLINUX INITRAMFS COMMAND_LINE MEMORY_MIB DISK: writes what Bochs finds in
# its memory when the kernel begins, and prints the symbols that bochs.S is assembled
# with. The kernel lies where it is linked to run; behind it there is what PVH wants to
# be told (Documentation of Xen's struct hvm_start_info), and the initramfs.

import struct
import sys

PT_LOAD, PT_NOTE = 1, 4
XEN_ELFNOTE_PHYS32_ENTRY = 18
PAGE = 4096
CHUNK = 256 * 512
RAM = 1


def up(value, to):
    return (value + to - 1) // to * to


def segments(elf):
    """Yields type, offset, physical address and bytes in the file of each."""
    offset, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for i in range(count):
        kind, _, at, _, address, length, _, _ = struct.unpack_from(
            "<IIQQQQQQ", elf, offset + i * size)
        yield kind, at, address, length


def entry(elf):
    """The address at which a kernel is entered in protected mode."""
    for kind, at, _, length in segments(elf):
        end = at + length
        while kind == PT_NOTE and at < end:
            name, data, note = struct.unpack_from("<III", elf, at)
            at += 12
            if note == XEN_ELFNOTE_PHYS32_ENTRY and elf[at:at + name] == b"Xen\0":
                return int.from_bytes(elf[at + up(name, 4):][:data], "little")
            at += up(name, 4) + up(data, 4)
    sys.exit("error: this kernel has no entry for PVH")


def main():
    vmlinux, initramfs, command_line, memory, disk = sys.argv[1:]
    with open(vmlinux, "rb") as file:
        elf = file.read()
    with open(initramfs, "rb") as file:
        initrd = file.read()

    loads = [s[1:] for s in segments(elf) if s[0] == PT_LOAD]
    base = min(address for _, address, _ in loads)
    image = bytearray()
    for at, address, length in loads:
        image.extend(bytes(max(0, address - base + length - len(image))))
        image[address - base:address - base + length] = elf[at:at + length]

    image.extend(bytes(up(len(image), PAGE) - len(image)))
    info = base + len(image)
    modules, ranges, text = info + 64, info + 128, info + 256
    page = bytearray(PAGE)
    struct.pack_into("<IIIIQQQQII", page, 0, 0x336ec578, 1, 0, 1, modules, text, 0, ranges, 2, 0)
    struct.pack_into("<QQQQ", page, 64, info + PAGE, len(initrd), 0, 0)
    struct.pack_into("<QQII", page, 128, 0, 0xa0000, RAM, 0)
    struct.pack_into("<QQII", page, 152, 0x100000, (int(memory) << 20) - 0x100000, RAM, 0)
    line = command_line.encode() + b"\0"
    if len(line) > PAGE - 256:
        sys.exit("error: the command line is too long")
    page[256:256 + len(line)] = line
    image.extend(page)
    image.extend(initrd)
    image.extend(bytes(up(len(image), CHUNK) - len(image)))

    with open(disk, "wb") as file:
        file.write(image)
    print(f"--defsym BASE={base} --defsym CHUNKS={len(image) // CHUNK}",
          f"--defsym ENTRY={entry(elf)} --defsym INFO={info}")


main()
