"""What QEMU boots, taken from an unpacked kernel package: vmlinux, and the modules tests need."""
import lzma
import re
import shutil
import struct
import subprocess

from kernel_archive import Failure

# Loaded in every guest if the kernel has them as modules; .modinfo adds what they depend on.
BOOT = "virtio_pci virtiofs overlay".split()
# Reported when a kernel has them neither as modules nor built in.
NEEDED = "tcp_diag veth sch_netem nf_tables nft_reject_inet nft_ct nft_chain_nat".split()
# crc32c_generic: libcrc32c, under nf_tables, asks for it by algorithm and not by dependency.
WANTED = BOOT + ["crc32c_generic", "inet_diag"] + NEEDED + """
    udp_diag unix_diag mptcp_diag nft_counter nft_reject nft_reject_ipv4 nft_reject_ipv6 nft_nat
    nft_masq nft_redir nft_limit nft_numgen nft_quota nft_log tun dummy
    sch_tbf sch_fq sch_fq_codel sch_ingress tls tcp_bbr""".split()


def decompress(data):
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(data)  # leaves alone what follows the stream
    # 5.10 packs its image with lz4 (the legacy frame), later ones with xz or zstd.
    for magic, tool in ((b"\x02\x21\x4c\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstd")):
        if data[:4] == magic:
            try:
                return subprocess.run([tool, "-dc"], input=data, check=True, capture_output=True).stdout
            except FileNotFoundError as error:
                raise Failure(f"{tool} is not installed") from error
            except subprocess.CalledProcessError as error:
                raise Failure(f"{tool}: {error.stderr.decode().strip()}") from error
    return data


def vmlinux(image):
    """The ELF kernel inside a bzImage: QEMU starts it directly (PVH), without the decompressor.
    Offsets: the kernel's Documentation/arch/x86/boot.rst. The payload ends in its unpacked size."""
    sectors, = struct.unpack_from("<B", image, 0x1f1)
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    elf = decompress(image[start:start + length - 4])
    if elf[:4] != b"\x7fELF":
        raise Failure("the kernel image's compression is unknown")
    return elf


def unsigned(module):
    """Without the signature that Debian appends: nothing enforces it in a guest (the kernel is only
    marked tainted), and an emulated processor takes 20 ms to check one. The trailer is struct
    module_signature, which ends in the signature's size (big-endian), and a magic text."""
    magic = b"~Module signature appended~\n"
    if not module.endswith(magic):
        return module
    end = len(module) - len(magic)
    size, = struct.unpack_from(">I", module, end - 4)
    return module[:end - 12 - size]


def name_of(path):
    return path.split("/")[-1].split(".")[0].replace("-", "_")


def copy_modules(root, target):
    """Copies WANTED and all they depend on, uncompressed. Returns the names in load order."""
    files = {name_of(path.name): path for path in root.glob("**/*.ko*")}
    order = []

    def visit(name):
        if name in order or name not in files:
            return
        data = decompress(files[name].read_bytes())
        for names in re.findall(rb"\0depends=([^\0]*)\0", data):
            for dependency in names.decode().split(","):
                visit(name_of(dependency))
        (target / f"{name}.ko").write_bytes(unsigned(data))
        order.append(name)

    target.mkdir()
    for name in WANTED:
        visit(name)
    return order


def extract(root, target):
    """Fills target with vmlinux, config and modules/. Returns what there is to know of them."""
    images = sorted([*root.glob("boot/vmlinuz-*"), *root.glob("**/lib/modules/*/vmlinuz")])
    if not images:
        raise Failure("the packages hold no kernel image")
    (target / "vmlinux").write_bytes(vmlinux(images[0].read_bytes()))
    for config in [*root.glob("boot/config-*"), *root.glob("**/lib/modules/*/config")][:1]:
        shutil.copyfile(config, target / "config")
    modules = copy_modules(root, target / "modules")
    built_in = {name_of(x) for path in root.glob("**/modules.builtin") for x in path.read_text().split()}
    return {"modules": modules,
            "missing": [x for x in NEEDED if x not in modules and x not in built_in]}
